"""Which paths and volumes of the host a site may mount."""

import posixpath
from collections.abc import Iterable, Mapping

from reconciler.desired.policy import Policy, ask
from reconciler.desired.refusal import Refusal, show


def inside(path: str, folder: str) -> bool:
    """`path` is `folder` or lies below it; both absolute and normalised."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def check_bind(source: str, policy: Policy, site: str = "") -> None:
    """Refuse a bind mount that the policy does not allow, as it is written or where its links lead; `source` is absolute and normalised."""
    _check(source, policy, [posixpath.normpath(root) for root in policy.bind_roots], show(source, 200), site)
    leads = posixpath.normpath(policy.resolve(source))
    if leads != source:
        roots = [posixpath.normpath(policy.resolve(posixpath.normpath(root))) for root in policy.bind_roots]
        _check(leads, policy, roots, f"{show(source, 200)} leads to {show(leads, 200)}, which", site)


def _check(source: str, policy: Policy, roots: list[str], what: str, site: str) -> None:
    for socket in policy.sockets:
        places = {posixpath.normpath(socket), posixpath.normpath(policy.resolve(socket))}
        if any(inside(place, source) for place in places):
            raise Refusal(
                "SS-C05",
                f"{what} gives the container the engine ({socket}), and so root on this host. "
                "No policy allows it: mount a folder that does not hold it.",
            )
    if not any(inside(source, root) for root in roots):
        allowed = f"outside {', '.join(roots)}" if roots else "a folder of the host, and none may be mounted"
        raise Refusal(
            "SS-C06",
            f"{what} is {allowed}. Use a named volume, or files: for what is in the repository, or {ask('bind_roots', site)}.",
        )


def check_users(volume: str, users: Iterable[tuple[str, str]], keepers: Mapping[str, str], site: str) -> None:
    """Refuse a volume that another site's container keeps, or that only containers of somebody else have; `users`: their names, and the
    site of each, empty for those; `keepers`: of other sites those that stay, with the site of each."""
    users = tuple(users)
    how = f"Use a name of its own, as in {site}-{show(volume)}, or {ask('shared_volumes', site)}."
    for name, of in keepers.items():
        raise Refusal("SS-C34", f"the volume {show(volume)} is mounted by {name}, a container of the site {of}, which keeps it. {how}")
    if users and not any(of for _, of in users):
        raise Refusal("SS-C34", f"the volume {show(volume)} is mounted by {users[0][0]}, a container that is not Shipstone's. {how}")
