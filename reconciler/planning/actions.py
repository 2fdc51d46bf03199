"""What is done about each difference, or why nothing is; and the differences that are no site's. Pure."""

from dataclasses import replace

from reconciler.desired.desired import DesiredSite
from reconciler.planning.diff import Difference
from reconciler.planning.observed import Container, Observed
from reconciler.planning.seen import Motion, Names, Seen
from reconciler.planning.steps import Wait

WAITS = "waits for "
REPORTED = "reported only: the site says drift: report"


def acted(row: Difference, seen: Seen, motion: Motion, *, parked: bool) -> Difference:
    """With what the motion of its site does about it."""
    return replace(row, action=_action(row, seen, motion, parked=parked))


def _action(row: Difference, seen: Seen, motion: Motion, *, parked: bool) -> str:
    heal = seen.goal.heal if seen.goal else True
    if parked:
        return "left: the site is suspended"
    if row.cause == "drift" and not heal and not _mended_anyway(row):
        return REPORTED
    if motion.steps and isinstance(first := motion.steps[0], Wait):
        return f"{WAITS}{first.target}: {first.reason}"
    if not motion.steps:
        watched = {"restarting": "the engine starts it again", "unhealthy": "it has rollout.deadline from its start on to get well"}
        return watched.get(row.actual, "")
    if row.cause == "commit":
        return "rolled out"
    return "counted right again" if row.field == "replicas" else "healed: another one takes its place"


def ill_in(c: Container, goal: DesiredSite | None) -> float | None:
    """Seconds that it still has to get well, for after a reboot all are slow; 0 or less: it had its time. None: it is not unhealthy."""
    return goal.timing.deadline - c.up if goal is not None and c.state == "running" and c.health == "unhealthy" else None


def is_ill(c: Container, goal: DesiredSite | None) -> bool:
    """It is unhealthy, and had its time to get well."""
    left = ill_in(c, goal)
    return left is not None and left <= 0


def _mended_anyway(row: Difference) -> bool:
    """What does not run serves nobody: whoever is missing is started, whatever the site says about hands."""
    return row.field == "replicas" or (row.field == "state" and row.actual != "restarting")


def around(observed: Observed, names: Names) -> tuple[Difference, ...]:
    """Generated files that a hand changed; and the network, where it was there: before the first container there was none."""
    rows = [Difference("", row.path, row.field, row.desired, row.actual, "drift", action=row.action) for row in observed.files]
    if not observed.network and observed.containers:
        rows.append(Difference("", "", "network", names.network, "", "drift", action="made again; containers on it are replaced"))
    return tuple(rows)
