"""What serves is kept whole while what is wanted cannot be had: its release failed, its image is not here, or the host cannot take it."""

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.desired.desired import DesiredSite
from reconciler.outcome import Outcome
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import Intents, Rollback
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Capacity, Container, Observed, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.steps import Pull, Start, Step, due, line
from reconciler.remembered import Remembered
from reconciler.world.store import Store
from tests.planning.test_plan import NAMES, desired, running, site

OLD, NEW = site("shop", replicas=2), site("shop", "app:2", replicas=2)
ONE = running(OLD, 1)
WHOLE = {("shop", OLD.release): {"web": 2}}
FAILED = {"shop": FailedRelease("shop", NEW.release, "exited with 1", 5.0)}
PULL = "pull    app:2                            for shop"


def exact(of: DesiredSite) -> DesiredSite:
    """As it ran: with the very image."""
    return replace(of, services=tuple(replace(service, digest=service.spec.image) for service in of.services))


LAST = {"shop": exact(OLD)}
UNREACHED = {"shop": (NEW.release, "cannot pull app:2: the registry is tired")}


def plan(written: object, *containers: Container, memory: Memory, intents: Intents | None = None, capacity: Capacity | None = None) -> Plan:
    ready = frozenset(c.id for c in containers if c.state == "running")
    view = TraefikView(reachable=True)
    observed = Observed(containers, network=True, pins={}, traefik=view, answering=ready, capacity=capacity or Capacity())
    return make_plan(written, observed, memory, 100.0, NAMES, intents=intents)


def started(found: Plan) -> list[str]:
    """Names of what is started sooner or later, in this plan."""
    return [step.new.name for step in found.sites["shop"].steps if isinstance(step, Start)]


def old(n: int) -> str:
    return running(OLD, n).name


def first(found: Plan) -> list[str]:
    return [line(step) for step in due(found.sites["shop"].steps)]


def test_the_old_release_is_healed_after_the_new_one_failed() -> None:
    found = plan(desired(NEW), ONE, memory=Memory(failed=FAILED, whole=WHOLE))
    assert started(found) == [old(2)]
    assert found.sites["shop"].message.startswith(f"release {NEW.release} failed")


@pytest.mark.parametrize("third", ["app:3", "app:4", "app:5", "app:6"])
def test_it_goes_back_to_what_was_whole_last_and_not_to_what_failed_before(third: str) -> None:
    """Stop-first: both have stopped, and nothing else tells them apart. With the store, and without by who ever took a request."""
    kept, failed = replace(ONE, state="exited"), replace(running(site("shop", third), 1), state="exited")
    never = {"shop": SiteMemory(unserved=frozenset({failed.release}))}
    for memory in (Memory(failed=FAILED, last=LAST), Memory(failed=FAILED, sites=never)):
        assert plan(desired(NEW), kept, failed, memory=memory).sites["shop"].release == OLD.release


def test_a_service_of_which_nothing_is_left_comes_back_too() -> None:
    """What runs does not tell of it; what was whole last does."""
    other = replace(OLD.services[0], name="worker", replicas=1)
    both = replace(exact(OLD), services=(*exact(OLD).services, other))
    whole = {("shop", OLD.release): {"web": 2, "worker": 1}}
    found = plan(desired(NEW), ONE, running(OLD, 2), memory=Memory(failed=FAILED, whole=whole, last={"shop": both}))
    assert [name.split("-")[2] for name in started(found)] == ["worker"]
    assert (found.sites["shop"].ready, found.sites["shop"].wanted) == (2, 3)


def test_what_makes_no_other_release_counts_while_an_older_one_serves() -> None:
    """`drift: report` and `rollout` in the file of a release that failed, or whose image does not come."""
    changed = running(OLD, 1, live={**(ONE.live or {}), "mem_limit": 64})
    memory = Memory(failed=FAILED, whole={("shop", OLD.release): {"web": 1}})
    healed = plan(desired(NEW), changed, memory=memory)
    assert started(healed) == [old(2)]
    reported = plan(desired(replace(NEW, heal=False)), changed, memory=memory)
    assert (started(reported), len(reported.sites["shop"].drift)) == ([], 1)
    pulling = Memory(whole={("shop", OLD.release): {"web": 1}}, troubles=UNREACHED)
    assert started(plan(desired(NEW), changed, memory=pulling)) == [old(2)]
    assert first(plan(desired(replace(NEW, heal=False)), changed, memory=pulling)) == [PULL]


def test_the_old_release_is_healed_while_the_image_of_the_new_one_is_not_here() -> None:
    """The pull goes on beside it, and why it does not come is said."""
    found = plan(desired(NEW), ONE, memory=Memory(whole=WHOLE, troubles=UNREACHED))
    row = found.sites["shop"]
    assert first(found)[0] == PULL
    assert started(found) == [old(2)]
    assert (row.release, row.asked, row.message) == (OLD.release, NEW.release, UNREACHED["shop"][1])
    assert isinstance(row.steps[0], Pull)
    assert row.steps[0].release == NEW.release


def test_what_a_pull_itself_takes_of_the_disk_does_not_hold_its_site_up() -> None:
    """There was room when it was begun; why an earlier one failed goes on being said."""
    rows, tight = (ONE, running(OLD, 2)), Capacity(disk=0)
    observed = Observed(rows, network=True, pins={}, traefik=TraefikView(reachable=True), capacity=tight)
    memory = Memory(whole=WHOLE, troubles=UNREACHED)
    begun = make_plan(desired(NEW), observed, memory, 100.0, NAMES, pulling=frozenset({"shop"}))
    assert (first(begun)[0], begun.sites["shop"].message) == (PULL, UNREACHED["shop"][1])
    assert make_plan(desired(NEW), observed, memory, 100.0, NAMES).sites["shop"].message.startswith("cannot start ")


def test_nothing_is_touched_while_an_image_is_pulled_and_what_serves_is_whole() -> None:
    """And the plan shows the whole way."""
    found = plan(desired(NEW), ONE, running(OLD, 2), memory=Memory(whole=WHOLE))
    assert first(found) == [PULL]
    assert started(found) == [running(NEW, n).name for n in (1, 2)]
    assert found.look_at is None, "the end of the pull wakes"


def test_a_release_that_is_superseded_while_it_comes_up_goes_while_the_next_ones_image_is_pulled() -> None:
    between = site("shop", "app:3", replicas=2)
    memory = Memory(whole=WHOLE, sites={"shop": SiteMemory(begun=between.release, unserved=frozenset({between.release}))})
    found = plan(desired(NEW), ONE, running(OLD, 2), running(between, 3), memory=memory)
    assert [step.step for step in due(found.sites["shop"].steps)][:1] == ["pull"]
    assert [step.target for step in found.sites["shop"].steps if step.step == "stop"] == [running(between, 3).name]


def test_the_old_release_is_healed_while_the_host_cannot_take_the_new_one() -> None:
    big = replace(NEW, services=(replace(NEW.services[0], spec=replace(NEW.services[0].spec, mem_limit=1 << 40), digest="app:2"),))
    memory = Memory(whole=WHOLE)
    tight = Capacity(memory=1 << 20)
    assert started(plan(desired(big), ONE, memory=memory, capacity=tight)) == [old(2)]
    assert started(plan(desired(big), memory=replace(memory, last=LAST), capacity=tight)) == [old(1), old(2)]
    whole = plan(desired(big), ONE, running(OLD, 2), memory=memory, capacity=tight).sites["shop"]
    assert [step.target for step in whole.steps] == ["room"]


@pytest.mark.parametrize(
    "memory",
    [Memory(failed=FAILED), Memory(troubles=UNREACHED)],
    ids=["failed", "no image"],
)
def test_where_nothing_runs_any_more_the_last_good_release_comes_back(memory: Memory) -> None:
    """If it is known, and with the image that it had; else there is nothing to serve."""
    known = plan(desired(NEW), memory=replace(memory, last=LAST))
    assert started(known) == [old(1), old(2)]
    assert known.sites["shop"].release == OLD.release
    assert set(started(plan(desired(NEW), memory=memory))) <= {running(NEW, n).name for n in (1, 2)}


def test_the_first_try_of_an_image_does_not_bring_back_what_was_there_before() -> None:
    """A host that begins anew has neither."""
    found = plan(desired(NEW), memory=Memory(last=LAST))
    assert first(found) == [PULL]
    assert started(found) == [running(NEW, n).name for n in (1, 2)]


def test_a_release_that_failed_does_not_come_back_though_it_was_good_once() -> None:
    found = plan(desired(NEW), memory=Memory(failed=FAILED, last={"shop": exact(NEW)}))
    assert found.sites["shop"].steps == ()


def test_a_held_site_comes_back_as_it_was_last_good() -> None:
    """Its file is broken, and was never read since the start."""
    found = plan(desired(held={"shop": "broken"}), memory=Memory(last=LAST))
    assert (found.sites["shop"].sync, started(found)) == ("held", [old(1), old(2)])


def test_a_suspended_site_stays_as_a_hand_left_it() -> None:
    pinned = {"shop": SiteMemory(pinned=True)}
    for memory in (Memory(last=LAST, failed=FAILED, sites=pinned), Memory(last=LAST, troubles=UNREACHED)):
        assert started(plan(desired(NEW), memory=memory, intents=Intents(suspended=frozenset({"shop"})))) == []
        assert plan(desired(NEW), ONE, memory=memory, intents=Intents(suspended=frozenset({"shop"}))).sites["shop"].steps == ()


def test_a_failed_rollback_leaves_what_was_good_last() -> None:
    back = Intents(rollbacks={"shop": Rollback(OLD.release, exact(NEW))})
    assert started(plan(desired(OLD), memory=Memory(failed=FAILED, last=LAST), intents=back)) == [old(1), old(2)]
    assert started(plan(desired(OLD), ONE, memory=Memory(failed=FAILED, whole=WHOLE), intents=back)) == [old(2)]


def test_what_is_held_out_of_a_host_name_comes_back_where_that_takes_nothing_from_its_owner() -> None:
    owner = site("owner")
    taker = replace(NEW, route=owner.route)
    found = plan(desired(owner, taker), running(owner), memory=Memory(last=LAST))
    assert (found.sites["shop"].sync, started(found)) == ("held", [old(1), old(2)])
    stolen = {"shop": replace(exact(OLD), route=owner.route)}
    assert plan(desired(owner, taker), running(owner), memory=Memory(last=stolen)).sites["shop"].steps == ()


def rested(store: Store, *containers: Container) -> Remembered:
    remembered = Remembered(store)
    remembered.hear()
    remembered.remember_releases(plan(desired(OLD), *containers, memory=Memory()), containers)
    return remembered


def test_what_was_whole_last_outlives_the_process_and_not_its_site(tmp_path: Path) -> None:
    """A site that was removed and comes again under its name begins with nothing."""
    store, rows = Store(tmp_path / "s.db"), (ONE, running(OLD, 2))
    rested(store, *rows)
    again = Remembered(Store(tmp_path / "s.db"))
    again.hear()
    assert {name: last.release for name, last in again.memory.last.items()} == {"shop": OLD.release}
    again.forget(plan(desired(NEW), memory=again.memory), desired(NEW), ())
    assert again.memory.last.keys() == {"shop"}, "a hand took its containers: it is still wanted"
    again.forget(plan(desired(site("other")), *rows, memory=again.memory), desired(site("other")), rows)
    assert again.memory.last.keys() == {"shop"}, "its removal is not done, and may wait for a person"
    again.forget(plan(desired(site("other")), memory=again.memory), desired(site("other")), ())
    assert (again.memory.last, Store(tmp_path / "s.db").last()) == ({}, {})
    assert [old.site.release for old in again.past["shop"]] == [OLD.release], "a person can still go back to it"
    assert rested(Store(tmp_path / "s.db"), *rows).memory.last.keys() == {"shop"}, "the same content again is good again"


def test_images_are_looked_for_again_where_one_was_missed_and_not_after_every_error(tmp_path: Path) -> None:
    """While they are looked for the old release may be brought back: with one that the engine never starts, that would go on for ever."""
    remembered = Remembered(Store(tmp_path / "s.db"))
    found = {(NEW.release, "app:2"): "sha256:2"}
    remembered.outcome(Outcome("shop", images=found, release=NEW.release))
    remembered.outcome(Outcome("shop", error="cannot start it", release=NEW.release))
    assert remembered.memory.images == {"shop": found}
    remembered.outcome(Outcome("shop", error="cannot create it: no such image", release=NEW.release, missed=True))
    assert remembered.memory.images == {}


def test_the_very_image_of_a_past_release_is_pulled_again_where_it_was_pruned(tmp_path: Path) -> None:
    """By its digest: the name may mean another one by now."""
    digest = "app@sha256:" + "1" * 64
    back = replace(OLD, services=tuple(replace(service, digest=digest) for service in OLD.services))
    rolled = Intents(rollbacks={"shop": Rollback(NEW.release, back)})
    remembered = Remembered(Store(tmp_path / "s.db"))
    remembered.outcome(Outcome("shop", error="cannot create it: no such image", release=OLD.release, missed=True))
    looks = plan(desired(NEW), memory=remembered.memory, intents=rolled)
    remembered.planned(looks, ())
    assert [(step.target, step.release) for step in due(looks.sites["shop"].steps) if isinstance(step, Pull)] == [(digest, OLD.release)]
    remembered.outcome(Outcome("shop", images={(OLD.release, digest): digest}, release=OLD.release))
    here = plan(desired(NEW), memory=remembered.memory, intents=rolled)
    assert {step.new.image for step in here.sites["shop"].steps if isinstance(step, Start)} == {digest}
    assert not any(isinstance(step, Pull) for step in here.sites["shop"].steps)


def test_healing_does_not_hide_why_the_image_does_not_come(tmp_path: Path) -> None:
    remembered = rested(Store(tmp_path / "s.db"), ONE, running(OLD, 2))
    step: Step = Pull("app:2", "for shop", NEW.release)
    remembered.outcome(Outcome("shop", error="cannot pull", release=NEW.release, stopped=(step, 1.0)))
    remembered.outcome(Outcome("shop", release=OLD.release))
    assert remembered.memory.troubles == {"shop": (NEW.release, "cannot pull")}
    remembered.outcome(Outcome("shop", ((step, 1.0),), release=NEW.release))
    assert remembered.memory.troubles == {}


def test_trouble_with_what_is_not_wanted_any_more_is_forgotten(tmp_path: Path) -> None:
    remembered = rested(Store(tmp_path / "s.db"), ONE, running(OLD, 2))
    remembered.outcome(Outcome("shop", error="cannot pull", release=NEW.release))
    rows = (ONE, running(OLD, 2))
    remembered.forget(plan(desired(NEW), *rows, memory=remembered.memory), desired(NEW), rows)
    assert remembered.memory.troubles.keys() == {"shop"}
    remembered.forget(plan(desired(OLD), *rows, memory=remembered.memory), desired(OLD), rows)
    assert (remembered.memory.troubles, Store(tmp_path / "s.db").troubles()) == ({}, {})
