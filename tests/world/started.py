"""What this process starts: every program with its arguments and environment, and the lines of ours that led there."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).parents[2] / "reconciler"
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
"""Python's audit events of whatever can start a program."""


@dataclass(frozen=True)
class Started:
    """`environment` is None where all of ours is inherited; `lines` are those of the package, as file and number, innermost first."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] | None
    folder: str
    lines: tuple[tuple[str, int], ...]


_found: list[Started] | None = None
_hooked: list[bool] = []


@contextmanager
def recorded() -> Iterator[list[Started]]:
    """What the package starts meanwhile."""
    global _found
    if not _hooked:
        sys.addaudithook(_heard)  # for the life of the process: Python takes none away
        _hooked.append(True)
    _found = found = []
    try:
        yield found
    finally:
        _found = None


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _found is None or event not in STARTS:
        return
    lines = tuple(_ours(sys._getframe(1)))
    if not lines:
        return
    assert event == "subprocess.Popen", f"{event} at {lines[0]}: start programs with subprocess, an environment and a folder"
    _, command, folder, environment = arguments
    _found.append(Started(tuple(map(str, command)), dict(environment) if environment is not None else None, str(folder or ""), lines))


def _ours(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if PACKAGE in file.parents:
            yield file.relative_to(PACKAGE).as_posix(), frame.f_lineno
        frame = frame.f_back
