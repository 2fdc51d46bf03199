"""Stop-first: where two copies must not run, the old one is stopped and kept until the new one is ready."""

from dataclasses import replace

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import fingerprint
from reconciler.desired.spec import ContainerSpec, Port, Volume
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import TraefikView
from reconciler.planning.rollout import plan_site
from reconciler.planning.steps import SetPin, StartAgain, Stop, due
from tests.planning.test_rollout import ROUTE, TO_NOBODY, container, seen, to, words

DATA = Volume("volume", "data", "/data")


def site(version: str, *, volume: Volume = DATA, order: str = "") -> DesiredSite:
    spec = ContainerSpec(image="blog:" + version, port=80, volumes=(volume,))
    timing = Timing(60, 1, 2, order)
    return DesiredSite("blog", fingerprint({"web": spec}, ROUTE), ROUTE, (DesiredService("web", spec, 1),), timing)


OLD, NEW = site("1"), site("2")
OLD_ONE, NEW_ONE = container(OLD, 1), container(NEW, 1)
HALTED = container(OLD, 1, state="exited")


def test_nobody_serves_before_the_old_one_is_stopped_and_the_plan_says_why() -> None:
    first = plan_site(seen(NEW, OLD_ONE), SiteMemory())
    (step,) = due(first.steps)
    assert isinstance(step, SetPin)
    assert (step.pin, step.reason) == (
        TO_NOBODY,
        f"requests only to nobody (503) while {NEW.release} starts; stop-first: both would write to data",
    )


def test_the_old_one_is_drained_then_stopped_and_kept_then_the_new_one_starts() -> None:
    waits = plan_site(seen(NEW, OLD_ONE, pin=TO_NOBODY, now=100), SiteMemory())
    assert words(waits) == []
    then = plan_site(seen(NEW, OLD_ONE, pin=TO_NOBODY, now=102), waits.memory)
    assert words(then) == [f"stop {OLD_ONE.name}", f"start {NEW_ONE.name}"]
    assert [step.keep for step in then.steps if isinstance(step, Stop)] == [True]


def test_the_old_one_is_removed_only_after_the_new_one_was_healthy_for_a_while() -> None:
    pin = to(f"t-blog-{NEW.release}")
    switch = plan_site(seen(NEW, HALTED, NEW_ONE, pin=TO_NOBODY), SiteMemory())
    assert [step.pin for step in due(switch.steps) if isinstance(step, SetPin)] == [pin]
    serves = plan_site(seen(NEW, HALTED, NEW_ONE, pin=pin, now=100), switch.memory)
    assert words(serves) == []
    assert words(plan_site(seen(NEW, HALTED, NEW_ONE, pin=pin, now=101), serves.memory)) == [f"remove {HALTED.name}"]


def test_the_new_one_takes_requests_when_traefik_lists_it_and_not_before() -> None:
    """A pin to whom Traefik does not list is refused: 404 in place of 503."""
    unlisted = TraefikView(reachable=True, pins={"blog": TO_NOBODY})
    for halted in ((HALTED,), ()):
        waits = plan_site(replace(seen(NEW, *halted, NEW_ONE, pin=TO_NOBODY), traefik=unlisted), SiteMemory())
        assert words(waits) == []
    fallback = replace(seen(OLD, OLD_ONE, pin=TO_NOBODY, fallback=True), traefik=unlisted)
    assert words(plan_site(fallback, SiteMemory())) == []


def test_when_the_new_one_fails_the_old_one_is_started_again() -> None:
    """After what is left of the new one has stopped."""
    fallback = seen(OLD, HALTED, NEW_ONE, pin=TO_NOBODY, fallback=True, ready=frozenset())
    motion = plan_site(fallback, SiteMemory(unserved=frozenset({NEW.release})))
    assert words(motion) == [f"stop {NEW_ONE.name}", f"restart {OLD_ONE.name}"]
    alone = plan_site(replace(fallback, containers=(HALTED,)), motion.memory)
    assert [step.container_id for step in alone.steps if isinstance(step, StartAgain)] == [HALTED.id]
    back = plan_site(seen(OLD, OLD_ONE, pin=TO_NOBODY, fallback=True), alone.memory)
    assert words(back) == ["pin blog"]


def test_a_replica_with_a_wrong_field_is_stopped_before_its_replacement_starts() -> None:
    memory = SiteMemory(pin=TO_NOBODY, pin_since=100)
    motion = plan_site(seen(OLD, OLD_ONE, wrong={OLD_ONE.id: "mem_limit"}, pin=TO_NOBODY, now=200), memory)
    assert words(motion) == [f"stop {OLD_ONE.name}", f"start {container(OLD, 2).name}"]


def test_it_is_chosen_only_where_both_would_write_and_the_file_may_say_otherwise() -> None:
    for old, new, alone in (
        (OLD, NEW, True),
        (site("1", volume=replace(DATA, read_only=True)), NEW, False),
        (site("1", volume=replace(DATA, source="other")), NEW, False),
        (OLD, site("2", order="start-first"), False),
        (site("1", volume=replace(DATA, source="other")), site("2", order="stop-first"), True),
    ):
        (step,) = due(plan_site(seen(new, container(old, 1)), SiteMemory()).steps)
        assert ("stop-first: " in step.reason) is alone


def test_a_first_release_and_a_scale_up_stop_nobody() -> None:
    two = replace(OLD, services=(replace(OLD.services[0], replicas=2),))
    for world in (seen(OLD), seen(two, OLD_ONE)):
        assert not any(isinstance(step, Stop) for step in plan_site(world, SiteMemory()).steps)


def test_a_port_of_the_host_is_one_containers_whatever_the_file_says() -> None:
    def publishing(version: str, port: int) -> DesiredSite:
        spec = ContainerSpec(image="blog:" + version, port=80, ports=(Port(port, 5432),))
        return DesiredSite(
            "blog", fingerprint({"web": spec}, ROUTE), ROUTE, (DesiredService("web", spec, 1),), Timing(60, 1, 2, "start-first")
        )

    old, new, other = publishing("1", 5432), publishing("2", 5432), publishing("3", 5433)
    assert "stop-first: both would have port 5432 of the host" in str(due(plan_site(seen(new, container(old, 1)), SiteMemory()).steps)[0])
    assert "stop-first" not in str(due(plan_site(seen(other, container(old, 1)), SiteMemory()).steps)[0])
