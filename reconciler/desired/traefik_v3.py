"""Traefik 3 by labels: release in every name, one router per host and path, a service per release and one per replica."""

import re
from functools import lru_cache

from reconciler.desired.release import release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Cookie, Route

SPAN = 1_000_000
"""So many releases of one site can follow each other where each has to outrank the one before. Rules have some hundred characters: the
highest priority stays below what 32 bits hold."""


@lru_cache(maxsize=4096)
def rules(route: Route) -> tuple[str, ...]:
    """One rule per host, so that each is as specific as it looks."""
    return tuple(rule_of(host, route.path) for host in route.hosts)


def rule_of(host: str, path: str) -> str:
    prefix = "" if path == "/" else f" && PathPrefix(`{path}`)"
    return f"Host(`{host}`){prefix}"


def host_and_path(rule: str) -> tuple[str, str] | None:
    """Of a rule that rule_of made."""
    match = re.fullmatch(r"Host\(`([^`]+)`\)(?: && PathPrefix\(`([^`]+)`\))?", rule)
    return (match[1], match[2] or "/") if match else None


def label_priority(rule: str) -> int:
    """Even, and larger for a longer rule; as Traefik's default order."""
    return 2 * len(rule)


def rising_priority(rule: str, rank: int) -> int:
    """Where there are no pins: above every lower rank of the same rule, and below any longer rule."""
    return SPAN * len(rule) + min(rank, SPAN - 1)


def rank_in(rule: str, priority: int) -> int | None:
    """The inverse of rising_priority; None for a router that label_priority made."""
    return priority - SPAN * len(rule) if priority >= SPAN else None


def pin_priority(rule: str) -> int:
    """One above the label routers with the same rule, and below those of any longer one."""
    return label_priority(rule) + 1


def middleware_names(instance: str, site: str, release: str, route: Route) -> tuple[str, ...]:
    """The site's middlewares in order, as this release names them."""
    return tuple(f"{release_name(instance, site, release)}-m{n}" for n in range(len(route.middlewares)))


def routing_labels(
    instance: str,
    site: str,
    release: str,
    service: str,
    replica: int,
    spec: ContainerSpec,
    route: Route,
    *,
    network: str,
    entry_point: str,
    rank: int | None = None,
) -> dict[str, str]:
    """The `traefik.*` labels of one replica; `entry_point` is the one with TLS where the route has it; `rank`: of the release, where
    there are no pins."""
    whole = release_name(instance, site, release)
    alone = replica_name(instance, site, release, service, replica)
    labels = {
        "traefik.enable": "true",
        "traefik.docker.network": network,
        f"traefik.http.services.{whole}.loadbalancer.server.port": str(spec.port),
        f"traefik.http.services.{whole}.loadbalancer.server.weight": str(spec.weight),
        f"traefik.http.services.{alone}.loadbalancer.server.port": str(spec.port),
    }
    labels |= _balancer_labels(f"traefik.http.services.{whole}.loadbalancer", f"traefik.http.services.{alone}.loadbalancer", route)
    if route.sticky:
        labels |= _sticky_labels(f"traefik.http.services.{whole}.loadbalancer.sticky.cookie", f"{instance}-{site}", route.cookie)
    names = middleware_names(instance, site, release, route)
    for name, middleware in zip(names, route.middlewares, strict=True):
        start = f"traefik.http.middlewares.{name}.{middleware.kind.lower()}"
        labels |= {f"{start}.{option}": value for option, value in middleware.options} or {start: "true"}
    for n, rule in enumerate(rules(route)):
        router = f"traefik.http.routers.{whole}-{n}"
        labels[f"{router}.rule"] = rule
        labels[f"{router}.priority"] = str(label_priority(rule) if rank is None else rising_priority(rule, rank))
        labels[f"{router}.entrypoints"] = entry_point
        labels[f"{router}.service"] = whole
        if names:
            labels[f"{router}.middlewares"] = ",".join(names)
        if route.tls:
            labels[f"{router}.tls"] = "true"
        if route.certresolver:
            labels[f"{router}.tls.certresolver"] = route.certresolver
    return labels


def _balancer_labels(whole: str, alone: str, route: Route) -> dict[str, str]:
    """Of the release's service, and of the replica's own, which a pin may name."""
    labels = {}
    if route.strategy != "wrr":
        labels[f"{whole}.strategy"] = route.strategy
    for start in (whole, alone):
        if not route.pass_host_header:
            labels[f"{start}.passhostheader"] = "false"
        if route.flush_interval:
            labels[f"{start}.responseforwarding.flushinterval"] = route.flush_interval
    return labels


def _sticky_labels(start: str, name: str, cookie: Cookie) -> dict[str, str]:
    labels = {f"{start}.name": name, f"{start}.httponly": "true"}
    if cookie.secure:
        labels[f"{start}.secure"] = "true"
    if cookie.same_site:
        labels[f"{start}.samesite"] = cookie.same_site
    if cookie.max_age:
        labels[f"{start}.maxage"] = str(cookie.max_age)
    return labels
