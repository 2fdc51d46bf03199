"""Priorities where labels alone route: each release above the one before it, and never above a longer rule."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.traefik_v3 import SPAN, label_priority, pin_priority, rank_in, rising_priority, rule_of
from reconciler.planning.labels import container_labels
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container
from reconciler.planning.ranks import rank_for, rank_of
from reconciler.planning.rollout import plan_site
from reconciler.planning.steps import Create, SetPin, due
from tests.planning.test_rollout import RULE, container, seen, site

TALLEST = rule_of("a" * 253, "/" + "b" * 200)


@given(st.text("ab", min_size=1, max_size=500), st.text("ab", max_size=40), st.integers(0, 2 * SPAN), st.integers(0, 2 * SPAN))
def test_a_longer_rule_outranks_every_release_of_a_shorter_one(rule: str, more: str, rank: int, other: int) -> None:
    if more:
        assert rising_priority(rule + more, rank) > rising_priority(rule, other)
    elif max(rank, other) < SPAN:
        assert (rising_priority(rule, rank) > rising_priority(rule, other)) is (rank > other)
    assert rank_in(rule, rising_priority(rule, rank)) == min(rank, SPAN - 1)


def test_priorities_fit_into_traefik_s_and_are_told_from_the_usual_ones() -> None:
    assert rising_priority(TALLEST, SPAN) < 2**31 - 1
    assert rank_in(TALLEST, label_priority(TALLEST)) is rank_in(TALLEST, pin_priority(TALLEST)) is None


def of_rank(rank: int | None, version: str = "1", n: int = 1) -> Container:
    made = site(version)
    return replace(container(made, n), labels=container_labels("t", "net", "web", made, made.services[0], n, "blog", rank))


def test_a_new_release_outranks_all_that_are_there() -> None:
    assert rank_of(of_rank(4)) == 4
    assert rank_for([], "new", pins=False) == 0
    assert rank_for([of_rank(None)], "new", pins=False) == 0
    assert rank_for([of_rank(4), of_rank(2, "2")], "new", pins=False) == 5


def test_a_replica_joins_with_the_rank_of_its_release() -> None:
    """Whatever made it: two containers that define a router differently make Traefik drop it."""
    for rank in (None, 3):
        one = of_rank(rank)
        for pins in (True, False):
            assert rank_for([one, of_rank(7, "2")], one.release, pins=pins) == rank


def test_with_pins_again_the_next_release_has_the_usual_priority_and_its_pin_outranks_the_old_one() -> None:
    old, new = of_rank(2), site("2", replicas=1)
    step, create = due(plan_site(seen(new, old), SiteMemory()).steps)
    assert isinstance(create, Create)
    assert isinstance(step, SetPin)
    assert step.pin is not None
    assert dict(step.pin.priorities)[RULE] == rising_priority(RULE, 2) + 1
    started = container(new, 1)
    (step,) = due(plan_site(seen(new, old, started, pin=step.pin), SiteMemory()).steps)
    assert isinstance(step, SetPin)
    assert step.pin is not None
    assert dict(step.pin.priorities)[RULE] > rising_priority(RULE, 2)
    assert rank_of(started) is None
