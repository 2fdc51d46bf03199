"""One revision becomes the desired state: sites, container specs, problems. Pure; a file is parsed again only when its blob changed."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from reconciler.desired.claims import Claimant, clashes
from reconciler.desired.contents import Contents, read_text
from reconciler.desired.desired import Content, Desired, DesiredService, DesiredSite, Timing
from reconciler.desired.middlewares import flat
from reconciler.desired.parse import merged_services, parse_fleet, parse_site, site_name, twins
from reconciler.desired.places import Places
from reconciler.desired.policy import Policy
from reconciler.desired.problem import Problem, errors, few
from reconciler.desired.refusal import show
from reconciler.desired.release import fingerprint
from reconciler.desired.revision import Revision
from reconciler.desired.secrets import Vault
from reconciler.desired.site import Fleet, Healthcheck, ServiceKeys, Site, Sticky
from reconciler.desired.sources import Sources
from reconciler.desired.spec import Check, ContainerSpec, Cookie, Device, FileMount, Middleware, Port, Route, Volume

FLEET_FILE = "shipstone.yaml"


ParsedSite = tuple[Site | None, tuple[Problem, ...]]


@dataclass(frozen=True)
class _Compiled:
    """One site file compiled: what it means, what it mounts, what is wrong with it."""

    site: DesiredSite | None
    contents: Mapping[str, Content]
    problems: tuple[Problem, ...]
    file: str = ""


class Compiler:
    """Compiles revisions and remembers the last one, so that unchanged files cost nothing."""

    def __init__(self, policy: Policy, vault: Vault | None = None) -> None:
        """Without a `vault` secrets are not looked for, and have no digests: as in a pull request's check."""
        self._policy, self._vault = policy, vault
        self._last: tuple[Revision, Desired] | None = None
        self._parsed: dict[tuple[str, str, str], ParsedSite] = {}

    def compile(self, revision: Revision, previous: Desired | None = None, running: Mapping[str, DesiredSite] | None = None) -> Desired:
        """The desired state at `revision`; sites with errors are held at what `previous` had of them. `running`: what is there of each
        site, where `previous` does not know."""
        if self._last is not None and self._last[0] is revision and (self._vault is None or not self._vault.changed()):
            return self._last[1]
        if self._vault is not None:
            self._vault.forget()
        fleet, problems = self._fleet(revision)
        desired = self._sites(revision, fleet, problems, previous, running or {}) if fleet else _all_held(revision, previous, problems)
        desired = replace(desired, notices=(revision.notice,) if revision.notice else ())
        self._last = (revision, desired)
        return desired

    def _fleet(self, revision: Revision) -> tuple[Fleet | None, tuple[Problem, ...]]:
        if FLEET_FILE not in revision.entries:
            return Fleet(), ()
        data = read_text(revision, FLEET_FILE)
        return (None, (data,)) if isinstance(data, Problem) else parse_fleet(FLEET_FILE, data, self._policy)

    def _sites(
        self, revision: Revision, fleet: Fleet, problems: tuple[Problem, ...], previous: Desired | None, running: Mapping[str, DesiredSite]
    ) -> Desired:
        compiled: dict[str, _Compiled] = {}
        held: dict[str, str] = {}
        found = list(problems)
        paths = sorted(path for path in revision.entries if _is_sites(path))
        double = {problem.file: problem for problem in twins(paths)}
        found += double.values()
        misnamed: set[str] = set()
        seen: dict[tuple[str, str, str], ParsedSite] = {}
        repository = Contents(revision)
        for path in paths:
            name = site_name(path)
            if isinstance(name, Problem):
                found.append(name)
                misnamed.add(show(path))
                continue
            row = self._file(revision, fleet, path, name, seen, repository)
            found += row.problems
            bad = [*errors(row.problems), *([double[path]] if name in compiled else [])]  # of two files neither is guessed
            compiled[name] = row
            if bad:
                held[name] = str(bad[0])
        self._parsed = seen
        had = {name: site for name, site in running.items() if previous is None or name in previous.held}
        had |= previous.sites if previous else {}
        while clashing := _clashes(compiled, held, had, self._policy, revision):
            found += [problem for _, problem in clashing]
            held |= {name: str(problem) for name, problem in reversed(clashing)}  # its last good content may clash in its turn
        sites = {name: row.site for name, row in compiled.items() if row.site is not None and name not in held}
        contents = {digest: content for row in compiled.values() for digest, content in row.contents.items()}
        sites |= _last_good(held, previous)
        return Desired(revision.id, sites, held, tuple(sorted(set(found))), contents, fleet.domain, misnamed=frozenset(misnamed))

    def _file(
        self,
        revision: Revision,
        fleet: Fleet,
        path: str,
        name: str,
        seen: dict[tuple[str, str, str], ParsedSite],
        repository: Contents,
    ) -> _Compiled:
        entry = revision.entries[path]
        fleet_entry = revision.entries.get(FLEET_FILE)
        key = (path, entry.id, fleet_entry.id if fleet_entry else "")
        parsed = self._parsed.get(key) or self._parse(revision, fleet, path)
        seen[key] = parsed
        site, problems = parsed
        if site is None:
            return _Compiled(None, {}, problems, path)
        sources = Sources(revision, path, name, repository, self._vault)
        return compile_site(fleet, path, name, site, problems, revision, sources)

    def _parse(self, revision: Revision, fleet: Fleet, path: str) -> ParsedSite:
        data = read_text(revision, path)
        return (None, (data,)) if isinstance(data, Problem) else parse_site(path, data, fleet, self._policy)


def compile_site(
    fleet: Fleet, path: str, name: str, site: Site, problems: tuple[Problem, ...], revision: Revision, sources: Sources
) -> _Compiled:
    """One parsed site with its defaults filled in, its files found, and its secrets where there is a vault."""
    services = tuple(
        DesiredService(
            service, replace(container_spec(keys, sources.files(service, keys)), secrets=sources.secrets(service, keys)), keys.replicas
        )
        for service, keys in sorted(merged_services(site, fleet).items())
    )
    route = route_of_site(site, tuple(site.hosts or (f"{name}.{fleet.domain}",)))
    timing = Timing(site.rollout.deadline, site.rollout.min_healthy, site.rollout.drain, site.rollout.order or "")
    release = fingerprint({service.name: service.spec for service in services}, route)
    compiled = DesiredSite(name, release, route, services, timing, site.drift == "heal", revision.id, site.suspend)
    return _Compiled(compiled, sources.contents, few([*problems, *sources.problems]), path)


def route_of_site(site: Site, hosts: tuple[str, ...]) -> Route:
    """The canonical form of the keys that say where and how a site answers."""
    sticky, balancer = site.sticky or Sticky(), site.loadbalancer
    return Route(
        hosts,
        site.path or "/",
        site.sticky is not None,
        Cookie(sticky.secure, sticky.samesite or "", round(sticky.maxage or 0)),
        tuple(Middleware(*flat(row)) for row in site.middlewares),
        site.tls is not None,
        (site.tls.certresolver if site.tls else None) or "",
        balancer.strategy,
        balancer.pass_host_header,
        "" if balancer.flush_interval is None else f"{round(balancer.flush_interval * 1000)}ms",
    )


def container_spec(keys: ServiceKeys, mounts: tuple[FileMount, ...]) -> ContainerSpec:
    """The canonical form of what was written: lists become tuples, maps sorted pairs, command lines words."""
    return ContainerSpec(
        image=keys.image or "",
        port=keys.port or 0,
        weight=keys.weight,
        command=_words(keys.command),
        entrypoint=_words(keys.entrypoint),
        environment=_pairs(keys.environment),
        user=keys.user,
        working_dir=keys.working_dir,
        read_only=keys.read_only,
        init=keys.init,
        tmpfs=(keys.tmpfs,) if isinstance(keys.tmpfs, str) else tuple(keys.tmpfs),
        volumes=tuple(sorted((_volume(text) for text in keys.volumes), key=lambda v: v.target)),
        files=mounts,
        healthcheck=_check(keys.healthcheck),
        restart=keys.restart,
        stop_grace_period=keys.stop_grace_period,
        stop_signal=keys.stop_signal,
        cap_add=tuple(sorted(keys.cap_add)),
        cap_drop=tuple(sorted(keys.cap_drop)),
        ulimits=tuple(sorted((name, limit.soft, limit.hard) for name, limit in keys.ulimits.items())),
        mem_limit=keys.mem_limit,
        cpus=keys.cpus,
        pids_limit=keys.pids_limit,
        labels=_pairs(keys.labels),
        extra_hosts=_extra_hosts(keys.extra_hosts),
        privileged=keys.privileged,
        namespaces=_namespaces(keys),
        devices=tuple(Device(*text.split(":")) for text in sorted(keys.devices)),
        ports=tuple(_port(text) for text in sorted(keys.ports)),
    )


def _clashes(
    rows: Mapping[str, _Compiled], held: Mapping[str, str], had: Mapping[str, DesiredSite], policy: Policy, revision: Revision
) -> list[tuple[str, Problem]]:
    """Sites that claim the same, with the problem of each. What a held one has counts, too; else what it asks for."""
    claimants = {}
    for name, row in rows.items():
        if site := had.get(name, row.site) if name in held else row.site:
            claimants[name] = Claimant(site, "" if name in held else row.file, had.get(name))
    problems = []
    places = {row.file: Places(partial(revision.read, row.file)) for row in rows.values()}
    for clash in clashes(claimants, policy):
        file, site = rows[clash.site].file, rows[clash.site].site
        paths = [(clash.key,), *(("services", service.name, clash.key) for service in (site.services if site else ()))]
        line, column = places[file].of(*paths)
        problems.append((clash.site, Problem(file, line, column, clash.key, clash.code, clash.message)))
    return problems


def _all_held(revision: Revision, previous: Desired | None, problems: tuple[Problem, ...]) -> Desired:
    """With a broken fleet file nothing is known of any site: each stays as it is."""
    reason = str(problems[0]) if problems else f"{FLEET_FILE} cannot be read"
    names = {name for path in revision.entries if path.startswith("sites/") and isinstance(name := site_name(path), str)}
    names |= set(previous.sites) if previous else set()
    held = dict.fromkeys(sorted(names), reason)
    domain = previous.domain if previous else ""
    return Desired(revision.id, _last_good(held, previous), held, problems, previous.contents if previous else {}, domain)


def _last_good(held: Mapping[str, str], previous: Desired | None) -> dict[str, DesiredSite]:
    return {name: previous.sites[name] for name in held if previous is not None and name in previous.sites}


def _is_sites(path: str) -> bool:
    """Directly below sites/, or one that leads up from there: that is said, and no site."""
    return path.startswith("sites/") and path.endswith((".yaml", ".yml")) and (path.count("/") == 1 or "/../" in path)


def _words(value: str | list[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(shlex.split(value)) if isinstance(value, str) else tuple(value)


def _extra_hosts(value: Mapping[str, str | None] | list[str]) -> tuple[str, ...]:
    """A name may have several addresses."""
    pairs = {row.partition(":")[::2] for row in value} if isinstance(value, list) else {(name, text or "") for name, text in value.items()}
    return tuple(f"{name}:{address}" for name, address in sorted(pairs))


def _pairs(value: Mapping[str, str | None] | list[str], separator: str = "=") -> tuple[tuple[str, str], ...]:
    if isinstance(value, list):
        value = {key: text for key, _, text in (row.partition(separator) for row in value)}
    return tuple(sorted((key, text or "") for key, text in value.items()))


def _volume(text: str) -> Volume:
    source, target, *mode = text.split(":")
    return Volume("bind" if source.startswith("/") else "volume", source, target, read_only="ro" in ",".join(mode).split(","))


def _namespaces(keys: ServiceKeys) -> tuple[str, ...]:
    return tuple(name for name, value in (("ipc", keys.ipc), ("pid", keys.pid), ("userns", keys.userns_mode), ("uts", keys.uts)) if value)


def _port(text: str) -> Port:
    rest, _, protocol = text.partition("/")
    address, host, inside = rest.rsplit(":", 2)
    return Port(int(host), int(inside), protocol, address.strip("[]"))


def _check(check: Healthcheck | None) -> Check | None:
    if check is None:
        return None
    test = ("CMD-SHELL", check.test) if isinstance(check.test, str) else tuple(check.test)
    return Check(test, check.interval, check.timeout, check.retries, check.start_period, check.start_interval)
