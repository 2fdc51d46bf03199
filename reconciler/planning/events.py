"""What the history keeps, as plain data: what happened, and how long a difference by hand was there."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.planning.steps import SetPin, Step

Kind = Literal["revision", "waits", "plan", "phase", "rest", "step", "error", "failed", "said", "drift", "healed"]
PHASE = "phase"
"""The rest of a plan that is on its way: a moment of the motion, and nothing new to tell."""


@dataclass(frozen=True)
class Event:
    """One thing that happened; `waits`: a newer commit is not taken. `at` is when it began, in seconds since 1970, `seconds` what it took;
    `site` is empty where it concerns all.

    `more`: of a revision `author` and `committed_at`, of a plan `steps`, of a step, and of an error that stopped one, `step`, `target` and
    `reason`, of a failed release `log`, of what a person said `said` and `by`; of drift `service`, `container`, `field`, `desired`,
    `actual`, `action`.
    """

    at: float
    kind: str
    site: str = ""
    commit: str = ""
    release: str = ""
    what: str = ""
    seconds: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def as_json(self) -> dict[str, Any]:
        """The form of `history --output json` and of the API."""
        row = {"site": self.site, "commit": self.commit, "release": self.release, "seconds": round(self.seconds, 3)}
        return {
            "at": moment(self.at),
            "kind": self.kind,
            "what": self.what,
            **{key: value for key, value in row.items() if value},
            **self.more,
        }


@dataclass(frozen=True)
class DriftPeriod:
    """A difference by hand, from when to when it was seen (seconds since 1970); `closed` is None while it is there.

    `action`: what was done about it.
    """

    site: str
    service: str
    container: str
    field: str
    desired: str
    actual: str
    opened: float
    closed: float | None = None
    action: str = ""

    def __str__(self) -> str:
        where = self.container or self.service
        return f"{where} {self.field}: {self.actual or 'nothing'}, should be {self.desired or 'nothing'}"

    def events(self) -> tuple[Event, ...]:
        """That it was opened, and that it was closed."""
        names = ("service", "container", "field", "desired", "actual", "action")
        more = {name: getattr(self, name) for name in names}
        opened = Event(self.opened, "drift", self.site, what=str(self), more=more)
        if self.closed is None:
            return (opened,)
        text = f"{self.container or self.service} {self.field}: as it should be again{f' ({self.action})' if self.action else ''}"
        return opened, Event(self.closed, "healed", self.site, what=text, seconds=self.closed - self.opened, more=more)


def moment(at: float) -> str:
    """ISO 8601, UTC, to the millisecond."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")


def word(step: Step) -> str:
    """What a step does, in one word: taking the pin away has one of its own."""
    return "unpin" if isinstance(step, SetPin) and step.pin is None else step.step


def newest_first(events: Iterable[Event], periods: Iterable[DriftPeriod], limit: int) -> tuple[Event, ...]:
    """Both as one list."""
    rows = [*events, *(event for period in periods for event in period.events())]
    return tuple(sorted(rows, key=lambda event: event.at, reverse=True)[:limit])
