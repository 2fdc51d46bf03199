"""Settings become the objects that do the work, in one place."""

import contextlib
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.apply import Apply
from reconciler.desired.compile import Compiler
from reconciler.desired.hosts_file import hosts_block
from reconciler.desired.policy import Grant, Limits, Policy
from reconciler.desired.traefik_toml import TraefikStatic, traefik_toml
from reconciler.followers.commit_status import CommitStatus
from reconciler.followers.follower import Follower
from reconciler.followers.history import History
from reconciler.followers.telling import Heartbeat, Schedule, Summary, Teller
from reconciler.planning.guard import Guard
from reconciler.planning.seen import Names
from reconciler.reconcile import Reconciler, World
from reconciler.settings import Settings
from reconciler.settings_policy import PolicySettings, SiteGrant
from reconciler.world.default_certificate import STORE, DefaultCertificate
from reconciler.world.directory import DirectorySource
from reconciler.world.docker import DockerEngine
from reconciler.world.docker_call import Observe, unobserved
from reconciler.world.docker_config import Hardening
from reconciler.world.engine import Engine
from reconciler.world.files import FileStore, HostsFile, text_of, write_if_changed
from reconciler.world.forge import Forge, ForgePlace, place_of
from reconciler.world.generated import GeneratedFiles, Part
from reconciler.world.git import Caps, GitSource
from reconciler.world.git_access import Access
from reconciler.world.git_signatures import Signers
from reconciler.world.notify import Caller, Outbox, Services, call
from reconciler.world.pins import PinFile
from reconciler.world.readiness import Readiness
from reconciler.world.registry_logins import Login, Logins
from reconciler.world.secrets import SecretStore
from reconciler.world.source import Source
from reconciler.world.store import Store
from reconciler.world.systemd import credential
from reconciler.world.through_traefik import ThroughTraefik
from reconciler.world.traefik_api import TraefikApi
from reconciler.world.traefik_container import API_PORT, DYNAMIC_DIR, TLS_PORT, WEB_PORT, Proxy, TraefikContainer
from reconciler.world.traefik_unmanaged import UnmanagedTraefik

HOSTS_BLOCK, TRAEFIK_TOML = "hosts", "traefik.toml"
"""Names of generated files."""
PULL_SECONDS = 300.0
"""A managed Traefik's image is pulled in the pass itself: without Traefik nothing is served anyway."""


@dataclass(frozen=True)
class Paths:
    """Where things lie below the state folder."""

    state: Path

    @property
    def mirror(self) -> Path:
        return self.state / "mirror.git"

    @property
    def store(self) -> Path:
        return self.state / "shipstone.db"

    @property
    def files(self) -> Path:
        return self.state / "files"

    @property
    def secrets_key(self) -> Path:
        return self.state / "secrets.key"

    @property
    def written(self) -> Path:
        """What was written last into generated files."""
        return self.state / "written"

    @property
    def lock(self) -> Path:
        return self.state / "lock"


def paths_of(settings: Settings) -> Paths:
    return Paths(Path(settings.state.dir).absolute())


def policy_of(settings: Settings) -> Policy:
    p, t = settings.policy, settings.traefik
    grants = [Grant(site, _given(g), tuple(g.hosts or ()), tuple(g.private_images or ())) for site, g in p.sites.items()]
    return Policy(
        domains=tuple(p.domains),
        hosts=tuple(p.hosts),
        private_images=tuple(p.private_images),
        tls=bool(t.https_port) or not t.manage,
        taken=tuple({t.http_port, t.https_port, t.console_port} - {0}),
        grants=tuple(grants),
        resolve=os.path.realpath,
        **_given(p),
    )


def _given(rules: PolicySettings | SiteGrant) -> dict[str, Any]:
    """What is set of all that can be set for every site, or for some."""
    names = SiteGrant.model_fields.keys() - {"hosts", "private_images"}  # these mean more than what is given
    rows = {name: value for name in names if (value := getattr(rules, name)) is not None}
    most = {name.removeprefix("max_"): rows.pop(name) for name in list(rows) if name.startswith("max_")}
    if isinstance(rules, PolicySettings):
        most = {name: value or None for name, value in most.items()} | {"default_pids": rules.pids_limit}
    limits = Limits(**most)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in rows.items()} | {"limits": limits}


def hardening_of(settings: Settings) -> Callable[[str], Hardening]:
    """What new containers of a site get without asking, by the site's name."""
    p, policy = settings.policy, policy_of(settings)
    log = (("max-file", str(p.log_max_file)), ("max-size", p.log_max_size)) if p.log_max_size else ()
    return lambda site: Hardening(policy.of_site(site).no_new_privileges, p.pids_limit, log)


def guard_of(settings: Settings) -> Guard:
    return Guard(settings.policy.max_removals, settings.policy.max_removal_share)


def names_of(settings: Settings) -> Names:
    t = settings.traefik
    asked = frozenset(points_of(settings))
    pins, own = bool(t.dynamic_dir), bool(t.manage or settings.files.traefik)
    network = settings.engine.network
    return Names(settings.instance, network, t.entrypoint, t.tls_entrypoint, pins=pins, asked=asked, own_traefik=own, settle=t.settle)


def points_of(settings: Settings) -> dict[bool, tuple[str, int]]:
    """Where Traefik's entry points answer on this host: without TLS (False) and with it (True); only what is known for certain."""
    t = settings.traefik
    if t.ask:
        url = urlsplit(t.ask if t.ask != "off" else "")
        return {False: (url.hostname, url.port or 80)} if url.hostname else {}
    if not (t.manage or settings.files.traefik):
        return {}
    address = t.http_address or "127.0.0.1"
    return {False: (address, t.http_port)} | ({True: (address, t.https_port)} if t.https_port else {})


def source_of(settings: Settings) -> Source:
    """A plain folder where one is named, else the git repository."""
    if settings.source.directory:
        return DirectorySource(Path(settings.source.directory))
    paths, s = paths_of(settings), settings.source

    def approved() -> frozenset[str]:
        """Commits whose history a person approved; asked for so seldom that the store is opened for it."""
        with contextlib.closing(Store(paths.store)) as store:
            return frozenset(row.value for row in store.said() if row.kind == "history")

    access = Access(*(file_of(name) for name in (s.ssh_key, s.known_hosts, s.credentials_file)))
    return GitSource(
        s.url,
        s.branch,
        s.path,
        paths.mirror,
        allow_file=s.allow_file,
        timeout=s.timeout,
        access=access,
        signers=Signers(s.verify, file_of(s.allowed_signers), file_of(s.gpg_keyring)),
        caps=Caps(s.max_size, s.max_files),
        approved=approved,
    )


def logins_of(settings: Settings) -> Logins:
    return Logins({name: Login(row.username, row.password.get_secret_value()) for name, row in settings.registries.items()})


def secrets_of(settings: Settings) -> SecretStore:
    key = paths_of(settings).secrets_key
    return SecretStore(Path(settings.secrets.dir), credential, identity_of(settings), key, policy_of(settings))


def identity_of(settings: Settings) -> Path:
    """The file of the age identity."""
    return Path(file_of(settings.secrets.identity))


def file_of(name: str) -> str:
    """A path as it is; of a credential's name the file that holds it."""
    return name if "/" in name or not name else str(credential(name))


def engine_of(settings: Settings, observe: Observe = unobserved) -> DockerEngine:
    files = FileStore(paths_of(settings).files)
    e = settings.engine
    return DockerEngine(
        e.socket,
        settings.instance,
        e.network,
        lambda digest: str(files.path(digest)),
        hardening_of(settings),
        logins_of(settings),
        observe,
        e.timeout,
    )


def tellers_of(settings: Settings, store: Store, summary: Summary) -> Iterator[Follower]:
    """Those that tell people and the forge, as far as [notify] and [forge] say to whom; `summary` is what the report says.

    Raises SettingsError.
    """
    n = settings.notify
    if n.heartbeat:
        yield Heartbeat(Caller(partial(call, n.heartbeat.get_secret_value())).soon)
    if n.urls:
        hour, minute = map(int, n.report_at.split(":"))
        schedule = Schedule(n.report, hour, minute) if n.report else None
        yield Teller(Outbox(services_of(settings)), store, where_of(settings), schedule, summary)
    f, source = settings.forge, settings.source
    if f.kind:
        api, repository = place_of(f.kind, f.api, f.repository, source.url)
        place = ForgePlace(f.kind, api, repository, source.branch, f.context, f.token.get_secret_value())
        yield CommitStatus(Forge(place), f.page_url)


def services_of(settings: Settings) -> Services:
    """Whom messages go to. Raises SettingsError."""
    return Services([url.get_secret_value() for url in settings.notify.urls])


def where_of(settings: Settings) -> str:
    """How a message names this installation."""
    return platform.node() if settings.instance == "shipstone" else f"{settings.instance} on {platform.node()}"


def traefik_static(settings: Settings, domain: str) -> TraefikStatic:
    """Inside a managed container the ports are fixed, and the host's ones are published; on the host they are what is set."""
    t = settings.traefik
    network, socket = settings.engine.network, settings.engine.socket
    if t.manage:
        inside = {t.entrypoint: f":{WEB_PORT}"} | ({t.tls_entrypoint: f":{TLS_PORT}"} if t.https_port else {})
        return TraefikStatic(network, inside, f":{API_PORT}", DYNAMIC_DIR, domain)
    ports = {t.entrypoint: t.http_port} | ({t.tls_entrypoint: t.https_port} if t.https_port else {})
    points = {name: f"{t.http_address}:{port}" for name, port in ports.items()}
    folder = str(Path(t.dynamic_dir).absolute()) if t.dynamic_dir else ""
    return TraefikStatic(network, points, f"127.0.0.1:{t.console_port}", folder, domain, socket)


def traefik_api(settings: Settings) -> TraefikApi:
    return TraefikApi(settings.traefik.api or f"http://127.0.0.1:{settings.traefik.console_port}", settings.instance)


def proxy_of(settings: Settings, engine: Engine) -> TraefikContainer | None:
    """Traefik as a container of ours, if that is asked for."""
    t = settings.traefik
    if not t.manage:
        return None
    address = t.http_address or "0.0.0.0"  # noqa: S104  sites are public
    proxy = Proxy(
        settings.instance,
        t.image,
        settings.engine.network,
        static_file(settings),
        Path(t.dynamic_dir).absolute(),
        (address, t.http_port),
        ("127.0.0.1", t.console_port),
        settings.engine.socket,
        (address, t.https_port) if t.https_port else None,
    )
    return TraefikContainer(proxy, lambda image: engine.resolve(image, timeout=PULL_SECONDS))


def containers_of(settings: Settings) -> tuple[str, ...]:
    """Names of all that are there: of sites, and of the managed Traefik."""
    engine = engine_of(settings)
    proxy = proxy_of(settings, engine)
    traefik = (proxy.name,) if proxy is not None and proxy.state() != "missing" else ()
    return (*(c.name for c in engine.containers()), *traefik)


def default_certificate(settings: Settings) -> DefaultCertificate | None:
    """Where it is, or would be: only a managed Traefik is given one. None where Traefik reads no folder."""
    t = settings.traefik
    return DefaultCertificate(Path(t.dynamic_dir).absolute(), settings.instance) if t.dynamic_dir else None


def static_file(settings: Settings) -> Path:
    """Where traefik.toml is written: a managed Traefik needs one."""
    return Path(settings.files.traefik).absolute() if settings.files.traefik else paths_of(settings).state / "traefik.toml"


def store_of(settings: Settings, *, spare: bool = False) -> Store:
    return Store(paths_of(settings).store, spare=spare)


def history_of(settings: Settings, store: Store) -> History:
    """Writes down what happens, in `store`."""
    return History(store.history, settings.history.keep_days, settings.history.keep_rows)


def reconciler_of(
    settings: Settings,
    followers: Collection[Follower] = (),
    observe: Observe = unobserved,
    store: Store | None = None,
) -> Reconciler:
    """Everything that a pass needs; `followers` hear of what it does, `observe` of calls of the engine. It closes `store`."""
    paths = paths_of(settings)
    engine = engine_of(settings, observe)
    t = settings.traefik
    pins = PinFile(Path(t.dynamic_dir) if t.dynamic_dir else None, settings.instance, (t.entrypoint,), (t.tls_entrypoint,))
    api = traefik_api(settings)
    proxy = proxy_of(settings, engine) or UnmanagedTraefik(static_file(settings) if settings.files.traefik else None, api.started_at)
    generated = GeneratedFiles(parts_of(settings), paths.written)
    world = World(engine, pins, api, store or store_of(settings), Readiness(), proxy, generated)
    policy = policy_of(settings)
    files = FileStore(paths.files)
    secrets = secrets_of(settings)
    apply = Apply(
        engine,
        pins,
        files,
        parallel=settings.engine.parallel,
        clock=time.monotonic,
        wall=time.time,
        ask=ThroughTraefik(points_of(settings)).ask,
        policy=policy,
        secrets=secrets,
    )
    guard = guard_of(settings)
    keep = settings.engine.keep_images
    return Reconciler(world, Compiler(policy, secrets), names_of(settings), apply, guard, keep_images=keep, followers=followers)


@contextlib.contextmanager
def looking(settings: Settings) -> Iterator[Reconciler]:
    """One that only observes and plans; it lets go of everything afterwards."""
    reconciler = reconciler_of(settings)
    try:
        yield reconciler
    finally:
        reconciler.close(0.0)


def parts_of(settings: Settings) -> tuple[Part, ...]:
    """The hosts block and traefik.toml, where the settings name a place for them."""
    parts = []
    if settings.files.hosts:
        hosts = HostsFile(Path(settings.files.hosts), settings.instance)
        parts.append(Part(HOSTS_BLOCK, Path(settings.files.hosts), hosts.block, hosts.sync))
    if settings.files.traefik or settings.traefik.manage:
        path = static_file(settings)
        parts.append(Part(TRAEFIK_TOML, path, lambda: text_of(path), lambda text: write_if_changed(path, text)))
    return tuple(parts)


def write_generated(settings: Settings, reconciler: Reconciler) -> None:
    """What parts_of() names; nothing is written when nothing changed, nor while the fleet's domain is not known."""
    desired = reconciler.desired
    if desired is None or not desired.domain:
        return
    texts = {HOSTS_BLOCK: hosts_block(settings.instance, settings.files.addresses, reconciler.hosts())}
    texts[TRAEFIK_TOML] = traefik_toml(traefik_static(settings, desired.domain))
    if certificate := default_certificate(settings):
        if settings.traefik.manage and not any(label.casefold().startswith(STORE) for label in reconciler.labels()):
            certificate.ensure()
        else:
            certificate.remove()
    reconciler.world.generated.write(texts)
