"""How one site stands, for people: its state, its differences, what is waited for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.desired.desired import DesiredSite
from reconciler.planning.actions import acted
from reconciler.planning.diff import Difference, committed, counted
from reconciler.planning.goal import Goal
from reconciler.planning.labels import site_from_labels
from reconciler.planning.observed import TraefikView
from reconciler.planning.seen import Motion, Seen, alive
from reconciler.planning.steps import Step

Sync = Literal["synced", "out-of-sync", "held", "suspended"]
Health = Literal["healthy", "progressing", "degraded", "missing"]


@dataclass(frozen=True)
class SitePlan:
    """What is to be done for one site, and how it stands. `ready` and `wanted` count replicas; `look_at` is monotonic seconds.

    `release` is what it is brought to, `asked` the release that is wanted: another one where that cannot be had.
    """

    name: str
    sync: Sync
    health: Health
    release: str
    commit: str
    hosts: tuple[str, ...]
    ready: int
    wanted: int
    steps: tuple[Step, ...] = ()
    differences: tuple[Difference, ...] = ()
    message: str = ""
    look_at: float | None = None
    asked: str = ""

    @property
    def drift(self) -> tuple[Difference, ...]:
        """What hands changed."""
        return tuple(row for row in self.differences if row.cause == "drift")


def describe(
    written: DesiredSite | None,
    chosen: Goal,
    seen: Seen,
    motion: Motion,
    drift: tuple[Difference, ...],
    whole: Mapping[str, int] | None = None,
) -> SitePlan:
    """`drift`: what a hand changed on containers; `whole`: how many replicas of each service the goal's release had when it was whole."""
    goal, rows = chosen.site, differences(written, chosen, seen, drift, whole)
    total = sum(service.replicas for service in goal.services) if goal else 0
    mine = [c for c in seen.containers if goal is not None and c.release == goal.release]
    ready = sum(c.id in seen.ready for c in mine)
    health: Health = (
        "healthy" if ready >= total and not motion.steps else "progressing" if motion.steps else "degraded" if ready else "missing"
    )
    return SitePlan(
        seen.site,
        sync_of(chosen, settled=not motion.steps and not rows),
        health,
        goal.release if goal else "",
        max((c.labels.get("shipstone.commit", "") for c in mine), default=""),
        goal.route.hosts if goal else (),
        ready,
        total,
        motion.steps,
        tuple(acted(row, seen, motion, parked=chosen.parked) for row in rows),
        chosen.note or (_stuck(seen.traefik) or motion.message if motion.steps else ""),
        motion.look_at,
        chosen.asked,
    )


def differences(
    written: DesiredSite | None, chosen: Goal, seen: Seen, drift: tuple[Difference, ...], whole: Mapping[str, int] | None
) -> list[Difference]:
    """Where nothing runs it was taken away by a hand, if it was whole before; else it is yet to come."""
    goal, running = chosen.site, running_site_of(seen)
    gone = running is None and whole is not None
    rows = list(drift)
    if written is not None and not chosen.held and not gone:
        rows = [*committed(written, running), *rows]
    if goal is not None and (gone or (running is not None and running.release == goal.release)):
        rows += counted(goal, seen.containers, whole, seen.wrong)
    if not chosen.held and seen.containers and goal is None:
        rows += [Difference(service, "", "service", "", "present", "commit") for service in sorted({c.service for c in seen.containers})]
    return rows


def sync_of(chosen: Goal, *, settled: bool) -> Sync:
    if chosen.parked:
        return "suspended"
    return "held" if chosen.held else "synced" if settled and not chosen.note else "out-of-sync"


def _stuck(traefik: TraefikView) -> str:
    """Why nothing moves, where that is Traefik's."""
    if not traefik.reachable:
        return "Traefik's API does not answer: nothing is changed before it does. Start Traefik, or correct [traefik] api."
    if traefik.blind:
        return (
            "Traefik does not read its pins: nothing is changed before it does. A broken file keeps it from reading all of "
            "[traefik] dynamic_dir: Traefik's log names it; mend or remove it. Or Traefik does not watch that folder."
        )
    return ""


def running_site_of(seen: Seen) -> DesiredSite | None:
    """The release whose replicas run, the desired one first."""
    for release in dict.fromkeys([seen.goal.release if seen.goal else "", *(c.release for c in seen.containers)]):
        rows = [c for c in seen.containers if c.release == release]
        if rows and (seen.goal is None or release != seen.goal.release or any(alive(c) for c in rows)):
            return site_from_labels(seen.site, rows)
    return None
