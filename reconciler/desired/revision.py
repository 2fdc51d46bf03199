"""One commit and its files, as every source hands it over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """One path of a revision. `id` changes when the content does (a git blob id); `size` is in bytes."""

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
