"""Blobs of a bare repository by their ids, through one `git cat-file --batch` that several threads share."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import SourceError
from reconciler.world.git_address import printable
from reconciler.world.git_command import Commands

if TYPE_CHECKING:
    from reconciler.world.git_runner import PinnedGit


class Blobs:
    """Reads blobs; `damaged` is set when one cannot be read, so that the next fetch makes the repository anew."""

    def __init__(self, commands: Commands, repository: Path) -> None:
        self._commands, self._repository = commands, repository
        self._lock = threading.Lock()
        self._git: PinnedGit | None = None
        self.damaged = False

    def read(self, blob: str, path: str) -> bytes:
        """The bytes; `path` is for messages. Raises SourceError."""
        with self._lock:
            data = self._read(blob)
            if data is None:
                self._close()
                data = self._read(blob)
            if data is None:
                self._close()
                self.damaged = True
        if data is None:
            raise SourceError(
                f"cannot read {printable(path)}: {self._repository} lost its content. The next fetch makes it anew; do nothing."
            )
        return data

    def close(self) -> None:
        """Ends the git process; the next read starts another."""
        with self._lock:
            self._close()

    def _read(self, blob: str) -> bytes | None:
        """None where the process has ended, or the blob is missing or broken."""
        self._git = self._git or self._commands.git(self._repository)
        try:
            _, _, size, data = self._git.get_object_data(blob)
        except (OSError, ValueError):
            return None
        return data if len(data) == size else None

    def _close(self) -> None:
        if self._git is not None:
            self._git.clear_cache()
            self._git = None
