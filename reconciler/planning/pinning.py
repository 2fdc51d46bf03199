"""What a pin says: every route of the site to exactly those that may take requests. Pure."""

from collections.abc import Iterable

from reconciler.desired.spec import SESSION_COOKIE, Route
from reconciler.desired.traefik_v3 import pin_priority, rules
from reconciler.planning.observed import Pin, Targets


def route_pin(targets: Targets, serving: tuple[Route, ...], routes: Iterable[Route], middlewares: tuple[str, ...]) -> Pin:
    """The pin that sends every rule of `routes` to `targets`, or to nobody where no route of those that serve claims it.

    A rule with TLS and the same without are two. What says how requests are treated is left out where nobody takes them.
    """
    claimed = {(rule, route.tls) for route in serving for rule in rules(route)}
    every = sorted({(rule, route.tls) for route in routes for rule in rules(route)})
    plain, secure = (
        tuple((rule, targets if (rule, tls) in claimed else ()) for rule, is_tls in every if is_tls is tls) for tls in (False, True)
    )
    served = bool(targets) and any(row in claimed for row in every)
    cookie = next((route.cookie for route in serving if route.sticky), None) if served and len(targets) > 1 else None
    priorities = tuple((rule, pin_priority(rule)) for rule in sorted({rule for rule, _ in every}))
    return Pin(plain, priorities, cookie is not None, cookie or SESSION_COOKIE, middlewares if served else (), secure)
