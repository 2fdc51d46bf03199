"""What the host's administrator lets sites do. The default is closed: a site gets nothing of the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from reconciler.desired.refusal import Refusal, show

SOCKETS = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/var/run/podman/podman.sock",
)


@dataclass(frozen=True)
class Limits:
    """What one site may have in all, every replica counted; memory in bytes. None: no limit; of a grant: as it is, and
    0: no limit. `default_pids`: of each container that writes no pids_limit, 0 for none."""

    replicas: int | None = None
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    default_pids: int | None = None


@dataclass(frozen=True)
class Grant:
    """What sites whose name matches `site` get besides: lists are added to the policy's, single values take their place.

    `hosts`, `private_images`: patterns of host names and of images that these sites alone may have.
    """

    site: str
    gives: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hosts: tuple[str, ...] = ()
    private_images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """`bind_roots`: host folders below which sites may bind-mount. `capabilities`: which `cap_add` may name.

    `domains`: domains, besides the fleet's own, whose names sites may claim; `hosts`: patterns that host names must match, with {site}
    for the site's name; empty is any. `registries`, `images`: where images may come from, and which; empty is any. `private_images`: those
    that only a site whose grant names them may run.
    `require_tag`: refuse an image without a tag or with `latest`; `require_digest`: and without a digest.
    `middlewares`: which kinds, of those that reach beyond the site's own requests, a site may use. `tls`: there is an entry point for TLS.
    `namespaces`: which of the host's a container may share: pid, ipc, uts, userns. `devices`, `labels` (of traefik.*), `secrets` (of the
    host, that are no site's own), `shared_volumes`, `shared_hosts` (whose paths several sites may have): patterns.
    `ports`: host ports or ranges that may be published, `taken` never.
    `sockets`: what reaches the engine, never mounted into a site. `resolve`: where a host's path leads when its links are followed.
    """

    bind_roots: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    require_tag: bool = False
    middlewares: tuple[str, ...] = ()
    tls: bool = True
    sockets: tuple[str, ...] = SOCKETS
    images: tuple[str, ...] = ()
    private_images: tuple[str, ...] = ()
    require_digest: bool = False
    hosts: tuple[str, ...] = ()
    privileged: bool = False
    namespaces: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    taken: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    shared_volumes: tuple[str, ...] = ()
    shared_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()
    no_new_privileges: bool = True
    grants: tuple[Grant, ...] = ()
    resolve: Callable[[str], str] = field(default=str, compare=False, repr=False)

    def of_site(self, name: str) -> "Policy":
        """The policy for one site, its grants added."""
        merged = self
        for grant in self.grants:
            if fnmatchcase(name, grant.site):
                gives = {key: _added(getattr(merged, key), value) for key, value in grant.gives.items()}
                merged = replace(merged, **gives)
        return merged


def _added(have: Any, more: Any) -> Any:
    if isinstance(more, tuple):
        return (*have, *more)
    if isinstance(more, Limits):
        given = {name: value or None for name, value in vars(more).items() if value is not None}
        return replace(have, **given)
    return more


CLOSED = Policy()


@dataclass(frozen=True)
class Rules:
    """What the validators of a file need to know: the policy, the fleet's domain, and whether that domain is already settled; the site's
    name, empty in shipstone.yaml."""

    policy: Policy = CLOSED
    domain: str | None = None
    site: str = ""


def ask(setting: str, site: str = "") -> str:
    """Whom to ask for what; for one site alone where it has a name."""
    where = f"[policy] {setting}, or [policy.sites.{site}] {setting}" if site else f"[policy] {setting}"
    return f"ask the host's administrator for {where}"


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def check_host(host: str, rules: Rules) -> None:
    """Refuse a host name that the policy does not let this site have; `host` is in lower case."""
    if rules.domain is None:
        return
    policy = rules.policy
    theirs = [grant for grant in policy.grants if matches(host, tuple(pattern.lower() for pattern in grant.hosts))]
    if any(fnmatchcase(rules.site, grant.site) for grant in theirs):
        return
    if theirs:
        raise Refusal(
            "SS-N18",
            f"{show(host)} is kept for {theirs[0].site} by the host's policy. Use another name, or {_ask_for_hosts(rules.site)}.",
        )
    domains = (rules.domain, *policy.domains)
    if not any(host == domain or host.endswith("." + domain) for domain in (one.lower() for one in domains)):
        raise Refusal(
            "SS-N10",
            f"{show(host)} is not under {' or '.join(domains)}. Use a name there, or ask the host's administrator for [policy] domains"
            f"{f', or [policy.sites.{rules.site}] hosts' if rules.site else ''}.",
        )
    patterns = tuple(pattern.replace("{site}", rules.site).lower() for pattern in policy.hosts)
    if patterns and not matches(host, patterns):
        raise Refusal("SS-N18", f"{show(host)} is none of {', '.join(patterns)}. Use such a name, or {_ask_for_hosts(rules.site)}.")


def _ask_for_hosts(site: str) -> str:
    return f"ask the host's administrator for [policy.sites.{site}] hosts"
