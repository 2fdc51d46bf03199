"""Three ways to bring a new version of a server into service, held to one interface: Shipstone, Docker Compose, docker rollout."""

import os
from pathlib import Path
from typing import Protocol

from lab.compose import COMPOSE, Project, compose_binary
from lab.engine import LabError
from lab.host import Host, until
from lab.images import ABRUPT
from lab.load import Seen
from lab.timeline import moments_of, tell_lost

HOST = "shop.bench.local"
REPLICAS, BOOT_MS, WORK_MS = 2, 600, 20
MIN_HEALTHY, DRAIN = "500ms", "1s"
PLUGINS = (Path.home() / ".docker/cli-plugins", Path("/usr/local/lib/docker/cli-plugins"), Path("/usr/libexec/docker/cli-plugins"))


class Tool(Protocol):
    """Brings a version of the same server into service. `judged`: nothing may be lost."""

    name: str
    judged: bool

    def deploy(self, version: str) -> None:
        """Returns when the tool is done."""

    def places(self, seen: Seen, since: float) -> list[str]:
        """Where in the redeploy that began then its lost requests fell."""

    def close(self) -> None: ...


class Shipstone:
    """A daemon that polls a git repository."""

    name, judged = "Shipstone", True

    def __init__(self, host: Host) -> None:
        self._host = host
        host.start_daemon()

    def deploy(self, version: str) -> None:
        before = self._unpinned()
        self._host.repository.commit({"sites/shop.yaml": site(version)}, version)
        until(lambda: self._unpinned() > before, f"{version} is at rest", 60)

    def _unpinned(self) -> int:
        """How often labels came to route again, by the daemon's log."""
        return self._host.log_file.read_text().count('"event": "unpin"')

    def places(self, seen: Seen, since: float) -> list[str]:
        return tell_lost((row for row in seen.lost if row.at >= since), moments_of(self._host.log(), "shop", since))

    def close(self) -> None:
        self._host.stop_daemon()


class Compose:
    """`docker compose up -d`: one service, one router by labels, as one writes it by hand."""

    name, judged = f"docker compose {COMPOSE}", False

    def __init__(self, host: Host) -> None:
        self._project = Project(host.folder / "compose", host.engine, f"bench-rollout-{os.getpid()}", host.network)

    def deploy(self, version: str) -> None:
        self._write(version)
        self._project.run("up", "-d")

    def _write(self, version: str) -> None:
        labels = {
            "traefik.enable": "true",
            "traefik.http.routers.shop.rule": f"Host(`{HOST}`)",
            "traefik.http.services.shop.loadbalancer.server.port": "80",
        }
        shop = {"image": ABRUPT, "environment": environment(version), "deploy": {"replicas": REPLICAS}, "labels": labels}
        self._project.write({"shop": shop})

    def places(self, seen: Seen, since: float) -> list[str]:  # noqa: ARG002  the log of no daemon tells
        return []

    def close(self) -> None:
        self._project.down()


class Rollout(Compose):
    """`docker rollout`, the plugin, on the same Compose file: with its own wait, as there is no healthcheck."""

    name = "docker rollout"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        plugin = rollout_plugin()
        if plugin is None:
            raise LabError("cannot measure docker rollout: the plugin is not installed.")
        plugins = Path(self._project.environment["DOCKER_CONFIG"], "cli-plugins")
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(compose_binary())
        (plugins / "docker-rollout").symlink_to(plugin)
        self._first = True

    def deploy(self, version: str) -> None:
        self._write(version)
        if self._first:
            self._project.run("up", "-d")
            self._first = False
        else:
            self._project.call("docker", "rollout", "-f", str(self._project.file), "shop")


def site(version: str) -> str:
    told = "".join(f"  {key}: '{value}'\n" for key, value in environment(version).items())
    rollout = f"rollout: {{min_healthy: {MIN_HEALTHY}, drain: {DRAIN}, deadline: 30s}}"
    return f"image: {ABRUPT}\nport: 80\nreplicas: {REPLICAS}\n{rollout}\nenvironment:\n{told}"


def environment(version: str) -> dict[str, str]:
    return {"V": version, "BOOT_MS": str(BOOT_MS), "WORK_MS": str(WORK_MS)}


def rollout_plugin() -> Path | None:
    """Where the plugin is installed; no package archive carries it."""
    return next((folder / "docker-rollout" for folder in PLUGINS if (folder / "docker-rollout").exists()), None)
