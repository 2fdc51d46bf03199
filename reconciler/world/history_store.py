"""What happened, on disk: in the store's database, bounded by age and by size. What cannot be written is left out."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from reconciler.planning.diff import DifferenceKey
from reconciler.planning.events import PHASE, DriftPeriod, Event

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, site TEXT NOT NULL, revision TEXT NOT NULL, release TEXT NOT NULL,
  what TEXT NOT NULL, seconds REAL NOT NULL, more TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_time ON event (at);
CREATE INDEX IF NOT EXISTS event_by_site ON event (site, at);
CREATE INDEX IF NOT EXISTS event_by_kind ON event (kind, at);
CREATE INDEX IF NOT EXISTS event_by_commit ON event (revision) WHERE kind = 'revision';
CREATE TABLE IF NOT EXISTS drift (
  id INTEGER PRIMARY KEY, site TEXT NOT NULL, service TEXT NOT NULL, container TEXT NOT NULL, field TEXT NOT NULL,
  desired TEXT NOT NULL, actual TEXT NOT NULL, opened REAL NOT NULL, closed REAL,
  action TEXT NOT NULL DEFAULT ''
);
DROP INDEX IF EXISTS drift_by_time;
DROP INDEX IF EXISTS drift_by_site;
CREATE INDEX IF NOT EXISTS drift_by_news ON drift (coalesce(closed, opened));
CREATE INDEX IF NOT EXISTS drift_by_site_and_news ON drift (site, coalesce(closed, opened));
"""
FROM_1 = (
    """INSERT INTO event (at, kind, site, revision, release, what, seconds, more)
       SELECT at, 'step', site, revision, '', trim(what), 0, '{}' FROM history ORDER BY id""",
    "DROP TABLE history",
)
"""The first version kept a line for each step."""
TO_3 = "ALTER TABLE drift ADD COLUMN action TEXT NOT NULL DEFAULT ''"
"""The second version did not keep what was done about a difference."""
EVENT = "at, kind, site, revision, release, what, seconds, more"
PERIOD = "site, service, container, field, desired, actual, opened, closed, action"
ADD_EVENT = f"INSERT INTO event ({EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  our own text, as below
OPEN_DRIFT = f"INSERT INTO drift ({PERIOD}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)"  # noqa: S608
CLOSE_DRIFT = """UPDATE drift SET closed = ?, action = ? WHERE closed IS NULL
  AND site = ? AND service = ? AND container = ? AND field = ? AND desired = ? AND actual = ?"""
SURPLUS_EVENTS = "id <= (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?)"
SURPLUS_DRIFT = "DELETE FROM drift WHERE closed IS NOT NULL AND id <= (SELECT id FROM drift ORDER BY id DESC LIMIT 1 OFFSET ?)"
LONGEST = 4000
"""Characters of one text."""
MOST = 16_000
"""Characters that all texts in `more` of one event have together: so a bound of rows is one of bytes."""
DAY = 86_400.0


class HistoryStore:
    """Safe to use from several threads: `lock` is the one of whoever else uses `db`."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db, self._lock = db, lock

    def use(self, db: sqlite3.Connection) -> None:
        """Another file from now on; whoever says so holds the lock."""
        self._db = db

    def record(self, events: Iterable[Event]) -> None:
        """Add them; a full disk must not fail the pass."""
        rows = [
            (e.at, e.kind, e.site, e.commit, e.release, e.what[:LONGEST], e.seconds, json.dumps(_cut(e.more), ensure_ascii=False))
            for e in events
        ]
        if rows:
            self._write((ADD_EVENT, row) for row in rows)

    def record_drift(self, opened: Mapping[DifferenceKey, str], closed: Mapping[DifferenceKey, str], at: float) -> None:
        """Differences by hand that were seen first, and those that are gone, with what is, or was, done about them."""
        ends = [(CLOSE_DRIFT, (at, action, *_short(key))) for key, action in closed.items()]
        begins = [(OPEN_DRIFT, (*_short(key), at, action)) for key, action in opened.items()]
        self._write([*ends, *begins])

    def events(self, site: str | None = None, limit: int = 100, kinds: Collection[str] = (), *, phases: bool = False) -> tuple[Event, ...]:
        """The newest first; of motions only what is new, unless `phases` are wanted too."""
        told = [f"kind IN ({_marks(kinds)})"] if kinds else [] if phases else [f"kind != '{PHASE}'"]
        wanted = [*(["site = ?"] if site is not None else []), *told]
        sql = f"SELECT {EVENT} FROM event {'WHERE' if wanted else ''} {' AND '.join(wanted)} ORDER BY at DESC, id DESC LIMIT ?"  # noqa: S608
        rows = self._read(sql, (*([site] if site is not None else []), *kinds, limit))
        return tuple(map(_event, rows))

    def revisions(self, commits: Collection[str]) -> dict[str, Event]:
        """What is known of these, by commit."""
        sql = f"SELECT {EVENT} FROM event WHERE kind = 'revision' AND revision IN ({_marks(commits)}) ORDER BY at, id"  # noqa: S608
        return {event.commit: event for event in map(_event, self._read(sql, tuple(commits)))}

    def drifts(self, site: str | None = None, limit: int = 100) -> tuple[DriftPeriod, ...]:
        """Those of which there is news last first: that it was opened, or closed."""
        wanted = "WHERE site = ?" if site is not None else ""
        sql = f"SELECT {PERIOD} FROM drift {wanted} ORDER BY coalesce(closed, opened) DESC, id DESC LIMIT ?"  # noqa: S608  our own text
        return tuple(DriftPeriod(*row) for row in self._read(sql, (*([site] if site is not None else []), limit)))

    def open_drift(self) -> dict[DifferenceKey, str]:
        """What was there when it was last looked, and what was done about it."""
        rows = self._read("SELECT site, service, container, field, desired, actual, action FROM drift WHERE closed IS NULL", ())
        return {(row[0], row[1], row[2], row[3], row[4], row[5]): row[6] for row in rows}

    def moving(self) -> frozenset[str]:
        """Sites that were not at rest when it was last looked."""
        sql = "SELECT site, kind, max(at) FROM event WHERE kind IN ('plan', 'phase', 'rest') GROUP BY site"
        return frozenset(row[0] for row in self._read(sql, ()) if row[1] != "rest")

    def tidy(self, now: float, keep_days: float, keep_rows: int, commits: Collection[str] = ()) -> None:
        """Drop what is older, and of the rest what is too much; revisions of `commits`, and drift that is still there, stay."""
        before = now - keep_days * DAY
        drop = f"DELETE FROM event WHERE NOT (kind = 'revision' AND revision IN ({_marks(commits)})) AND "  # noqa: S608  our own text
        self._write(
            [
                (drop + "at < ?", (*commits, before)),
                ("DELETE FROM drift WHERE closed < ?", (before,)),
                (drop + SURPLUS_EVENTS, (*commits, keep_rows)),
                (SURPLUS_DRIFT, (keep_rows,)),
            ]
        )

    def _read(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock, contextlib.suppress(sqlite3.Error):
            return self._db.execute(sql, values).fetchall()
        return []

    def _write(self, calls: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """All of it or nothing."""
        with self._lock, contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute("BEGIN")
            for sql, values in calls:
                self._db.execute(sql, values)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _event(row: tuple[Any, ...]) -> Event:
    *kept, more = row
    return Event(*(*kept, json.loads(more)))


def _cut(more: Mapping[str, Any]) -> dict[str, Any]:
    """Its texts, and those of its lists, as long as there is room."""
    left = MOST

    def cut(value: Any) -> Any:
        nonlocal left
        if isinstance(value, list):
            return [cut(text) for text in value if left > 0]
        if not isinstance(value, str):
            return value
        text = value[:left]
        left -= min(left, len(text) + 1)  # an empty one costs something, too
        return text

    return {key: cut(value) for key, value in more.items()}


def _short(key: DifferenceKey) -> tuple[str, ...]:
    return tuple(text[:LONGEST] for text in key)
