"""Rows of the engine's API, as it gives them."""

from typing import Any

import pytest

from reconciler.world.docker_rows import container_of, event_of, foreign_of
from reconciler.world.engine import Event


def test_a_container_of_compose_is_called_by_its_service_and_project() -> None:
    """So Traefik's default rule calls it; of others only what Traefik reads is kept."""
    row = {"Id": "1" * 64, "Names": ["/shop_web_1"], "Labels": {"traefik.enable": "true", "team": "a"}}
    assert foreign_of(row).called == ""
    row["Labels"] = {"com.docker.compose.service": "web", "com.docker.compose.project": "shop", "traefik.enable": "true"}
    found = foreign_of(row)
    assert (found.name, found.called, found.labels) == ("shop_web_1", "web_shop", (("traefik.enable", "true"),))


def test_what_an_inspection_says_outweighs_a_list_that_still_says_what_was_before() -> None:
    """Measured: after the event of a rename a list may give both names, the old one first; and it may not know of a network yet."""
    labels = {**MINE, "traefik.docker.network": "t_net"}
    row = {"Id": "1" * 64, "Names": ["/web-1", "/web-1-mine"], "State": "running", "Labels": labels, "NetworkSettings": {"Networks": {}}}
    inspected = {"Name": "/web-1-mine", "NetworkSettings": {"Networks": {"t_net": {"IPAddress": "10.0.0.2"}}}}
    found = container_of(row, inspected, None, 0.0)
    assert (found.name, found.address) == ("web-1-mine", "10.0.0.2")
    alone = container_of(row, None, None, 0.0)
    assert (alone.name, alone.address) == ("web-1", None)


MINE = {"shipstone.instance": "t", "shipstone.site": "shop"}
ROUTED = {"traefik.enable": "true", "shipstone.instance": "another"}


@pytest.mark.parametrize(
    ("kind", "action", "attributes", "event"),
    [
        ("container", "rename", MINE, Event("container", "rename", "id", "shop")),
        ("container", "die", {"shipstone.traefik": "t"}, Event("container", "die", "id", None)),
        ("container", "start", ROUTED, Event("foreign", "start", "id", None)),
        ("container", "die", ROUTED, Event("foreign", "die", "id", None)),
        ("container", "destroy", ROUTED, Event("foreign", "destroy", "id", None)),
        ("container", "health_status: healthy", ROUTED, None),
        ("container", "oom", ROUTED, None),
        ("container", "start", {"team": "a"}, None),
        ("network", "connect", {"name": "t_net", "container": "new"}, Event("container", "network connect", "new", None)),
        ("network", "connect", {"name": "bridge", "container": "c1"}, Event("container", "other network connect", "c1", None)),
        ("network", "disconnect", {"name": "bridge", "container": "c1"}, Event("container", "other network disconnect", "c1", None)),
        ("network", "connect", {"name": "bridge", "container": "other"}, None),
        ("network", "destroy", {"name": "t_net"}, Event("network", "destroy", "id", None)),
        ("network", "destroy", {"name": "bridge"}, None),
    ],
)
def test_an_event_is_ours_or_of_who_may_claim_what_is_ours(kind: str, action: str, attributes: dict[str, str], event: Event | None) -> None:
    """A busy host tells of much more than that."""
    row: dict[str, Any] = {"Type": kind, "Action": action, "Actor": {"ID": "id", "Attributes": attributes}}
    assert event_of(row, "t", "t_net", {"c1"}) == event
