"""Faults: SIGKILL of Shipstone at each step; many random SIGKILLs while commits flow. Nothing is lost or left over."""

import itertools
import random
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import docker
import pytest
from lab.host import Host, a_host, until
from lab.load import Load

pytestmark = pytest.mark.docker

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


@dataclass
class Shop:
    """A site of two replicas with a volume, and clients that never stop asking."""

    host: Host
    image: str
    load: Load
    volume: str
    versions: Iterator[int] = field(default_factory=itertools.count)

    def release(self, replicas: int = 2) -> str:
        """Commit a new version; the commit."""
        version = next(self.versions)
        text = (
            f"image: {self.image}\nport: 80\nreplicas: {replicas}\nenvironment: {{V: '{version}', BOOT_MS: '150', WORK_MS: '5'}}\n"
            f"volumes: ['{self.volume}:/data:ro']\nrollout: {{min_healthy: 200ms, drain: 200ms, deadline: 20s}}\n"
        )
        return self.host.repository.commit({"sites/shop.yaml": text}, f"version {version}")

    def settled(self, commit: str, replicas: int = 2) -> None:
        """Exactly the containers of this commit, all running; no pin left; every request answered; the volume there."""
        until(lambda: self._as_wanted(commit, replicas) and not self._pinned(), "the newest release alone, and no pin", 60)
        until(lambda: self.host.converged(commit), "status says so", 20)
        assert self._as_wanted(commit, replicas)
        assert self.load.seen.lost == []
        assert [row["Name"] for row in self.host.api.volumes(filters={"name": self.volume})["Volumes"]] == [self.volume]

    def _as_wanted(self, commit: str, replicas: int) -> bool:
        rows = self.host.containers()
        return [row["State"] for row in rows] == ["running"] * replicas and {row["Labels"]["shipstone.commit"] for row in rows} == {commit}

    def _pinned(self) -> bool:
        return any(f"{self.host.instance}-shop" in path.read_text() for path in self.host.dynamic.glob("*.toml"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Shop]:
    instance = f"t{uuid.uuid4().hex[:8]}"
    with a_host(tmp_path_factory.mktemp("shop"), docker_socket, instance, poll="300ms") as host:
        host.repository.commit({"shipstone.yaml": f"domain: {instance}.test\n"}, "begin")
        host.start_traefik()
        made = Shop(host, abrupt_image, Load(host.web, f"shop.{instance}.test", clients=4, pause=0.01), f"{instance}-data")
        commit = made.release()
        host.start_daemon()
        until(lambda: host.converged(commit), "the first release runs", 60)
        with made.load:
            yield made
    api = docker.APIClient(base_url=docker_socket, version="auto")
    api.remove_volume(made.volume)
    api.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_each_step_it_goes_on_at_the_next_start(shop: Shop, moment: str, rounds: int) -> None:
    for _ in range(min(rounds, 5)):
        shop.host.stop_daemon(signal.SIGKILL)
        commit = shop.release()
        assert shop.host.start_daemon(SHIPSTONE_FAILPOINT=MOMENTS[moment]).wait(30) == -signal.SIGKILL
        assert shop.load.seen.lost == []
        shop.host.start_daemon()
        shop.settled(commit)


def test_killed_at_random_moments_while_commits_flow_it_ends_at_the_newest(shop: Shop, rounds: int) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311  no secret, nor are the others
    print(f"seed {seed}")
    chance, over, newest = random.Random(seed), threading.Event(), [("", 0)]  # noqa: S311

    def flow() -> None:
        pauses = random.Random(seed + 1)  # noqa: S311
        while not over.wait(pauses.uniform(0.3, 3.0)):
            replicas = pauses.randint(1, 3)
            newest[0] = (shop.release(replicas), replicas)

    commits = threading.Thread(target=flow)
    shop.host.stop_daemon(signal.SIGKILL)
    commits.start()
    try:
        for _ in range(KILLS * rounds):
            daemon = shop.host.start_daemon()
            with pytest.raises(subprocess.TimeoutExpired):
                daemon.wait(chance.uniform(0.5, 3.5))
            shop.host.stop_daemon(signal.SIGKILL)
            assert shop.load.seen.lost == []
    finally:
        over.set()
        commits.join()
    shop.host.start_daemon()
    shop.settled(*newest[0])
