"""The pin file on disk: one per instance, in a folder that Traefik watches."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.errors import ShipstoneError
from reconciler.failpoints import failpoint
from reconciler.planning.observed import FileRow, Pin
from reconciler.planning.pin_file import is_as_written, parse_pins, render_pins
from reconciler.world.files import write_if_changed


class PinFile:
    """`<directory>/<instance>.toml`, read afresh in each pass: what is on disk is what counts.

    It need not survive a power cut: without it, labels route. Without a directory there are no pins: none is read, none written.
    """

    def __init__(
        self, directory: Path | None, instance: str, entry_points: Sequence[str], tls_entry_points: Sequence[str] = ("websecure",)
    ) -> None:
        self._path = directory / f"{instance}.toml" if directory else None
        self._instance = instance
        self._entry_points, self._tls_entry_points = tuple(entry_points), tuple(tls_entry_points)
        self._lock = threading.Lock()
        self._parsed: tuple[str, dict[str, Pin], str] = ("", {}, "")
        self._right: tuple[str, dict[str, Pin]] | None = None
        """The newest text that nobody changed, and its pins."""
        self._mended: tuple[FileRow, ...] = ()

    def read(self) -> dict[str, Pin]:
        """Pins by site; none when there is no file yet."""
        with self._lock:
            return dict(self._load()[1])

    def digest(self) -> str:
        """What tells this content of the file from another; Traefik's API says which one it holds."""
        with self._lock:
            return self._load()[2]

    def age(self) -> float:
        """Seconds since the file was written; 0 when there is none."""
        try:
            return time.time() - self._path.stat().st_mtime if self._path else 0.0
        except OSError:
            return 0.0

    def ensure(self) -> None:
        """A file with the sentinel is there, so that Traefik has something to load, and as it was written: what a hand made of it goes."""
        with self._lock:
            _, pins, digest = self._load()
            changed = self._changed()
            if changed or not digest:
                self._mended = (*self._mended, *changed)
                self._write(self._right[1] if self._right else pins)

    def differences(self) -> tuple[FileRow, ...]:
        """What a hand changed: what is there now, and what was put right since the last call."""
        with self._lock:
            self._load()
            mended, self._mended = self._mended, ()
            return (*mended, *self._changed())

    def touched(self) -> bool:
        """Whether the file is not as it was written last."""
        try:
            return self._path is not None and self._right is not None and self._path.read_text(encoding="utf-8") != self._right[0]
        except (OSError, UnicodeDecodeError):
            return True

    def _changed(self) -> tuple[FileRow, ...]:
        """Of the text that was read last. Before the first one there was none."""
        text = self._parsed[0]
        if self._path is None or (self._right and self._right[0] == text) or not (text or self._right):
            return ()
        actual = "other routes than Shipstone wrote" if text else ""
        return (FileRow(str(self._path), "pins", "the routes of sites in motion", actual, "written again"),)

    def set(self, changes: Mapping[str, Pin | None]) -> None:
        """Write sites' pins, or take them away (None), all in one change of the file."""
        what = "pin" if any(changes.values()) else "unpin"
        with self._lock:
            _, there, _ = self._load()
            before = self._right[1] if self._right and self._changed() else there
            pins = {site: pin for site, pin in {**before, **changes}.items() if pin is not None}
            failpoint(what)
            self._write(pins)
            failpoint(f"{what}ned")

    def _write(self, pins: Mapping[str, Pin]) -> None:
        if self._path is None:
            return
        text, digest = render_pins(self._instance, self._entry_points, pins, self._tls_entry_points)
        write_if_changed(self._path, text, durable=False, aside=True)  # Traefik throttles what it hears of its folder
        self._right = text, dict(pins)
        self._parsed = text, dict(pins), digest

    def _load(self) -> tuple[str, dict[str, Pin], str]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace") if self._path else ""
        except FileNotFoundError:
            text = ""
        except OSError as error:
            raise ShipstoneError(f"cannot read {self._path}: {error.strerror}. Correct [traefik] dynamic_dir.") from None
        if text != self._parsed[0]:
            self._parsed = (text, *parse_pins(self._instance, text))
            if is_as_written(self._instance, text):
                self._right = text, self._parsed[1]
        return self._parsed
