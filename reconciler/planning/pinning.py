"""What a pin says: every route of the site to exactly those that may take requests. Pure."""

from collections.abc import Iterable

from reconciler.desired.spec import SESSION_COOKIE, Route
from reconciler.desired.traefik_v3 import pin_priority, rule_of
from reconciler.planning.observed import Pin, Targets


def route_pin(targets: Targets, serving: tuple[Route, ...], routes: Iterable[Route], middlewares: tuple[str, ...]) -> Pin:
    """The pin that sends every rule of `routes` to `targets`, or to nobody where no route of those that serve covers it.

    A rule with TLS and the same without are two. What says how requests are treated is left out where nobody takes them.
    """
    every = {(host, route.path, route.tls): rule_of(host, route.path) for route in routes for host in route.hosts}
    taken = {rows: targets if any(covers(route, *rows) for route in serving) else () for rows in every}
    plain, secure = (tuple(sorted((every[row], taken[row]) for row in every if row[2] is tls)) for tls in (False, True))
    served = any(taken.values())
    cookie = next((route.cookie for route in serving if route.sticky), None) if served and len(targets) > 1 else None
    priorities = tuple((rule, pin_priority(rule)) for rule in sorted(set(every.values())))
    return Pin(plain, priorities, cookie is not None, cookie or SESSION_COOKIE, middlewares if served else (), secure)


def covers(route: Route, host: str, path: str, tls: bool) -> bool:
    """Requests for `path` and below are answered by `route`: its own rule, or one of a shorter path."""
    return route.tls is tls and host in route.hosts and path.startswith(route.path)
