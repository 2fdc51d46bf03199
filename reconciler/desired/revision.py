"""One commit and its files, as every source hands it over."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """One path of a revision. `id` changes when the content does; it is the one that git gives, also of a plain folder's files, so that
    a folder is the same release as the commit that is made of it. `size` is in bytes."""

    id: str
    kind: Literal["file", "symlink", "submodule"]
    size: int
    executable: bool = False


@dataclass(frozen=True)
class Revision:
    """What a source fetched: `entries` by path with `/`, `read` gives a file's bytes at exactly this revision.

    `waits`: the id of a newer one that needs an approval before it is fetched; `unsigned`: of a newer one whose signature does not
    count; `notice` says so. `kept`: no answer of the source, but what was taken from it before.
    """

    id: str
    entries: Mapping[str, Entry]
    read: Callable[[str], bytes] = field(repr=False, compare=False)
    author: str = ""
    subject: str = ""
    committed_at: float = 0.0
    waits: str = ""
    unsigned: str = ""
    notice: str = ""
    kept: bool = False


def blob_id(data: bytes, digits: int = 40) -> str:
    """What git calls this content; `digits` of its ids tell which hash a repository uses."""
    hashed = hashlib.sha256 if digits > 40 else hashlib.sha1
    return hashed(b"blob %d\0" % len(data) + data).hexdigest()
