"""Containers that are not ours and whose labels claim what a site has, a host name or a name in Traefik: reported, never touched."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.planning.diff import Difference
from reconciler.planning.host_pattern import fitting
from reconciler.planning.observed import Container, ForeignContainer

ROUTER = re.compile(r"traefik\.http\.routers\.([^.]+)\.(.+)", re.IGNORECASE)
NAMED = re.compile(r"(traefik\.http\.(router|service|middleware)s\.([^.]+))\..+", re.IGNORECASE)
PIECE = re.compile(r"\w+|`[^`]*`|\"[^\"]*\"|'[^']*'|\S")
"""Of a rule: a word, a text in quotes, a sign."""
YES, NO = ("true", "t", "1"), ("false", "f", "0")
"""What Traefik takes for true and false."""


@dataclass(frozen=True)
class Claim:
    """`container` by name, and the `site` whose it claims something of.

    `kind` host: its Traefik `router` with that router's `rule`, and the `host` in it. Else a router, service or middleware that has the
    very `name` of the site's own: Traefik takes both for one, or follows neither. `since` as of a difference.
    """

    container: str
    router: str
    rule: str
    host: str
    site: str
    kind: Literal["host", "router", "service", "middleware"] = "host"
    name: str = ""
    since: str = ""

    @property
    def difference(self) -> Difference:
        """As a difference of that site: nobody else should claim it."""
        actual = f"{self.host} by router {self.router}" if self.kind == "host" else self.name
        other = ", or give the site another host name" if self.kind == "host" else ""
        action = f"left: remove that container or its traefik.* labels{other}"
        return Difference("", self.container, f"claim.{self.kind}", "", actual, "drift", self.since, action)

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
    foreign: tuple[ForeignContainer, ...],
    hosts: Mapping[str, str],
    instance: str = "",
    ours: Collection[Container] = (),
    domain: str = "",
) -> tuple[Claim, ...]:
    """What foreign containers claim of ours; `hosts`: host name → site, `ours`: the containers of `instance`.

    `domain`: of the default rule, where Traefik's static configuration is the generated one; empty: nobody knows what it exposes.
    """
    read = tuple(container for container in foreign if _is_read(container, domain))
    of_hosts = (claim for container in read for claim in _hosts_of(container, hosts, domain))
    return (*of_hosts, *(claim for container in read for claim in _names_of(container, instance, ours)))


def _is_read(container: ForeignContainer, domain: str) -> bool:
    """The generated traefik.toml exposes only who says so; another one may expose all that do not say no."""
    enable = {key.casefold(): value for key, value in container.labels}.get("traefik.enable", "").casefold()
    return enable in YES if domain else enable not in NO


def _names_of(container: ForeignContainer, instance: str, ours: Collection[Container]) -> Iterator[Claim]:
    found = (match for key, _ in container.labels if (match := NAMED.fullmatch(key)) and match[3].startswith(f"{instance}-"))
    for start, kind, name in dict.fromkeys((match[1].lower(), match[2].lower(), match[3]) for match in found):
        if site := next((c.site for c in ours if any(key.startswith(f"{start}.") for key in c.labels)), ""):
            yield Claim(container.name, "", "", "", site, kind, name)  # type: ignore[arg-type]


def _hosts_of(container: ForeignContainer, sites: Mapping[str, str], domain: str) -> Iterator[Claim]:
    for router, rule in _rules(container, domain):
        for host in dict.fromkeys(host for matcher, text in _matchers(rule) for host in _hosts_in(matcher, text, sites)):
            yield Claim(container.name, router, rule, host, sites[host])


def _rules(container: ForeignContainer, domain: str) -> Iterator[tuple[str, str]]:
    """Router and rule. Who writes a router without a rule, or for HTTP none at all, gets the default rule."""
    rows = [(match[1], match[2].casefold(), value) for key, value in container.labels if (match := ROUTER.fullmatch(key))]
    written = {router: rule for router, field, rule in rows if field == "rule"}
    yield from written.items()
    if not domain:
        return
    name = "-".join(re.findall(r"[^\W_]+", container.called or container.name))
    routers = {router for router, _, _ in rows} or ({name} if _takes_http(container) else set())
    for router in sorted(routers - written.keys()):
        yield router, f"Host(`{name}.{domain}`)"


def _takes_http(container: ForeignContainer) -> bool:
    """Whoever writes something for TCP or UDP alone has no router for HTTP; nor has who writes services between which none is chosen."""
    keys = [key.casefold() for key, _ in container.labels]
    services = {key.split(".")[3] for key in keys if key.startswith("traefik.http.services.")}
    other = any(key.startswith(("traefik.tcp.", "traefik.udp.")) for key in keys)
    return len(services) < 2 and (not other or any(key.startswith("traefik.http.") for key in keys))


def _matchers(rule: str) -> Iterator[tuple[str, str]]:
    """Matchers in small letters with each of their texts, without those of which the rule says not."""
    open_groups: list[tuple[str, bool]] = [("", False)]
    word, negated = "", False
    for piece in PIECE.findall(rule):
        if piece == "(":
            open_groups.append((word, open_groups[-1][1] != negated))
        elif piece == ")" and len(open_groups) > 1:
            open_groups.pop()
        elif piece[0] in "`\"'" and len(piece) > 1 and not open_groups[-1][1]:
            yield open_groups[-1][0], piece[1:-1]
        if piece == "!":
            negated = not negated
        elif not piece[0].isalnum():
            negated = False
        word = piece.casefold()


def _hosts_in(matcher: str, text: str, sites: Mapping[str, str]) -> Iterable[str]:
    if matcher == "hostregexp":
        return fitting(text, tuple(sites))
    return (text.casefold(),) if matcher == "host" and text.casefold() in sites else ()
