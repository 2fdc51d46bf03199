"""A site of two replicas among faults: what it is asked to become, and whether exactly that is there."""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from lab.host import Host, a_host, until

from tests.faults.relay import Relay

ROLLOUT = "{min_healthy: 200ms, drain: 200ms, deadline: 60s}"


@dataclass
class Shop:
    """One site, shop, of an installation of its own; what it answers is its version."""

    host: Host
    image: str
    version: str = ""
    volume: str = ""
    """Mounted by every release but the first."""
    _versions: Iterator[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        """Its host name, which no other test on the same engine has."""
        return f"shop.{self.host.instance}.test"

    def release(self, extra: str = "", *, replicas: int = 2, rollout: str = ROLLOUT, boot: int = 150) -> str:
        """Commit a new version; the commit."""
        self.version = str(next(self._versions))
        volumes = f"volumes: ['{self.volume}:/data:ro']\n" if self.volume else ""
        text = (
            f"image: {self.image}\nport: 80\nreplicas: {replicas}\nenvironment: {{V: '{self.version}', BOOT_MS: '{boot}', WORK_MS: '5'}}\n"
            f"stop_grace_period: 1s\nrollout: {rollout}\n{volumes}{extra}\n"
        )
        return self.host.repository.commit({"sites/shop.yaml": text}, f"version {self.version}")

    def settled(self, commit: str, replicas: int = 2) -> None:
        """Waits until exactly the containers of this commit are there, all running, no pin is left, and status says so."""
        until(lambda: self.as_wanted(commit, replicas) and not self.pinned(), "the newest release alone, and no pin", 60)
        until(lambda: self.host.converged(commit), "status says so", 20)
        assert self.as_wanted(commit, replicas)

    def as_wanted(self, commit: str, replicas: int = 2) -> bool:
        rows = self.host.containers()
        return [row["State"] for row in rows] == ["running"] * replicas and {row["Labels"]["shipstone.commit"] for row in rows} == {commit}

    def pinned(self) -> bool:
        return f"{self.host.instance}-shop" in self.pins()

    def pins(self) -> str:
        """The text of the file; empty where there is none."""
        path = self.host.dynamic / f"{self.host.instance}.toml"
        return path.read_text() if path.exists() else ""

    def serves(self) -> str:
        """The version that answers; empty when none does."""
        status, body = self.host.get(self.name)
        return body if status == 200 else ""

    def ids(self, *, running: bool = False) -> set[str]:
        return {row["Id"] for row in self.host.containers(running=running)}

    def said(self, event: str) -> list[dict[str, Any]]:
        """Rows of the daemon's log whose event begins so."""
        return [row for row in self.host.log() if str(row.get("event", "")).startswith(event)]

    def message(self) -> str:
        """What status says of it."""
        return str(self.host.status()["sites"]["shop"]["message"])

    def told(self) -> str:
        """The same from the daemon, as its newest pass saw it."""
        return str(self.host.told("shop").get("message", ""))


@contextmanager
def a_shop(folder: Path, engine: str, image: str, *, api: Relay | None = None, volume: bool = False) -> Iterator[Shop]:
    """Its first release runs, and so does the daemon, which asks Traefik's API through `api`. A `volume` that it mounts must outlive all
    the rest."""
    instance = f"t{uuid.uuid4().hex[:8]}"
    with a_host(folder, engine, instance, poll="5s", told=True) as host:
        if api is not None:
            api.target = host.console
            host.config.write_text(host.config.read_text().replace("[traefik]\n", f'[traefik]\napi = "http://127.0.0.1:{api.port}"\n'))
        host.repository.commit({"shipstone.yaml": f"domain: {instance}.test\n"}, "begin")
        host.start_traefik()
        shop = Shop(host, image)
        commit = shop.release()
        host.start_daemon()
        shop.settled(commit)
        if volume:
            shop.volume = f"{instance}-data"
            shop.settled(shop.release())
        yield shop
    if volume:
        with closing(docker.APIClient(base_url=engine, version="auto")) as engine_itself:
            engine_itself.remove_volume(shop.volume)  # raises if it is not there
