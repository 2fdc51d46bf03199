"""What is said of a commit at the forge: pending, live, or why it is not. The decision is pure; a thread of its own sends it."""

import re
import threading
from dataclasses import dataclass, replace
from typing import Protocol

from reconciler.desired.desired import Desired
from reconciler.desired.problem import errors
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Follower, Pass, last_seen
from reconciler.log import log
from reconciler.planning.describe import SitePlan
from reconciler.planning.plan import Plan
from reconciler.planning.rest import by_commit, moving
from reconciler.world.forge import ForgeAwayError, ForgeError, State, Status

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SETTLE = 0.5
"""Seconds before `pending` is sent: what is live at once, or after a restart, is said once."""
LONGEST_PAUSE = 60.0
KEPT = 10
"""Commits of which something waits to be said; what is said of older ones is let go."""
PARK = 3.0
"""Seconds that the last status has when the daemon stops."""


@dataclass(frozen=True)
class Verdict:
    state: State
    description: str


def verdict(plan: Plan, desired: Desired) -> Verdict:
    """Of the commit of `desired`. Of sites that are busy the plan may have what was seen last."""
    names = sorted(plan.sites.keys() | plan.busy)
    if wrong := errors(desired.problems):
        more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Verdict("failure", f"{wrong[0]}{more}")
    for name in names:
        if why := _trouble(name, plan):
            return Verdict("failure", f"{name}: {why.splitlines()[0]}")
    coming = sorted(moving(plan))
    total = len(desired.sites)
    if coming or not plan.network:
        return Verdict("pending", f"being deployed: {_few(coming)}" if coming else "being deployed")
    asleep = [name for name, site in sorted(plan.sites.items()) if site.sync == "suspended"]
    live = f"{total} site is live" if total == 1 else f"{total} sites are live"
    return Verdict("success", f"{live}; suspended: {_few(asleep)}" if asleep else live)


def worth_saying(found: Verdict, said: Verdict, plan: Plan) -> bool:
    """A forge takes so many statuses of one commit: what moves after the last word about it counts only where the commit moves it."""
    if found.state == "pending":
        return said.state != "pending" and bool(moving(plan) & by_commit(plan))
    return found.state != said.state or (found.state == "failure" and found != said)


def _trouble(name: str, plan: Plan) -> str:
    """Why this site will not get there by itself; empty if it may."""
    site = plan.sites.get(name)
    if site is None:
        return ""
    release, why = plan.memory.troubles.get(name, ("", ""))
    if why and release == site.asked and name in moving(plan):
        return why
    if site.sync in ("synced", "suspended"):
        return ""
    failed = plan.memory.failed.get(name)
    if failed is not None and failed.release == site.asked:
        return f"release {failed.release} failed: {failed.reason}"
    if site.sync == "held" or (not site.steps and _differs(site)):
        return site.message or "is not as it says"
    return ""


def _differs(site: SitePlan) -> bool:
    """From what the commit says: drift is not the commit's."""
    return any(row.cause == "commit" for row in site.differences)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class Sender(Protocol):
    def send(self, status: Status) -> None:
        """Raises ForgeAwayError or ForgeError."""

    def close(self) -> None: ...


class CommitStatus(Follower):
    """Hears, and lets a thread of its own send. Of each commit only the newest state waits, and of two commits the older is superseded."""

    def __init__(self, forge: Sender, page: str = "", *, settle: float = SETTLE, pause: float = 1.0) -> None:
        self._forge, self._page, self._settle, self._pause = forge, page, settle, pause
        self._commit = ""
        self._held = ""
        self._said = Verdict("pending", "")
        self._sites: dict[str, SitePlan] = {}
        self._waiting: dict[str, Status] = {}
        self._warned: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._sending, name="commit status", daemon=True)
        self._thread.start()

    def fetched(self, revision: Revision, desired: Desired) -> None:
        with self._changed:
            held = revision.waits or revision.unsigned
            if held != self._held and COMMIT.fullmatch(held):
                self._put(held, Verdict("failure", revision.notice))
            self._held = held
            before, self._commit = self._commit, desired.revision if COMMIT.fullmatch(desired.revision) else ""
            if self._commit == before:
                return
            if before and self._said.state == "pending":
                self._put(before, Verdict("superseded", f"superseded by {self._commit[:12]}"))
            self._sites = {}
            if self._commit:
                self._put(self._commit, Verdict("pending", "is being deployed"))

    def passed(self, done: Pass) -> None:
        with self._changed:
            if not self._commit or self._commit != done.desired.revision:
                return
            self._sites = last_seen(self._sites, done.plan)
            plan = replace(done.plan, sites=self._sites)
            found = verdict(plan, done.desired)
            if worth_saying(found, self._said, plan):
                self._put(self._commit, found)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(PARK)
        self._forge.close()

    def _put(self, commit: str, said: Verdict) -> None:
        if commit == self._commit:
            self._said = said
        self._waiting.pop(commit, None)
        self._waiting[commit] = Status(commit, said.state, said.description, self._page)
        if len(self._waiting) > KEPT:
            self._waiting.pop(next(iter(self._waiting)))
        self._changed.notify()

    def _sending(self) -> None:
        import stamina

        while status := self._next():
            again = stamina.retry_context(
                on=ForgeAwayError, attempts=None, timeout=None, wait_initial=self._pause, wait_max=LONGEST_PAUSE, wait_jitter=self._pause
            )
            try:
                for attempt in again:
                    with attempt:
                        status = self._newest(status)
                        self._send(status)
            except Exception as error:  # noqa: BLE001  the next status may go
                self._warn(str(error) if isinstance(error, ForgeError) else f"cannot tell the forge: {type(error).__name__}: {error}")

    def _send(self, status: Status) -> None:
        try:
            self._forge.send(status)
        except ForgeAwayError as error:
            self._warn(str(error))
            raise
        self._warned.clear()

    def _warn(self, text: str) -> None:
        """Once, until a status is taken again."""
        if text not in self._warned:
            self._warned.add(text)
            log.warning(text)

    def _newest(self, status: Status) -> Status:
        """Of the same commit, what was decided while it could not be sent."""
        with self._changed:
            return self._waiting.pop(status.commit, status)

    def _next(self) -> Status | None:
        """The oldest that waits; None when the daemon stops and nothing does."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if any(status.state == "pending" for status in self._waiting.values()) and not self._closed:
                self._changed.wait_for(lambda: self._closed, self._settle)
            return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None
