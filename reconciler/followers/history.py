"""The history: every revision seen, every plan that had steps, every step, failure and drift, in the store."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from reconciler.apply import groups
from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Follower, Pass, last_seen
from reconciler.outcome import Outcome
from reconciler.planning.actions import WAITS
from reconciler.planning.describe import SitePlan
from reconciler.planning.events import PHASE, Event, word
from reconciler.planning.steps import Step
from reconciler.world.history_store import HistoryStore

TIDY = 3600.0
"""Seconds between two looks for what is too old."""
PROBLEMS = 20
"""Of a revision so many are kept."""
Known = tuple[str, tuple[str, ...]]
"""A plan as it was recorded last: the release, and its steps in short."""


class History(Follower):
    """Writes down what is new; nothing where a pass changed nothing. `wall` is the time of day in seconds since 1970."""

    def __init__(self, store: HistoryStore, keep_days: float, keep_rows: int, wall: Callable[[], float] = time.time) -> None:
        self._store, self._wall = store, wall
        self._keep = keep_days, keep_rows
        self._lock = threading.Lock()
        newest = store.events(limit=1, kinds=("revision",))
        self._commit = newest[0].commit if newest else ""
        told = store.events(limit=1, kinds=("waits",))
        self._notice = told[0].what if told else ""
        self._plans: dict[str, Known] = dict.fromkeys(store.moving(), ("", ()))
        self._drift = store.open_drift()
        self._errors: dict[str, str] = {}
        self._sites: Mapping[str, SitePlan] = {}
        self._tidied = 0.0

    def fetched(self, revision: Revision, desired: Desired) -> None:
        if revision.notice not in ("", self._notice):
            self._notice = revision.notice
            self._store.record([Event(self._wall(), "waits", commit=revision.unsigned or revision.waits, what=revision.notice)])
        if desired.revision == self._commit:
            return
        self._commit = desired.revision
        more = {
            "author": revision.author,
            "committed_at": revision.committed_at,
            "problems": [str(row) for row in desired.problems[:PROBLEMS]],
        }
        self._store.record([Event(self._wall(), "revision", commit=desired.revision, what=revision.subject, more=more)])

    def passed(self, done: Pass) -> None:
        begun = done.at - done.seconds
        self._store.record(self._planned(done, begun))
        self._compare_drift(done)
        self._sites = last_seen(self._sites, done.plan)
        if done.whole and done.at > self._tidied + TIDY:  # else it is not known which revisions other sites run
            self._tidied = done.at
            self._store.tidy(done.at, *self._keep, {done.desired.revision, *(site.commit for site in self._sites.values())})

    def did(self, outcome: Outcome) -> None:
        now = self._wall()
        self._store.record([*_steps(outcome, now), *self._ended(outcome, now)])

    def _planned(self, done: Pass, at: float) -> list[Event]:
        """Plans of sites that changed, how far they are, and sites that came to rest. A pass's steps begin only after it began: `at`."""
        plan, commit = done.plan, done.desired.revision
        rows: list[Event] = []
        with self._lock:
            for name, site in plan.sites.items():
                known = self._plans.get(name)
                steps = tuple(f"{word(step)} {step.target}" for step in site.steps)
                if steps and known != (site.release, steps):
                    self._plans[name] = (site.release, steps)
                    kind = PHASE if known is not None and known[0] == site.release and known[1][-len(steps) :] == steps else "plan"
                    rows.append(Event(at, kind, name, commit, site.release, _said(site), more={"steps": list(steps)}))
                elif not steps and known is not None:
                    del self._plans[name]
                    rows.append(Event(at, "rest", name, commit, site.release, _said(site) or "as it should be"))
            for name in self._plans.keys() - plan.sites.keys() - plan.busy if done.whole else ():
                del self._plans[name]
                rows.append(Event(at, "rest", name, commit, what="it is gone"))
        return rows

    def _compare_drift(self, done: Pass) -> None:
        """What was done is what was said last of it; that something is waited for meanwhile says less. A pass of chosen sites did not
        look at the others."""
        before, plan = self._drift, done.plan
        now = {key: action for key, action in before.items() if key[0] in plan.busy or (not done.whole and key[0] not in ("", *plan.sites))}
        for name, row in plan.drift:
            known = before.get(row.key(name), "")
            now[row.key(name)] = known if known and (not row.action or row.action.startswith(WAITS)) else row.action
        self._drift = now
        if now.keys() != before.keys():
            opened = {key: action for key, action in sorted(now.items()) if key not in before}
            self._store.record_drift(opened, {key: action for key, action in sorted(before.items()) if key not in now}, done.at)

    def _ended(self, outcome: Outcome, now: float) -> Iterator[Event]:
        """A failure; the same error again and again is one."""
        if outcome.failed is not None:
            reason, *log = outcome.failed.reason.split("\n")
            yield Event(now, "failed", outcome.site, self._commit, outcome.failed.release, reason, more={"log": log})
        with self._lock:
            before = self._errors.pop(outcome.site, "")
            if outcome.error:
                self._errors[outcome.site] = outcome.error
        if outcome.error and outcome.error != before:
            more, seconds = (_step_of(outcome.stopped[0]), outcome.stopped[1]) if outcome.stopped else ({}, 0.0)
            yield Event(now - seconds, "error", outcome.site, self._commit, what=outcome.error, seconds=seconds, more=more)


def _steps(outcome: Outcome, now: float) -> list[Event]:
    """Each with the time at which it began: they ended just now, or before the one that did not end well; one after the other, and those of
    one group together."""
    took = [seconds for _, seconds in outcome.done]
    begins = now - (outcome.stopped[1] if outcome.stopped else 0.0)
    rows: list[Event] = []
    left = len(took)
    for group in reversed(list(groups(tuple(step for step, _ in outcome.done)))):
        first = left - len(group)
        begins -= max(took[first:left])
        for step, seconds in reversed(list(zip(group, took[first:left], strict=True))):
            rows.append(Event(begins, "step", outcome.site, what=f"{word(step)} {step.target}", seconds=seconds, more=_step_of(step)))
        left = first
    return rows[::-1]


def _step_of(step: Step) -> dict[str, str]:
    return {"step": word(step), "target": step.target, "reason": step.reason}


def _said(site: SitePlan) -> str:
    return site.message.split("\n")[0]
