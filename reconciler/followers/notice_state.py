"""What is known between two looks of what is to be said. Pure data, and how it is kept where it outlives the process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from reconciler.desired.desired import Desired
from reconciler.followers.conditions import Condition


@dataclass(frozen=True)
class Open:
    """A condition since it is there. `times` it was said, `said_at` the last time; `owed`: that it is over must be said too.
    Times are of the day, in seconds since 1970."""

    condition: Condition
    since: float
    said_at: float = 0.0
    times: int = 0
    owed: bool = False


@dataclass(frozen=True)
class Over:
    """It was there for `seconds`, until `at`."""

    condition: Condition
    seconds: float
    at: float


@dataclass(frozen=True)
class Merge:
    """A revision, and the sites of which it says something else than the one before. `rested_at` is 0 before it is at rest; then
    `right` are those that are as it says, `left` the others with the reason, `gone` those that were removed."""

    commit: str
    author: str
    subject: str
    since: float
    sites: frozenset[str]
    rested_at: float = 0.0
    right: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def coming(self) -> frozenset[str]:
        """Its sites, while they are not at rest."""
        return frozenset() if self.rested_at else self.sites


@dataclass(frozen=True)
class State:
    """`open` by key. `recent`: news that were said and are over, (when last, how many times): what comes and goes is not said each time.
    `moving`: sites that were in motion at the last look; `looked`: there was one since the start."""

    open: Mapping[str, Open] = field(default_factory=dict)
    recent: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    over: tuple[Over, ...] = ()
    merge: Merge | None = None
    desired: Desired | None = None
    who: tuple[str, str] = ("", "")
    moving: frozenset[str] = frozenset()
    looked: bool = False


def as_text(state: State) -> str:
    """What must outlive the process: what was said, so that it is not said again after each start, and a merge that is under way."""
    merge = state.merge and {**asdict(state.merge), "sites": sorted(state.merge.sites)}
    rows = [asdict(row) for row in state.open.values() if row.times or row.owed]
    return json.dumps({"open": rows, "recent": state.recent, "merge": merge})


def from_text(text: str) -> State:
    """The state that `as_text` gave; an empty one where it cannot be read."""
    try:
        data = json.loads(text)
        rows = [Open(**{**row, "condition": Condition(**row["condition"])}) for row in data["open"]]
        recent = {str(key): (float(at), int(times)) for key, (at, times) in data["recent"].items()}
        merge = Merge(**{**data["merge"], "sites": frozenset(data["merge"]["sites"])}) if data["merge"] else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return State()
    return State({row.condition.key: row for row in rows}, recent, merge=merge if merge and merge.coming else None)
