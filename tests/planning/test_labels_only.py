"""The motion without pins, read as text: what is done now stands before the first wait."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, counted, fingerprint, release_name, replica_name
from reconciler.desired.spec import Check, ContainerSpec, Route, Volume
from reconciler.planning.guarantee import guarantee
from reconciler.planning.labels import container_labels
from reconciler.planning.labels_only import fitting, plan_site, worth_going_back_to
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container, TraefikView
from reconciler.planning.ranks import rank_of
from reconciler.planning.seen import Motion, Names, Seen
from reconciler.planning.steps import GiveUp, Start, StartAgain, Stop, Wait, due, line

NAMES = Names("t", "net", "web", pins=False, settle=2.5)
ROUTE = Route(("blog.test", "www.blog.test"))
CHECK = Check(("CMD", "true"))


def site(version: str, replicas: int = 2, counter: int = 0, **keys: object) -> DesiredSite:
    spec = replace(ContainerSpec(image="blog:" + version, port=80, healthcheck=CHECK), **keys)  # type: ignore[arg-type]
    release = counted(fingerprint({"web": spec}, ROUTE), counter)
    return DesiredSite("blog", release, ROUTE, (DesiredService("web", spec, replicas),), Timing(60, 1, 2))


def containers(of: DesiredSite, rank: int | None, count: int = 2, **changes: object) -> tuple[Container, ...]:
    rows = []
    for n in range(1, count + 1):
        labels = container_labels("t", "net", "web", of, of.services[0], n, of.services[0].spec.image, rank)
        name = container_name("t", "blog", "web", of.release, n)
        made = Container(name, name, "running", "healthy", labels, f"10.0.0.{n}")
        rows.append(replace(made, **changes))  # type: ignore[arg-type]
    return tuple(rows)


def traefik(rows: Iterable[Container]) -> TraefikView:
    services: dict[str, int] = {}
    routers: set[str] = set()
    for c in (c for c in rows if c.state == "running" and c.health in ("none", "healthy")):
        whole = release_name("t", "blog", c.release)
        services[whole] = services.get(whole, 0) + 1
        services[replica_name("t", "blog", c.release, "web", c.replica)] = 1
        routers |= {f"{whole}-0", f"{whole}-1"}
    return TraefikView(reachable=True, services=services, routers=frozenset(routers))


def ready(rows: Iterable[Container]) -> frozenset[str]:
    return frozenset(c.id for c in rows if c.state == "running" and c.health in ("none", "healthy"))


def seen(goal: DesiredSite | None, *rows: Container, now: float = 100.0, **changes: object) -> Seen:
    images = {s.spec.image: s.spec.image for s in goal.services} if goal else {}
    return replace(Seen("blog", goal, rows, None, traefik(rows), ready(rows), {}, images, NAMES, now), **changes)  # type: ignore[arg-type]


def words(motion: Motion) -> list[str]:
    return [f"{step.step} {step.target}" for step in due(motion.steps)]


OLD, NEW = site("1"), site("2")
OLD_TWO, NEW_TWO = containers(OLD, 4), containers(NEW, 5)
STARTING = containers(NEW, 5, health="starting")


def test_at_rest_there_is_nothing_to_do_and_traefik_is_not_needed() -> None:
    assert plan_site(seen(OLD, *OLD_TWO, traefik=TraefikView(reachable=True)), SiteMemory()).steps == ()


def test_the_whole_way_of_a_replace() -> None:
    motion = plan_site(seen(NEW, *OLD_TWO), SiteMemory())
    name = f"t-blog-web-{NEW.release}"
    assert [" ".join(line(step).split()) for step in motion.steps] == [
        f"start {name}-1 new release",
        f"start {name}-2 new release",
        f"wait {NEW.release} until every replica is ready (0 of 2) and Traefik lists it",
        "wait drain 5.5 s",
        *(f"stop {c.name} replaced by {NEW.release}" for c in OLD_TWO),
    ]


def test_images_come_before_anything_is_touched() -> None:
    assert words(plan_site(seen(NEW, *OLD_TWO, images={}), SiteMemory())) == ["pull blog:2"]


def test_the_new_release_outranks_the_old_one() -> None:
    starts = [step for step in plan_site(seen(NEW, *OLD_TWO), SiteMemory()).steps if isinstance(step, Start)]
    assert [rank_of(replace(OLD_TWO[0], labels=dict(step.new.labels))) for step in starts] == [5, 5]


def test_nothing_is_started_while_traefik_s_api_does_not_answer() -> None:
    assert words(plan_site(seen(NEW, *OLD_TWO, traefik=TraefikView(reachable=False)), SiteMemory())) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ready": ready((*OLD_TWO, NEW_TWO[0]))},
        {"traefik": traefik((*OLD_TWO, NEW_TWO[0]))},
        {"traefik": replace(traefik((*OLD_TWO, *NEW_TWO)), routers=frozenset({f"t-blog-{NEW.release}-0"}))},
        {"traefik": TraefikView(reachable=False)},
    ],
    ids=["one is not ready", "one is not listed", "a router is not listed", "no answer"],
)
def test_the_old_release_stays_until_all_of_the_new_one_is_ready_and_listed(changes: dict[str, object]) -> None:
    late = SiteMemory(begun=NEW.release, begun_at=99.0, listed=(NEW.release, 0.0))
    motion = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, **changes), late)
    assert words(motion) == []
    assert motion.memory.listed is None


def test_the_old_release_is_stopped_only_after_settle_min_healthy_and_drain() -> None:
    first = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, now=100), SiteMemory())
    assert (words(first), first.look_at) == ([], 105.5)
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, now=105.4), first.memory)) == []
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, now=105.5), first.memory)) == [f"stop {c.name}" for c in OLD_TWO]


def test_a_first_release_is_at_rest_when_traefik_lists_it() -> None:
    begun = plan_site(seen(NEW), SiteMemory()).memory
    waits = plan_site(seen(NEW, *NEW_TWO, traefik=TraefikView(reachable=True)), begun)
    assert [type(step) for step in waits.steps] == [Wait]
    assert plan_site(seen(NEW, *NEW_TWO), waits.memory).steps == ()


def test_a_release_that_fails_is_taken_away_and_the_old_one_was_not_touched() -> None:
    begun = plan_site(seen(NEW, *OLD_TWO), SiteMemory()).memory
    for rows, now, why in (
        ((STARTING[0], replace(STARTING[1], health="unhealthy")), 101.0, f"{STARTING[1].name} is unhealthy"),
        (STARTING, 160.0, "not ready within 60 s"),
    ):
        (step,) = plan_site(seen(NEW, *OLD_TWO, *rows, now=now), begun).steps
        assert isinstance(step, GiveUp)
        assert step.reason == why
        assert words(plan_site(seen(OLD, *OLD_TWO, *rows, fallback=True), begun)) == [f"stop {c.name}" for c in rows]


def test_what_was_ready_once_may_have_served_and_is_not_stopped_at_once() -> None:
    begun = plan_site(seen(NEW, *OLD_TWO), SiteMemory()).memory
    partly = plan_site(seen(NEW, *OLD_TWO, NEW_TWO[0], STARTING[1]), begun).memory
    assert words(plan_site(seen(OLD, *OLD_TWO, *STARTING, fallback=True), partly)) == []
    assert words(plan_site(seen(OLD, *OLD_TWO, *STARTING, fallback=True), SiteMemory())) == []


def test_a_missing_replica_is_started_with_the_labels_of_its_release() -> None:
    three = replace(OLD, services=(replace(OLD.services[0], replicas=3),))
    assert fitting(three, OLD_TWO, ready(OLD_TWO), NAMES) == three
    (step,) = due(plan_site(seen(three, *OLD_TWO), SiteMemory()).steps)
    assert isinstance(step, Start)
    assert step.new.name == container_name("t", "blog", "web", OLD.release, 3)
    assert rank_of(replace(OLD_TWO[0], labels=dict(step.new.labels))) == 4


def test_a_replica_whose_name_traefik_still_knows_is_started_later() -> None:
    assert words(plan_site(seen(OLD, OLD_TWO[0], traefik=traefik(OLD_TWO)), SiteMemory())) == []


def test_fewer_replicas_are_a_release_under_the_next_counter() -> None:
    one = replace(OLD, services=(replace(OLD.services[0], replicas=1),))
    goal = fitting(one, OLD_TWO, ready(OLD_TWO), NAMES)
    assert (goal.release, goal.services[0].replicas, goal.services[0].digest) == (f"{OLD.release}r1", 1, "blog:1")
    assert words(plan_site(seen(goal, *OLD_TWO), SiteMemory())) == [f"start t-blog-web-{OLD.release}r1-1"]
    both = (*OLD_TWO, *containers(goal, 5, 1))
    assert fitting(goal, both, ready(both), NAMES) == goal


def test_what_a_hand_changed_is_a_release_under_the_next_counter() -> None:
    changed = (OLD_TWO[0], replace(OLD_TWO[1], live={"mem_limit": 1024}))
    assert fitting(OLD, changed, ready(changed), NAMES).release == f"{OLD.release}r1"
    assert fitting(replace(OLD, heal=False), changed, ready(changed), NAMES) == replace(OLD, heal=False)
    assert fitting(OLD, changed, ready(changed), NAMES, failed=f"{OLD.release}r1") == OLD, "that was tried, and failed"


def test_what_is_outranked_is_gone_back_to_under_a_counter_that_is_not() -> None:
    """The new release is ready in part, and takes requests; it failed, or the commit was reverted."""
    both = (*OLD_TWO, NEW_TWO[0])
    again = fitting(OLD, both, ready(both), NAMES, failed=NEW.release)
    assert again.release == f"{OLD.release}r1"
    begun = (*both, *containers(again, 6, 1, health="starting"))
    assert fitting(OLD, begun, ready(begun), NAMES, failed=NEW.release) == again, "the one that is begun is gone on with"
    assert fitting(OLD, (*OLD_TWO, *STARTING), ready(OLD_TWO), NAMES) == OLD, "what is not ready takes no requests"


def test_what_comes_back_is_whole_and_answers_to_all_that_is_asked_for_and_served() -> None:
    failed, less = site("3"), replace(site("2"), route=Route(("blog.test",)))
    heir = containers(less, 5, 3)
    both = (*OLD_TWO, *heir)
    assert worth_going_back_to(both, failed, ready(both)) == OLD_TWO
    assert worth_going_back_to(both, less, ready(both)) == both, "nobody asks for the other name"
    partly = (*OLD_TWO, *heir[:2], replace(heir[2], health="starting"))
    assert worth_going_back_to(partly, less, ready(partly)) == OLD_TWO
    sick = (replace(OLD_TWO[0], health="unhealthy"), *partly[1:])
    assert worth_going_back_to(sick, failed, ready(sick)) == sick, "nothing is whole"


def test_a_site_that_was_made_with_pins_is_outranked_by_its_next_release() -> None:
    usual = containers(OLD, None)
    starts = [step for step in plan_site(seen(NEW, *usual), SiteMemory()).steps if isinstance(step, Start)]
    assert {rank_of(replace(usual[0], labels=dict(step.new.labels))) for step in starts} == {0}
    both = (*usual, *containers(NEW, None))
    assert fitting(NEW, both, ready(both), NAMES).release == f"{NEW.release}r1", "two of one priority"


def test_stop_first_stops_before_it_starts_and_goes_back_by_starting_again() -> None:
    data = {"volumes": (Volume("volume", "data", "/data"),)}
    old, new = site("1", 1, **data), site("2", 1, **data)
    (one,) = containers(old, 4, 1)
    motion = plan_site(seen(new, one), SiteMemory())
    assert words(motion) == [f"stop {one.name}", f"start t-blog-web-{new.release}-1"]
    assert [step.keep for step in motion.steps if isinstance(step, Stop)] == [True]
    halted, (sick,) = replace(one, state="exited", health="none"), containers(new, 5, 1, health="unhealthy")
    assert [type(step) for step in plan_site(seen(new, halted, sick), motion.memory).steps] == [GiveUp]
    back = plan_site(seen(old, halted, sick, fallback=True), motion.memory)
    assert [type(step) for step in due(back.steps)] == [Stop, StartAgain]
    serves = plan_site(seen(new, halted, *containers(new, 5, 1)), motion.memory)
    assert words(serves) == [], "it is kept while the new one may still fail"
    assert words(plan_site(seen(new, halted, *containers(new, 5, 1), now=103.5), serves.memory)) == [f"remove {one.name}"]


def test_a_removed_site_is_stopped() -> None:
    assert words(plan_site(seen(None, *OLD_TWO), SiteMemory())) == [f"stop {c.name}" for c in OLD_TWO]


def test_a_promise_needs_a_healthcheck_of_the_site_or_of_the_image_that_runs() -> None:
    bare = replace(site("1", healthcheck=None), name="bare")
    off = replace(site("1", healthcheck=Check(("NONE",))), name="off")
    labels = container_labels("t", "net", "web", bare, bare.services[0], 1, "blog:1")
    runs = replace(OLD_TWO[0], labels=labels)
    assert guarantee([bare, off, OLD], []).unpromised == ("bare", "off")
    assert guarantee([bare, off, OLD], [runs]).promised == ("bare", "blog")
    assert guarantee([bare], [replace(runs, health="none")]).unpromised == ("bare",)
