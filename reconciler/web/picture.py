"""Pictures of times: a deploy as a bar of its stages, drift as a bar on a common axis. Pure; the template draws them."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.planning.deploys import STAGES, Deploy
from reconciler.planning.events import DriftPeriod

WIDTH = 1000.0
"""Units across a picture."""
LEAST = 12.0
"""Units that a stage has at least, so that it is seen."""
LEAD = 0.2
"""So much of the bar the time before the fetch takes at the most: a commit may be days older than its push."""
NAMES = {"pushed": "committed"}


@dataclass(frozen=True)
class Stage:
    """From the moment before until `name`: `x` and `width` in the picture, `seconds` in time."""

    name: str
    x: float
    width: float
    seconds: float


@dataclass(frozen=True)
class Bar:
    """`first` is the moment at which it begins; `seconds` are all of it; `text` tells the same in words."""

    first: str
    begun: float
    stages: tuple[Stage, ...]
    seconds: float
    text: str


def bar_of(deploy: Deploy, now: float) -> Bar:
    """The stages that were reached, in their order; what is under way goes on until `now` (seconds since 1970)."""
    moments = sorted(((at, STAGES.index(stage), stage) for stage, at in deploy.moments.items()), key=lambda row: row[:2])
    if not moments or moments[0][2] not in ("pushed", "asked", "fetched"):
        moments = [(deploy.begun, 0, "begun"), *moments]
    end = {"failed": "failed", "superseded": "overtaken", "": "until now"}.get(deploy.end, "")
    if end:
        moments.append((max(deploy.ended or now, moments[-1][0]), 99, end))
    spans = [(name, max(0.0, at - before)) for (before, _, _), (at, _, name) in itertools.pairwise(moments)]
    begun = moments[0][0]
    text = ", ".join(f"{NAMES.get(name, name)} after {lasting(seconds)}" for name, seconds in spans)
    return Bar(NAMES.get(moments[0][2], moments[0][2]), begun, tuple(_stages(spans)), moments[-1][0] - begun, text or "nothing yet")


def _stages(spans: list[tuple[str, float]]) -> Iterable[Stage]:
    """Widths as the times are, but none too small to see, and the time before the fetch cut short."""
    rest = sum(seconds for name, seconds in spans if name != "fetched") or 1.0
    lead = min((seconds for name, seconds in spans if name == "fetched"), default=0.0)
    shown = [(name, seconds, min(lead, rest * LEAD / (1 - LEAD)) if name == "fetched" else seconds) for name, seconds in spans]
    total = sum(size for *_, size in shown) or 1.0
    widths = [max(LEAST, size / total * WIDTH) for *_, size in shown]
    scale = WIDTH / (sum(widths) or 1.0)
    x = 0.0
    for (name, seconds, _), width in zip(shown, widths, strict=True):
        yield Stage(name, round(x, 1), round(width * scale, 1), seconds)
        x += width * scale


@dataclass(frozen=True)
class DriftBar:
    """One period on the axis."""

    period: DriftPeriod
    x: float
    width: float
    seconds: float


def drift_bars(periods: Iterable[DriftPeriod], now: float) -> tuple[DriftBar, ...]:
    """On one axis, from the first that is shown until `now`."""
    rows = tuple(periods)
    begun = min((row.opened for row in rows), default=now)
    span = max(now - begun, 1.0)

    def bar(row: DriftPeriod) -> DriftBar:
        seconds = max(0.0, (row.closed or now) - row.opened)
        width = max(LEAST, seconds / span * WIDTH)
        return DriftBar(row, round(min((row.opened - begun) / span * WIDTH, WIDTH - width), 1), round(width, 1), seconds)

    return tuple(bar(row) for row in rows)


def lasting(seconds: float) -> str:
    """For people: "0.4 s", "12 s", "3 min 5 s", "2 h 4 min", "3 d 1 h"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            more = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {more} {part}" if more else "")
    return f"{whole} s"
