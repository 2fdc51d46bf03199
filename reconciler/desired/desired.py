"""What should run, as compile.py makes it of one revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.desired.problem import Problem
from reconciler.desired.spec import ContainerSpec, Route


@dataclass(frozen=True)
class Timing:
    """How a release takes over; times in seconds. `order`: "start-first", "stop-first", or empty where that shows by itself."""

    deadline: float = 120.0
    min_healthy: float = 5.0
    drain: float = 10.0
    order: str = ""


@dataclass(frozen=True)
class DesiredService:
    """`replicas` identical containers of one spec; `digest` is the exact image, where it is fixed already."""

    name: str
    spec: ContainerSpec
    replicas: int = 1
    digest: str = ""


@dataclass(frozen=True)
class DesiredSite:
    """One site at one content; `release` is its fingerprint."""

    name: str
    release: str
    route: Route
    services: tuple[DesiredService, ...]
    timing: Timing = Timing()
    heal: bool = True
    commit: str = ""
    suspend: bool = False


@dataclass(frozen=True)
class Content:
    """A file or folder of the repository that sites mount: (path inside the folder, path in the repository, executable);
    for a single file the first is empty."""

    files: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Desired:
    """All of it. A site in `held` has errors in its input: it is kept as it runs; `sites` then has its last good content, if known.

    `notices`: why it is not the newest revision.
    """

    revision: str
    sites: Mapping[str, DesiredSite] = field(hash=False)
    held: Mapping[str, str] = field(default_factory=dict, hash=False)
    problems: tuple[Problem, ...] = ()
    contents: Mapping[str, Content] = field(default_factory=dict, hash=False)
    domain: str = "shipstone.local"
    """Empty where it is not known: the fleet's file cannot be read, and never could."""
    notices: tuple[str, ...] = ()
    misnamed: frozenset[str] = frozenset()
    """Files whose name is no site's: one may be what a site was renamed to."""

    def hosts(self) -> tuple[str, ...]:
        """The base domain, then every site's host names in the order of the sites."""
        domain = [self.domain] if self.domain else []
        return tuple(dict.fromkeys([*domain, *(host for name in sorted(self.sites) for host in self.sites[name].route.hosts)]))
