"""The store's file: opened or made, of whatever version it is, put aside where it is no database."""

import contextlib
import sqlite3
import time
from pathlib import Path

from reconciler.errors import ShipstoneError
from reconciler.world import history_store

SCHEMA = """
CREATE TABLE IF NOT EXISTS failed (site TEXT PRIMARY KEY, release TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS trouble (site TEXT PRIMARY KEY, release TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS difference (
  site TEXT, service TEXT, container TEXT, field TEXT, desired TEXT, actual TEXT, since TEXT NOT NULL,
  PRIMARY KEY (site, service, container, field, desired, actual)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (kind TEXT, site TEXT, value TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, site)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release (
  site TEXT, release TEXT, content TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (site, release)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS image (
  site TEXT, release TEXT, name TEXT NOT NULL, digest TEXT, at REAL NOT NULL, PRIMARY KEY (site, release, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last (site TEXT PRIMARY KEY, release TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
VERSION = 3
BUSY = 10.0
"""Seconds that another process may have it for itself."""
NOWHERE = 0, 0
"""The file of a store that is in memory."""


def opened(path: Path) -> sqlite3.Connection:
    """Made where it is missing. Raises ShipstoneError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _opened_or_made(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise ShipstoneError(f"cannot open {path}: {error}. Make the state folder writable, or set [state] dir.") from None


def copied(path: Path) -> sqlite3.Connection:
    """In memory, of what can be read of it without writing."""
    db = _reached(":memory:")
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as kept,
    ):
        kept.backup(db)
    return _prepared(db)


def put_aside(path: Path) -> None:
    path.replace(path.with_suffix(".broken"))


def which(path: Path) -> tuple[int, int] | None:
    """Which file is there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _opened_or_made(path: Path) -> sqlite3.Connection:
    deadline = time.monotonic() + BUSY
    while True:
        try:
            return _prepared(_reached(path))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # of two that make it at once SQLite turns one away without waiting
        except sqlite3.DatabaseError:
            put_aside(path)
            return _prepared(_reached(path))


def _reached(place: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(place, check_same_thread=False, isolation_level=None, timeout=BUSY)


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    """With all its tables, as this version wants them; closed where that cannot be had."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, never the file
        db.executescript(SCHEMA + history_store.SCHEMA)
        _migrate(db)
        db.execute("SELECT count(*) FROM failed").fetchone()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection) -> None:
    """A database of an older Shipstone becomes one of this version; one of a newer is left as it is."""
    if _version(db) >= VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    with db:
        if _version(db) < VERSION:  # another process may have done it meanwhile
            old = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'history'").fetchone()
            for sql in history_store.FROM_1 if old else ():
                db.execute(sql)
            if "action" not in {row[1] for row in db.execute("PRAGMA table_info(drift)")}:
                db.execute(history_store.TO_3)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
