"""Whoever is told of what happens: log, history, metrics, notices, commit status, page. One that fails never fails the pass."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.log import log
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan
from reconciler.planning.plan import Plan


@dataclass(frozen=True)
class Pass:
    """One pass: what was desired, and what was found and decided. `at` is the time of day in seconds since 1970 when it ended,
    `seconds` what it took. Sites whose steps were being done are not in the plan's `sites`, but `busy`; with `whole` unset only sites
    that were chosen are there."""

    plan: Plan
    desired: Desired
    at: float
    seconds: float
    whole: bool = True


def last_seen(before: Mapping[str, SitePlan], plan: Plan) -> dict[str, SitePlan]:
    """Sites as the newest pass that planned each saw it; those of which the plan knows nothing any more are gone."""
    busy = {name: site for name, site in before.items() if name in plan.busy and name not in plan.sites}
    return {**busy, **plan.sites}


class Follower:
    """Hears of everything and does nothing; each follower overrides what it wants to hear. Each call must return soon: what takes
    longer than a write into a local file belongs into a thread of the follower's own."""

    def fetched(self, revision: Revision, desired: Desired) -> None:
        """The source answered; the revision may be the one that was there already. One that is `kept` is begun with while the source does
        not answer. Called by the thread of the passes."""

    def not_fetched(self, why: str) -> None:
        """The source did not answer. Called by the fetching thread."""

    def passed(self, done: Pass) -> None:
        """A pass came to its end; its steps are being done. Called by the thread of the passes."""

    def not_passed(self, why: str) -> None:
        """A pass failed. Called by the thread of the passes."""

    def did(self, outcome: Outcome) -> None:
        """A site's steps ended. Called by the workers."""

    def close(self) -> None:
        """Nothing more comes."""


class Followers(Follower):
    """All of them, each told of everything in their order."""

    def __init__(self, followers: Iterable[Follower] = ()) -> None:
        self._followers = tuple(followers)

    def fetched(self, revision: Revision, desired: Desired) -> None:
        self._each(lambda one: one.fetched(revision, desired))

    def not_fetched(self, why: str) -> None:
        self._each(lambda one: one.not_fetched(why))

    def passed(self, done: Pass) -> None:
        self._each(lambda one: one.passed(done))

    def not_passed(self, why: str) -> None:
        self._each(lambda one: one.not_passed(why))

    def did(self, outcome: Outcome) -> None:
        self._each(lambda one: one.did(outcome))

    def close(self) -> None:
        self._each(lambda one: one.close())

    def _each(self, tell: Callable[[Follower], None]) -> None:
        for one in self._followers:
            try:
                tell(one)
            except Exception as error:  # noqa: BLE001  what is told to others must not stop the work itself
                log.warning("cannot tell", follower=type(one).__name__, error=f"{type(error).__name__}: {error}")
