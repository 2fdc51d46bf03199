"""Faults: a new version exits at 0 s or later, crash-loops, is never healthy, never ready, OOM-killed, turns sick, flaps or dies once it
serves.

Each is taken away while the old release serves on; why is kept with the last log lines; it is not tried again until its content changes.
"""

import io
import json
import re
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest
from lab.host import until
from lab.load import Load

from tests.faults.shop import ROLLOUT, Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("failed-release")]

EXITS = "command: [/faulty, exit, '3']"
FAILURES = {
    "exits at once": (f"{EXITS}\nrestart: 'no'", ROLLOUT, "exited with 3: cannot open the database"),
    "exits before it is ready": ("command: [/faulty, lasts, '1500', /srv]\nrestart: 'no'", ROLLOUT, "exited with 7: out of luck"),
    "crash-loops": (EXITS, ROLLOUT, "times: cannot open the database"),
    "stays unhealthy": (
        "healthcheck: {test: [CMD, /faulty, absent, /srv], interval: 200ms, retries: 2, start_period: 0s}",
        ROLLOUT,
        "is unhealthy",
    ),
    "is never ready": ("working_dir: /", "{deadline: 1500ms}", "not ready within 1.5 s"),
    "cannot be started": ("entrypoint: [/nonexistent]", "{deadline: 3s}", "it could not be started, "),
    "is OOM-killed": ("command: [/faulty, oom]\nmem_limit: 8m", ROLLOUT, "exited with 137, killed"),
}
"""What the site says, its rollout, and the reason that is given."""
NEVER_READY = ("is never ready", "exits before it is ready")
LONG = "{min_healthy: 30s, drain: 200ms}"


@dataclass(frozen=True)
class Old:
    """The release that serves, whatever comes."""

    shop: Shop
    version: str
    ids: frozenset[str]

    def serves_alone(self, failures: int) -> str:
        """Waits until one more than `failures` releases failed and only this one is there; the whole reason."""
        until(lambda: len(self.shop.said("release failed")) > failures, "given up", 40)
        until(lambda: self.shop.ids() == self.ids, "only the old release is there", 30)
        until(lambda: self.shop.host.told("shop").get("health") == "healthy", "it is at rest", 30)
        assert self.shop.serves() == self.version
        return str(self.shop.said("release failed")[-1]["reason"])


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, faulty_image: str) -> Iterator[Old]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, faulty_image) as shop:
        yield Old(shop, shop.version, frozenset(shop.ids()))


@pytest.mark.parametrize("how", FAILURES)
def test_a_release_that_does_not_come_up_is_taken_away(old: Old, how: str) -> None:
    extra, rollout, why = FAILURES[how]
    shop, before = old.shop, len(old.shop.said("release failed"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        shop.release(extra, rollout=rollout, boot=3_600_000 if how in NEVER_READY else 150)
        reason = old.serves_alone(before)
        assert why in reason.splitlines()[0]
        if EXITS in extra:
            assert " exited with 3" in reason
            assert reason.splitlines()[-2:] == ["reading the settings", "cannot open the database"]
        site = shop.host.status()["sites"]["shop"]
        assert site["sync"] == "out-of-sync"
        assert site["message"].endswith(reason)
        starts = len(shop.said("start"))
        commit = shop.host.repository.commit({"README.md": how}, "nothing about the site")
        until(lambda: any(row.get("commit") == commit for row in shop.host.log()), "the next commit is read", 20)
        assert shop.message() == site["message"]
        assert (len(shop.said("start")), len(shop.said("release failed"))) == (starts, before + 1)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, old.version)}


def test_a_release_that_turns_sick_once_it_serves_is_undone(old: Old) -> None:
    """Within min_healthy the old release still runs: the pin goes back to it, and nothing is lost."""
    shop, before = old.shop, len(old.shop.said("release failed"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        shop.release("healthcheck: {test: [CMD, /faulty, absent, /sick], interval: 200ms, retries: 1}", rollout=LONG)
        until(lambda: shop.serves() == shop.version, "the new release serves", 30)
        victim = next(iter(shop.ids() - old.ids))
        shop.host.api.put_archive(victim, "/", file_named("sick"))
        assert "is unhealthy" in old.serves_alone(before).splitlines()[0]
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, old.version), (200, shop.version)}


def test_a_release_that_flaps_is_undone(old: Old) -> None:
    """It may be switched to in a good moment; in the next bad one requests go back."""
    shop, before = old.shop, len(old.shop.said("release failed"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        shop.release("healthcheck: {test: [CMD, /faulty, flaps, '2'], interval: 200ms, retries: 1, start_period: 3s}", rollout=LONG)
        assert "is unhealthy" in old.serves_alone(before).splitlines()[0]
    assert load.seen.lost == []
    assert load.seen.answers[200, old.version]


def test_why_it_failed_is_in_what_every_command_says(old: Old) -> None:
    """With the last lines of its log: apply's output, status, and history, as text and as JSON."""
    shop, host = old.shop, old.shop.host
    host.stop_daemon()
    shop.release(f"{EXITS}\nrestart: 'no'\nlabels: {{by: apply}}")
    done = host.shipstone("apply")
    host.start_daemon()
    assert done.returncode == 1
    why = shop.message()
    first, *said = why.splitlines()
    assert first.endswith(" exited with 3: cannot open the database")
    assert said[-2:] == ["reading the settings", "cannot open the database"]
    assert f"shop: {why}" in done.stderr
    events = json.loads(host.shipstone("history", "shop", "--output", "json", check=True).stdout)["events"]
    row = next(row for row in events if row["kind"] == "failed")
    assert (first.endswith(row["what"]), row["log"]) == (True, said)
    lines = [line.strip() for line in host.shipstone("history", "shop", check=True).stdout.splitlines()]
    at = max(n for n, line in enumerate(lines) if re.search(f" failed +{re.escape(row['what'])}$", line))
    assert lines[at + 1 : at + 1 + len(said)] == said


def test_a_release_that_dies_once_it_serves_costs_what_came_until_the_old_one_was_reached(old: Old) -> None:
    shop, before = old.shop, len(old.shop.said("release failed"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        shop.release("command: [/faulty, lasts, '8000', /srv]", rollout=LONG)  # both have to start and be switched to before
        until(lambda: shop.serves() == shop.version, "the new release serves", 30)
        assert "out of luck" in old.serves_alone(before)
    new, again = (datetime.fromisoformat(row["timestamp"]).timestamp() for row in shop.said("ask")[-2:])
    assert [each for each in load.seen.lost if each.at < new or each.at - each.took > again] == []


@pytest.mark.parametrize("how", ["it failed", "its image cannot be pulled"])
def test_what_serves_is_kept_whole_while_the_newest_release_cannot_be_had(old: Old, how: str) -> None:
    """A hand takes one replica, then both: they are there again, as they were."""
    shop = old.shop
    if how == "it failed":
        shop.release(f"{EXITS}\nrestart: 'no'")
    else:
        text = f"image: 127.0.0.1:1/none:1\nport: 80\nreplicas: 2\nenvironment: {{V: none}}\nrollout: {ROLLOUT}\n"
        shop.host.repository.commit({"sites/shop.yaml": text}, "an image that is nowhere")
    why = "exited with 3" if how == "it failed" else "cannot pull 127.0.0.1:1/none:1"
    until(lambda: why in shop.told(), "why it cannot be had is said", 40)
    until(lambda: len(shop.ids()) == 2 and shop.serves() == old.version, "the old release serves alone", 40)
    daemon = shop.host._daemon
    assert daemon is not None
    for count in (1, 2):
        victims = sorted(shop.ids())[:count]
        stayed = shop.ids() - {*victims}
        daemon.send_signal(signal.SIGSTOP)  # the hand is quicker
        for victim in victims:
            shop.host.api.remove_container(victim, force=True)
        daemon.send_signal(signal.SIGCONT)
        until(lambda gone={*victims}: len(shop.ids(running=True) - gone) == 2 and not shop.pinned(), "both are there", 40)
        until(lambda: shop.serves() == old.version, "the old release answers", 30)
        assert stayed <= shop.ids()
    until(lambda: not shop.pinned() and why in shop.told(), "it is at rest, and why is still said", 30)


def file_named(name: str) -> bytes:
    """A tar with one empty file."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return tar.getvalue()
