"""What the host's administrator lets sites do. The default is closed: a site gets nothing of the host."""

import posixpath
from dataclasses import dataclass

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
class Policy:
    """`bind_roots`: host folders below which sites may bind-mount. `capabilities`: which `cap_add` may name.

    `domains`: domains, besides the fleet's own, whose names sites may claim. `registries`: where images may come from; empty is anywhere.
    `middlewares`: which kinds, of those that reach beyond the site's own requests, a site may use. `tls`: there is an entry point for TLS.
    `require_tag`: refuse an image without a tag or with `latest`. `sockets`: what reaches the engine, never mounted into a site.
    """

    bind_roots: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    require_tag: bool = False
    middlewares: tuple[str, ...] = ()
    tls: bool = True
    sockets: tuple[str, ...] = SOCKETS


CLOSED = Policy()


@dataclass(frozen=True)
class Rules:
    """What the validators of a file need to know: the policy, the fleet's domain, and whether that domain is already settled."""

    policy: Policy = CLOSED
    domain: str | None = None


def inside(path: str, folder: str) -> bool:
    """`path` is `folder` or lies below it; both absolute and normalised."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def check_bind(source: str, policy: Policy) -> None:
    """Refuse a bind mount that the policy does not allow; `source` is absolute and normalised."""
    for socket in policy.sockets:
        if inside(posixpath.normpath(socket), source):
            raise Refusal(
                "SS-C05",
                f"{show(source)} gives the container the engine ({socket}), and so root on this host. "
                "No policy allows it: mount a folder that does not hold it.",
            )
    roots = [posixpath.normpath(root) for root in policy.bind_roots]
    if not any(inside(source, root) for root in roots):
        allowed = f"outside {', '.join(roots)}" if roots else "a folder of the host, and none may be mounted"
        raise Refusal(
            "SS-C06",
            f"{show(source)} is {allowed}. Use a named volume, or files: for what is in the repository, "
            "or ask the host's administrator for [policy] bind_roots.",
        )


def check_domain(host: str, rules: Rules) -> None:
    """Refuse a host name that neither the fleet's domain nor the policy covers; `host` is in lower case."""
    if rules.domain is None:
        return
    domains = (rules.domain, *rules.policy.domains)
    if not any(host == domain or host.endswith("." + domain) for domain in (one.lower() for one in domains)):
        raise Refusal(
            "SS-N10",
            f"{show(host)} is not under {' or '.join(domains)}. Use a name there, or ask the host's administrator for [policy] domains.",
        )
