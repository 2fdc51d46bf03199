"""What a pin says: every route of the site to exactly those that may take requests; and whether Traefik follows it. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from reconciler.desired.release import release_name
from reconciler.desired.spec import SESSION_COOKIE, Route
from reconciler.desired.traefik_v3 import host_and_path, middleware_names, pin_priority, rule_of
from reconciler.planning.handover import without, yielding
from reconciler.planning.labels import route_of, weight_of
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container, Pin, Targets
from reconciler.planning.ranks import heights
from reconciler.planning.seen import Seen, alive, alone_name, service_names

RELEASE = r"[0-9a-f]{10}(?:r[0-9]+)?(?=[-.]|$)"
OWN = re.compile(rf"{RELEASE}(?!.*-{RELEASE})")
"""What follows a site's name in those of its services; not in those of a site that is named as a release of this one would be."""


def serving_now(seen: Seen, unserved: Collection[str]) -> tuple[Container, ...]:
    """Who takes requests now: with a pin those it names, at rest everything that answers. `unserved`: releases that never took one. Where
    none of those is ready, another release is, or the same where it has served before."""
    if seen.pin is None:
        return answering(seen, seen.containers, unserved)
    named = tuple(c for c in seen.containers if seen.pin.services & set(service_names(seen, c)))
    ready = tuple(c for c in seen.containers if c.id in seen.ready and alive(c))
    goals = tuple(c for c in ready if seen.goal is not None and c.release == seen.goal.release)
    others = tuple(c for c in ready if c not in goals)
    back = goals if seen.fallback else ()  # what the pin names may be the release that failed
    again = _listed(seen, (c for c in goals if c.release not in unserved))
    return back or tuple(c for c in ready if c in named) or others or again or answering(seen, named, unserved)


def answering(seen: Seen, containers: Iterable[Container], unserved: Collection[str]) -> tuple[Container, ...]:
    """The ready ones. Where none is, those that have served and that Traefik lists, if no check says that they are sick: who was asked
    and did not answer in time, for the machine may have stalled, serves better than nobody; or than who has no weight."""
    there = tuple(c for c in containers if alive(c))
    ready = tuple(c for c in there if c.id in seen.ready)
    if any(weight_of(c) for c in ready):
        return ready
    silent = (c for c in there if c.state == "running" and c.health == "none" and c.address and c.release not in unserved)
    return _listed(seen, silent) or ready


def joining(seen: Seen, serving: tuple[Container, ...]) -> tuple[Container, ...]:
    """Who takes requests next. After nobody only who is ready and listed by Traefik: it refuses a pin to others, and would answer 404 in
    place of 503."""
    if seen.pin is None or seen.pin.services:
        return serving
    return tuple(c for c in serving if c.id in seen.ready and alone_name(seen, c) in seen.traefik.services)


def _listed(seen: Seen, containers: Iterable[Container]) -> tuple[Container, ...]:
    return tuple(c for c in containers if alone_name(seen, c) in seen.traefik.services or not seen.traefik.reachable)


def pin_of(seen: Seen, serving: Iterable[Container], routes: Iterable[Route], growing: str = "", *, take: bool = False) -> Pin | None:
    """The pin that sends every rule of `routes` to `serving`, or to nobody where the serving release does not claim that rule.

    It names a whole release where all of it serves, none is to join (`growing`) and Traefik lists no more of it than these: an address
    that one of it had may be another site's by now. Else it names each replica by itself.
    What another site still serves is left out until it is to be taken over (`take`); None where nothing is left. In a ring of sites
    that exchange rules the first to switch leaves to its labels what is not taken over from it yet.
    """
    serving = tuple(serving)
    releases = {c.release for c in serving}
    of_release = [c for c in seen.containers if c.release in releases and (alive(c) or c.state == "created")]
    wholes = [release_name(seen.names.instance, seen.site, release) for release in releases]
    if (
        len(wholes) == 1
        and growing not in releases
        and len(of_release) == len(serving)
        and (seen.traefik.services.get(wholes[0], 0) <= len(serving) if seen.traefik.reachable else _names(seen.pin, wholes[0]))
    ):
        targets: tuple[tuple[str, int], ...] = ((wholes[0], 1),)
    else:
        targets = tuple(sorted((alone_name(seen, c), weight_of(c)) for c in serving))
    # Where several releases serve, requests are treated as the goal's are.
    first = min(serving, key=lambda c: (seen.goal is None or c.release != seen.goal.release, c.release), default=None)
    middlewares = middleware_names(seen.names.instance, seen.site, first.release, route_of(first)) if first else ()
    kept = seen.pin if lingering(seen, tuple(c for c in seen.containers if alive(c))) else None
    pin = route_pin(targets, tuple(route_of(c) for c in serving), routes, middlewares, kept, heights(seen.containers))
    left_out = (seen.handover.promised if seen.handover.mutual else ()) if take else seen.handover.takes
    return without(yielding(pin, seen.handover.given), left_out)


def _names(pin: Pin | None, whole: str) -> bool:
    """What labels route to at rest, or the pin does already."""
    return pin is None or whole in pin.services


def confirmed(seen: Seen, pin: Pin | None) -> bool:
    """Traefik holds this pin, and its routers are enabled; or none, where none is wanted."""
    return seen.pin == pin and seen.traefik.pins.get(seen.site) == pin


def remember_pin(seen: Seen, memory: SiteMemory) -> SiteMemory:
    after: tuple[Pin | None, float | None, bool] = None, None, True
    if seen.pin is None:
        after = None, None, memory.pinned and (not seen.traefik.reachable or seen.site in seen.traefik.pins)
    elif confirmed(seen, seen.pin):
        after = seen.pin, memory.pin_since if memory.pin == seen.pin else seen.now, True
    if after == (memory.pin, memory.pin_since, memory.pinned):
        return memory
    pin, since, pinned = after
    return replace(memory, pin=pin, pin_since=since, pinned=pinned)


def drained(seen: Seen, memory: SiteMemory, seconds: float) -> bool:
    return memory.pin_since is not None and seen.now >= memory.pin_since + seconds


def lingering(seen: Seen, keep: tuple[Container, ...]) -> bool:
    """Traefik still lists something of this site that is not among those that stay."""
    if not seen.traefik.reachable:
        return True
    there = {name for c in keep for name in service_names(seen, c)}
    start = f"{seen.names.instance}-{seen.site}-"
    return any(name.startswith(start) and _is_ours(name[len(start) :]) and name not in there for name in seen.traefik.services)


def _is_ours(rest: str) -> bool:
    """What follows `<instance>-<site>-` in a name begins with a release: another site's longer name does not."""
    return OWN.match(rest) is not None


def route_pin(
    targets: Targets,
    serving: tuple[Route, ...],
    routes: Iterable[Route],
    middlewares: tuple[str, ...],
    kept: Pin | None = None,
    heights: Mapping[str, int] | None = None,
) -> Pin:
    """The pin that sends every rule of `routes` to `targets`, or to nobody where no route of those that serve covers it.

    Rules of `kept` stay in it: what was stopped may still be routed by them. A rule with TLS and the same without are two.
    What says how requests are treated is left out where nobody takes them. `heights`: rule → the highest priority by labels, where that
    is higher than usual: the pin outranks it too.
    """
    every = {(host, route.path, route.tls): rule_of(host, route.path) for route in routes for host in route.hosts}
    for rule, tls in rules_of(kept) if kept else ():
        if found := host_and_path(rule):
            every[*found, tls] = rule
    taken = {rows: targets if any(covers(route, *rows) for route in serving) else () for rows in every}
    plain, secure = (tuple(sorted((every[row], taken[row]) for row in every if row[2] is tls)) for tls in (False, True))
    served = any(taken.values())
    cookie = next((route.cookie for route in serving if route.sticky), None) if served and len(targets) > 1 else None
    above = heights or {}
    priorities = tuple((rule, max(pin_priority(rule), above.get(rule, 0) + 1)) for rule in sorted(set(every.values())))
    return Pin(plain, priorities, cookie is not None, cookie or SESSION_COOKIE, middlewares if served else (), secure)


def rules_of(pin: Pin) -> list[tuple[str, bool]]:
    """Each rule, and whether it is of the entry point with TLS."""
    return [(rule, tls) for rows, tls in ((pin.targets, False), (pin.secure, True)) for rule, _ in rows]


def covers(route: Route, host: str, path: str, tls: bool) -> bool:
    """Requests for `path` and below are answered by `route`: its own rule, or one of a shorter path."""
    return route.tls is tls and host in route.hosts and path.startswith(route.path)
