"""The paths of one commit, and how their bytes are read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from reconciler.desired.revision import Entry
from reconciler.errors import SourceError
from reconciler.world.git_address import Address, printable
from reconciler.world.git_blobs import Blobs
from reconciler.world.git_command import Commands


def entries_of(mirror: Path, commit: str, where: Address, commands: Commands, deadline: float) -> Mapping[str, Entry]:
    """Every path below the folder at this commit, in git's order."""
    prefix = f"{where.path}/" if where.path else ""
    below = [prefix] if prefix else []
    out = commands.run(mirror, ["--literal-pathspecs", "ls-tree", "-r", "-l", "-z", "--full-tree", "--", commit, *below], deadline)
    entries: dict[str, Entry] = {}
    for row in out.split(b"\0"):
        head, tab, name = row.partition(b"\t")
        path = name.decode("utf-8", "backslashreplace")
        if tab and path.startswith(prefix):
            mode, _, blob, size = head.split()
            kind = _kind(mode)
            entries[path.removeprefix(prefix)] = Entry(blob.decode("ascii"), kind, 0 if size == b"-" else int(size), mode == b"100755")
    if prefix and not entries:
        raise SourceError(
            f"cannot fetch {where.shown}: commit {commit[:12]} of {where.branch} has no folder {where.path!r}. "
            "Set [source] path to one that it has."
        )
    return entries


def _kind(mode: bytes) -> Literal["file", "symlink", "submodule"]:
    if mode == b"120000":
        return "symlink"
    return "submodule" if mode == b"160000" else "file"


def reader_of(commit: str, entries: Mapping[str, Entry], blobs: Blobs) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        """A file's bytes, or a symlink's target, at this commit. Raises SourceError."""
        entry = entries.get(path)
        if entry is None or entry.kind == "submodule":
            what = "is a submodule" if entry else "is not there"
            raise SourceError(f"cannot read {printable(path)}: it {what} at commit {commit[:12]}. Put the file itself into the repository.")
        return blobs.read(entry.id, path)

    return read
