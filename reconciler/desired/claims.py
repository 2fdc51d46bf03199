"""What two sites cannot both have: a host name, a port of the host, a volume."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.desired.desired import DesiredSite
from reconciler.desired.policy import Policy, ask, matches
from reconciler.desired.spec import Port


@dataclass(frozen=True)
class Claimant:
    """A site that wants something: `file` says so; empty for a held one, which keeps what it has and is told nothing."""

    site: DesiredSite
    file: str


@dataclass(frozen=True)
class Clash:
    """What is wrong with the file of `site`, at `key`."""

    site: str
    key: str
    code: str
    message: str


def clashes(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    """All who claim the same are told, so that the one that runs keeps it."""
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
        for name in names:
            others = [other for other in names if other != name and (paths[other] == paths[name] or {name, other} <= alone)]
            if told := _told(name, others, claimants):
                differ = any(paths[other] != paths[name] for other in others)
                where = host if differ or paths[name] == "/" else host + paths[name]
                how = f"Use another host name, or {ask('shared_hosts', name)}." if differ else "Take it out of one of the files."
                yield Clash(name, "hosts", "SS-N16", f"{where} is claimed by {told} too. {how}")


def _shared(host: str, policy: Policy) -> bool:
    return matches(host, tuple(pattern.lower() for pattern in policy.shared_hosts))


def _ports(claimants: Mapping[str, Claimant]) -> Iterator[Clash]:
    rows = [(name, port) for name, row in sorted(claimants.items()) for service in row.site.services for port in service.spec.ports]
    for name, port in rows:
        others = sorted({other for other, theirs in rows if other != name and _same(port, theirs)})
        if told := _told(name, others, claimants):
            message = f"port {port.host} of this host is published by {told} too. Use another one in one of them."
            yield Clash(name, "ports", "SS-C31", message)


def _same(one: Port, other: Port) -> bool:
    both = one.host == other.host and one.protocol == other.protocol
    return both and (one.address == other.address or not one.address or not other.address)


def _volumes(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    owners: dict[str, set[str]] = {}
    for name, row in claimants.items():
        for source in _volumes_of(row.site):
            if not matches(source, policy.of_site(name).shared_volumes):
                owners.setdefault(source, set()).add(name)
    for source, names in sorted(owners.items()):
        for name in sorted(names):
            if told := _told(name, sorted(names - {name}), claimants):
                how = f"Use a name of its own, as in {name}-{source}, or {ask('shared_volumes')}."
                yield Clash(name, "volumes", "SS-C34", f"the volume {source} is mounted by {told} too. {how}")


def _volumes_of(site: DesiredSite) -> set[str]:
    return {volume.source for service in site.services for volume in service.spec.volumes if volume.kind == "volume"}


def _told(name: str, others: list[str], claimants: Mapping[str, Claimant]) -> str:
    """The others as people know them; empty where there are none, or the site has no file to be mended."""
    return ", ".join(claimants[other].file or f"the site {other}" for other in others) if claimants[name].file else ""
