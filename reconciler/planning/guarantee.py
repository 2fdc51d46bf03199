"""Which sites are promised that a deploy loses no request, where Traefik has no file provider. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.planning.labels import applied_of
from reconciler.planning.observed import Container

LINES = '[providers.file]\ndirectory = "/etc/traefik/dynamic"\nwatch = true'
"""What is missing in Traefik's static configuration."""
MEND = (
    f"For all sites: add these lines to Traefik's static configuration, restart it, and set [traefik] dynamic_dir to that folder:\n{LINES}"
)


@dataclass(frozen=True)
class Guarantee:
    """Names of sites with a healthcheck, their own or their image's, and of those without."""

    promised: tuple[str, ...]
    unpromised: tuple[str, ...]

    def __str__(self) -> str:
        rows = ["Traefik has no file provider ([traefik] dynamic_dir is empty)."]
        if self.promised:
            rows.append(f"With a healthcheck, a deploy loses no request: {', '.join(self.promised)}.")
        if self.unpromised:
            rows.append(f"Without a healthcheck, no promise: {', '.join(self.unpromised)}.")
        return " ".join(rows)


def guarantee(sites: Iterable[DesiredSite], containers: Iterable[Container]) -> Guarantee:
    """An image's own healthcheck shows once it runs."""
    running = [c for c in containers if c.state == "running"]
    checked = {site.name: all(_is_checked(site, service, running) for service in site.services) for site in sites}
    return Guarantee(
        tuple(sorted(name for name, yes in checked.items() if yes)), tuple(sorted(name for name, yes in checked.items() if not yes))
    )


def _is_checked(site: DesiredSite, service: DesiredService, running: Iterable[Container]) -> bool:
    check = service.spec.healthcheck
    if check is not None and check.test:
        return check.test[0] != "NONE"
    mine = [c for c in running if (c.site, c.service) == (site.name, service.name) and applied_of(c).spec.image == service.spec.image]
    return bool(mine) and all(c.health != "none" for c in mine)
