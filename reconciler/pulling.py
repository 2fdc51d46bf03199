"""Pulling, beside a site's other steps: a registry that hangs must not stop healing."""

from collections.abc import Callable, Iterable
from functools import partial

from reconciler.images import Images
from reconciler.outcome import Outcome, Report, said
from reconciler.planning.steps import Pull, Step
from reconciler.turns import Turns
from reconciler.workers import Workers
from reconciler.world.engine import Engine

Pulled = tuple[str, str]
"""Site and release."""
PULLS = 32
"""Pulls at the same time at the most: many, because a registry that hangs holds all of them, and the engine bounds downloads."""
PULLS_OF_SITE = 2
"""Releases of one site that are pulled at the same time at the most: the one that is wanted by now, beside one whose registry hangs."""


class Pulling:
    """Whose images are pulled, and those that wait before the next try. What is there already is only looked up, by `lookers`;
    `timeout`: seconds that a pull may say nothing; `hide` takes secrets out of a text."""

    def __init__(
        self, engine: Engine, clock: Callable[[], float], timeout: float, turns: Turns[Pulled], lookers: Workers, hide: Callable[[str], str]
    ) -> None:
        self.turns, self.pullers = turns, Workers(PULLS, "pull")
        self._clock, self._lookers, self._hide = clock, lookers, hide
        self._images = Images(engine, clock, timeout)
        self._begun: dict[str, frozenset[str]] = {}
        """Site → releases whose pull was begun; who is superseded, and not at work any more, is left out."""

    def forgive(self, sites: Iterable[str]) -> None:
        """These have not failed."""
        self.turns.forgive((site, release) for site in sites for release in self._begun.get(site, ()))

    def end(self, outcome: Outcome) -> None:
        self.turns.end((outcome.site, outcome.release), failed=bool(outcome.error))

    def begin(self, site: str, pulls: tuple[Pull, ...], commit: str, end: Report) -> None:
        """Unless they are under way, or wait. `end` hears what they brought, and says whose turn it is then."""
        release = pulls[0].release
        others = frozenset(one for name, one in self.turns.at_work if name == site) - {release}
        if len(others) < PULLS_OF_SITE and self.turns.begin({(site, release)}, waiting=False):
            self.turns.forgive((site, one) for one in self._begun.get(site, frozenset()) - others - {release})
            self._begun[site] = others | {release}
            self._lookers.submit(partial(self._look, site, pulls, commit, end))

    def _look(self, site: str, pulls: tuple[Pull, ...], commit: str, end: Report) -> None:
        """What has to be pulled goes on in a pool of its own."""
        if all(self._images.present(step.target) for step in pulls):
            self._resolve(site, pulls, commit, end)
        else:
            self.pullers.submit(partial(self._resolve, site, pulls, commit, end))

    def _resolve(self, site: str, pulls: tuple[Pull, ...], commit: str, end: Report) -> None:
        done: list[tuple[Step, float]] = []
        images: dict[tuple[str, str], str] = {}
        stopped: tuple[Step, float] | None = None
        error = ""
        for step in pulls:
            begun = self._clock()
            try:
                images[step.release, step.target] = self._images.resolve(step.target)
            except Exception as problem:  # noqa: BLE001  a worker's surprise must not leave its site without images for ever
                error, stopped = said(problem, site), (step, self._clock() - begun)
                break
            done.append((step, self._clock() - begun))
        end(Outcome(site, tuple(done), self._hide(error), images, release=pulls[0].release, commit=commit, stopped=stopped))


def pulls_in(steps: Iterable[Step]) -> tuple[Pull, ...]:
    return tuple(step for step in steps if isinstance(step, Pull))


def without_pulls(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if not isinstance(step, Pull))
