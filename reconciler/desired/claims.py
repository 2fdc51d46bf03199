"""What two sites cannot both have: a host name, a port of the host, a volume."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from reconciler.desired.desired import DesiredSite
from reconciler.desired.policy import Policy, ask, matches
from reconciler.desired.spec import Port, Route

FEW = 10
"""So many others are named."""


@dataclass(frozen=True)
class Claimant:
    """A site that wants something: `file` says so; empty for a held one, which keeps what it has and is told nothing. `had`: what it was
    given before, if that is known."""

    site: DesiredSite
    file: str
    had: DesiredSite | None = None


@dataclass(frozen=True)
class Clash:
    """What is wrong with the file of `site`, at `key`."""

    site: str
    key: str
    code: str
    message: str


def clashes(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    """Whoever alone had it keeps it and is told nothing. Where nobody is known to have had it, or several, all who claim it are told."""
    yield from _hosts(claimants, policy)
    yield from _ports(claimants)
    yield from _volumes(claimants, policy)


def _hosts(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    """A longer path outranks a shorter one, so a host name has one owner, with TLS or without, unless the policy shares its paths."""
    claimed: dict[str, list[str]] = {}
    for name, row in sorted(claimants.items()):
        for host in row.site.route.hosts:
            claimed.setdefault(host, []).append(name)
    for host, names in sorted(claimed.items()):
        paths = {name: claimants[name].site.route.path for name in names}
        alone = {name for name in names if not _shared(host, policy.of_site(name))}
        had = {name for name in names if host in _route_of(claimants[name].had).hosts}
        same_path = {name for name in had if _route_of(claimants[name].had).path == paths[name]}
        whole = _Rivals([name for name in names if name in alone], had)
        same, sharing = (_by_path(those, paths, same_path) for those in (names, [name for name in names if name not in alone]))
        for name in names:
            beside = (sharing if name in alone else same).get(paths[name])
            others = [*(whole.of(name) if name in alone else ()), *(beside.of(name) if beside else ())]
            if told := _told(name, others, claimants):
                differ = any(paths[other] != paths[name] for other in others)
                where = host if differ or paths[name] == "/" else host + paths[name]
                how = f"Use another host name, or {ask('shared_hosts', name)}." if differ else "Take it out of one of the files."
                yield Clash(name, "hosts", "SS-N16", f"{where} is claimed by {told} too. {how}")


class _Rivals:
    """Of `names` that claim one thing, which some of them `had`. Each is told of few: thousands may claim the same."""

    def __init__(self, names: Sequence[str], had: Collection[str]) -> None:
        self._all, self._had = names, had
        self._kept = [name for name in names if name in had]

    def of(self, name: str) -> list[str]:
        """Because of whom a site of that name cannot have it: the first few."""
        return list(islice((other for other in (self._kept if name in self._had else self._all) if other != name), FEW))


def _by_path(names: Iterable[str], paths: Mapping[str, str], had: Collection[str]) -> dict[str, _Rivals]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(paths[name], []).append(name)
    return {path: _Rivals(group, had) for path, group in groups.items()}


def _route_of(site: DesiredSite | None) -> Route:
    return site.route if site else Route(())


def _shared(host: str, policy: Policy) -> bool:
    return matches(host, tuple(pattern.lower() for pattern in policy.shared_hosts))


def _ports(claimants: Mapping[str, Claimant]) -> Iterator[Clash]:
    """Looks at each port once, and for each at few others: a file may publish thousands."""
    rows = [(name, port) for name, row in sorted(claimants.items()) for port in _ports_of(row.site)]
    had = {name: _Published((name, port) for port in _ports_of(row.had)) for name, row in claimants.items()}
    kept = {row for row in rows if had[row[0]].covers(row[1])}
    every, before = _Published(rows), _Published(row for row in rows if row in kept)
    for name, port in rows:
        others = (before if (name, port) in kept else every).others(name, port)
        if told := _told(name, others, claimants):
            message = f"port {port.host} of this host is published by {told} too. Use another one in one of them."
            yield Clash(name, "ports", "SS-C31", message)


class _Published:
    """Who publishes what, by port and protocol, then by address: names in the order in which they come, each once."""

    def __init__(self, rows: Iterable[tuple[str, Port]]) -> None:
        self._names: dict[tuple[int, str], dict[str | None, dict[str, None]]] = {}
        for name, port in rows:
            addresses = self._names.setdefault((port.host, port.protocol), {})
            for address in (port.address, None):  # None: whatever the address
                addresses.setdefault(address, {})[name] = None

    def covers(self, port: Port) -> bool:
        """Whether whoever has these has this one, too."""
        return not {"", port.address}.isdisjoint(self._names.get((port.host, port.protocol), {}))

    def others(self, name: str, port: Port) -> list[str]:
        """Who, but `name`, has what cannot be beside this one: the first few. A port without an address is on all of them."""
        addresses = self._names.get((port.host, port.protocol), {})
        found: set[str] = set()
        for address in (port.address, "") if port.address else (None,):
            found.update(islice((other for other in addresses.get(address, {}) if other != name), FEW))
        return sorted(found)[:FEW]


def _ports_of(site: DesiredSite | None) -> list[Port]:
    return [port for service in (site.services if site else ()) for port in service.spec.ports]


def _volumes(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    owners: dict[str, set[str]] = {}
    for name, row in claimants.items():
        for source in _volumes_of(row.site):
            if not matches(source, policy.of_site(name).shared_volumes):
                owners.setdefault(source, set()).add(name)
    for source, names in sorted(owners.items()):
        rivals = _Rivals(sorted(names), {name for name in names if source in _volumes_of(claimants[name].had)})
        for name in sorted(names):
            if told := _told(name, rivals.of(name), claimants):
                how = f"Use a name of its own, as in {name}-{source}, or {ask('shared_volumes')}."
                yield Clash(name, "volumes", "SS-C34", f"the volume {source} is mounted by {told} too. {how}")


def _volumes_of(site: DesiredSite | None) -> set[str]:
    return {volume.source for service in (site.services if site else ()) for volume in service.spec.volumes if volume.kind == "volume"}


def _told(name: str, others: list[str], claimants: Mapping[str, Claimant]) -> str:
    """The others as people know them; empty where there are none, or the site has no file to be mended."""
    return ", ".join(claimants[other].file or f"the site {other}" for other in others) if claimants[name].file else ""
