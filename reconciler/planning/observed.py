"""What is there: the engine's containers, the pins and Traefik's view, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.desired.spec import SESSION_COOKIE, Cookie

State = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]
ProxyState = Literal["missing", "stopped", "running", "restart needed"]
"""How Traefik itself stands; "restart needed": it runs, with another static configuration than the one that is written now."""


class Live(dict[str, Any]):
    """Inspected fields that can drift, by name; the same object until the container is inspected again. `compared`: what drift.py found,
    and under which names: kept here, it goes with the inspection."""

    compared: tuple[object, Any] = None, ()


@dataclass(frozen=True)
class Container:
    """One container that carries our labels. `live` holds inspected fields that can drift, by name; None until inspected.

    `restarts`: how often its restart policy started it again; `up`: for how many seconds it has run since then, 0 where that is
    not known.
    """

    id: str
    name: str
    state: State
    health: Health
    labels: Mapping[str, str] = field(hash=False)
    address: str | None
    restarts: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    live: Mapping[str, Any] | None = field(default=None, hash=False)
    up: float = 0.0

    @property
    def site(self) -> str:
        return self.labels.get("shipstone.site", "")

    @property
    def service(self) -> str:
        return self.labels.get("shipstone.service", "")

    @property
    def release(self) -> str:
        return self.labels.get("shipstone.release", "")

    @property
    def replica(self) -> int:
        text = self.labels.get("shipstone.replica", "0")
        return int(text) if text.isascii() and text.isdigit() else 0


@dataclass(frozen=True)
class ForeignContainer:
    """A container without our labels that claims Traefik routers: its name and its `traefik.*` labels.

    `called`: what Traefik's default rule calls it, where that is not its name.
    """

    id: str
    name: str
    labels: tuple[tuple[str, str], ...]
    called: str = ""


@dataclass(frozen=True)
class FileRow:
    """One thing in a generated file that is not as Shipstone last wrote it: its `path` on this host, what of it, both values, and what is
    done about it."""

    path: str
    field: str
    desired: str
    actual: str
    action: str


Targets = tuple[tuple[str, int], ...]
"""Docker services in Traefik (name without `@docker`, weight)."""


@dataclass(frozen=True)
class Pin:
    """A site in motion: for each routed rule, the Docker services in Traefik that may take requests; none answers 503.

    `targets` maps a rule to them, and `secure` one on the entry point with TLS; `priorities` maps it to the pin router's priority.
    `middlewares` (without `@docker`) are those of the release that the targets belong to; `cookie` is of a `sticky` one.
    """

    targets: tuple[tuple[str, Targets], ...]
    priorities: tuple[tuple[str, int], ...]
    sticky: bool = False
    cookie: Cookie = SESSION_COOKIE
    middlewares: tuple[str, ...] = ()
    secure: tuple[tuple[str, Targets], ...] = ()

    @property
    def services(self) -> frozenset[str]:
        """Whoever may take requests."""
        return frozenset(name for _, targets in (*self.targets, *self.secure) for name, _ in targets)


@dataclass(frozen=True)
class TraefikView:
    """What Traefik's API said just now. `services`: Docker service name → number of its servers.

    `pins`: by site, the pins that Traefik holds and follows; one that it has disabled is not among them.
    `blind`: it has not read the pins for long.
    `refused`: routers (name with `@provider`) that it has disabled, and why. `routers`: those by labels that it follows, by name.
    """

    reachable: bool
    pins: Mapping[str, Pin] = field(default_factory=dict, hash=False)
    services: Mapping[str, int] = field(default_factory=dict, hash=False)
    blind: bool = False
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    routers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Capacity:
    """What the host can still take: containers on the network, bytes of memory, bytes on the engine's disk. None: not known."""

    ports: int | None = None
    memory: int | None = None
    disk: int | None = None


@dataclass(frozen=True)
class Observed:
    """The world at one moment."""

    containers: tuple[Container, ...]
    network: bool
    pins: Mapping[str, Pin] = field(hash=False)
    traefik: TraefikView
    answering: frozenset[str] = frozenset()
    """Ids of running containers that are ready: healthy, or without a check and answering on their port."""
    foreign: tuple[ForeignContainer, ...] = ()
    proxy: ProxyState = "running"
    capacity: Capacity = Capacity()
    files: tuple[FileRow, ...] = ()
    """What someone changed in generated files."""
