"""What a site mounts out of the repository: the files below a path, and the digest that names them."""

import hashlib
from collections.abc import Mapping

from reconciler.desired.desired import Content
from reconciler.desired.file_text import MAX_BYTES, too_large
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import show
from reconciler.desired.revision import Entry, Revision

MAX_CONTENT = 16 * 1024 * 1024
"""Bytes of one `files` entry, all its files together."""
POINTER_SIZES = range(120, 200)
"""Bytes of a pointer of Git LFS."""
POINTER = b"version https://git-lfs.github.com/spec/"
LFS = "is a pointer of Git LFS, which is not fetched. Put the file itself into the repository."


def content_of(revision: Revision, source: str) -> Content | str:
    """The files below a path of the repository, or what is wrong with it."""
    source = source.strip("/").removeprefix("./")
    entry = revision.entries.get(source)
    if entry is not None:
        rows = [("", source, entry)]
    else:
        start = "" if source in ("", ".") else f"{source}/"
        rows = [(path[len(start) :], path, e) for path, e in sorted(revision.entries.items()) if path.startswith(start)]
    if not rows:
        return f"{source} is not in the repository. Add it, or correct the path (it starts at the repository's root)."
    for _, path, e in rows:
        if e.kind != "file":
            return f"{show(path)} is a {e.kind}, which is not followed. Put the file itself into the repository."
        if not _is_file_name(path):
            return f"{show(path)} has a part that no file may be called. Rename it."
    if sum(e.size for _, _, e in rows) > MAX_CONTENT:
        return f"{source} is over {MAX_CONTENT // 1024 // 1024} MiB. Put large content into the image or a volume."
    if pointer := next((path for _, path, e in rows if _is_lfs(revision, path, e)), None):
        return f"{show(pointer)} {LFS}"
    return Content(tuple((inside, path, e.executable) for inside, path, e in rows))


def content_digest(content: Content, entries: Mapping[str, Entry]) -> str:
    """Names the content: the same whatever it is called in the repository."""
    rows = [f"{inside}\0{entries[path].id}\0{executable:d}" for inside, path, executable in content.files]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


def _is_file_name(path: str) -> bool:
    """Git itself stores any name, also such as lead out of a folder."""
    parts = path.split("/")
    return path.isprintable() and not any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)


def read_text(revision: Revision, path: str) -> bytes | Problem:
    """The bytes of a file that people write, or why it is none; what is too large is not read."""
    entry = revision.entries[path]
    if entry.kind != "file":
        return Problem(path, 0, 0, "", "SS-N17", f"is a {entry.kind}. Put the file itself into the repository.")
    if entry.size > MAX_BYTES:
        return too_large(path, entry.size)
    data = revision.read(path)
    return Problem(path, 0, 0, "", "SS-N17", LFS) if data.startswith(POINTER) else data


def _is_lfs(revision: Revision, path: str, entry: Entry) -> bool:
    """Only what has a pointer's size is read."""
    return entry.size in POINTER_SIZES and revision.read(path).startswith(POINTER)
