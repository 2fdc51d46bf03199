"""What people say: suspend, restart, rollback, approve; over the plan, and through the store."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.desired.desired import Timing
from reconciler.desired.release import content_of, counted
from reconciler.desired.spec import Port
from reconciler.errors import ShipstoneError
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import ALL, Intents, Rollback, Said, as_asked, intents_of, restart, rollback
from reconciler.planning.labels import site_from_labels
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed, Pin, TraefikView
from reconciler.planning.past import PastRelease, earlier, past_release, past_text
from reconciler.planning.plan import Plan, make_plan
from reconciler.world.store import RELEASES, Store
from tests.planning.test_plan import NAMES, desired, running, site

OLD, NEW = site("shop"), site("shop", "app:2")
BACK = Intents(rollbacks={"shop": Rollback(NEW.release, OLD)})


def plan(
    written: object, *containers: Container, intents: Intents, memory: Memory | None = None, pins: dict[str, Pin] | None = None
) -> Plan:
    ready = frozenset(c.id for c in containers if c.state == "running")
    view = TraefikView(reachable=True, pins=pins or {})
    observed = Observed(containers, network=True, pins=pins or {}, traefik=view, answering=ready)
    return make_plan(written, observed, memory or Memory(), 100.0, NAMES, intents=intents)


def test_a_suspended_site_is_neither_deployed_healed_nor_removed() -> None:
    for who in ("shop", ALL):
        intents = Intents(suspended=frozenset({who}))
        for found in (
            plan(desired(NEW), running(OLD), intents=intents),
            plan(desired(OLD), running(OLD, state="exited"), intents=intents),
            plan(desired(site("other")), running(OLD), running(site("other")), intents=intents),
        ):
            row = found.sites["shop"]
            assert (row.sync, row.steps) == ("suspended", ())
            assert f"`shipstone resume {'--all' if who == ALL else 'shop'}` goes on." in row.message


def test_what_makes_no_other_release_counts_while_a_site_is_rolled_back() -> None:
    """Nothing else than a commit can change it, and no such commit ends the rollback."""
    more = replace(NEW, services=(replace(NEW.services[0], replicas=3),), heal=False, timing=Timing(drain=42.0))
    found = plan(desired(more), running(OLD), intents=BACK).sites["shop"]
    assert (found.release, found.wanted) == (OLD.release, 3)
    back = as_asked(more, BACK, ())
    assert (back.release, back.heal, back.timing.drain) == (OLD.release, False, 42.0)


def test_a_rollback_never_leaves_a_site_without_anybody() -> None:
    """Blue and green: the file of now has none of what served then. Nor are there more of what has a port of the host than there were."""
    green = replace(NEW, services=(replace(NEW.services[0], replicas=0), replace(NEW.services[0], name="green")))
    assert as_asked(green, BACK, ()).services[0].replicas == 1
    port = replace(OLD.services[0], spec=replace(OLD.services[0].spec, ports=(Port(5432, 5432, "tcp", ""),)))
    back = Intents(rollbacks={"shop": Rollback(NEW.release, replace(OLD, services=(port,)))})
    assert as_asked(replace(NEW, services=(replace(NEW.services[0], replicas=3),)), back, ()).services[0].replicas == 1


def test_a_file_may_suspend_its_site() -> None:
    """Also one that never ran."""
    asleep = replace(NEW, suspend=True)
    assert plan(desired(asleep), running(OLD), intents=Intents()).sites["shop"].steps == ()
    found = plan(desired(asleep), intents=Intents()).sites["shop"]
    assert (found.sync, found.health, found.steps) == ("suspended", "missing", ())


def test_a_rollout_under_way_comes_to_rest_when_suspended() -> None:
    """Before the switch it is undone: the pin names the old release."""
    pin = Pin((("Host(`shop.test`)", ((f"t-shop-{OLD.release}", 1),)),), (("Host(`shop.test`)", 35),))
    intents = Intents(suspended=frozenset({"shop"}))
    found = plan(desired(NEW), running(OLD), running(NEW, 1, address="10.0.0.9"), intents=intents, pins={"shop": pin})
    row = found.sites["shop"]
    assert row.sync == "suspended"
    assert row.release == OLD.release
    assert [step.target for step in row.steps if step.step == "stop"] == [running(NEW).name]


def test_a_first_release_that_never_served_is_taken_away_when_suspended() -> None:
    pin = Pin((("Host(`shop.test`)", ()),), (("Host(`shop.test`)", 35),))
    memory = Memory(sites={"shop": SiteMemory(unserved=frozenset({NEW.release}))})
    intents = Intents(suspended=frozenset({"shop"}))
    row = plan(desired(NEW), running(NEW), intents=intents, memory=memory, pins={"shop": pin}).sites["shop"]
    assert [step.target for step in row.steps if step.step == "stop"] == [running(NEW).name]


def test_a_restart_is_the_same_content_under_the_next_counter() -> None:
    intents = intents_of([restart("shop", OLD.release)], {})
    found = plan(desired(OLD), running(OLD), intents=intents).sites["shop"]
    again = counted(OLD.release, 1)
    assert content_of(again) == (OLD.release, 1)
    assert (found.release, found.asked, found.differences) == (again, again, ())
    assert any(step.step == "pull" for step in found.steps)
    done = running(replace(OLD, release=again))
    assert plan(desired(OLD), done, intents=intents).quiet
    assert restart("shop", again) == Said("restart", "shop", json.dumps({"content": OLD.release, "counter": 2}))


def test_without_the_store_a_restarted_site_stays_as_it_is() -> None:
    assert plan(desired(OLD), running(replace(OLD, release=counted(OLD.release, 3))), intents=Intents()).quiet


def test_another_content_forgets_the_counter() -> None:
    intents = intents_of([restart("shop", OLD.release)], {})
    assert plan(desired(NEW), running(NEW), intents=intents).quiet


def test_a_rollback_goes_back_and_stays_until_the_repository_changes_the_site() -> None:
    found = plan(desired(NEW), running(NEW), intents=BACK).sites["shop"]
    assert (found.sync, found.release) == ("out-of-sync", OLD.release)
    assert f"rolled back to {OLD.release}" in found.message
    rest = plan(desired(NEW), running(OLD), intents=BACK)
    assert rest.quiet
    assert rest.sites["shop"].sync == "out-of-sync"
    assert ("image", "app:2", "app:1", "commit") in {(d.field, d.desired, d.actual, d.cause) for d in rest.sites["shop"].differences}
    third = site("shop", "app:3")
    assert plan(desired(third), running(OLD), intents=BACK).sites["shop"].release == third.release


def test_a_rollback_runs_the_exact_image_that_ran_before() -> None:
    exact = replace(OLD, services=(replace(OLD.services[0], digest="app@sha256:old"),))
    intents = Intents(rollbacks={"shop": Rollback(NEW.release, exact)})
    pin = Pin((("Host(`shop.test`)", ((f"t-shop-{NEW.release}", 1),)),), (("Host(`shop.test`)", 35),))
    found = plan(desired(NEW), running(NEW), intents=intents, pins={"shop": pin}).sites["shop"]
    assert not [step for step in found.steps if step.step == "pull"]
    assert [step.new.image for step in found.steps if step.step == "start"] == ["app@sha256:old"]  # type: ignore[union-attr]


def test_a_failed_restart_keeps_what_runs() -> None:
    intents = intents_of([restart("shop", OLD.release)], {})
    memory = Memory(failed={"shop": FailedRelease("shop", counted(OLD.release, 1), "exited with 1", 5.0)})
    found = plan(desired(OLD), running(OLD), intents=intents, memory=memory).sites["shop"]
    assert (found.steps, found.release) == ((), OLD.release)
    assert "failed: exited with 1" in found.message


def test_mass_removal_is_held_until_approved() -> None:
    names = [f"s{n}" for n in range(5)]
    rows = [running(site(name)) for name in names]
    written = desired(site("s0"), site("s1"))
    held = plan(written, *rows, intents=Intents())
    assert held.held_removals == {"s2", "s3", "s4"}
    assert {name: row.sync for name, row in held.sites.items()} == dict.fromkeys(["s0", "s1"], "synced") | dict.fromkeys(names[2:], "held")
    assert held.quiet
    free = plan(written, *rows, intents=Intents(approved=held.held_removals))
    assert free.held_removals == frozenset()
    assert all(free.sites[name].steps for name in names[2:])


def test_a_held_removal_is_still_healed() -> None:
    rows = [running(site(f"s{n}"), state="exited" if n == 4 else "running") for n in range(5)]
    found = plan(desired(site("s0")), *rows, intents=Intents())
    assert any(step.step == "start" for step in found.sites["s4"].steps)


def test_what_ran_can_be_kept_as_text_and_read_back() -> None:
    rows = [running(replace(OLD, services=(replace(OLD.services[0], replicas=2),)), n) for n in (1, 2)]
    past = past_release("shop", OLD.release, past_text(rows), 5.0)
    assert past is not None
    assert past.site == site_from_labels("shop", rows)
    for text in ("", "[]", "{}", '{"services": {}}', '{"services": {"web": 1}}'):
        assert past_release("shop", OLD.release, text, 5.0) is None


def test_the_store_keeps_what_people_said_and_what_ran(tmp_path: Path) -> None:
    """The daemon notices what a command wrote, and only that."""
    daemon, command = Store(tmp_path / "s.db"), Store(tmp_path / "s.db")
    assert daemon.changed()
    text = past_text([running(OLD)])
    for n in range(RELEASES + 2):
        daemon.remember_release("shop", f"release{n}", text, float(n))
    daemon.remember_release("shop", OLD.release, text, 100.0)
    assert not daemon.changed()
    for said in (Said("suspend", ALL), restart("shop", OLD.release), rollback("shop", NEW.release, OLD.release), Said("approve", "gone")):
        command.say(said, 1.0)
    command.say(rollback("blog", "x", "not kept"), 1.0)
    assert daemon.changed()
    past = daemon.releases()
    assert [old.site.release for old in past["shop"]] == [OLD.release, *(f"release{RELEASES + 1 - n}" for n in range(RELEASES - 1))]
    found = intents_of(daemon.said(), past)
    assert found.is_suspended("anything")
    assert found.restarts == {"shop": {OLD.release: 1}}
    assert found.rollbacks.keys() == {"shop"}
    assert found.approved == {"gone"}
    assert daemon.unsay(ALL)
    assert not daemon.unsay(ALL)
    assert not intents_of(command.said(), past).is_suspended("anything")
    daemon.close()
    command.close()


def test_a_rollback_holds_though_restarts_have_pushed_its_release_out() -> None:
    """What they left is the same content."""
    kept = tuple(PastRelease(replace(OLD, release=counted(OLD.release, n)), 1.0) for n in (5, 4, 3, 2, 1))
    intents = intents_of([rollback("shop", NEW.release, OLD.release)], {"shop": kept})
    assert intents.rollbacks["shop"].to.release == counted(OLD.release, 5)
    assert intents_of([rollback("shop", NEW.release, OLD.release)], {"shop": ()}).rollbacks == {}


def test_a_release_is_named_whole_or_by_a_beginning_that_no_other_has() -> None:
    """A restart of the same content, which came later, begins as it does."""
    past = [PastRelease(replace(OLD, release=release), 0.0) for release in ("abc123r2", "abc123r1", "abc123", "abd456")]
    for wanted, found in (("abc123", "abc123"), ("abc123r1", "abc123r1"), ("abd", "abd456")):
        assert earlier("shop", past, "", wanted).site.release == found
    for wanted, fits in (
        ("abc", "abc123r2, abc123r1, abc123"),
        ("abc123r", "abc123r2, abc123r1"),
    ):
        with pytest.raises(ShipstoneError, match=f"fits more than one release: {fits}. Name one of them whole."):
            earlier("shop", past, "", wanted)
    with pytest.raises(ShipstoneError, match="shop: the name of the release is empty"):
        earlier("shop", past, "abc123", "")
    for wanted, why in (("abc123", "what runs"), ("abc123r1", "what runs"), ("abe", "not kept")):
        with pytest.raises(ShipstoneError, match=f"shop: {wanted} is {why}. Kept: abc123r2, abc123r1, abc123, abd456."):
            earlier("shop", past, "abc123", wanted)


def test_a_restart_of_what_runs_is_nothing_to_go_back_to() -> None:
    """It is the same content: the counter would rise again, and nothing would change, in the middle of trouble."""
    past = [PastRelease(replace(OLD, release=release), 0.0) for release in ("abc123r2", "abc123r1", "abc123", "abd456")]
    assert earlier("shop", past, "abc123r2").site.release == "abd456"
    with pytest.raises(ShipstoneError, match="no earlier release is kept"):
        earlier("shop", past[:3], "abc123r2")
