"""What a site mounts out of the repository: the files below a path, and the digest that names them."""

import hashlib
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, takewhile

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


@dataclass(frozen=True)
class Found:
    """What is below a path of the repository; `digest` names the content, whatever it is called there. `size` is in bytes."""

    digest: str
    content: Content
    size: int


class Contents:
    """What can be mounted of one revision. Each path is looked at once, however many containers mount it."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._found: dict[str, Found | str] = {}

    def find(self, source: str) -> Found | str:
        """The files below a path of the repository, or what is wrong with it."""
        source = source.strip("/").removeprefix("./")
        if source not in self._found:
            self._found[source] = self._look(source)
        return self._found[source]

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self._revision.entries)

    def _look(self, source: str) -> Found | str:
        rows = self._below(source)
        if not rows:
            return f"{source} is not in the repository. Add it, or correct the path (it starts at the repository's root)."
        for _, path, e in rows:
            if e.kind != "file":
                return f"{show(path)} is a {e.kind}, which is not followed. Put the file itself into the repository."
            if not _is_file_name(path):
                return f"{show(path)} has a part that no file may be called. Rename it."
        size = sum(e.size for _, _, e in rows)
        if size > MAX_CONTENT:
            return f"{source} is over {MAX_CONTENT // 1024 // 1024} MiB. Put large content into the image or a volume."
        if pointer := next((path for _, path, e in rows if _is_lfs(self._revision, path, e)), None):
            return f"{show(pointer)} {LFS}"
        named = "\n".join(f"{inside}\0{e.id}\0{e.executable:d}" for inside, _, e in rows)
        content = Content(tuple((inside, path, e.executable) for inside, path, e in rows))
        return Found(hashlib.sha256(named.encode()).hexdigest()[:32], content, size)

    def _below(self, source: str) -> list[tuple[str, str, Entry]]:
        """Path inside the folder, path in the repository, entry."""
        entries = self._revision.entries
        if source in entries:
            return [("", source, entries[source])]
        start = "" if source in ("", ".") else f"{source}/"
        first = bisect_left(self._paths, start)
        below = takewhile(lambda path: path.startswith(start), islice(self._paths, first, None))
        return [(path[len(start) :], path, entries[path]) for path in below]


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
