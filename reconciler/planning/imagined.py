"""A host on which everything runs as a revision says, made up: so that what a commit would do is planned by the real code. Pure."""

from collections.abc import Iterator

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.release import container_name, release_name, replica_name
from reconciler.planning.labels import container_labels
from reconciler.planning.observed import Container, Observed, TraefikView
from reconciler.planning.ranks import rank_for
from reconciler.planning.seen import Names


def imagined(desired: Desired, names: Names) -> Observed:
    """Every site of `desired` at rest, healthy and known to Traefik."""
    containers = tuple(container for _, site in sorted(desired.sites.items()) for container in _running(site, names))
    services: dict[str, int] = {}
    for c in containers:
        whole = release_name(names.instance, c.site, c.release)
        services[whole] = services.get(whole, 0) + 1
        services[replica_name(names.instance, c.site, c.release, c.service, c.replica)] = 1
    view = TraefikView(reachable=True, services=services)
    return Observed(containers, network=True, pins={}, traefik=view, answering=frozenset(c.id for c in containers))


def _running(site: DesiredSite, names: Names) -> Iterator[Container]:
    rank = rank_for((), site.release, pins=names.pins)
    for service in site.services:
        checked = service.spec.healthcheck is not None
        for n in range(1, service.replicas + 1):
            name = container_name(names.instance, site.name, service.name, site.release, n)
            labels = container_labels(names.instance, names.network, names.entry_of(site.route), site, service, n, service.spec.image, rank)
            yield Container(name, name, "running", "healthy" if checked else "none", labels, "192.0.2.1", up=3600.0)
