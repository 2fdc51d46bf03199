"""Paths: what is mounted where, from the repository, a volume, memory or the host. Each gives the value or raises Refusal."""

import posixpath
import re
from typing import Any

from reconciler.desired.bind_mounts import check_bind
from reconciler.desired.policy import Rules
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.scalars import text


def absolute(value: object) -> str:
    """An absolute path inside the container, normalised; not "/" itself."""
    written = text(value)
    if not written.startswith("/") or ".." in written.split("/") or "\n" in written or ":" in written or len(written) > 1024:
        raise Refusal("SS-C07", f"{show(written)} is not an absolute path. Write one such as /data, without '..' and ':'.")
    path = "/" + posixpath.normpath(written).lstrip("/")
    if path == "/":
        raise Refusal("SS-C07", "'/' is the whole container. Write a folder or file in it, as in /data.")
    return path


def folder(value: object) -> str:
    """A working folder: as absolute(), and "/" is one."""
    return "/" if value == "/" else absolute(value)


def one_target_each(value: Any) -> Any:
    """Refuse two spellings of one path as keys of `files`."""
    seen: dict[str, str] = {}
    for written in value if isinstance(value, dict) else ():
        path = posixpath.normpath(written)
        if path in seen:
            raise Refusal("SS-C21", f"{show(written)} is the same place as {show(seen[path])}. Keep one of them.", (written, "[key]"))
        seen[path] = written
    return value


def volume(value: object, rules: Rules) -> str:
    """SOURCE:TARGET[:ro|rw] of a named volume, or of a host's path where the policy allows it; normalised."""
    if isinstance(value, dict):
        raise Refusal("SS-C08", "this is Compose's long form. Write the short one, SOURCE:TARGET or SOURCE:TARGET:ro.")
    written = text(value)
    parts = written.split(":")
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
        if len(parts) == 1:
            raise Refusal("SS-C08", f"{show(written)} is a volume without a name, lost with its container. Write NAME:{show(written)}.")
        raise Refusal("SS-C08", f"{show(written)} is not a volume. Write SOURCE:TARGET or SOURCE:TARGET:ro.")
    source, target = parts[0], absolute(parts[1])
    if source.startswith("/"):
        source = _bind_source(source, rules)
    elif "/" in source or source.startswith((".", "~")):
        raise Refusal("SS-C07", f"{show(source)} is relative to nothing on the host. For what is in the repository use files:.")
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", source, re.ASCII):
        raise Refusal("SS-C08", f"{show(source)} cannot be a volume's name. Use letters, digits, '_', '.' and '-'.")
    return ":".join([source, target, *parts[2:]])


def _bind_source(source: str, rules: Rules) -> str:
    if ".." in source.split("/") or "\n" in source:
        raise Refusal("SS-C07", f"{show(source)} has '..' in it. Write the path itself.")
    path = "/" + posixpath.normpath(source).lstrip("/")
    check_bind(path, rules.policy, rules.site)
    return path


def repository_path(value: object) -> str:
    """The source of a file mount: a path inside the repository, normalised. Whether it exists is not known here."""
    written = text(value)
    parts = written.split("/")
    if written.startswith(("/", "~")) or ".." in parts or "\\" in written or not written.isprintable() or len(written) > 1024:
        wanted = "Write it from the repository's top, without '..', as in front/nginx.conf."
        raise Refusal("SS-C17", f"{show(written)} is not a path inside the repository. {wanted}")
    path = posixpath.normpath(written) if written else "."
    if path == "." or path.split("/")[0].casefold() == ".git":
        raise Refusal(
            "SS-C17", f"{show(written)} is not something to mount. Name a file or folder of the repository, as in front/nginx.conf."
        )
    return path


def tmpfs(value: object) -> str:
    """PATH or PATH:OPTIONS of a folder in memory."""
    path, colon, options = text(value).partition(":")
    if colon and not re.fullmatch(r"[a-z0-9_=,%]+", options, re.ASCII):
        raise Refusal("SS-C24", f"{show(options)} are not mount options. Write PATH, or PATH:size=64m.")
    return absolute(path) + colon + options


def overlapping(targets: list[tuple[str, str]]) -> tuple[str, str, str] | None:
    """The first target (path, key) that two mounts share: the path and both keys."""
    seen: dict[str, str] = {}
    for path, key in targets:
        if path in seen:
            return path, seen[path], key
        seen[path] = key
    return None
