"""Containers that are not ours and whose labels claim what a site has, a host name or a name in Traefik: reported, never touched."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.planning.observed import Container, ForeignContainer

ROUTER_RULE = re.compile(r"traefik\.http\.routers\.([^.]+)\.rule", re.IGNORECASE)
NAMED = re.compile(r"(traefik\.http\.(router|service|middleware)s\.([^.]+))\..+", re.IGNORECASE)
HOSTS = re.compile(r"Host\(([^)]*)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """`container` by name, and the `site` whose it claims something of.

    `kind` host: its Traefik `router` with that router's `rule`, and the `host` in it. Else a router, service or middleware that has the
    very `name` of the site's own: Traefik takes both for one, or follows neither.
    """

    container: str
    router: str
    rule: str
    host: str
    site: str
    kind: Literal["host", "router", "service", "middleware"] = "host"
    name: str = ""

    def __str__(self) -> str:
        who = f"{self.container} is not Shipstone's and"
        if self.kind != "host":
            return (
                f"{who} has the {self.kind} {self.name} of site {self.site} among its labels: Traefik sends it the site's requests, or "
                "follows neither. Remove that container or its traefik.* labels."
            )
        return (
            f"{who} claims {self.host} of site {self.site} (router {self.router}). "
            "Remove that container or its traefik.* labels, or give the site another host name."
        )


def claims(
    foreign: tuple[ForeignContainer, ...], hosts: Mapping[str, str], instance: str = "", ours: Collection[Container] = ()
) -> tuple[Claim, ...]:
    """What foreign containers claim of ours; `hosts`: host name → site, `ours`: the containers of `instance`."""
    read = tuple(container for container in foreign if _is_read(container))
    of_hosts = (claim for container in read for claim in _hosts_of(container, hosts))
    return (*of_hosts, *(claim for container in read for claim in _names_of(container, instance, ours)))


def _is_read(container: ForeignContainer) -> bool:
    labels = {key.casefold(): value for key, value in container.labels}
    return labels.get("traefik.enable", "").casefold() not in ("false", "0")


def _names_of(container: ForeignContainer, instance: str, ours: Collection[Container]) -> Iterator[Claim]:
    found = (match for key, _ in container.labels if (match := NAMED.fullmatch(key)) and match[3].startswith(f"{instance}-"))
    for start, kind, name in dict.fromkeys((match[1].lower(), match[2].lower(), match[3]) for match in found):
        if site := next((c.site for c in ours if any(key.startswith(f"{start}.") for key in c.labels)), ""):
            yield Claim(container.name, "", "", "", site, kind, name)  # type: ignore[arg-type]


def _hosts_of(container: ForeignContainer, sites: Mapping[str, str]) -> Iterator[Claim]:
    for key, rule in container.labels:
        if router := ROUTER_RULE.fullmatch(key):
            named = re.findall(r"[`\"']([^`\"']+)[`\"']", " ".join(HOSTS.findall(rule)))
            for host in dict.fromkeys(name.casefold() for name in named):
                if host in sites:
                    yield Claim(container.name, router[1], rule, host, sites[host])
