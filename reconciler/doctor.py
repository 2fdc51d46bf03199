"""`doctor`: what is missing on this host, and how to mend it."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.errors import ShipstoneError, TraefikError
from reconciler.planning.guarantee import MEND, guarantee
from reconciler.settings import Settings
from reconciler.world.default_certificate import DefaultCertificate
from reconciler.world.docker import DockerEngine
from reconciler.world.traefik_api import TraefikApi

Verdict = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` says what to do where it is not ok."""

    what: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(
    settings: Settings,
    engine: DockerEngine,
    traefik: TraefikApi,
    certificate: DefaultCertificate | None,
    fetch: Callable[[], Desired],
) -> Iterator[Finding]:
    """Findings in the order in which things depend on each other. `certificate` is where Traefik reads a folder; `fetch` gives the desired
    state, or raises."""
    names: tuple[str, ...] = ()
    sites: tuple[DesiredSite, ...] = ()
    try:
        desired = fetch()
        names, sites = desired.hosts(), tuple(desired.sites.values())
        yield Finding("desired state", "ok", f"{desired.revision[:12]}, {len(names)} host names")
    except ShipstoneError as error:
        yield Finding("desired state", "error", str(error), "See [source] in the settings.")
    yield from _engine(settings, engine)
    yield from _traefik(settings, traefik)
    yield _labels_only(engine, sites) if certificate is None else _default(certificate, manage=settings.traefik.manage)
    yield _resolution(names, settings.files.hosts)


def _engine(settings: Settings, engine: DockerEngine) -> Iterator[Finding]:
    try:
        version, api = engine.version()
    except ShipstoneError as error:
        yield Finding("engine", "error", str(error), "Start Docker (systemctl start docker), and put this user into the group docker.")
        return
    old = tuple(int(part) for part in api.split(".")) < (1, 40)
    yield Finding("engine", "error" if old else "ok", f"Docker {version}, API {api}", "Traefik 3 needs API 1.40 or newer." if old else "")
    try:
        there = engine.network_exists()
    except ShipstoneError as error:
        yield Finding("network", "error", str(error), "Look at the engine's log.")
        return
    missing = "" if there else f"`shipstone apply` makes it, or: docker network create {settings.engine.network}"
    yield Finding(
        "network", "ok" if there else "warning", settings.engine.network if there else f"{settings.engine.network} is missing", missing
    )


def _traefik(settings: Settings, traefik: TraefikApi) -> Iterator[Finding]:
    try:
        version = traefik.version()
        overview = traefik.overview()
    except TraefikError as error:
        mend = (
            "`shipstone apply` starts it."
            if settings.traefik.manage
            else "Start it from `shipstone traefik-toml`, or set [traefik] manage = true."
        )
        yield Finding("traefik", "error", str(error), mend)
        return
    right = version.startswith("3.")
    yield Finding("traefik", "ok" if right else "error", f"version {version}", "" if right else "Shipstone routes with Traefik 3.")
    providers = [name.casefold() for name in overview.get("providers") or []]
    lines = f'[providers.docker] network = "{settings.engine.network}", exposedByDefault = false'
    yield _provider(
        "docker provider", "docker" in providers, "Traefik reads the containers' labels", f"Add to its static configuration: {lines}"
    )
    if settings.traefik.dynamic_dir:
        lines = f'[providers.file] directory = "{settings.traefik.dynamic_dir}", watch = true'
        mend = f"Add to its static configuration: {lines}; then `shipstone apply`."
        yield _provider("file provider", traefik.sentinel(), "Traefik reads the pins", mend)
    wrong = sum(overview.get("http", {}).get(kind, {}).get("errors", 0) for kind in ("routers", "services", "middlewares"))
    mend = "" if not wrong else "Its console shows which routers, services or middlewares are wrong."
    yield Finding("traefik errors", "warning" if wrong else "ok", f"{wrong} in its dynamic configuration", mend)


def _default(certificate: DefaultCertificate, *, manage: bool) -> Finding:
    """Whether Traefik is spared a new key at each change."""
    if certificate.good():
        return Finding("default certificate", "ok", f"in {certificate.path}")
    if named := certificate.another():
        return Finding("default certificate", "ok", f"named in {named}")
    found = f"none in {certificate.folder}: Traefik makes a new key at each change"
    if manage:
        return Finding("default certificate", "warning", found, "`shipstone apply` and the daemon make one, where openssl is installed.")
    return Finding("default certificate", "warning", found, "Give it one, as docs/settings.md says, unless it has one elsewhere.")


def _labels_only(engine: DockerEngine, sites: tuple[DesiredSite, ...]) -> Finding:
    """Who is promised what without the file provider."""
    try:
        containers = engine.containers()
    except ShipstoneError:
        containers = ()
    return Finding("file provider", "warning", str(guarantee(sites, containers)), MEND)


def _provider(what: str, there: bool, found: str, mend: str) -> Finding:
    return Finding(what, "ok" if there else "error", found if there else "Traefik does not have it", "" if there else mend)


def _resolution(names: tuple[str, ...], hosts: str) -> Finding:
    """Whether this host itself finds the sites by name; visitors use their own DNS."""
    unknown = [name for name in names if not _resolves(name)]
    if not unknown:
        return Finding("name resolution", "ok", "every host name has an address")
    shown = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
    mend = f"`shipstone apply` and the daemon write them to {hosts}" if hosts else "set [files] hosts, as docs/settings.md says"
    return Finding("name resolution", "warning", f"no address for {shown}", f"Add them to DNS, or {mend}.")


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 80)
    except OSError:
        return False
    return True
