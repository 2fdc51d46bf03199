"""Faults: a new version exits at 0 s, crash-loops, is never healthy, never ready, OOM-killed, turns sick or dies once it serves.

Each is taken away while the old release serves on; why is kept with the last log lines; it is not tried again until its content changes.
"""

import io
import itertools
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from lab.host import Host, a_host, until
from lab.load import Load

pytestmark = pytest.mark.docker

ROLLOUT = "{min_healthy: 500ms, drain: 200ms, deadline: 20s}"
EXITS = "command: [/faulty, exit, '3']"
FAILURES = {
    "exits at once": (f"{EXITS}\nrestart: 'no'", ROLLOUT, "exited with 3: cannot open the database"),
    "crash-loops": (EXITS, ROLLOUT, "times: cannot open the database"),
    "stays unhealthy": (
        "healthcheck: {test: [CMD, /faulty, absent, /srv], interval: 200ms, retries: 2, start_period: 0s}",
        ROLLOUT,
        "is unhealthy",
    ),
    "is never ready": ("working_dir: /", "{deadline: 1500ms}", "not ready within 1.5 s"),
    "is OOM-killed": ("command: [/faulty, oom]\nmem_limit: 8m", ROLLOUT, "exited with 137, killed"),
}
"""What the site says, its rollout, and the reason that is given."""


@dataclass
class Shop:
    """A site whose release `one` serves, and what it is asked to become."""

    host: Host
    image: str
    ids: set[str] = field(default_factory=set)
    versions: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    @property
    def name(self) -> str:
        """No other test on the same engine has it."""
        return f"shop.{self.host.instance}.test"

    def commit(self, version: str, extra: str = "", rollout: str = ROLLOUT, boot: int = 150) -> str:
        text = (
            f"image: {self.image}\nport: 80\nreplicas: 2\nenvironment: {{V: {version}, BOOT_MS: '{boot}', WORK_MS: '5'}}\n"
            f"stop_grace_period: 1s\nrollout: {rollout}\n{extra}\n"
        )
        return self.host.repository.commit({"sites/shop.yaml": text}, version)

    def failed(self) -> list[dict[str, Any]]:
        return [row for row in self.host.log() if row.get("event") == "release failed"]

    def starts(self) -> int:
        return sum(row.get("event") == "start" for row in self.host.log())

    def given_up(self, before: int) -> str:
        """Waits until one more release than `before` is, and only the old one is there; the whole reason."""
        until(lambda: len(self.failed()) > before, "given up", 40)
        until(lambda: {row["Id"] for row in self.host.containers()} == self.ids, "only the old release is there", 30)
        until(lambda: self.host.status()["sites"]["shop"]["health"] == "healthy", "it is at rest", 10)
        assert self.host.get(self.name) == (200, "one")
        return str(self.failed()[-1]["reason"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, faulty_image: str) -> Iterator[Shop]:
    instance = f"t{uuid.uuid4().hex[:8]}"
    with a_host(tmp_path_factory.mktemp("shop"), docker_socket, instance, poll="300ms") as host:
        host.repository.commit({"shipstone.yaml": f"domain: {instance}.test\n"}, "begin")
        host.start_traefik()
        made = Shop(host, faulty_image)
        commit = made.commit("one")
        host.start_daemon()
        until(lambda: host.converged(commit), "the first release runs", 60)
        made.ids = {row["Id"] for row in host.containers()}
        yield made


@pytest.mark.parametrize("how", FAILURES)
def test_a_release_that_does_not_come_up_is_taken_away(shop: Shop, how: str) -> None:
    extra, rollout, why = FAILURES[how]
    before = len(shop.failed())
    with Load(shop.host.web, shop.name, clients=4, pause=0.01) as load:
        shop.commit(f"'{next(shop.versions)}'", extra, rollout, boot=3_600_000 if how == "is never ready" else 150)
        reason = shop.given_up(before)
        assert why in reason.splitlines()[0]
        if EXITS in extra:
            assert " exited with 3" in reason
            assert reason.splitlines()[-2:] == ["reading the settings", "cannot open the database"]
        site = shop.host.status()["sites"]["shop"]
        assert site["sync"] == "out-of-sync"
        assert site["message"].endswith(reason)
        starts = shop.starts()
        commit = shop.host.repository.commit({"README.md": how}, "nothing about the site")
        until(lambda: any(row.get("commit") == commit for row in shop.host.log()), "the next commit is read", 20)
        assert shop.host.status()["sites"]["shop"]["message"] == site["message"]
        assert (shop.starts(), len(shop.failed())) == (starts, before + 1)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "one")}


def test_a_release_that_turns_sick_once_it_serves_is_undone(shop: Shop) -> None:
    """Within min_healthy the old release still runs: the pin goes back to it, and nothing is lost."""
    before, version = len(shop.failed()), str(next(shop.versions))
    check = "healthcheck: {test: [CMD, /faulty, absent, /sick], interval: 200ms, retries: 1}"
    with Load(shop.host.web, shop.name, clients=4, pause=0.01) as load:
        shop.commit(f"'{version}'", check, "{min_healthy: 30s, drain: 200ms}")
        until(lambda: shop.host.get(shop.name) == (200, version), "the new release serves", 30)
        victim = next(row["Id"] for row in shop.host.containers() if row["Id"] not in shop.ids)
        shop.host.api.put_archive(victim, "/", file_named("sick"))
        assert "is unhealthy" in shop.given_up(before).splitlines()[0]
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "one"), (200, version)}


def test_a_release_that_dies_once_it_serves_costs_what_it_had_in_flight(shop: Shop) -> None:
    """Each client asks once a second, so that it loses at most the request that the end of its server cut."""
    before, version = len(shop.failed()), str(next(shop.versions))
    with Load(shop.host.web, shop.name, clients=8, pause=1.0) as load:
        shop.commit(f"'{version}'", "command: [/faulty, lasts, '3000', /srv]", "{min_healthy: 30s, drain: 200ms}")
        until(lambda: shop.host.get(shop.name) == (200, version), "the new release serves", 30)
        reason = shop.given_up(before)
        assert "out of luck" in reason
    assert len(load.seen.lost) <= 8


def file_named(name: str) -> bytes:
    """A tar with one empty file."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return tar.getvalue()
