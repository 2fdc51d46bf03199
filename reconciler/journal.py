"""The log: what changed, in a line each; console for people, JSON for journald."""

import structlog

from reconciler.apply import Outcome
from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers import Follower, Pass
from reconciler.planning.steps import SetPin

log = structlog.get_logger()


class Journal(Follower):
    """Says what is new since the last time, and every step."""

    def __init__(self) -> None:
        self._revision = ""
        self._sites: dict[str, tuple[str, str]] = {}
        self._drift: set[tuple[str, str]] = set()
        self._notices: frozenset[str] = frozenset()

    def fetched(self, revision: Revision, desired: Desired) -> None:
        if self._revision == desired.revision:
            return
        self._revision = desired.revision
        log.info("fetched", commit=revision.id, author=revision.author, subject=revision.subject, sites=len(desired.sites))
        for problem in desired.problems:
            log.warning(str(problem), code=problem.code)

    def passed(self, done: Pass) -> None:
        plan = done.plan
        for name, site in plan.sites.items():
            now = (site.sync, site.message.split("\n")[0])
            if self._sites.get(name) != now:
                self._sites[name] = now
                log.info("site", site=name, sync=site.sync, health=site.health, release=site.release, message=now[1])
        notices = (*done.desired.notices, *plan.notices)
        for notice in notices:
            if notice not in self._notices:
                log.warning("notice", message=notice)
        self._notices = frozenset(notices)
        drift = {(name, str(row)) for name, site in plan.sites.items() for row in site.differences if row.cause == "drift"}
        drift |= {("", str(row)) for row in plan.host}
        for name, text in sorted(drift - self._drift):
            log.warning("drift", site=name, difference=text)
        self._drift = drift | {row for row in self._drift if row[0] in plan.busy}

    def did(self, outcome: Outcome) -> None:
        for step, seconds in outcome.done:
            what = "unpin" if isinstance(step, SetPin) and step.pin is None else step.step
            log.info(what, site=outcome.site, target=step.target, reason=step.reason, seconds=round(seconds, 3))
        if outcome.failed:
            log.error("release failed", site=outcome.site, release=outcome.failed.release, reason=outcome.failed.reason)
        if outcome.error:
            log.warning(outcome.error, site=outcome.site)
