"""What planning sees of one site, and what comes out: the types of its motion."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.release import release_name, replica_name
from reconciler.desired.spec import Route
from reconciler.planning.handover import NOTHING, Handover
from reconciler.planning.labels import route_of
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container, Pin, TraefikView
from reconciler.planning.steps import Step

POLL, SLOWEST_POLL = 0.02, 2.0
"""Seconds between two looks at the engine and at Traefik while a site is in motion: at first, and when it takes long."""

AWAY_POLL = 0.5
"""Seconds between two looks while Traefik's API does not answer, or it reads no pins."""


@dataclass(frozen=True)
class Names:
    """What the names and labels of this installation are made with."""

    instance: str
    network: str
    entry_point: str
    tls_entry_point: str = "websecure"
    pins: bool = True
    """False where Traefik has no file provider: labels alone route, see labels_only.py."""
    asked: frozenset[bool] = frozenset()
    """Whether Traefik can be asked by host name, for routes without TLS (False) and with it (True)."""
    own_traefik: bool = False
    """Traefik's static configuration is the one that Shipstone writes."""
    settle: float = 2.5
    """Seconds without pins in which Traefik has followed a change of labels, whatever it throttles."""

    def entry_of(self, route: Route) -> str:
        """Where the route is answered."""
        return self.tls_entry_point if route.tls else self.entry_point


@dataclass(frozen=True)
class Seen:
    """All that is known of one site. `ready` are ids of containers that may take requests; `wrong` those to be replaced, and why;
    `images` maps an image as written to what it was resolved to for the goal's release."""

    site: str
    goal: DesiredSite | None
    containers: tuple[Container, ...]
    pin: Pin | None
    traefik: TraefikView
    ready: frozenset[str]
    wrong: Mapping[str, str]
    images: Mapping[str, str]
    names: Names
    now: float
    gone: str = "removed from the desired state"
    """Why there is no goal, where there is none."""
    handover: Handover = NOTHING
    """Routes that move to this site from another, or from it to another."""
    asked: tuple[str, str] | None = None
    """A release after whose switch Traefik was asked by host name, and why it cannot be reached; empty where it can."""
    trouble: str = ""
    """Why the last steps towards the goal's release were stopped, until steps of it end well."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Image as written → the very image of the goal's release, which is not here any more."""
    fallback: bool = False
    """The goal is what ran before, because what is written cannot be had: it is healed, never given up."""


@dataclass(frozen=True)
class Motion:
    """Steps in order, what to remember, what to say, and when to look again (monotonic seconds; None: when something happens)."""

    steps: tuple[Step, ...] = ()
    memory: SiteMemory = field(default_factory=SiteMemory)
    message: str = ""
    look_at: float | None = None


@dataclass(frozen=True)
class Cast:
    """Who plays which part: `keep` stay, `leaving` go, `missing` (service, how many) are to be started.

    `alone`: why those who leave must have stopped before others start; empty where they may run side by side.
    """

    keep: tuple[Container, ...]
    leaving: tuple[Container, ...]
    missing: tuple[tuple[DesiredService, int], ...]
    alone: str = ""

    @property
    def stopped(self) -> tuple[Container, ...]:
        """Those who stay and are to be started again."""
        return tuple(c for c in self.keep if not alive(c))


def poll(waited: float) -> float:
    """Seconds to the next look after so many seconds of waiting: what takes a minute need not be seen to a hundredth."""
    return min(max(POLL, waited / 50), SLOWEST_POLL)


def alive(container: Container) -> bool:
    """It runs, or is about to: it may take requests, so it is drained before it is stopped."""
    return container.state in ("running", "restarting")


def routes_of(seen: Seen) -> tuple[Route, ...]:
    """Every route that a container of the site has, or will have."""
    routes = [route_of(c) for c in seen.containers if alive(c)]
    if seen.goal is not None:
        routes.append(seen.goal.route)
    return tuple(dict.fromkeys(routes))


def service_names(seen: Seen, c: Container) -> tuple[str, str]:
    return release_name(seen.names.instance, seen.site, c.release), alone_name(seen, c)


def alone_name(seen: Seen, c: Container) -> str:
    return replica_name(seen.names.instance, seen.site, c.release, c.service, c.replica)
