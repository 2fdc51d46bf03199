"""One instance by lock: two reconcilers of one instance would undo each other's work."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from reconciler.errors import ShipstoneError


class InstanceLock:
    """Held while the process lives, whatever ends it; the file holds the holder's pid."""

    def __init__(self, path: Path, instance: str) -> None:
        self._path, self._instance = path, instance
        self._fd = -1

    def __enter__(self) -> "InstanceLock":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ShipstoneError(
                f"cannot lock {self._path}: {error.strerror}. Make the state folder writable, or set [state] dir."
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise ShipstoneError(
                f"cannot start: instance {self._instance} is already run by process {holder} (lock {self._path}). "
                "Stop it first, or use another instance name and state folder."
            ) from None
        with contextlib.suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def holder(self) -> int:
        """The process that holds it now; 0 when nobody does."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(fd, 32).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(fd)
        return 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)
