"""Traefik 3 by labels: release in every name, one router per host and path, a service per release and one per replica."""

from reconciler.desired.release import release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Route


def rules(route: Route) -> tuple[str, ...]:
    """One rule per host, so that each is as specific as it looks."""
    prefix = "" if route.path == "/" else f" && PathPrefix(`{route.path}`)"
    return tuple(f"Host(`{host}`){prefix}" for host in route.hosts)


def label_priority(rule: str) -> int:
    """Even, and larger for a longer rule; as Traefik's default order."""
    return 2 * len(rule)


def pin_priority(rule: str) -> int:
    """One above the label routers with the same rule, and below those of any longer one."""
    return label_priority(rule) + 1


def routing_labels(
    instance: str, site: str, release: str, service: str, replica: int, spec: ContainerSpec, route: Route, *, network: str, entry_point: str
) -> dict[str, str]:
    """The `traefik.*` labels of one replica."""
    whole = release_name(instance, site, release)
    alone = replica_name(instance, site, release, service, replica)
    labels = {
        "traefik.enable": "true",
        "traefik.docker.network": network,
        f"traefik.http.services.{whole}.loadbalancer.server.port": str(spec.port),
        f"traefik.http.services.{whole}.loadbalancer.server.weight": str(spec.weight),
        f"traefik.http.services.{alone}.loadbalancer.server.port": str(spec.port),
    }
    if route.sticky:
        labels[f"traefik.http.services.{whole}.loadbalancer.sticky.cookie.name"] = f"{instance}-{site}"
        labels[f"traefik.http.services.{whole}.loadbalancer.sticky.cookie.httponly"] = "true"
    for n, rule in enumerate(rules(route)):
        router = f"traefik.http.routers.{whole}-{n}"
        labels[f"{router}.rule"] = rule
        labels[f"{router}.priority"] = str(label_priority(rule))
        labels[f"{router}.entrypoints"] = entry_point
        labels[f"{router}.service"] = whole
    return labels
