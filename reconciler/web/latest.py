"""What is known now, for whoever asks over HTTP."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Follower, Pass, last_seen
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan


@dataclass(frozen=True)
class Now:
    """`sites`: as the newest pass that planned each saw it. `number` rises with every change. Times are of the day, in seconds since 1970;
    `failing` says why passes fail at present, empty where they do not, and `failed_at` when one did last. `due_since`: since when the first
    pass could have ended: the start, or when there was a revision."""

    number: int = 0
    done: Pass | None = None
    sites: Mapping[str, SitePlan] = field(default_factory=dict, hash=False)
    revision: Revision | None = None
    fetched_at: float = 0.0
    failing: str = ""
    failed_at: float = 0.0
    not_fetched: str = ""
    due_since: float = 0.0

    @property
    def desired(self) -> Desired | None:
        """What the newest pass worked for: a revision that is only fetched is not told as that of the sites."""
        return self.done.desired if self.done else None


class Latest(Follower):
    """Keeps what it hears; `wait` returns when there is something newer."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._changed = threading.Condition()
        self._now = Now(due_since=wall())
        self.closed = False
        """Nothing more comes."""

    @property
    def now(self) -> Now:
        return self._now

    def wait(self, number: int, timeout: float) -> Now:
        """What is known, as soon as its number is another one than `number`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._now.number != number, timeout)
            return self._now

    def fetched(self, revision: Revision, desired: Desired) -> None:  # noqa: ARG002  a pass tells of what was worked for
        answered = {} if revision.kept else {"fetched_at": self._wall(), "not_fetched": ""}
        first = {"due_since": self._wall()} if self._now.revision is None else {}
        self._set(revision=revision, **answered, **first)

    def not_fetched(self, why: str) -> None:
        self._set(not_fetched=why)

    def passed(self, done: Pass) -> None:
        self._set(done=done, sites=last_seen(self._now.sites, done.plan), failing="")

    def not_passed(self, why: str) -> None:
        self._set(failing=why, failed_at=self._wall())

    def did(self, outcome: Outcome) -> None:  # noqa: ARG002  the next pass says what came of it
        self._set()

    def close(self) -> None:
        self.closed = True

    def _set(self, **changes: object) -> None:
        with self._changed:
            self._now = replace(self._now, number=self._now.number + 1, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()
