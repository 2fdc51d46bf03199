"""Traefik itself as a container, where [traefik] manage asks for it. It is never restarted but by an explicit word."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.errors import NotFoundError, ShipstoneError
from reconciler.planning.observed import ProxyState
from reconciler.world.docker_call import Connection

WEB_PORT = 80
TLS_PORT = 443
API_PORT = 8080
DYNAMIC_DIR = "/etc/traefik/dynamic"
STATIC_FILE = "/etc/traefik/traefik.toml"


@dataclass(frozen=True)
class Proxy:
    """`static_file` and `dynamic_dir` are this host's paths; `http`, `console` and `https` are (address, port) published on this host."""

    instance: str
    image: str
    network: str
    static_file: Path
    dynamic_dir: Path
    http: tuple[str, int]
    console: tuple[str, int]
    socket: str
    https: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        return f"{self.instance}-traefik"


class TraefikContainer:
    """One container on the sites' network, with the engine's socket, its static configuration and the folder of the pins.

    `provide` makes sure that an image is on the host.
    """

    def __init__(self, proxy: Proxy, provide: Callable[[str], object]) -> None:
        self._proxy, self._provide = proxy, provide
        self._connection = Connection(proxy.socket)

    @property
    def name(self) -> str:
        return self._proxy.name

    def state(self) -> ProxyState:
        """How it stands; nothing is changed."""
        found = self._inspect()
        if found is None:
            return "missing"
        if not found["State"]["Running"]:
            return "stopped"
        return "running" if found["Config"]["Labels"].get("shipstone.config") == self._digest() else "restart needed"

    def start(self) -> None:
        """Make it where it is missing, start it where it is stopped; one that runs is left as it is."""
        found = self._inspect()
        if found is None:
            self._prepare()
            self._create()
        elif not found["State"]["Running"]:
            with self._call("start"):
                self._api.start(found["Id"])

    def restart(self) -> None:
        """Replace it by one with the present configuration; nothing is served meanwhile. What could fail is looked at before."""
        self._prepare()
        self.remove()
        self._create()

    def remove(self) -> None:
        """Stop and remove it; gone already is fine."""
        found = self._inspect()
        if found is not None:
            with self._call("stop"):
                self._api.stop(found["Id"], timeout=10)
                self._api.remove_container(found["Id"])

    @property
    def _api(self) -> Any:
        return self._connection.api

    def _call(self, what: str) -> Any:
        return self._connection.call(f"{what} {self._proxy.name}")

    def _inspect(self) -> Any:
        """None also where somebody else's container has the name: the engine says so when ours is to be created."""
        try:
            with self._call("inspect"):
                found = self._api.inspect_container(self._proxy.name)
        except NotFoundError:
            return None
        return found if (found["Config"]["Labels"] or {}).get("shipstone.traefik") == self._proxy.instance else None

    def _digest(self) -> str:
        p = self._proxy
        text = p.static_file.read_text(encoding="utf-8") if p.static_file.exists() else ""
        whole = repr((text, p.image, p.network, str(p.dynamic_dir), p.http, p.console, *([p.https] if p.https else [])))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def _prepare(self) -> None:
        """The image and the file are there."""
        p = self._proxy
        if not p.static_file.is_file():
            raise ShipstoneError(f"cannot start {p.name}: {p.static_file} is not written yet. `shipstone apply` writes it.")
        self._provide(p.image)

    def _create(self) -> None:
        p = self._proxy
        engine_socket = p.socket.removeprefix("unix://")
        mounts = [(engine_socket, "/var/run/docker.sock"), (str(p.static_file), STATIC_FILE), (str(p.dynamic_dir), DYNAMIC_DIR)]
        published = {f"{WEB_PORT}/tcp": p.http, f"{API_PORT}/tcp": p.console}
        if p.https:
            published[f"{TLS_PORT}/tcp"] = p.https
        body = {
            "Image": p.image,
            "Cmd": [f"--configFile={STATIC_FILE}"],
            "Labels": {"shipstone.traefik": p.instance, "shipstone.config": self._digest()},
            "ExposedPorts": {port: {} for port in published},
            "HostConfig": {
                "NetworkMode": p.network,
                "RestartPolicy": {"Name": "unless-stopped"},
                "Mounts": [{"Type": "bind", "Source": source, "Target": target, "ReadOnly": True} for source, target in mounts],
                "PortBindings": {port: [{"HostIp": address, "HostPort": str(number)}] for port, (address, number) in published.items()},
            },
        }
        with self._call("create"):
            made = self._api.create_container_from_config(body, p.name)["Id"]
        try:
            with self._call("start"):
                self._api.start(made)
        except BaseException:
            with self._call("remove the half-made"):
                self._api.remove_container(made, force=True)
            raise
