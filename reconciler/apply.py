"""Doing: steps of one site in order, sites side by side, bounded. A slow site never delays another: pins, pulls and stops have pools of
their own."""

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Revision
from reconciler.desired.spec import SecretRef, SecretValue
from reconciler.errors import EngineError, NotFoundError, ShipstoneError, in_one_line, printable
from reconciler.failpoints import failpoint
from reconciler.mounting import Mounting
from reconciler.outcome import Outcome, Report, said
from reconciler.planning.describe import SitePlan
from reconciler.planning.failed import FailedRelease
from reconciler.planning.observed import Container
from reconciler.planning.plan import Plan
from reconciler.planning.question import Answer, Question, verdict
from reconciler.planning.steps import Ask, Create, GiveUp, Remove, SetPin, Start, StartAgain, Step, Stop, Wait, due
from reconciler.pulling import Pulled, Pulling, pulls_in, without_pulls
from reconciler.turns import Turns
from reconciler.workers import Workers
from reconciler.world.engine import Engine
from reconciler.world.files import FileStore
from reconciler.world.pins import PinFile

LOG_LINES = 20
STOPPERS = 32
"""Sites whose containers are stopped at the same time at the most: each may take its whole grace."""
STOPS = 8
"""Containers of one site that are stopped side by side: each may take its whole grace."""


@dataclass(frozen=True)
class Queue:
    """Who waits here: sites for their next try after an error, jobs of steps, of pulls and of stops for a thread."""

    backing_off: int = 0
    steps: int = 0
    pulls: int = 0
    stops: int = 0


@dataclass(frozen=True)
class Wanted:
    """What steps are for, and where mounted content is read from: both of one commit, though another is taken before they are done."""

    desired: Desired
    revision: Revision | None


AskBoth = Callable[[Question], tuple[Answer | None, Answer | None]]
"""What Traefik answers, and the container itself."""


class Secrets(Protocol):
    """Where values come from, just before a container is made; see world/secrets.py."""

    def values(self, site: str, wanted: Iterable[SecretRef], revision: Revision | None) -> tuple[tuple[str, SecretValue], ...]: ...

    def hide(self, text: str) -> str: ...


class NoSecrets:
    """Of an installation without any."""

    def values(self, site: str, wanted: Iterable[SecretRef], revision: Revision | None) -> tuple[tuple[str, SecretValue], ...]:  # noqa: ARG002
        raise EngineError(f"cannot start a container of {site}: there are no secrets here.")

    def hide(self, text: str) -> str:
        return text


class Apply:
    """Does what plans say. `clock` is monotonic, `wall` the time of day; `chance` gives numbers from 0 to 1. Images are pulled beside a
    site's other steps: a registry that hangs must not stop healing."""

    def __init__(
        self,
        engine: Engine,
        pins: PinFile,
        files: FileStore,
        *,
        parallel: int,
        clock: Callable[[], float],
        wall: Callable[[], float],
        ask: AskBoth = lambda _question: (None, None),
        pull_timeout: float = 600.0,
        chance: Callable[[], float] = random.random,
        policy: Policy | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self._engine, self._pins = engine, pins
        self._clock, self._wall = clock, wall
        self._secrets = secrets or NoSecrets()
        self._mounting = Mounting(engine, files, policy)
        self._ask = ask
        self._parallel = parallel
        self._workers, self._stoppers, self._pinner = Workers(parallel, "steps"), Workers(STOPPERS, "stop"), Workers(1, "pin")
        self._turns: Turns[str] = Turns(clock, chance)
        self._pulling = Pulling(engine, clock, pull_timeout, Turns(clock, chance), self._workers, self._secrets.hide)
        self._ended = threading.Event()
        self._hanging: frozenset[Pulled] = frozenset()
        """Whose images were being pulled before the last submit already."""
        self.revision: Revision | None = None
        self._told: Report = lambda _outcome: None

    def watch(self, told: Report) -> None:
        """`told` hears of every outcome from now on, after its site is free again; from another thread."""
        self._told = told

    @property
    def busy(self) -> frozenset[str]:
        """Sites whose steps are being done, and those that wait before the next try; a pull is no reason to leave a site alone."""
        return self._turns.busy

    @property
    def at_work(self) -> frozenset[str]:
        """Sites whose steps are being done."""
        return self._turns.at_work

    @property
    def starting(self) -> int:
        """How many sites' steps are being done, but for those that stop something: these may take their whole grace."""
        return self._workers.open + self._pinner.open

    @property
    def pulling(self) -> frozenset[Pulled]:
        """Sites, and releases of them, whose images are being pulled."""
        return self._pulling.turns.at_work

    @property
    def queue(self) -> Queue:
        backing_off = self._turns.backing_off | {site for site, _ in self._pulling.turns.backing_off}
        return Queue(len(backing_off), self._workers.waiting + self._pinner.waiting, self._pulling.pullers.waiting, self._stoppers.waiting)

    def next_try(self) -> float | None:
        """When the earliest site that backs off is tried again (monotonic seconds)."""
        return min(
            (at for next_try in (self._turns.next_try, self._pulling.turns.next_try) if (at := next_try()) is not None), default=None
        )

    def take(self, revision: Revision) -> None:
        """Mounted content is read from it from now on. Another commit is a reason to try at once what backs off."""
        if self.revision is None or self.revision.id != revision.id:
            self._turns.all_at_once()
            self._pulling.turns.all_at_once()
        self.revision = revision

    def submit(self, plan: Plan, desired: Desired, report: Report, pulling: frozenset[Pulled] = frozenset()) -> None:
        """Hand each site's due steps to a worker; pins of many sites are one change of one file, made at once. `pulling`: whose images
        were being pulled when it was planned: that tells what it brought before another pull is begun."""
        self._mounting.heed(plan)
        wanted = Wanted(desired, self.revision)
        found = {name: steps for name, site in plan.sites.items() if (steps := due(site.steps))}
        if any(isinstance(site.steps[0], Wait) and site.steps[0].target == "drain" for site in plan.sites.values() if site.steps):
            failpoint("drain")
        self._ended.clear()
        self._hanging = self._pulling.turns.at_work
        for name, steps in found.items():
            if (pulls := pulls_in(steps)) and (name, pulls[0].release) not in pulling:
                self._pulling.begin(name, pulls, desired.revision, partial(self._end, report=report, pulled=True))
        others = few_ahead({name: without_pulls(steps) for name, steps in found.items()}, self._parallel)
        found = {name: steps for name, steps in others.items() if steps and self._turns.begin({name} | touched(steps))}
        pins = {name: (step, tuple(more)) for name, (step, *more) in found.items() if isinstance(step, SetPin) and not step.also}
        if pins:
            self._pinner.submit(partial(self._pin, pins, plan, wanted, report))
        for name, steps in found.items():
            if name not in pins:
                self._pool_for(steps).submit(partial(self._site, plan.sites[name], steps, wanted, report))

    def tend_files(self, containers: Iterable[Container], desired: Desired, past: Iterable[DesiredSite]) -> None:
        """Mounted content that someone deleted is written again; what nothing mounts any more, and no past release did, goes.
        Only while no steps are done."""
        self._mounting.tend(containers, desired, past, self.revision)

    def retry_now(self, sites: Iterable[str]) -> None:
        """Sites that back off do so no longer."""
        sites = tuple(sites)
        self._turns.forgive(sites)
        self._pulling.forgive(sites)

    def rest(self, seconds: float) -> None:
        """Sleep; no longer than until the last of the steps that are under way since the last submit has ended, and of the pulls that it
        began: an older one may hang."""
        self._ended.wait(seconds)

    def close(self, timeout: float) -> bool:
        """No new steps; those under way are finished, if `timeout` seconds are enough. Pulls are let go."""
        deadline = self._clock() + timeout
        pools = self._pinner, self._workers, self._stoppers
        for pool in (self._pulling.pullers, *pools):
            pool.close(0)
        return all(pool.close(max(0.0, deadline - self._clock())) for pool in pools)

    def _pin(self, pins: Mapping[str, tuple[SetPin, tuple[Step, ...]]], plan: Plan, wanted: Wanted, report: Report) -> None:
        """All of them together; then each site's further steps, which come second in `pins`."""
        begun = self._clock()
        error = ""
        try:
            self._pins.set({site: step.pin for site, (step, _) in pins.items()})
        except ShipstoneError as problem:
            error = str(problem)
        seconds = self._clock() - begun
        for site, (step, more) in pins.items():
            if more and not error:
                self._pool_for(more).submit(partial(self._site, plan.sites[site], more, wanted, report, ((step, seconds),)))
                continue
            done, stopped = ((), (step, seconds)) if error else (((step, seconds),), None)
            self._end(Outcome(site, done, error, release=plan.sites[site].release, commit=wanted.desired.revision, stopped=stopped), report)

    def _pool_for(self, steps: tuple[Step, ...]) -> Workers:
        """A switch waits for nobody's grace, nor does a start."""
        if all(isinstance(step, SetPin) for step in steps):
            return self._pinner
        return self._stoppers if any(isinstance(step, Stop) for step in steps) else self._workers

    def _site(
        self, site: SitePlan, steps: tuple[Step, ...], wanted: Wanted, report: Report, before: tuple[tuple[Step, float], ...] = ()
    ) -> None:
        done = list(before)
        failed: FailedRelease | None = None
        asked: tuple[str, str] | None = None
        stopped: tuple[Step, float] | None = None
        error, missed = "", False
        step, begun = steps[0], self._clock()
        try:
            for group in groups(steps):
                step, begun = group[0], self._clock()
                match step:
                    case GiveUp():
                        failed = self._give_up(site, step)
                    case Ask():
                        asked = site.release, verdict(step.question, *self._ask(step.question))
                    case _:
                        ended = self._together(site, group, wanted)
                        done += [(one, seconds) for one, seconds, wrong in ended if wrong is None]
                        for one, seconds, wrong in ended:
                            if wrong is not None:
                                step, begun = one, self._clock() - seconds
                                raise wrong
                        continue
                done.append((step, self._clock() - begun))
        except Exception as problem:  # noqa: BLE001  a worker's surprise must not leave its site busy for ever
            error, missed = said(problem, site.name), isinstance(problem, NotFoundError)
            stopped = step, self._clock() - begun
        error, revision = self._secrets.hide(error), wanted.desired.revision
        outcome = Outcome(site.name, tuple(done), error, {}, failed, asked, site.release, revision, stopped, missed)
        self._end(outcome, report, touched(steps))

    def _end(self, outcome: Outcome, report: Report, others: frozenset[str] = frozenset(), *, pulled: bool = False) -> None:
        """Tell of it first, so that the next plan knows it; then the site is free, or backs off."""
        failpoint("record")
        report(outcome)
        if pulled:
            self._pulling.end(outcome)
        else:
            self._turns.end(outcome.site, others, failed=bool(outcome.error))
        self._look_whether_ended()
        self._told(outcome)

    def _look_whether_ended(self) -> None:
        if not (self._turns.at_work or self._pulling.turns.at_work - self._hanging):
            self._ended.set()

    def _together(self, site: SitePlan, group: tuple[Step, ...], wanted: Wanted) -> list[tuple[Step, float, Exception | None]]:
        """Side by side, until all have ended: each with its seconds and what went wrong with it, the first that ended first."""
        ended: list[tuple[Step, float, Exception | None]] = []

        def one(step: Step) -> None:
            begun, wrong = self._clock(), None
            try:
                self._do(site, step, wanted)
            except Exception as error:  # noqa: BLE001  whoever called raises it
                wrong = error
            ended.append((step, self._clock() - begun, wrong))

        threads = [threading.Thread(target=one, args=(step,), name="stop", daemon=True) for step in group[1:]]
        for thread in threads:
            thread.start()
        one(group[0])
        for thread in threads:
            thread.join()
        return ended

    def _do(self, site: SitePlan, step: Step, wanted: Wanted) -> None:
        match step:
            case SetPin():
                self._pins.set({site.name: step.pin, **dict(step.also)})
            case Create() | Start():
                self._mounting.prepare(site.name, step.new.spec, wanted.desired, wanted.revision)
                new = step.new
                if new.spec.secrets:
                    new = replace(new, secrets=self._secrets.values(site.name, new.spec.secrets, wanted.revision))
                made = step.made if isinstance(step, Start) else ""
                made = made or self._engine.create(new)
                if isinstance(step, Start):
                    self._engine.start_new(made, new)
            case Stop():
                failpoint("stop")
                self._engine.stop(step.container_id, grace=step.grace)
                if not step.keep:
                    failpoint("remove")
                    self._engine.remove(step.container_id)
            case StartAgain():
                self._engine.start(step.container_id)
            case Remove():
                self._engine.remove(step.container_id)

    def _give_up(self, site: SitePlan, step: GiveUp) -> FailedRelease:
        log: list[str] = []
        for container in step.containers:
            try:
                log += self._engine.logs(container, lines=LOG_LINES)
            except EngineError:
                continue
        lines = [printable(self._secrets.hide(text)) for text in [text for text in log if text.strip()][-LOG_LINES:]]
        why = in_one_line(step.reason)
        reason = "\n".join([f"{why}: {lines[-1].strip()}" if lines else why, *lines])
        return FailedRelease(site.name, step.release, reason, self._wall())


def few_ahead(found: Mapping[str, tuple[Step, ...]], most: int) -> dict[str, tuple[Step, ...]]:
    """What is only created while Traefik takes the pin, of `most` sites: more would not be done by then, and hold up the first starts."""
    ahead = [name for name, steps in found.items() if steps and all(isinstance(step, SetPin | Create) for step in steps)]
    late = [name for name in ahead if any(isinstance(step, Create) for step in found[name])][most:]
    return {**found, **{name: tuple(step for step in found[name] if not isinstance(step, Create)) for name in late}}


def touched(steps: Iterable[Step]) -> frozenset[str]:
    """Other sites whose pins these steps change too."""
    return frozenset(site for step in steps if isinstance(step, SetPin) for site, _ in step.also)


def groups(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Steps in their order; neighbouring stops, up to STOPS of them, as one."""
    for stops, rows in itertools.groupby(steps, lambda step: isinstance(step, Stop)):
        group = tuple(rows)
        size = STOPS if stops else 1
        yield from (group[n : n + size] for n in range(0, len(group), size))
