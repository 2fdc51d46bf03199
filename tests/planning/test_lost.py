"""Healing: what is lost comes back as soon as that hurts nobody; what is ill is replaced."""

from dataclasses import replace

from reconciler.desired.release import replica_name
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import TraefikView
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Motion
from reconciler.planning.steps import SetPin, Start, due
from tests.planning.test_plan import desired, plan, running, site
from tests.planning.test_rollout import NEW, OLD, OLD_TWO, TO_NOBODY, container, seen, to, traefik, words

AT_REST = SiteMemory(served=OLD.release)


def numbers(motion: Motion) -> list[str]:
    return [dict(step.new.labels)["shipstone.replica"] for step in due(motion.steps) if isinstance(step, Start)]


def test_it_is_pinned_to_nobody_and_started_at_once() -> None:
    """Under numbers that Traefik does not list any more: by these it is told whether it knows the new ones."""
    motion = plan_site(seen(OLD, traefik=traefik(*OLD_TWO)), AT_REST)
    assert [text.split()[0] for text in words(motion)] == ["pin", "start", "start"]
    assert numbers(motion) == ["3", "4"]
    assert numbers(plan_site(seen(OLD, traefik=TraefikView(reachable=True)), AT_REST)) == ["1", "2"]


def test_nothing_is_switched_before_traefik_knows_the_new_ones() -> None:
    """What it lists of the ones that are gone tells nothing."""
    again = (container(OLD, 3), container(OLD, 4))
    stale = traefik(*OLD_TWO, pin=TO_NOBODY)
    motion = plan_site(seen(OLD, *again, pin=TO_NOBODY, traefik=stale), replace(AT_REST, begun=OLD.release, begun_at=99.0))
    assert words(motion) == []
    assert replica_name("t", "blog", OLD.release, "web", 3) not in stale.services
    known = plan_site(
        seen(OLD, *again, pin=TO_NOBODY, traefik=traefik(*again, pin=TO_NOBODY)), replace(AT_REST, begun=OLD.release, begun_at=99.0)
    )
    assert words(known) == ["pin blog"]


def test_a_release_that_never_served_waits_for_its_pin() -> None:
    """Its first request must not reach it before all of it is ready."""
    assert words(plan_site(seen(OLD), SiteMemory())) == ["pin blog", *(f"create {c.name}" for c in OLD_TWO)]
    assert words(plan_site(seen(NEW), AT_REST)) == ["pin blog", *(f"create {container(NEW, n).name}" for n in (1, 2))]


def test_while_one_serves_the_other_is_created_beside_the_pin_and_started_after_it() -> None:
    """Under a number that Traefik does not list: what it still knows of the lost one is not waited for."""
    lost_one = plan_site(seen(OLD, OLD_TWO[0], traefik=traefik(*OLD_TWO)), AT_REST)
    assert words(lost_one) == ["pin blog", f"create {container(OLD, 3).name}"]
    made = container(OLD, 3, state="created", address=None)
    pin = next(step.pin for step in lost_one.steps if isinstance(step, SetPin))
    waits = plan_site(seen(OLD, OLD_TWO[0], made, pin=pin, traefik=traefik(*OLD_TWO)), AT_REST)
    assert words(waits) == []
    confirmed = plan_site(seen(OLD, OLD_TWO[0], made, pin=pin, traefik=traefik(*OLD_TWO, pin=pin)), AT_REST)
    assert [text.split()[-1] for text in words(confirmed)] == [made.name]


def test_one_that_is_back_serves_though_the_other_is_not() -> None:
    """A release that has served: all of it is waited for only before its first request."""
    one, other = OLD_TWO
    alone = to(replica_name("t", "blog", OLD.release, "web", 1))
    for pin in (TO_NOBODY, to(replica_name("t", "blog", OLD.release, "web", 2))):
        there = seen(OLD, one, other, pin=pin, ready=frozenset({one.id}))
        (step,) = due(plan_site(there, AT_REST).steps)
        assert isinstance(step, SetPin)
        assert step.pin == alone
    never = replace(AT_REST, unserved=frozenset({OLD.release}))
    assert words(plan_site(seen(OLD, one, other, pin=TO_NOBODY, ready=frozenset({one.id})), never)) == []


def test_without_traefik_nothing_is_started() -> None:
    found = plan_site(seen(OLD, traefik=TraefikView(reachable=False)), AT_REST)
    assert not numbers(found)


def test_an_unhealthy_replica_is_replaced_once_it_had_its_time() -> None:
    """The deadline of its rollout, from its start on; where the site says `drift: report` it is left."""
    shop = site("shop")
    deadline = shop.timing.deadline
    for up, heal, steps in ((deadline - 1, True, False), (deadline + 1, True, True), (deadline + 1, False, False)):
        written = replace(shop, heal=heal)
        whole = plan(desired(written), running(written, health="unhealthy", up=up))
        found = whole.sites["shop"]
        assert bool(found.steps) is steps
        assert steps or whole.look_at == (101.0 if heal else None)
        (row,) = found.differences
        assert (row.field, row.actual, row.cause) == ("health", "unhealthy", "drift")
        assert ("get well" in row.action) is (heal and not steps)
