"""What two sites cannot both have: a host and path, a port of the host, a volume."""

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
    yield from _hosts({name: row for name, row in claimants.items() if row.file})
    yield from _ports(claimants)
    yield from _volumes(claimants, policy)


def _hosts(claimants: Mapping[str, Claimant]) -> Iterator[Clash]:
    owners: dict[tuple[str, str], list[str]] = {}
    for name, row in sorted(claimants.items()):
        for host in row.site.route.hosts:
            owners.setdefault((host, row.site.route.path), []).append(name)
    for (host, path), names in sorted(owners.items()):
        where = host if path == "/" else host + path
        for name, others in _told(names, claimants):
            yield Clash(name, "hosts", "SS-N16", f"{where} is claimed by {others} too. Take it out of one of the files.")


def _ports(claimants: Mapping[str, Claimant]) -> Iterator[Clash]:
    rows = [(name, port) for name, row in sorted(claimants.items()) for service in row.site.services for port in service.spec.ports]
    for name, port in rows:
        names = sorted({other for other, theirs in rows if other == name or _same(port, theirs)})
        for told, others in _told(names, claimants):
            if told == name:
                yield Clash(
                    name, "ports", "SS-C31", f"port {port.host} of this host is published by {others} too. Use another one in one of them."
                )


def _same(one: Port, other: Port) -> bool:
    both = one.host == other.host and one.protocol == other.protocol
    return both and (one.address == other.address or not one.address or not other.address)


def _volumes(claimants: Mapping[str, Claimant], policy: Policy) -> Iterator[Clash]:
    owners: dict[str, set[str]] = {}
    for name, row in claimants.items():
        for service in row.site.services:
            for volume in service.spec.volumes:
                if volume.kind == "volume" and not matches(volume.source, policy.of_site(name).shared_volumes):
                    owners.setdefault(volume.source, set()).add(name)
    for source, names in sorted(owners.items()):
        for name, others in _told(sorted(names), claimants):
            how = f"Use a name of its own, as in {name}-{source}, or {ask('shared_volumes')}."
            yield Clash(name, "volumes", "SS-C34", f"the volume {source} is mounted by {others} too. {how}")


def _told(names: list[str], claimants: Mapping[str, Claimant]) -> Iterator[tuple[str, str]]:
    """Each with a file, and the others as people know them; nobody where there is only one."""
    for name in names if len(names) > 1 else ():
        if claimants[name].file:
            yield name, ", ".join(claimants[other].file or f"the site {other}" for other in names if other != name)
