"""`apply`: passes repeated until nothing is left to do, or until what is left cannot be done."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.listening import breath, listen
from reconciler.outcome import Outcome
from reconciler.planning.plan import Plan
from reconciler.planning.steps import line
from reconciler.reconcile import Reconciler

LOOK = 0.25
"""Seconds between two looks at the engine while nothing wakes us."""
HEARING = 10.0
"""Seconds that who does not answer at the first look is listened for, when there is nothing left to do."""


@dataclass(frozen=True)
class Result:
    """How it ended; `failed` maps a site to why it is not as it should be, of `total` sites."""

    plan: Plan
    total: int
    seconds: float
    failed: dict[str, str]


class Progress:
    """What happened so far, for a person who watches: every step once, with its seconds."""

    def __init__(self, say: Callable[[str], None], show: Callable[[str], None] = lambda _text: None) -> None:
        self._say, self._show = say, show
        self.wake = threading.Event()
        self.errors: dict[str, str] = {}
        self._by_hand: set[str] = set()

    def looked(self, plan: Plan, total: int) -> None:
        """Called after each pass: how far it is, what is waited for, and once what a hand did that is no site's."""
        for row in plan.host:
            if str(row) not in self._by_hand:
                self._by_hand.add(str(row))
                self._say(f"{row}: {row.action}")
        waiting = [f"{name}: {site.message}" for name, site in plan.sites.items() if site.steps and site.message]
        quiet = sum(not site.steps for site in plan.sites.values())
        self._show(f"{quiet} of {total} sites at rest" + (f"  {waiting[0]}" if waiting else ""))

    def told(self, outcome: Outcome) -> None:
        """Called by the workers after each site's steps."""
        for step, seconds in outcome.done:
            self._say(f"{outcome.site:<16} {line(step)}  ({seconds:.1f} s)")
        if outcome.error:
            self._say(f"{outcome.site:<16} {outcome.error}")
            self.errors[outcome.site] = outcome.error
        else:
            self.errors.pop(outcome.site, None)
        self.wake.set()


def converge(reconciler: Reconciler, progress: Progress, timeout: float) -> Result:
    """Passes until quiet. Sites that fail are tried again until `timeout` seconds are over, or all that is left is failed or held."""
    begun = time.monotonic()
    quiet = threading.Event()
    reconciler.watch(progress.told)
    threading.Thread(target=listen, args=(reconciler.world.engine, progress.wake.set, quiet), name="events", daemon=True).start()
    try:
        plan = _passes(reconciler, progress, begun + timeout)
    finally:
        quiet.set()
    total = len(reconciler.only or plan.sites.keys() | plan.busy)
    return Result(plan, total, time.monotonic() - begun, _failed(reconciler, plan) | progress.errors)


def _passes(reconciler: Reconciler, progress: Progress, deadline: float) -> Plan:
    heard_by = time.monotonic() + HEARING
    while True:
        progress.wake.clear()
        begun = time.thread_time()
        plan = reconciler.once()
        progress.looked(plan, len(reconciler.only or (reconciler.desired.sites if reconciler.desired else ())))
        if time.monotonic() > deadline:
            return plan
        if plan.quiet and not progress.errors and not (_unheard(plan) and time.monotonic() < heard_by):
            return plan
        soon = min([LOOK, *(max(0.02, at - time.monotonic()) for at in [plan.look_at] if at is not None)])
        reconciler.rest(breath(time.thread_time() - begun, reconciler.moving, reconciler.starting))
        progress.wake.wait(soon)


def _unheard(plan: Plan) -> bool:
    """Somebody runs as it should, and has not said so yet."""
    return any(site.sync == "synced" and site.health in ("degraded", "missing") for site in plan.sites.values())


def _failed(reconciler: Reconciler, plan: Plan) -> dict[str, str]:
    held = reconciler.desired.held if reconciler.desired else {}
    failed = {
        name: site.message or site.health for name, site in plan.sites.items() if site.steps or site.health in ("degraded", "missing")
    }
    failed |= dict.fromkeys(plan.busy, "its steps were not finished in time")
    failed |= {name: site.message for name, site in plan.sites.items() if site.message and site.sync != "synced"}
    return failed | {name: why for name, why in held.items() if reconciler.only is None or name in reconciler.only}
