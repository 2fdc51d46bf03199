"""What a hand does is noticed from the engine's events alone: here nothing is looked at by itself for ten minutes."""

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest
from lab.host import until

from reconciler import wiring
from reconciler.daemon import Daemon
from reconciler.followers.follower import Follower, Pass
from reconciler.settings import load_settings
from tests.faults.shop import Shop, a_shop
from tests.scenarios.test_drift import ill

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("events")]

NEVER = 600.0
SOON = 20.0
"""Seconds; many on a busy disk, and few beside NEVER."""
SITE = "drift: report\nmem_limit: 64m\nhealthcheck: {test: [CMD, /faulty, absent, /ill], interval: 200ms, retries: 1}"
MIB = 1 << 20


class Seen(Follower):
    """The newest pass: what somebody changed (container, field, actual); how many there were; and what was `told` in any of them."""

    def __init__(self) -> None:
        self.rows: frozenset[tuple[str, str, str]] = frozenset()
        self.told: set[tuple[str, str, str]] = set()
        self.passes, self.quiet = 0, False

    def passed(self, done: Pass) -> None:
        self.rows = frozenset((row.container, row.field, row.actual) for _, row in done.plan.drift)
        self.told |= self.rows
        self.quiet = done.plan.quiet
        self.passes += 1


@dataclass(frozen=True)
class Watched:
    """A site of two replicas that is only reported, and what a daemon sees of it."""

    shop: Shop
    seen: Seen

    @property
    def api(self) -> Any:
        return self.shop.host.api

    def victim(self) -> dict[str, Any]:
        """One of two that run, when nothing differs."""
        until(lambda: self.seen.quiet and not self.seen.rows and len(self.shop.ids(running=True)) == 2, "all is as it should be", 60)
        self.seen.told.clear()
        return dict(min(self.shop.host.containers(), key=lambda row: str(row["Names"])))

    def notices(self, container: str, field: str, actual: str) -> None:
        until(lambda: (container, field, actual) in self.seen.told, f"{container} {field}: {actual}", SOON)

    def remove(self, container_id: str) -> None:
        """What does not run is replaced, and may be on its way out already."""
        with contextlib.suppress(docker.errors.APIError):
            self.api.remove_container(container_id, force=True)
        until(lambda: container_id not in self.shop.ids(), "it is gone", SOON)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, faulty_image: str) -> Iterator[Watched]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, faulty_image) as shop:
        shop.settled(shop.release(SITE))
        shop.host.stop_daemon()
        settings, seen = load_settings(shop.host.config), Seen()
        reconciler = wiring.reconciler_of(settings, followers=[seen])
        daemon = Daemon(reconciler, wiring.source_of(settings), NEVER, resync=NEVER, reinspect=NEVER)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        try:
            yield Watched(shop, seen)
        finally:
            daemon.stop()
            thread.join(40)


Hand = Callable[[Watched, dict[str, Any]], object]
HANDS: dict[str, tuple[Hand, str, str]] = {
    "update": (lambda w, row: w.api.update_container(row["Id"], mem_limit=96 * MIB, memswap_limit=192 * MIB), "mem_limit", str(96 * MIB)),
    "rename": (lambda w, row: w.api.rename(row["Id"], f"{row['Names'][0][1:]}-mine"), "name", "{name}-mine"),
    "pause": (lambda w, row: w.api.pause(row["Id"]), "state", "paused"),
    "kill": (lambda w, row: w.api.kill(row["Id"]), "state", "exited"),
    "health_status": (lambda w, row: ill(w.shop.host, row), "health", "unhealthy"),
    "disconnect": (lambda w, row: w.api.disconnect_container_from_network(row["Id"], w.shop.host.network, force=True), "networks", ""),
}


@pytest.mark.parametrize("event", HANDS)
def test_what_a_hand_does_to_a_container_is_noticed(watched: Watched, event: str) -> None:
    hand, field, actual = HANDS[event]
    row = watched.victim()
    name = row["Names"][0][1:]
    hand(watched, row)
    watched.notices(f"{name}-mine" if event == "rename" else name, field, actual.replace("{name}", name))
    watched.remove(row["Id"])


def test_another_network_is_noticed_when_it_comes_and_when_it_goes(watched: Watched) -> None:
    row = watched.victim()
    watched.api.connect_container_to_network(row["Id"], "bridge")
    watched.notices(row["Names"][0][1:], "networks", f"bridge, {watched.shop.host.network}")
    watched.api.disconnect_container_from_network(row["Id"], "bridge")
    until(lambda: not watched.seen.rows, "nothing differs", SOON)


def test_memory_that_runs_out_wakes_the_daemon(watched: Watched) -> None:
    """Its main process goes on: nothing differs, but it is looked at."""
    row = watched.victim()
    passes = watched.seen.passes
    watched.api.exec_start(watched.api.exec_create(row["Id"], ["/faulty", "oom"])["Id"])
    until(lambda: watched.seen.passes > passes, "another pass", SOON)


def test_who_claims_a_host_name_is_noticed_when_it_comes_and_when_it_goes(watched: Watched) -> None:
    watched.victim()
    name = f"{watched.shop.host.instance}-stranger"
    labels = {"traefik.enable": "true", "traefik.http.routers.mine.rule": f"Host(`{watched.shop.name}`)"}
    stranger = watched.api.create_container(watched.shop.image, name=name, labels=labels)["Id"]
    try:
        watched.api.start(stranger)
        watched.notices(name, "claim.host", f"{watched.shop.name} by router mine")
        watched.api.kill(stranger)
        until(lambda: not watched.seen.rows, "nothing differs", SOON)
    finally:
        watched.api.remove_container(stranger, force=True)


def test_since_when_it_differs_is_the_same_at_every_look(watched: Watched) -> None:
    """For commands, while the daemon reports it."""
    row = watched.victim()
    watched.api.update_container(row["Id"], mem_limit=96 * MIB, memswap_limit=192 * MIB)
    watched.notices(row["Names"][0][1:], "mem_limit", str(96 * MIB))

    def told() -> dict[str, Any]:
        found = json.loads(watched.shop.host.shipstone("drift", "--output", "json").stdout)
        (difference,) = found["sites"]["shop"]["differences"]
        return dict(difference)

    first = until(lambda: told() if told()["since"] else None, "since when is kept", SOON)
    since = dt.datetime.fromisoformat(first["since"])
    until(lambda: dt.datetime.now(dt.UTC) > since + dt.timedelta(seconds=2), "another second")
    assert told() == first
    assert first["action"] == "reported only: the site says drift: report"
    watched.remove(row["Id"])
