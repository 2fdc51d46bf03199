"""Files that Shipstone generates: what it wrote last is kept beside its state, so that what a hand changed since is told from news."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import ShipstoneError
from reconciler.planning.observed import FileRow
from reconciler.world.files import stamp_of, write_if_changed

SHOWN = 5
"""Lines of one file that are told one by one, of those that are missing and of those that are there."""
MENDED = "written again"


@dataclass(frozen=True)
class Part:
    """A file or our part of it: `read` gives its present text, `write` makes it another one. Both may raise ShipstoneError."""

    name: str
    path: Path
    read: Callable[[], str]
    write: Callable[[str], object]


class GeneratedFiles:
    """`kept` is the folder for what was written last. Lose it, and a hand's change is overwritten without being told."""

    def __init__(self, parts: Sequence[Part], kept: Path) -> None:
        self._parts, self._kept = tuple(parts), kept
        self._looked: dict[str, tuple[object, tuple[FileRow, ...]]] = {}
        self._told: tuple[FileRow, ...] = ()
        self._mended: tuple[FileRow, ...] = ()

    def differences(self) -> tuple[FileRow, ...]:
        """What a hand changed: what is there now, and what was put right before it was told."""
        mended, self._mended = self._mended, ()
        self._told = tuple(row for part in self._parts for row in self._look(part))
        return (*mended, *self._told)

    def touched(self) -> bool:
        """Whether a file is another one than when it was looked at."""
        return any(looked[0] != self._stamps(part) for part in self._parts if (looked := self._looked.get(part.name)))

    def write(self, texts: dict[str, str]) -> None:
        """Each part by its name. What a hand changed is remembered first. Raises ShipstoneError for the first that cannot be written."""
        errors: list[ShipstoneError] = []
        for part in self._parts:
            changed = self._look(part)
            try:
                part.write(texts[part.name])
                write_if_changed(self._kept / part.name, texts[part.name])
            except ShipstoneError as error:
                errors.append(error)
                continue
            self._looked.pop(part.name, None)
            self._mended = (*self._mended, *(row for row in changed if row not in self._told))
        if errors:
            raise errors[0]

    def _look(self, part: Part) -> tuple[FileRow, ...]:
        """Reads only what has changed since it was looked at."""
        now = self._stamps(part)
        before = self._looked.get(part.name)
        if before is None or before[0] != now:
            before = self._looked[part.name] = now, tuple(self._compared(part))
        return before[1]

    def _stamps(self, part: Part) -> object:
        return stamp_of(part.path), stamp_of(self._kept / part.name)

    def _compared(self, part: Part) -> Iterator[FileRow]:
        with contextlib.suppress(OSError):
            wanted = (self._kept / part.name).read_text(encoding="utf-8", errors="replace")
            try:
                actual = part.read()
            except ShipstoneError as error:
                yield FileRow(str(part.path), part.name, "as it was written", "not to be read", f"left: {error}")
                return
            if actual != wanted:
                yield from _lines(part, wanted, actual)


def _lines(part: Part, wanted: str, actual: str) -> Iterator[FileRow]:
    """Line by line, up to a few."""
    if not actual:
        yield FileRow(str(part.path), part.name, "present", "", MENDED)
        return
    old, new = wanted.splitlines(), actual.splitlines()
    missing, added = [line for line in old if line not in new], [line for line in new if line not in old]
    for lines, desired in ((missing, True), (added, False)):
        for line in _few(lines):
            yield FileRow(str(part.path), part.name, line if desired else "", "" if desired else line, MENDED)
    if not missing and not added:
        yield FileRow(str(part.path), part.name, "its lines in order", "the same lines otherwise", MENDED)


def _few(lines: Iterable[str]) -> list[str]:
    rows = [line.strip() for line in lines]
    return rows if len(rows) <= SHOWN else [*rows[: SHOWN - 1], f"{len(rows) - SHOWN + 1} more lines"]
