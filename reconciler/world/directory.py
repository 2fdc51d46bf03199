"""A plain folder as the source: for trying things out, and for people who bring files there by other means."""

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.desired.revision import Entry, Revision, blob_id
from reconciler.errors import SourceError
from reconciler.log import log

MAX_FILES = 20_000
MAX_BYTES = 1024 * 1024 * 1024
"""Bytes of all files together."""
SETTLED = 0.1
"""Seconds after a change in which a file system may give another change the same time."""
LOOK = 1_000
"""Milliseconds between two looks whether the folder is still the one that is watched."""
RETRY = 2.0
"""Seconds between two tries to watch a folder."""


@dataclass(frozen=True)
class _Known:
    """What a path held when it was read: worth its `stamp` only where that was `settled`."""

    stamp: tuple[int, ...]
    settled: bool
    entry: Entry


class DirectorySource:
    """The files below `root`, without `.git`; symlinks inside it are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._known: dict[str, _Known] = {}
        self._last: tuple[str, Revision] | None = None

    def fetch(self) -> Revision:
        """The folder as it is: the same object as last time where nothing changed. Raises SourceError."""
        found: dict[str, tuple[str, os.stat_result]] = {}
        size = 0
        for name, at, status in _walk(self._root):
            found[name] = (at, status)
            size += status.st_size
            if len(found) > MAX_FILES or size > MAX_BYTES:
                raise SourceError(
                    f"cannot read {self._root}: it holds more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MiB. "
                    "Give the folder that holds shipstone.yaml and sites/ only."
                )
        known = {name: row for name, (at, status) in found.items() if (row := self._look(name, at, status)) is not None}
        self._known = known
        entries = {name: known[name].entry for name in sorted(known)}
        digest = hashlib.sha256(repr([(name, e.id, e.kind, e.executable) for name, e in entries.items()]).encode()).hexdigest()
        if self._last is None or self._last[0] != digest:
            paths = {name: found[name][0] for name in entries}
            self._last = (digest, Revision(f"folder:{digest[:12]}", entries, _reader(entries, paths)))
        return self._last[1]

    def last(self) -> Revision | None:
        """Nothing: the folder itself is at hand, or it is not."""
        return None

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Calls `changed` once when the watch stands, and after every change; returns what stops it."""
        stop = threading.Event()
        threading.Thread(target=_watch, args=(self._root, changed, stop), name="watch", daemon=True).start()
        return stop.set

    def _look(self, name: str, at: str, status: os.stat_result) -> _Known | None:
        """What is known of a file, read only where it changed; None where it is gone by now."""
        before = self._known.get(name)
        if before is not None and before.settled and before.stamp == _stamp(status):
            return before
        now = time.time()
        try:
            data, status = _content(at)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"cannot read {at}: {error.strerror}. Let the user that runs Shipstone read it.") from None
        kind: Literal["file", "symlink"] = "symlink" if stat.S_ISLNK(status.st_mode) else "file"
        entry = Entry(blob_id(data), kind, len(data), kind == "file" and bool(status.st_mode & stat.S_IXUSR))
        return _Known(_stamp(status), max(status.st_mtime, status.st_ctime) < now - SETTLED, entry)


def _walk(root: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Name with `/`, path and status of every file and symlink below `root`; sockets, pipes and devices are left out."""
    folders = [(str(root), "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            rows = list(os.scandir(folder))
        except OSError as error:
            if prefix and isinstance(error, FileNotFoundError):
                continue
            raise SourceError(f"cannot read {folder}: {error.strerror}. Give a folder that is there and may be read.") from None
        for row in rows:
            if row.name == ".git":
                continue
            name = prefix + os.fsencode(row.name).decode("utf-8", "backslashreplace")
            try:
                status = row.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append((row.path, f"{name}/"))
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                yield name, row.path, status


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Two equal ones mean the same content; the change time also tells a modification time that was set back."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode


def _content(at: str) -> tuple[bytes, os.stat_result]:
    """The bytes of a file, or the target of a symlink, and the status that it had before it was read. Raises OSError."""
    status = os.lstat(at)
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(os.readlink(at)), status
    # A file that became a pipe meanwhile must not block.
    with open(os.open(at, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        return file.read() if stat.S_ISREG(status.st_mode) else b"", status


def _reader(entries: Mapping[str, Entry], paths: Mapping[str, str]) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        """A file's bytes, or a symlink's target, as they were when the folder was read. Raises SourceError."""
        if path not in entries:
            raise SourceError(f"cannot read {path}: it is not in the folder. Put the file there.")
        try:
            data, _ = _content(paths[path])
        except OSError as error:
            raise SourceError(f"cannot read {paths[path]}: {error.strerror}. The next pass looks again.") from None
        if blob_id(data) != entries[path].id:
            raise SourceError(f"cannot read {paths[path]}: it changed meanwhile. The next pass takes it as it is then.")
        return data

    return read


def _watch(root: Path, changed: Callable[[], None], stop: threading.Event) -> None:
    """Until `stop`; a folder that is missing, or was replaced by another, is watched when it is there."""
    warned = False
    while not stop.is_set():
        try:
            _watch_one(root, changed, stop)
            warned = False
        except (OSError, RuntimeError) as error:
            if not warned:
                log.warning("cannot watch the folder; it is looked at as often as [source] poll says", folder=str(root), error=str(error))
            warned = True
            stop.wait(RETRY)


def _watch_one(root: Path, changed: Callable[[], None], stop: threading.Event) -> None:
    """Until `stop`, or until `root` names another folder. Raises OSError, RuntimeError."""
    from watchfiles import watch

    def counts(_change: object, path: str) -> bool:
        return ".git" not in Path(path).parts[len(root.parts) :]

    identity = _identity(root)
    standing = False
    for changes in watch(root, watch_filter=counts, debounce=200, step=50, stop_event=stop, rust_timeout=LOOK, yield_on_timeout=True):
        if changes or not standing:
            changed()
        standing = True
        if _identity(root) != identity:
            return


def _identity(root: Path) -> tuple[int, int]:
    status = root.stat()
    return status.st_dev, status.st_ino
