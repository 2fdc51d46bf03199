"""The `shipstone.*` labels of a container: what it was made of, read back whenever it is looked at."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.spec import ContainerSpec, Route, canonical, known_fields, route_from_json, spec_from_json
from reconciler.desired.traefik_v3 import routing_labels
from reconciler.planning.observed import Container

SCHEME = "1"
"""The version of this label scheme; a newer Shipstone reads older ones."""


@dataclass(frozen=True)
class Applied:
    """What a container was made of."""

    spec: ContainerSpec
    route: Route
    timing: Timing
    heal: bool = True


def container_labels(
    instance: str,
    network: str,
    entry_point: str,
    site: DesiredSite,
    service: DesiredService,
    replica: int,
    digest: str,
    rank: int | None = None,
) -> dict[str, str]:
    """All labels of one replica: the user's own, the routing ones and ours; `rank` as in ranks.py."""
    routing = routing_labels(
        instance,
        site.name,
        site.release,
        service.name,
        replica,
        service.spec,
        site.route,
        network=network,
        entry_point=entry_point,
        rank=rank,
    )
    applied = Applied(service.spec, site.route, site.timing, site.heal)
    ours = {
        "shipstone.instance": instance,
        "shipstone.site": site.name,
        "shipstone.service": service.name,
        "shipstone.release": site.release,
        "shipstone.replica": str(replica),
        "shipstone.commit": site.commit,
        "shipstone.digest": digest,
        "shipstone.grace": f"{service.spec.stop_grace_period:g}",
        "shipstone.scheme": SCHEME,
        "shipstone.spec": canonical(applied),
    }
    return {**dict(service.spec.labels), **routing, **ours}


def joining_labels(sibling: Container, labels: dict[str, str], names: tuple[str, str]) -> dict[str, str]:
    """Labels of a replica that joins `sibling`: the `traefik.*` ones are copied, so that all of a release agree whatever version made
    them; `names` are the Traefik services of the sibling and of the newcomer by themselves."""
    theirs, mine = (f".{name}." for name in names)
    routing = {key.replace(theirs, mine): value for key, value in sibling.labels.items() if key.startswith("traefik.")}
    return {**{key: value for key, value in labels.items() if not key.startswith("traefik.")}, **routing}


def applied_of(container: Container) -> Applied:
    return applied_in(container.labels.get("shipstone.spec", ""))


def route_of(container: Container) -> Route:
    return applied_of(container).route


def weight_of(container: Container) -> int:
    return applied_of(container).spec.weight


def site_from_labels(name: str, containers: Iterable[Container]) -> DesiredSite | None:
    """The site as these containers of one release were made, with as many replicas of each service as there are."""
    rows = tuple(containers)
    if not rows:
        return None
    by_service = {c.service: c for c in rows}
    services = tuple(
        DesiredService(service, applied_of(c).spec, sum(r.service == service for r in rows), c.labels.get("shipstone.digest", ""))
        for service, c in sorted(by_service.items())
    )
    applied = applied_of(rows[0])
    return DesiredSite(
        name, rows[0].release, applied.route, services, applied.timing, applied.heal, rows[0].labels.get("shipstone.commit", "")
    )


@lru_cache(maxsize=4096)
def applied_in(text: str) -> Applied:
    """What the text of a label `shipstone.spec` says."""
    try:
        data = json.loads(text)
        timing = Timing(**known_fields(Timing, data.get("timing", {})))
        return Applied(spec_from_json(data["spec"]), route_from_json(data["route"]), timing, data.get("heal", True))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Applied(ContainerSpec("", 0), Route(()), Timing())
