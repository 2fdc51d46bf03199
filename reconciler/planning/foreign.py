"""Containers that are not ours and claim a host name of a site: reported, never touched."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.planning.observed import ForeignContainer

ROUTER_RULE = re.compile(r"traefik\.http\.routers\.([^.]+)\.rule", re.IGNORECASE)
HOSTS = re.compile(r"Host\(([^)]*)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """`container` by name, its Traefik `router` with that router's `rule`, and the `host` in it that `site` has."""

    container: str
    router: str
    rule: str
    host: str
    site: str

    def __str__(self) -> str:
        return (
            f"{self.container} is not Shipstone's and claims {self.host} of site {self.site} (router {self.router}). "
            "Remove that container or its traefik.* labels, or give the site another host name."
        )


def claims(foreign: tuple[ForeignContainer, ...], sites: Mapping[str, str]) -> tuple[Claim, ...]:
    """Routers of foreign containers whose rules name a host of a site; `sites`: host name → site."""
    return tuple(claim for container in foreign for claim in _claims_of(container, sites))


def _claims_of(container: ForeignContainer, sites: Mapping[str, str]) -> Iterator[Claim]:
    labels = {key.casefold(): value for key, value in container.labels}
    if labels.get("traefik.enable", "").casefold() in ("false", "0"):
        return
    for key, rule in container.labels:
        if router := ROUTER_RULE.fullmatch(key):
            named = re.findall(r"[`\"']([^`\"']+)[`\"']", " ".join(HOSTS.findall(rule)))
            for host in dict.fromkeys(name.casefold() for name in named):
                if host in sites:
                    yield Claim(container.name, router[1], rule, host, sites[host])
