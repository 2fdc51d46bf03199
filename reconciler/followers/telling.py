"""Followers that tell people: notices of what happened, the scheduled report, and the heartbeat. What is said is decided in notices.py."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers import notices
from reconciler.followers.follower import Follower, Pass, last_seen
from reconciler.followers.notice_state import State, as_text, from_text
from reconciler.log import log
from reconciler.planning.plan import Plan
from reconciler.world.notify import Notice, Outbox
from reconciler.world.store import Store

BEAT = 25.0
"""Seconds between two calls of the heartbeat at the least; passes come every half minute at least."""
PAUSE = 60.0
"""Seconds until it is tried again what could not be said."""
PARK = 3.0
"""Seconds that the last message has when the daemon stops."""
Summary = Callable[[Plan, Desired], str]
"""What the report says, in Markdown."""
LONGEST = 3600.0
"""Seconds after which it is looked again: the time of day may have been set."""


@dataclass(frozen=True)
class Schedule:
    """When the report goes out, by this host's time; weekly is on Mondays."""

    every: Literal["daily", "weekly"]
    hour: int = 8
    minute: int = 0

    def after(self, at: float) -> float:
        """The first time for a report after `at`, both in seconds since 1970."""
        local = dt.datetime.fromtimestamp(at, dt.UTC).astimezone().replace(tzinfo=None)  # an offset would not change with the clocks
        found = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0, fold=0)
        if self.every == "weekly":
            found += dt.timedelta(days=-local.weekday() % 7)
        if found.timestamp() <= at:
            found += dt.timedelta(days=7 if self.every == "weekly" else 1)
        return found.timestamp()


class Teller(Follower):
    """Hears, and lets a thread of its own say what is due. `where` names this host; the store keeps what was said."""

    def __init__(
        self,
        outbox: Outbox,
        store: Store,
        where: str,
        schedule: Schedule | None = None,
        summary: Summary = lambda _plan, _desired: "",
        wall: Callable[[], float] = time.time,
        pause: float = PAUSE,
    ) -> None:
        self._outbox, self._store, self._where, self._wall = outbox, store, where, wall
        self._schedule, self._summary, self._pause = schedule, summary, pause
        self._state = from_text(store.note("notices"))
        self._done: Pass | None = None
        self._reported = 0.0
        if schedule is not None:
            self._set_reported(float(store.note("report") or wall()))  # the first report is not due at once
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._saying, name="notices due", daemon=True)
        self._thread.start()

    def fetched(self, revision: Revision, desired: Desired) -> None:
        before = self._state.merge
        who, answered = (revision.author, revision.subject), not revision.kept
        self._hear(lambda state, now: notices.fetched(state, desired, *who, now, answered=answered))
        if self._state.merge != before:
            self._store.keep_note("notices", as_text(self._state))

    def not_fetched(self, why: str) -> None:
        self._hear(lambda state, now: notices.not_fetched(state, why, now))

    def passed(self, done: Pass) -> None:
        sites = last_seen(self._done.plan.sites if self._done else {}, done.plan)
        self._done = replace(done, plan=replace(done.plan, sites=sites))
        self._hear(lambda state, now: notices.passed(state, done.plan, done.desired, now))

    def not_passed(self, why: str) -> None:
        self._hear(lambda state, now: notices.not_passed(state, why, now))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(PARK)
        self._outbox.close(PARK)

    def _hear(self, change: Callable[[State, float], State]) -> None:
        with self._changed:
            self._state = change(self._state, self._wall())
            self._changed.notify()

    def _saying(self) -> None:
        while not self._closed:
            try:
                if notice := self._next():
                    self._outbox.post(replace(notice, title=f"{self._where}: {notice.title}"))
                    self._store.keep_note("notices", as_text(self._state))
            except Exception as error:  # noqa: BLE001  the next look may go
                log.warning("cannot say what is due", error=f"{type(error).__name__}: {error}")
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, self._pause)

    def _next(self) -> Notice | None:
        """What is due, waited for; nothing when the daemon stops."""
        with self._changed:
            while not self._closed:
                now = self._wall()
                self._state, notice = notices.say(self._state, now)
                if notice := notice or self._report(now):
                    return notice
                at = notices.due(self._state)
                self._changed.wait(LONGEST if at is None else min(LONGEST, max(0.0, at - now)))
            return None

    def _set_reported(self, at: float) -> None:
        self._store.keep_note("report", str(at))
        self._reported = at

    def _report(self, now: float) -> Notice | None:
        if self._schedule is None or self._done is None or now < self._schedule.after(self._reported):
            return None
        text = self._summary(self._done.plan, self._done.desired)
        self._set_reported(now)
        return Notice(f"{self._schedule.every} report", text, form="markdown")


class Heartbeat(Follower):
    """After each good pass an address is called. Where passes fail, or nothing runs, it is not: whoever waits for it raises the alarm."""

    def __init__(self, ring: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ring, self._clock = ring, clock
        self._again = 0.0

    def passed(self, done: Pass) -> None:  # noqa: ARG002
        if self._clock() >= self._again:
            self._again = self._clock() + BEAT
            self._ring()
