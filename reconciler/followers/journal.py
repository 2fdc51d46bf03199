"""The log: what changed, in a line each; console for people, JSON for journald."""

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Follower, Pass
from reconciler.log import log
from reconciler.outcome import Outcome
from reconciler.planning.events import word


class Journal(Follower):
    """Says what is new since the last time, and every step. A line about a site has `site`, the `release` that it is brought to, and the
    `commit` that says so."""

    def __init__(self) -> None:
        self._revision = ""
        self._sites: dict[str, tuple[str, str, str, str]] = {}
        """Its sync, message and release, and the health that it had when it was not in motion."""
        self._drift: set[tuple[str, str]] = set()
        self._notices: frozenset[str] = frozenset()

    def fetched(self, revision: Revision, desired: Desired) -> None:
        if self._revision == desired.revision:
            return
        self._revision = desired.revision
        if not revision.kept:
            log.info("fetched", commit=revision.id, author=revision.author, subject=revision.subject, sites=len(desired.sites))
        for problem in desired.problems:
            log.warning(str(problem), commit=revision.id, file=problem.file, code=problem.code)

    def passed(self, done: Pass) -> None:
        plan, commit = done.plan, done.desired.revision
        for name, site in plan.sites.items():
            known = self._sites.get(name)
            health = known[3] if known and site.health == "progressing" else site.health
            now = (site.sync, site.message.split("\n")[0], site.release, health)
            if known != now:
                self._sites[name] = now
                about = log.bind(site=name, release=site.release, commit=commit)
                about.info("site", sync=site.sync, health=site.health, message=now[1])
        for name in self._sites.keys() - plan.sites.keys() - plan.busy:
            log.info("site is gone", site=name, release=self._sites.pop(name)[2], commit=commit)
        notices = (*done.desired.notices, *plan.notices)
        for notice in notices:
            if notice not in self._notices:
                log.warning("notice", message=notice)
        self._notices = frozenset(notices)
        drift = {(name, str(row)) for name, row in plan.drift}
        for name, text in sorted(drift - self._drift):
            release = plan.sites[name].release if name in plan.sites else ""  # what is no site's has none
            log.warning("drift", site=name, release=release, commit=commit, difference=text)
        self._drift = drift | {row for row in self._drift if row[0] in plan.busy}

    def did(self, outcome: Outcome) -> None:
        about = log.bind(site=outcome.site, release=outcome.release, commit=outcome.commit)
        for step, seconds in outcome.done:
            about.info(word(step), target=step.target, reason=step.reason, seconds=round(seconds, 3))
        if outcome.failed:
            about.error("release failed", release=outcome.failed.release, reason=outcome.failed.reason)
        if outcome.error:
            about.warning(outcome.error)
