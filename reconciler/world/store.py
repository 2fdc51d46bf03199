"""What should not be forgotten but may be: what people said, failed and past releases; `history` beside it. Lose it, only that is lost."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import ShipstoneError
from reconciler.log import log
from reconciler.planning.diff import DifferenceKey
from reconciler.planning.failed import FailedRelease
from reconciler.planning.images import Ran
from reconciler.planning.intents import Kind, Said
from reconciler.planning.past import PastRelease, past_release
from reconciler.world.history_store import HistoryStore
from reconciler.world.store_file import NOWHERE, copied, opened, put_aside, which

UNHEARD = -1
"""No version: changed() says so, whatever there is."""
RELEASES = 5
"""Past releases of each site; older ones go."""


class Store:
    """Safe to use from several threads. A file that is no database, or damaged, is put aside, and an empty one made; one that somebody
    took away, or put there, is noticed by changed(). `history` is in the same file: damage of its tables alone costs only that."""

    def __init__(self, path: Path, *, spare: bool = False) -> None:
        """`spare`: of one that cannot be opened, as on a full disk, a copy in memory serves until it can be."""
        self._path = path
        self._lock = threading.Lock()
        self._version = UNHEARD
        try:
            self._db, self._file = opened(path), which(path)
        except ShipstoneError as error:
            if not spare:
                raise
            log.warning("what is to be remembered is kept in memory only", error=str(error))
            self._db, self._file = copied(path), NOWHERE
        self.history = HistoryStore(self._db, self._lock)

    def _open_again(self) -> None:
        """Another file is at its place, or none."""
        before, self._db = self._db, opened(self._path)
        self._file, self._version = which(self._path), UNHEARD
        self.history.use(self._db)
        before.close()

    def failed(self) -> dict[str, FailedRelease]:
        """Releases that failed, by site."""
        return {row[0]: FailedRelease(*row) for row in self._read("SELECT site, release, reason, at FROM failed")}

    def remember_failed(self, failed: FailedRelease) -> None:
        row = (failed.site, failed.release, failed.reason, failed.at)
        self._write("INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?)", row)

    def forget_failed(self, site: str) -> None:
        self._write("DELETE FROM failed WHERE site = ?", (site,))

    def troubles(self) -> dict[str, tuple[str, str]]:
        """By site: what it was being brought to when its last steps were stopped, and by what."""
        return {row[0]: (row[1], row[2]) for row in self._read("SELECT site, release, why FROM trouble")}

    def remember_trouble(self, site: str, release: str, why: str) -> None:
        self._write("INSERT OR REPLACE INTO trouble VALUES (?, ?, ?)", (site, release, why))

    def forget_trouble(self, site: str) -> None:
        self._write("DELETE FROM trouble WHERE site = ?", (site,))

    def changed(self) -> bool:
        """Whether another process wrote something, what was read since could not be had, the file is another one, or an image was
        forgotten, since the last call."""
        with self._lock:
            if which(self._path) != self._file:
                with contextlib.suppress(ShipstoneError, sqlite3.Error):  # until one can be made, what is open serves
                    self._open_again()
            ((version,),) = self._rows("PRAGMA data_version")
            before, self._version = self._version, int(version)
        return before != self._version

    def say(self, said: Said, at: float) -> None:
        """Keep what a person said, in place of what was said of the same before; `at` is the time of day. Raises ShipstoneError."""
        self._write_surely("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", (said.kind, said.site, said.value, at))

    def unsay(self, site: str) -> bool:
        """A person takes back what suspends a site, or has it rolled back; whether there was something. Raises ShipstoneError."""
        return self._write_surely("DELETE FROM said WHERE kind IN ('suspend', 'rollback') AND site = ?", (site,)) > 0

    def forget_said(self, kind: Kind, site: str) -> None:
        """What was said is done, or over."""
        self._write("DELETE FROM said WHERE kind = ? AND site = ?", (kind, site))

    def said(self) -> tuple[Said, ...]:
        """All that people said and that still holds."""
        return tuple(Said(*row) for row in self._read("SELECT kind, site, value FROM said"))

    def remember_release(self, site: str, release: str, content: str, at: float) -> None:
        """A release that runs whole, as the newest; of each site the last few are kept."""
        self._write("INSERT OR REPLACE INTO release VALUES (?, ?, ?, ?)", (site, release, content, at))
        older = "SELECT release FROM release WHERE site = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?2"
        self._write(f"DELETE FROM release WHERE site = ?1 AND release IN ({older})", (site, RELEASES))  # noqa: S608  our own text

    def releases(self) -> dict[str, tuple[PastRelease, ...]]:
        """Past releases by site, the newest first."""
        found: dict[str, tuple[PastRelease, ...]] = {}
        for site, release, content, at in self._read("SELECT site, release, content, at FROM release ORDER BY site, at DESC"):
            if past := past_release(site, release, content, at):
                found[site] = (*found.get(site, ()), past)
        return found

    def last(self) -> dict[str, str]:
        """By site: the release that was whole last."""
        return dict(self._read("SELECT site, release FROM last"))

    def remember_last(self, site: str, release: str) -> None:
        self._write("INSERT OR REPLACE INTO last VALUES (?, ?)", (site, release))

    def forget_last(self, site: str) -> None:
        self._write("DELETE FROM last WHERE site = ?", (site,))

    def remember_images(self, rows: Iterable[Ran]) -> None:
        """What releases had for images; longer than the releases themselves are kept."""
        for row in rows:
            self._write("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?, ?)", (row.site, row.release, row.image, row.digest, row.at))

    def images(self) -> tuple[Ran, ...]:
        """All that were remembered and not forgotten."""
        return tuple(Ran(*row) for row in self._read("SELECT site, release, name, digest, at FROM image"))

    def forget_image(self, digest: str) -> None:
        """It is gone, and with it every past release that would need it; changed() says so."""
        self._write("DELETE FROM image WHERE digest = ?", (digest,))
        self._write("DELETE FROM release WHERE instr(content, ?)", (json.dumps(digest),))
        with self._lock:
            self._version = UNHEARD

    def differences(self) -> dict[DifferenceKey, str]:
        """Since when (ISO 8601) each difference is there."""
        return {row[:6]: row[6] for row in self._read("SELECT * FROM difference")}

    def remember_differences(self, rows: Mapping[DifferenceKey, str]) -> None:
        """These, and no others."""
        with self._lock, contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM difference")
            self._db.executemany("INSERT INTO difference VALUES (?, ?, ?, ?, ?, ?, ?)", [(*key, since) for key, since in rows.items()])

    def note(self, key: str) -> str:
        """What was kept under this key; empty where nothing was."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            row = self._db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
            return str(row[0]) if row else ""
        return ""

    def keep_note(self, key: str, value: str) -> None:
        """In place of what was kept before."""
        self._write("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, value))

    def close(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _write_surely(self, sql: str, values: tuple[object, ...]) -> int:
        """How many rows that changed. Raises ShipstoneError: a person's word is not lost in silence."""
        try:
            with self._lock:
                return self._db.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise ShipstoneError(f"cannot write {self._path}: {error}. Look for a full disk or missing rights.") from None

    def _read(self, sql: str) -> list[Any]:
        with self._lock:
            return self._rows(sql)

    def _rows(self, sql: str) -> list[Any]:
        """Of a file that turns out to be damaged nothing is left."""
        try:
            return self._db.execute(sql).fetchall()
        except sqlite3.Error as error:
            self._version = UNHEARD
            if type(error) is not sqlite3.DatabaseError:  # its subclasses are troubles that may pass
                raise
            if which(self._path) == self._file:
                put_aside(self._path)
            self._open_again()
            return self._db.execute(sql).fetchall()

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        """A full disk must not fail the pass: what cannot be remembered is forgotten."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute(sql, values)
