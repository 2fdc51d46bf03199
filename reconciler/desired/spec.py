"""What runs: the exact, canonical description of one service's container and of a site's route."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Volume:
    """A named volume or a bind mount; `source` is the volume's name or the host's path."""

    kind: Literal["volume", "bind"]
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class FileMount:
    """A file or folder of the repository, mounted read-only at `target`; `digest` names its content in the file store."""

    target: str
    source: str
    digest: str


@dataclass(frozen=True)
class Check:
    """A healthcheck; `test` begins with CMD, CMD-SHELL or NONE; durations in seconds."""

    test: tuple[str, ...]
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None


class SecretValue:
    """Prints itself redacted; reveal() gives what it is."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__


@dataclass(frozen=True)
class SecretRef:
    """A variable, or a file below /run/secrets/, that gets a secret. `digest`: of its value under a key of this host; never the value."""

    target: str
    source: str
    digest: str = ""

    @property
    def is_file(self) -> bool:
        return self.target.startswith("/")


@dataclass(frozen=True)
class Port:
    """A port of the host that leads to one of the container; `address`: one of the host's, empty for all."""

    host: int
    inside: int
    protocol: str = "tcp"
    address: str = ""


@dataclass(frozen=True)
class Device:
    """A device of the host; `rights` are r, w and m, together."""

    source: str
    target: str
    rights: str = "rwm"


@dataclass(frozen=True)
class ContainerSpec:
    """One service as it is written, with every default filled in. Memory in bytes, durations in seconds."""

    image: str
    port: int
    weight: int = 1
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    working_dir: str | None = None
    read_only: bool = False
    init: bool | None = None
    tmpfs: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    files: tuple[FileMount, ...] = ()
    healthcheck: Check | None = None
    restart: str = "unless-stopped"
    stop_grace_period: float = 10.0
    stop_signal: str | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    ulimits: tuple[tuple[str, int, int], ...] = ()
    mem_limit: int | None = None
    cpus: float | None = None
    pids_limit: int | None = None
    labels: tuple[tuple[str, str], ...] = ()
    extra_hosts: tuple[str, ...] = ()
    privileged: bool = False
    namespaces: tuple[str, ...] = ()
    """Which of the host's it shares: ipc, pid, userns, uts."""
    devices: tuple[Device, ...] = ()
    ports: tuple[Port, ...] = ()
    secrets: tuple[SecretRef, ...] = ()

    @property
    def restart_policy(self) -> str:
        """What the engine is told: what is to run always it brings back at its start, also what was stopped so that another release can
        write to its volume."""
        return "unless-stopped" if self.restart == "always" else self.restart


@dataclass(frozen=True)
class Cookie:
    """Of a sticky site; `same_site` as Traefik names it, `max_age` in seconds, 0: until the browser is closed."""

    secure: bool = False
    same_site: str = ""
    max_age: int = 0


SESSION_COOKIE = Cookie()


@dataclass(frozen=True)
class Middleware:
    """One of Traefik's: its kind, and its options as labels have them."""

    kind: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Route:
    """Where a site answers: each of `hosts` under the prefix `path` ("/" is everything); and how its requests are treated.

    `middlewares` in order. `flush_interval` as Go writes durations, empty: Traefik's own.
    """

    hosts: tuple[str, ...]
    path: str = "/"
    sticky: bool = False
    cookie: Cookie = SESSION_COOKIE
    middlewares: tuple[Middleware, ...] = ()
    tls: bool = False
    certresolver: str = ""
    strategy: str = "wrr"
    pass_host_header: bool = True
    flush_interval: str = ""


@dataclass(frozen=True)
class NewContainer:
    """All that the engine needs to create one container. `image` is what to run: a digest where one was resolved; `deadline`: seconds
    in which it has to be ready, so that a healthcheck that fails meanwhile is no failure."""

    name: str
    image: str
    spec: ContainerSpec
    labels: tuple[tuple[str, str], ...]
    network: str
    deadline: float = 120.0
    secrets: tuple[tuple[str, SecretValue], ...] = field(default=(), compare=False)
    """Target → value, filled in just before it is made."""


def canonical(value: Any) -> str:
    """JSON with sorted keys and without what is empty, so that a new key with an empty default changes no fingerprint."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spec_from_json(data: dict[str, Any]) -> ContainerSpec:
    """The inverse of canonical() for one ContainerSpec; unknown keys (of a newer Shipstone) are left out."""
    values = known_fields(ContainerSpec, data)
    values["volumes"] = tuple(Volume(**known_fields(Volume, row)) for row in data.get("volumes", ()))
    values["files"] = tuple(FileMount(**known_fields(FileMount, row)) for row in data.get("files", ()))
    values["devices"] = tuple(Device(**known_fields(Device, row)) for row in data.get("devices", ()))
    values["secrets"] = tuple(SecretRef(**known_fields(SecretRef, row)) for row in data.get("secrets", ()))
    values["ports"] = tuple(Port(**known_fields(Port, row)) for row in data.get("ports", ()))
    if check := data.get("healthcheck"):
        values["healthcheck"] = Check(**known_fields(Check, check))
    return ContainerSpec(**values)


def route_from_json(data: dict[str, Any]) -> Route:
    """The inverse of canonical() for one Route; unknown keys (of a newer Shipstone) are left out."""
    values = known_fields(Route, data)
    values["hosts"] = tuple(data["hosts"])
    values["cookie"] = Cookie(**known_fields(Cookie, data.get("cookie", {})))
    values["middlewares"] = tuple(Middleware(row["kind"], _tuples(row.get("options", []))) for row in data.get("middlewares", ()))
    return Route(**values)


def known_fields(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """What a dataclass takes of an object of canonical(): a newer Shipstone's keys are left out."""
    known = {field.name for field in dataclasses.fields(kind)}
    return {key: _tuples(value) for key, value in data.items() if key in known}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        rows = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: _plain(item) for field, item in rows if item != field.default}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
