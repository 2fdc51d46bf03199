"""What a pin says: every route of the site to exactly those that may take requests. Pure."""

from collections.abc import Iterable, Mapping

from reconciler.desired.spec import SESSION_COOKIE, Route
from reconciler.desired.traefik_v3 import host_and_path, pin_priority, rule_of
from reconciler.planning.observed import Pin, Targets


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
