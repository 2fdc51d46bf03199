"""Doing what plans say, beside the engine in memory: images that many sites share, and resting while steps are under way."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from lab.host import until

from reconciler.apply import Apply, Queue
from reconciler.desired.desired import Content, Desired
from reconciler.desired.revision import Revision
from reconciler.desired.spec import ContainerSpec, FileMount, NewContainer
from reconciler.errors import EngineError, NotFoundError
from reconciler.images import FRESH, Images
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Pin
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Create, GiveUp, Pull, Remove, SetPin, Start, Step, Stop
from reconciler.pulling import PULLS
from reconciler.world.files import FileStore
from reconciler.world.memory import Behaviour, MemoryEngine
from reconciler.world.pins import PinFile


class SlowRegistry(MemoryEngine):
    """A pull of `slow` goes on until `here` is set."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.here = threading.Event()

    def resolve(self, image: str, *, timeout: float) -> str:
        assert image != "slow" or self.here.wait(10)
        return super().resolve(image, timeout=timeout)


def test_sites_that_want_one_image_at_once_share_the_answer_and_the_error() -> None:
    """A registry that refuses is asked once for a hundred sites, and again a moment later."""
    now = [0.0]
    engine = MemoryEngine("test", "test_net")
    engine.images["nginx"] = Behaviour()
    engine.fail("resolve", EngineError("cannot pull nginx: the registry is tired"))
    images = Images(engine, lambda: now[0], timeout=5)

    def resolved(_: int) -> str:
        try:
            return images.resolve("nginx")
        except EngineError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(resolved, range(100))) == {"cannot pull nginx: the registry is tired"}
        now[0] = FRESH + 0.1
        assert set(pool.map(resolved, range(100))) == {"sha256:nginx"}


def test_an_image_of_one_name_does_not_wait_for_another() -> None:
    engine = SlowRegistry()
    engine.images["slow"] = Behaviour()
    images = Images(engine, time.monotonic, timeout=5)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(images.resolve, "slow")
        with pytest.raises(EngineError, match="no such image"):
            images.resolve("other")
        assert not slow.done()
        engine.here.set()
        assert slow.result(10) == "sha256:slow"


@pytest.mark.parametrize("sites", [1, 20])
def test_a_rest_ends_when_the_last_step_under_way_has(tmp_path: Path, sites: int) -> None:
    engine = SlowRegistry()
    engine.images["slow"] = Behaviour()
    pins = PinFile(tmp_path / "dynamic", "test", ("web",))
    apply = Apply(engine, pins, FileStore(tmp_path / "files"), parallel=4, clock=time.monotonic, wall=time.time)
    ended: list[Outcome] = []
    pull = Pull("slow", "for it", "r")
    plans = {f"s{n}": SitePlan(f"s{n}", "out-of-sync", "missing", "r", "", (), 0, 1, (pull,)) for n in range(sites)}
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), ended.append)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(apply.rest, 60)
        assert len(apply.pulling) == sites
        assert not ended
        engine.here.set()
        resting.result(10)
    assert len(ended) == sites
    assert all(outcome.images == {("r", "slow"): "sha256:slow"} for outcome in ended)
    assert apply.close(30)


class FullRegistry(MemoryEngine):
    """Pulls of what is absent go on until `here` is set."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.here = threading.Event()

    def resolve(self, image: str, *, timeout: float) -> str:
        assert image in self.images or self.here.wait(10)
        return super().resolve(image, timeout=timeout)


def pulling(name: str, image: str, release: str = "r") -> SitePlan:
    return SitePlan(name, "out-of-sync", "missing", release, "", (), 0, 1, (Pull(image, "for it", release),))


def test_the_queue_tells_who_waits_for_a_thread_and_who_backs_off(tmp_path: Path) -> None:
    engine = FullRegistry()
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=2, clock=lambda: 0.0, wall=time.time)
    plans = {f"s{n}": pulling(f"s{n}", "absent") for n in range(PULLS + 2)}
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), lambda _outcome: None)
    until(lambda: apply.queue == Queue(pulls=2), "two pulls wait for a thread", 30)
    engine.here.set()
    until(lambda: apply.queue == Queue(backing_off=PULLS + 2), "all of them failed, and back off", 30)
    assert apply.close(30)


def test_a_site_that_backs_off_twice_is_one(tmp_path: Path) -> None:
    """Its steps failed, and so did its pull."""
    engine = MemoryEngine("test", "test_net")
    engine.fail("remove", EngineError("cannot remove gone"))
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=1, clock=lambda: 0.0, wall=time.time)
    site, ended = pulling("shop", "absent"), list[Outcome]()
    steps = (*site.steps, Remove("gone", "gone", "it is exited"))
    apply.submit(Plan({"shop": replace(site, steps=steps)}, Memory(), network=True), Desired("", {}), ended.append)
    until(lambda: len(ended) == 2 and not (apply.pulling or apply.at_work), "both failed", 30)
    assert [outcome.error == "" for outcome in ended] == [False, False]
    assert apply.queue == Queue(backing_off=1)
    assert apply.close(30)


def test_pulls_that_hang_hold_nobody_whose_image_is_here(tmp_path: Path) -> None:
    engine = FullRegistry()
    engine.images["here"] = Behaviour()
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=2, clock=time.monotonic, wall=time.time)
    ended: list[Outcome] = []
    plans = {f"s{n}": pulling(f"s{n}", f"absent:{n}") for n in range(40)} | {"z": pulling("z", "here")}
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), ended.append)
    until(lambda: ended, "the one whose image is here", 30)
    assert [outcome.site for outcome in ended] == ["z"]
    engine.here.set()
    until(lambda: len(ended) == 41, "the others failed", 30)


def test_a_rest_does_not_last_because_of_a_pull_that_hung_before(tmp_path: Path) -> None:
    engine = FullRegistry()
    engine.images["here"] = Behaviour()
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=2, clock=time.monotonic, wall=time.time)
    for sites in ({"hangs": pulling("hangs", "absent")}, {"hangs": pulling("hangs", "absent"), "z": pulling("z", "here")}):
        apply.submit(Plan(sites, Memory(), network=True), Desired("", {}), lambda _outcome: None)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(apply.rest, 60).result(10)
    assert apply.pulling == {("hangs", "r")}
    engine.here.set()
    assert apply.close(30)


def test_a_pull_of_what_is_not_wanted_any_more_does_not_hold_what_is(tmp_path: Path) -> None:
    """Of one beside it: a site whose every image hangs does not take all threads."""
    engine = FullRegistry()
    engine.images["here"] = Behaviour()
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=2, clock=lambda: 0.0, wall=time.time)
    ended: list[Outcome] = []

    def submit(image: str, release: str) -> None:
        apply.submit(Plan({"shop": pulling("shop", image, release)}, Memory(), network=True), Desired("", {}), ended.append, apply.pulling)

    submit("absent", "1")
    submit("here", "2")
    until(lambda: ended and apply.pulling == {("shop", "1")}, "the right image", 30)
    assert ended[0].images == {("2", "here"): "sha256:here"}
    for release in ("3", "4"):
        submit(f"absent:{release}", release)
    assert apply.pulling == {("shop", "1"), ("shop", "3")}
    engine.here.set()
    until(lambda: not apply.pulling, "the others failed", 30)
    assert {outcome.release for outcome in ended if outcome.error} == {"1", "3"}
    submit("absent:5", "5")
    until(lambda: len(ended) == 4 and not apply.pulling, "so does the last one", 30)
    assert apply.queue.backing_off == 1, "who is superseded is not tried again"
    assert apply.close(30)


def test_a_pull_that_hangs_or_fails_does_not_hold_its_sites_other_steps(tmp_path: Path) -> None:
    """What serves is healed meanwhile; the pull is begun once, and tried again at its own time."""
    engine, pins = FullRegistry(), PinFile(tmp_path / "dynamic", "test", ("web",))
    apply = Apply(engine, pins, FileStore(tmp_path), parallel=2, clock=lambda: 0.0, wall=time.time)
    ended: list[Outcome] = []
    site = pulling("shop", "absent")
    plan = Plan({"shop": replace(site, steps=(*site.steps, Remove("gone", "gone", "it is exited")))}, Memory(), network=True)

    def once_more(ends: int) -> Outcome:
        apply.submit(plan, Desired("", {}), ended.append)
        until(lambda: len(ended) == ends and not apply.busy, "its other steps are done", 30)
        return ended[-1]

    assert [once_more(ends).done[0][0].step for ends in (1, 2)] == ["remove"] * 2
    assert apply.pulling == {("shop", "r")}
    engine.here.set()
    until(lambda: not apply.pulling, "the pull failed", 30)
    assert (ended[-1].release, ended[-1].error) == ("r", "cannot pull absent: there is no such image, in 600 s.")
    assert once_more(4).done[0][0].step == "remove"
    assert (apply.pulling, apply.queue.backing_off) == (frozenset(), 1)


def test_what_a_container_said_last_is_kept_without_what_commands_a_terminal(tmp_path: Path) -> None:
    """A line stays a line."""

    class Loud(MemoryEngine):
        def logs(self, container_id: str, *, lines: int) -> tuple[str, ...]:  # noqa: ARG002
            return ("\x1b[2J  indented", " ", "\x1b]0;owned\x07bad")

    engine = Loud("test", "test_net")
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=1, clock=lambda: 0.0, wall=time.time)
    ended: list[Outcome] = []
    step = GiveUp("r", "r", ("shop-1",), "it could not be started: \x1b[1m\nno")
    site = SitePlan("shop", "out-of-sync", "progressing", "r", "c", (), 0, 1, (step,))
    apply.submit(Plan({"shop": site}, Memory(), network=True), Desired("", {}), ended.append)
    until(lambda: ended, "it is given up", 30)
    assert ended[0].failed
    assert ended[0].failed.reason.split("\n") == ["it could not be started: [1m no: ]0;owned bad", " [2J  indented", " ]0;owned bad"]
    assert apply.close(30)


def test_a_site_that_fails_is_tried_ever_later_and_at_once_after_another_commit(tmp_path: Path) -> None:
    """With jitter: the pause is drawn between half of it and all of it."""
    now, drawn = [0.0], [1.0]
    engine = MemoryEngine("test", "test_net")
    apply = Apply(
        engine,
        PinFile(tmp_path, "test", ("web",)),
        FileStore(tmp_path),
        parallel=1,
        clock=lambda: now[0],
        wall=lambda: 0.0,
        chance=lambda: drawn[0],
    )

    def fail() -> float:
        ended: list[Outcome] = []
        apply.submit(Plan({"a": pulling("a", "none")}, Memory(), network=True), Desired("", {}), ended.append)
        until(lambda: ended and apply.next_try(), "it backs off", 30)
        assert ended[0].error.startswith("cannot pull none: ")
        assert apply.queue.backing_off == 1
        at = apply.next_try()
        assert at is not None
        pause, now[0] = at - now[0], at
        assert (apply.queue.backing_off, apply.next_try()) == (0, None)
        return pause

    assert [fail() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    drawn[0] = 0.0
    assert fail() == 30
    fail()
    now[0] -= 1.0
    apply.take(Revision("1", {}, lambda _: b""))
    assert (apply.queue.backing_off, apply.next_try()) == (0, None)
    now[0] += 1.0
    assert fail() == 30
    now[0] -= 1.0
    apply.take(Revision("1", {}, lambda _: b""))
    assert apply.queue.backing_off == 1


class SlowToStop(MemoryEngine):
    """Three stops end together, or none does."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.all_three = threading.Barrier(3)

    def stop(self, container_id: str, *, grace: float) -> None:
        self.all_three.wait(5)
        super().stop(container_id, grace=grace)


def test_containers_of_one_site_are_stopped_side_by_side(tmp_path: Path) -> None:
    """Each may take its whole grace. An error of one is told when all have ended."""
    engine = SlowToStop()
    engine.images["app"] = Behaviour()
    ids = [engine.run(f"c{n}", "app", {}) for n in range(3)]
    engine.fail("remove", EngineError("cannot remove: no"))
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=1, clock=time.monotonic, wall=time.time)
    ended: list[Outcome] = []
    steps = tuple(Stop(f"c{n}", made, 1, "replaced") for n, made in enumerate(ids))
    plan = SitePlan("s", "synced", "healthy", "r", "", (), 0, 0, steps)
    apply.submit(Plan({"s": plan}, Memory(), network=True), Desired("", {}), ended.append)
    until(lambda: ended, "all have ended", 10)
    assert ended[0].error == "cannot remove: no"
    assert sum(gone(engine, made) for made in ids) == 2


def gone(engine: MemoryEngine, container: str) -> bool:
    try:
        engine.logs(container, lines=1)
    except NotFoundError:
        return True
    return False


class Stubborn(MemoryEngine):
    """A stop goes on until `over` is set."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.over = threading.Event()

    def stop(self, container_id: str, *, grace: float) -> None:  # noqa: ARG002  nothing is there to be stopped
        assert self.over.wait(60)


def test_a_switch_does_not_wait_for_containers_that_stop_slowly(tmp_path: Path) -> None:
    """However many sites there are whose applications take their whole grace."""
    engine = Stubborn()
    pins = PinFile(tmp_path / "dynamic", "test", ("web",))
    apply = Apply(engine, pins, FileStore(tmp_path / "files"), parallel=4, clock=time.monotonic, wall=time.time)
    rule = "Host(`shop.test`)"
    pin = Pin(((rule, (("test-shop-r", 1),)),), ((rule, 100),))

    def plan(name: str, step: Step) -> Plan:
        return Plan({name: SitePlan(name, "out-of-sync", "healthy", "r", "", (), 1, 1, (step,))}, Memory(), network=True)

    for n in range(40):
        apply.submit(plan(f"s{n}", Stop("c", f"c{n}", 10.0, "replaced", keep=True)), Desired("", {}), lambda _: None)
    apply.submit(plan("shop", SetPin("shop", pin, "the switch")), Desired("", {}), lambda _: None)
    until(lambda: pins.read() == {"shop": pin}, "the switch is done", 10)
    assert len(apply.busy) >= 40
    engine.over.set()
    assert apply.close(30)


class Refusing(MemoryEngine):
    """Does not stop the container `bad`, after two seconds on `clock`."""

    def __init__(self, now: list[float]) -> None:
        super().__init__("test", "test_net", lambda: now[0])
        self._now = now

    def stop(self, container_id: str, *, grace: float) -> None:
        if container_id == "bad":
            self._now[0] += 2.0
            raise EngineError("cannot stop bad: it is busy")
        super().stop(container_id, grace=grace)


@pytest.mark.parametrize("names", [("bad",), ("b", "bad", "c")])
def test_the_outcome_names_the_step_that_was_stopped(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Also among others that were done beside it and ended well; what comes after it is not begun."""
    now = [0.0]
    engine, outcomes = Refusing(now), []
    engine.images["app:1"] = Behaviour()
    apply = Apply(engine, PinFile(None, "test", (), ()), FileStore(tmp_path), parallel=1, clock=lambda: now[0], wall=lambda: 0.0)
    stops = tuple(Stop(name, name, 5.0, "replaced") for name in names)
    site = SitePlan(
        "shop", "out-of-sync", "progressing", "r", "", (), 0, 1, steps=(Remove("first", "first", "x"), *stops, Remove("last", "last", "y"))
    )
    apply.submit(Plan({"shop": site}, Memory(), network=True), Desired("c", {}), outcomes.append)
    until(lambda: outcomes, "it ended")
    (outcome,) = outcomes
    assert (outcome.error, outcome.stopped) == ("cannot stop bad: it is busy", (stops[names.index("bad")], 2.0))
    assert {step.target for step, _ in outcome.done} == {"first", *names} - {"bad"}
    assert apply.close(5)


def test_what_is_mounted_is_of_the_commit_that_the_step_is_for(tmp_path: Path) -> None:
    """Though another commit is taken while the step waits for a worker."""
    engine, files = Hanging(), FileStore(tmp_path / "files")
    engine.images["app"] = Behaviour()
    engine.ensure_network()
    apply = Apply(engine, PinFile(None, "test", (), ()), files, parallel=1, clock=time.monotonic, wall=time.time)
    found: list[Outcome] = []
    mount = FileMount("/page", "page", "of-the-first")
    specs = {"a": ContainerSpec("app", 80), "b": replace(ContainerSpec("app", 80), files=(mount,))}
    plans = {
        name: SitePlan(name, "out-of-sync", "missing", "r", "", (), 0, 1, (Start(NewContainer(name, "app", spec, (), "test_net"), "new"),))
        for name, spec in specs.items()
    }
    apply.take(Revision("1", {}, lambda _path: b"the first"))
    first = Desired("1", {}, contents={"of-the-first": Content((("", "page", False),))})
    apply.submit(Plan(plans, Memory(), network=True), first, found.append)
    apply.take(Revision("2", {}, lambda _path: b"the second"))
    engine.free.set()
    until(lambda: len(found) == 2, "both have ended")
    assert [outcome.error for outcome in found] == ["", ""]
    assert files.path("of-the-first").read_bytes() == b"the first"
    assert apply.close(5)


def test_who_watches_hears_of_an_outcome_when_there_may_be_more_to_do(tmp_path: Path) -> None:
    """A pass that is made earlier finds the site busy, and the engine has told of its last event by then: nothing else would wake."""
    engine = MemoryEngine("test", "test_net")
    apply = Apply(engine, PinFile(None, "test", (), ()), FileStore(tmp_path), parallel=1, clock=time.monotonic, wall=time.time)
    heard: list[tuple[str, frozenset[str], int]] = []
    known: list[Outcome] = []
    apply.watch(lambda outcome: heard.append((outcome.site, apply.busy, len(known))))
    site = SitePlan("shop", "out-of-sync", "progressing", "r", "", (), 0, 1, steps=(Remove("gone", "gone", "x"),))
    apply.submit(Plan({"shop": site}, Memory(), network=True), Desired("c", {}), known.append)
    until(lambda: heard, "it is told")
    assert heard == [("shop", frozenset(), 1)]
    assert apply.close(5)


class Hanging(MemoryEngine):
    """It stops and creates nothing before `free` is set."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.free = threading.Event()

    def stop(self, container_id: str, *, grace: float) -> None:
        self.free.wait(30)
        super().stop(container_id, grace=grace)

    def create(self, new: NewContainer) -> str:
        self.free.wait(30)
        return super().create(new)


def test_who_only_waits_for_what_is_stopped_slows_no_pass(tmp_path: Path) -> None:
    """It may take its whole grace; what is started ends soon, and then there is something to decide."""
    engine = Hanging()
    engine.images["app"] = Behaviour()
    engine.ensure_network()
    apply = Apply(engine, PinFile(tmp_path, "test", ("web",)), FileStore(tmp_path), parallel=4, clock=time.monotonic, wall=time.time)
    steps: dict[str, Step] = {f"old{n}": Stop(f"old{n}", engine.run(f"old{n}", "app", {}), 1, "replaced") for n in range(3)}
    steps["new"] = Create(NewContainer("new", "app", ContainerSpec("app", 80), (), "test_net"), "new release")
    plans = {name: SitePlan(name, "out-of-sync", "missing", "r", "", (), 0, 1, (step,)) for name, step in steps.items()}
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), lambda _: None)
    assert (len(apply.at_work), apply.starting) == (4, 1)
    engine.free.set()
    until(lambda: not apply.at_work and not apply.starting, "all have ended", 10)
    assert apply.close(30)


class Counting(PinFile):
    """How many sites' pins each change was of."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "test", ("web",))
        self.sizes: list[int] = []

    def set(self, changes: Mapping[str, Pin | None]) -> None:
        self.sizes.append(len(changes))
        super().set(changes)


def beside(engine: MemoryEngine, names: Sequence[str]) -> Plan:
    """Of each site a pin, and then something else."""
    pin = Pin((("Host(`shop.test`)", ()),), (("Host(`shop.test`)", 100),))
    plans = {
        name: SitePlan(name, "out-of-sync", "missing", "r", "", (), 0, 1, (SetPin(name, pin, "nobody"), Stop(name, made, 1, "replaced")))
        for name in names
        for made in (engine.run(name, "app", {}),)
    }
    return Plan(plans, Memory(), network=True)


def test_pins_of_many_sites_are_one_change_and_each_goes_on_after_it(tmp_path: Path) -> None:
    engine, names = MemoryEngine("test", "test_net"), ("a", "b", "c")
    ended: list[Outcome] = []
    engine.images["app"] = Behaviour()
    pins = Counting(tmp_path / "dynamic")
    apply = Apply(engine, pins, FileStore(tmp_path / "files"), parallel=4, clock=time.monotonic, wall=time.time)
    apply.submit(beside(engine, names), Desired("", {}), ended.append)
    until(lambda: len(ended) == len(names), "all have ended", 10)
    assert pins.sizes == [3]
    assert [[step.step for step, _ in outcome.done] for outcome in ended] == [["pin", "stop"]] * 3
    assert not apply.busy
    assert apply.close(30)


@pytest.mark.parametrize(("sites", "created"), [(1, 1), (4, 4), (9, 4)])
def test_no_more_is_created_beside_pins_than_is_done_while_traefik_takes_them(tmp_path: Path, sites: int, created: int) -> None:
    """The next pass starts all of them: it is not to wait for a hundred containers to be created."""
    engine, ended = MemoryEngine("test", "test_net"), list[Outcome]()
    engine.images["app"] = Behaviour()
    engine.ensure_network()
    pin = Pin((("Host(`shop.test`)", ()),), (("Host(`shop.test`)", 100),))
    plans = {}
    for name in (f"s{n}" for n in range(sites)):
        create = Create(NewContainer(name, "app", ContainerSpec("app", 80), (), "test_net"), "new release")
        plans[name] = SitePlan(name, "out-of-sync", "missing", "r", "", (), 0, 1, (SetPin(name, pin, "nobody"), create))
    apply = Apply(engine, Counting(tmp_path / "dynamic"), FileStore(tmp_path), parallel=4, clock=time.monotonic, wall=time.time)
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), ended.append)
    until(lambda: len(ended) == sites, "all have ended", 10)
    assert sorted(len(outcome.done) for outcome in ended) == sorted([2] * created + [1] * (sites - created))
    assert apply.close(30)


def test_where_a_pin_cannot_be_written_nothing_is_done_after_it(tmp_path: Path) -> None:
    (tmp_path / "dynamic").write_text("no folder")
    engine = MemoryEngine("test", "test_net")
    ended: list[Outcome] = []
    engine.images["app"] = Behaviour()
    apply = Apply(engine, Counting(tmp_path / "dynamic"), FileStore(tmp_path), parallel=4, clock=time.monotonic, wall=time.time)
    plan = beside(engine, ("a",))
    apply.submit(plan, Desired("", {}), ended.append)
    until(lambda: ended, "it has ended", 10)
    (outcome,) = ended
    assert outcome.error
    pin, stop = plan.sites["a"].steps
    assert (outcome.done, outcome.stopped and outcome.stopped[0]) == ((), pin)
    assert isinstance(stop, Stop)
    assert not gone(engine, stop.container_id)
    assert apply.close(30)
