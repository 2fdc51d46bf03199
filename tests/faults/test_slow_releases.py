"""Faults: an application that starts slowly, one that hears no SIGTERM while requests take seconds. These end; others go on."""

import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress

import docker
import pytest
from lab.host import until
from lab.load import Load

from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("slow-releases")]

DEAF = "command: [/faulty, deaf, /srv]"
IN_FLIGHT = 25.0
"""Seconds that the slowest requests take: longer than the grace, less than the drain."""

BOOT = 15_000
"""Milliseconds until the slow one answers."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, faulty_image: str) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, faulty_image) as made:
        yield made


def test_who_hears_no_sigterm_ends_its_requests_and_is_killed(shop: Shop) -> None:
    shop.settled(shop.release(DEAF))
    old, version = shop.ids(), shop.version
    rollout = f"{{min_healthy: 200ms, drain: {IN_FLIGHT + 5:g}s, deadline: 60s}}"
    slow = Load(shop.host.web, shop.name, clients=0, slow=4, slow_ms=round(IN_FLIGHT * 1000))
    with signals(shop, old) as sent, Load(shop.host.web, shop.name, clients=4, pause=0.1) as load, slow:
        until(lambda: slow.seen.answers[200, version] >= 4, "slow requests are answered", 40)
        shop.settled(shop.release(DEAF, rollout=rollout))
        until(lambda: slow.seen.answers[200, shop.version] >= 4, "and by the new release", 40)
        until(lambda: sent == {each: ["15", "9"] for each in old}, "asked to end, and killed", 10)
    assert load.seen.lost == slow.seen.lost == []
    assert slow.seen.last[version] + IN_FLIGHT > load.seen.first[shop.version], "some were in flight at the switch"


@contextmanager
def signals(shop: Shop, containers: Collection[str]) -> Iterator[dict[str, list[str]]]:
    """Container → those that the engine sends to it meanwhile."""
    sent: dict[str, list[str]] = {each: [] for each in containers}
    with closing(docker.APIClient(base_url=shop.host.engine, version="auto")) as api:
        stream = api.events(filters={"container": list(containers), "event": "kill"}, decode=True)

        def listen() -> None:
            with suppress(Exception):  # whatever the end of the stream is
                for row in stream:
                    sent[row["id"]].append(row["Actor"]["Attributes"]["signal"])

        threading.Thread(target=listen, daemon=True).start()
        yield sent
        stream.close()


def test_a_start_that_is_slow_is_allowed_where_it_is_declared(shop: Shop) -> None:
    """Without that it is given up; with it other sites go live meanwhile."""
    before = shop.version
    other = f"image: {shop.image}\nport: 80\nenvironment: {{V: other, BOOT_MS: '100'}}\nrollout: {{min_healthy: 200ms, drain: 200ms}}\n"
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        shop.release(rollout="{deadline: 2s}", boot=BOOT)
        until(lambda: shop.said("release failed"), "given up", 40)
        assert shop.message().endswith("not ready within 2 s")
        shop.release(rollout="{min_healthy: 200ms, drain: 200ms, deadline: 4m}", boot=BOOT)
        until(lambda: len(shop.host.containers("shop", running=True)) == 4, "the slow one is started", 40)
        commit = shop.host.repository.commit({"sites/other.yaml": other}, "another site")
        until(lambda: shop.host.get(f"other.{shop.host.domain}") == (200, "other"), "the other one is live", 40)
        assert shop.serves() == before
        until(lambda: shop.host.converged(commit), "both are as they should be", 60)
        assert shop.serves() == shop.version
    assert load.seen.lost == []
