"""Faults: SIGKILL of Shipstone at each step; many random SIGKILLs while commits flow; SIGSTOP. Nothing is lost or left over."""

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lab.host import until
from lab.load import Load

from tests.faults.shop import ROLLOUT, Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("crash")]

MOMENTS = {
    "fetch": "fetch",
    "pull": "pull",
    "pin": "pin",
    "pinned": "pinned",
    "create": "create",
    "start": "start:2",
    "ready": "ready:3",
    "switch": "pin:2",
    "switched": "pinned:2",
    "drain": "drain",
    "stop": "stop",
    "remove": "remove",
    "unpin": "unpin",
    "unpinned": "unpinned",
    "record": "record",
}
"""What is done then → the failpoint. Two old replicas are ready before the first new one; the second pin is the switch."""
KILLS = 20


@dataclass(frozen=True)
class Busy:
    """A site with a volume, and clients that never stop asking."""

    shop: Shop
    load: Load

    def release(self, replicas: int = 2, *, rollout: str = ROLLOUT, boot: int = 150) -> str:
        return self.shop.release(replicas=replicas, rollout=rollout, boot=boot)

    def settled(self, commit: str, replicas: int = 2) -> None:
        self.shop.settled(commit, replicas)
        assert self.load.seen.lost == []
        assert [row["Name"] for row in self.shop.host.api.volumes(filters={"name": self.shop.volume})["Volumes"]] == [self.shop.volume]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Busy]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image, volume=True) as shop:
        made = Busy(shop, Load(shop.host.web, shop.name, clients=4, pause=0.05, slow_ms=90_000))  # some wait for who is stopped
        with made.load:
            yield made


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_each_step_it_goes_on_at_the_next_start(busy: Busy, moment: str, rounds: int) -> None:
    host = busy.shop.host
    for _ in range(min(rounds, 5)):
        host.stop_daemon(signal.SIGKILL)
        drain = "3s" if moment == "drain" else "200ms"  # a pass has to fall into it
        commit = busy.release(rollout=ROLLOUT.replace("drain: 200ms", f"drain: {drain}"))
        assert host.start_daemon(SHIPSTONE_FAILPOINT=MOMENTS[moment]).wait(180) == -signal.SIGKILL
        assert busy.load.seen.lost == []
        host.start_daemon()
        busy.settled(commit)


@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_stopped_by_a_signal_in_mid_rollout(busy: Busy, then: str) -> None:
    """It hangs for some hundred requests; a watchdog would kill it."""
    shop, seen = busy.shop, busy.load.seen
    daemon = shop.host.start_daemon() if shop.host.stop_daemon() == 0 else None
    assert daemon is not None
    commit = busy.release(boot=1500)
    until(lambda: len(shop.host.containers(running=True)) > 2, "the new release is started", 30)
    daemon.send_signal(signal.SIGSTOP)
    sent = seen.sent
    until(lambda: seen.sent > sent + 500, "requests meanwhile", 30)
    assert seen.lost == []
    if then == "is killed":
        shop.host.stop_daemon(signal.SIGKILL)
        shop.host.start_daemon()
    else:
        daemon.send_signal(signal.SIGCONT)
    busy.settled(commit)


def test_killed_at_random_moments_while_commits_flow_it_ends_at_the_newest(busy: Busy, rounds: int) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311  no secret, nor are the others
    print(f"seed {seed}")
    chance, over, newest = random.Random(seed), threading.Event(), [("", 0)]  # noqa: S311
    host = busy.shop.host

    def flow() -> None:
        pauses = random.Random(seed + 1)  # noqa: S311
        while not over.wait(pauses.uniform(0.3, 3.0)):
            replicas = pauses.randint(1, 3)
            newest[0] = (busy.release(replicas), replicas)

    commits = threading.Thread(target=flow)
    host.stop_daemon(signal.SIGKILL)
    commits.start()
    try:
        for _ in range(KILLS * rounds):
            daemon = host.start_daemon()
            with pytest.raises(subprocess.TimeoutExpired):
                daemon.wait(chance.uniform(0.5, 3.5))
            host.stop_daemon(signal.SIGKILL)
            assert busy.load.seen.lost == []
    finally:
        over.set()
        commits.join()
    host.start_daemon()
    busy.settled(*newest[0])  # releases that were begun and superseded again and again go too


def test_the_next_one_starts_on_a_machine_that_stalls(busy: Busy) -> None:
    """Nobody whom it asks answers in time, when it has a commit to bring up. What serves goes on serving, and no request is refused."""
    shop = busy.shop
    busy.settled(busy.release())
    shop.host.stop_daemon()
    stalled = [row["State"]["Pid"] for row in map(shop.host.api.inspect_container, shop.ids())]
    pinned = f"{shop.host.instance}-shop-{release_of(shop)}"
    commit = busy.release()
    for pid in stalled:
        os.kill(pid, signal.SIGSTOP)
    try:
        shop.host.start_daemon()
        until(shop.pinned, "it is pinned", 30)
        assert pinned in shop.pins()
    finally:
        for pid in stalled:
            os.kill(pid, signal.SIGCONT)
    busy.settled(commit)


def release_of(shop: Shop) -> str:
    """The release that runs."""
    (release,) = {row["Labels"]["shipstone.release"] for row in shop.host.containers()}
    return str(release)
