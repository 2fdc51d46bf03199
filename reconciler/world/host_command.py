"""Running the host's own programs, and changing its files, with errors that people can read."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import ShipstoneError


def run(*command: str) -> None:
    """Raises ShipstoneError with what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise ShipstoneError(f"cannot run {command[0]}: {error.strerror}. Install it.") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise ShipstoneError(f"cannot run `{' '.join(command)}`: {said}. Mend that, and run this again.")


def says(*command: str) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Raises ShipstoneError for what the system refuses inside the block."""
    try:
        yield
    except OSError as error:
        raise ShipstoneError(f"cannot change {path}: {error.strerror}. Mend that, and run this again.") from None
