"""A key of this host that was lost: releases are compared without their secrets' digests, so that it rolls nothing. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.release import content_of, fingerprint
from reconciler.planning.labels import site_from_labels
from reconciler.planning.observed import Container


def with_known_digests(desired: Desired, containers: Iterable[Container]) -> Desired:
    """The desired state; a site that runs as it is written, but with digests under a key that nobody has any more, is as it runs."""
    with_secrets = {name: site for name, site in desired.sites.items() if _keys(site)}
    if not with_secrets:
        return desired
    releases: dict[str, dict[str, list[Container]]] = {}
    for c in containers:
        if c.site in with_secrets:
            releases.setdefault(c.site, {}).setdefault(c.release, []).append(c)
    kept = {name: _kept(site, releases.get(name, {})) for name, site in with_secrets.items()}
    return replace(desired, sites={**desired.sites, **kept})


def _kept(site: DesiredSite, releases: Mapping[str, list[Container]]) -> DesiredSite:
    if any(content_of(release)[0] == site.release for release in releases):
        return site
    for release, rows in sorted(releases.items()):
        running = site_from_labels(site.name, rows)
        if running is None or _keys(running) <= _keys(site) or _masked(running) != _masked(site):
            continue
        specs = {service.name: service.spec for service in running.services}
        services = tuple(replace(service, spec=specs[service.name]) for service in site.services)
        return replace(site, release=content_of(release)[0], services=services)
    return site


def _keys(site: DesiredSite) -> frozenset[str]:
    """The names of the keys that digests were made with."""
    return frozenset(secret.digest.partition(".")[0] for service in site.services for secret in service.spec.secrets if secret.digest)


def _masked(site: DesiredSite) -> str:
    specs = {
        service.name: replace(service.spec, secrets=tuple(replace(secret, digest="") for secret in service.spec.secrets))
        for service in site.services
    }
    return fingerprint(specs, site.route)
