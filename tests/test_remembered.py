"""What is known between passes, over a real store: what is kept, and what is over."""

from dataclasses import replace
from pathlib import Path

from reconciler.desired.desired import DesiredSite
from reconciler.outcome import Outcome
from reconciler.planning.failed import FailedRelease
from reconciler.planning.foreign import Claim
from reconciler.planning.intents import Said, restart, rollback
from reconciler.planning.memory import Memory
from reconciler.remembered import Remembered
from reconciler.world.store import Store
from tests.planning.test_plan import desired, plan, running, site

OLD, NEW = site("shop"), site("shop", "app:2")


def with_failure(tmp_path: Path) -> Remembered:
    store = Store(tmp_path / "s.db")
    store.remember_failed(FailedRelease("shop", NEW.release, "exited with 1", 5.0))
    remembered = Remembered(store)
    remembered.hear()
    assert remembered.memory.failed.keys() == {"shop"}
    return remembered


def test_a_failed_release_is_not_tried_again_also_where_nothing_else_runs(tmp_path: Path) -> None:
    """A first release that failed is gone from the engine: what is left of it is that it failed."""
    for containers in ((), (running(OLD),)):
        remembered = with_failure(tmp_path)
        found = plan(desired(NEW), *containers, memory=remembered.memory)
        assert (found.sites["shop"].steps, found.sites["shop"].asked) == ((), NEW.release)
        remembered.forget(found, desired(NEW), containers)
        assert remembered.memory.failed.keys() == {"shop"}


def test_it_is_forgotten_when_something_else_is_wanted_or_nothing_any_more(tmp_path: Path) -> None:
    for written in (desired(site("shop", "app:3")), desired(site("other"))):
        remembered = with_failure(tmp_path)
        remembered.forget(plan(written, running(OLD), memory=remembered.memory), written, (running(OLD),))
        assert remembered.memory == Memory(failed={})
        assert remembered.hear() is None
        assert Store(tmp_path / "s.db").failed() == {}


def test_a_retry_forgets_it_once(tmp_path: Path) -> None:
    remembered = with_failure(tmp_path)
    Store(tmp_path / "s.db").say(Said("retry", "shop"), 1.0)
    remembered.hear()
    assert remembered.take_retries() == {"shop"}
    assert remembered.memory.failed == {}
    assert remembered.take_retries() == frozenset()


def test_what_runs_whole_can_be_gone_back_to_and_an_approval_ends_with_its_removal(tmp_path: Path) -> None:
    remembered = Remembered(Store(tmp_path / "s.db"))
    row = running(OLD)
    remembered.remember_releases(plan(desired(OLD), row), (row,))
    assert [old.site.release for old in remembered.past["shop"]] == [OLD.release]
    Store(tmp_path / "s.db").say(Said("approve", "gone"), 1.0)
    Store(tmp_path / "s.db").say(restart("shop", OLD.release), 1.0)
    remembered.hear()
    gone = running(replace(site("gone"), name="gone"))
    remembered.forget(plan(desired(OLD), row, gone), desired(OLD), (row, gone))
    assert remembered.intents.approved == {"gone"}
    remembered.forget(plan(desired(OLD), row), desired(OLD), (row,))
    assert remembered.intents.approved == frozenset()
    assert remembered.intents.restarts == {"shop": {OLD.release: 1}}


def test_a_word_about_a_commit_that_is_only_just_being_fetched_waits_for_it(tmp_path: Path) -> None:
    """A command fetches by itself: it may know of a commit before the daemon does."""
    remembered, shop, gone = Remembered(Store(tmp_path / "s.db")), running(OLD), running(replace(site("gone"), name="gone"))
    before, after = replace(desired(OLD, replace(site("gone"), name="gone")), revision="1"), replace(desired(NEW), revision="2")
    remembered.remember_releases(plan(before, shop, gone), (shop, gone))
    Store(tmp_path / "s.db").say(Said("approve", "gone"), 1.0)
    Store(tmp_path / "s.db").say(rollback("shop", NEW.release, OLD.release), 1.0)
    remembered.hear()
    for _ in range(2):
        remembered.forget(plan(before, shop, gone), before, (shop, gone))
    remembered.forget(plan(after, shop, gone), after, (shop, gone))
    assert (remembered.intents.approved, set(remembered.intents.rollbacks)) == ({"gone"}, {"shop"})
    remembered.forget(plan(after, shop), after, (shop,))
    assert (remembered.intents.approved, set(remembered.intents.rollbacks)) == (set(), {"shop"})
    later = replace(desired(site("shop", "app:3")), revision="3")
    remembered.forget(plan(later, shop), later, (shop,))
    assert remembered.intents.rollbacks == {}
    assert Store(tmp_path / "s.db").said() == ()


def test_a_word_that_never_fits_ends_with_the_next_commit(tmp_path: Path) -> None:
    remembered, shop = Remembered(Store(tmp_path / "s.db")), running(OLD)
    Store(tmp_path / "s.db").say(Said("approve", "nobody"), 1.0)
    remembered.hear()
    for revision, left in (("1", {"nobody"}), ("1", {"nobody"}), ("2", set())):
        found = replace(desired(OLD), revision=revision)
        remembered.forget(plan(found, shop), found, (shop,))
        assert remembered.intents.approved == left


def test_what_stopped_a_sites_last_steps_is_said_to_who_looks_meanwhile(tmp_path: Path) -> None:
    """Also by another process; not of another release, and not any more when a step ended well or nothing is left to do."""
    remembered, elsewhere = Remembered(Store(tmp_path / "s.db")), Remembered(Store(tmp_path / "s.db"))
    why = "cannot pull app:2: no space left on device"

    def said(by: Remembered, *sites: DesiredSite) -> str:
        by.hear()
        found = plan(desired(*sites), running(OLD), memory=by.memory)
        by.planned(found, ())
        return found.sites["shop"].message

    remembered.outcome(Outcome("shop", error=why, release=NEW.release))
    assert (said(remembered, NEW), said(elsewhere, NEW)) == (why, why)
    assert said(elsewhere, site("shop", "app:3")) != why
    remembered.outcome(Outcome("shop", release=NEW.release))
    assert said(remembered, NEW) == said(elsewhere, NEW) != why
    assert Store(tmp_path / "s.db").troubles() == {}
    remembered.outcome(Outcome("shop", error=why, release=NEW.release))
    assert said(remembered, OLD) == ""


def test_since_when_others_claim_something_is_kept_like_any_difference(tmp_path: Path) -> None:
    """Also where its site is busy, and for a process that looks later; not longer than it is there."""
    claim = Claim("other", "r1", "Host(`shop.test`)", "shop.test", "shop")
    found = replace(plan(desired(OLD), running(OLD)), foreign=(claim,))
    Remembered(Store(tmp_path / "s.db")).remember_differences(found)
    (since,) = Store(tmp_path / "s.db").differences().values()
    later = Remembered(Store(tmp_path / "s.db"))
    assert later.dated(found).foreign == (replace(claim, since=since),)
    busy = replace(found, sites={}, busy=frozenset({"shop"}))
    assert later.remember_differences(busy).foreign == (claim,), "nothing new"
    later.remember_differences(replace(busy, foreign=()))
    assert later.dated(found).foreign[0].since == since
    for _ in range(2):
        later.remember_differences(replace(found, sites={}, foreign=()))
    assert Store(tmp_path / "s.db").differences() == {}
