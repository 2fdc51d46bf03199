"""Stop-first: where two copies must not run, the old one is stopped and kept until the new one is ready."""

from dataclasses import replace

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import fingerprint, release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Port, Volume
from reconciler.planning.handover import Handover
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import TraefikView
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Motion
from reconciler.planning.steps import Create, GiveUp, SetPin, StartAgain, Stop, due
from tests.planning.test_rollout import ROUTE, RULE, TO_NOBODY, container, seen, to, traefik, words

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
    step, create = due(first.steps)
    assert isinstance(create, Create)
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
    for unlisted in (TraefikView(reachable=True, pins={"blog": TO_NOBODY}), TraefikView(reachable=False)):
        for halted in ((HALTED,), ()):
            waits = plan_site(replace(seen(NEW, *halted, NEW_ONE, pin=TO_NOBODY), traefik=unlisted), SiteMemory())
            assert words(waits) == []
        fallback = replace(seen(OLD, OLD_ONE, pin=TO_NOBODY, fallback=True), traefik=unlisted)
        assert words(plan_site(fallback, SiteMemory())) == []
        kept = replace(seen(None, OLD_ONE, pin=TO_NOBODY), handover=Handover(promised={(RULE, False): "shop"}), traefik=unlisted)
        assert words(plan_site(kept, SiteMemory())) == []


def test_after_a_restart_of_the_daemon_too_nobody_serves_before_the_new_one_is_ready() -> None:
    """Whether it ever took a request is forgotten then."""
    assert words(plan_site(seen(NEW, HALTED, NEW_ONE, pin=TO_NOBODY, ready=frozenset()), SiteMemory())) == []


def test_who_is_started_again_waits_until_traefik_has_forgotten_its_old_address() -> None:
    stale = traefik(OLD_ONE, pin=TO_NOBODY)
    assert words(plan_site(seen(OLD, HALTED, pin=TO_NOBODY, fallback=True, traefik=stale), SiteMemory())) == []
    assert words(plan_site(seen(OLD, HALTED, pin=TO_NOBODY, fallback=True), SiteMemory())) == [f"restart {OLD_ONE.name}"]


def test_while_one_is_to_be_started_again_the_others_are_pinned_one_by_one() -> None:
    """What is pinned as a whole takes requests for all of its replicas as soon as they run."""
    two = replace(OLD, services=(replace(OLD.services[0], replicas=2),))
    back = seen(two, OLD_ONE, container(OLD, 2, state="exited"), pin=TO_NOBODY, fallback=True)
    (pin,) = (step.pin for step in due(plan_site(back, SiteMemory()).steps) if isinstance(step, SetPin))
    assert pin == to(replica_name("t", "blog", OLD.release, "web", 1))


def test_one_that_the_engine_does_not_start_is_given_up_and_the_old_one_is_started_again() -> None:
    """After some tries where it had to stop first; else when its deadline is over, for it may be the engine."""
    tried = SiteMemory(begun=NEW.release, begun_at=90, tried_at=99, tries=3, unserved=frozenset({NEW.release}))
    why = "cannot start it: no such file"
    down = seen(NEW, HALTED, pin=TO_NOBODY, trouble=why)
    (gives_up,) = due(plan_site(down, tried).steps)
    assert isinstance(gives_up, GiveUp)
    assert gives_up.reason == f"it could not be started, 3 times: {why}"
    assert not given_up(plan_site(down, replace(tried, tries=2)))
    assert not given_up(plan_site(replace(down, trouble=""), tried))
    beside = seen(site("2", order="start-first"), OLD_ONE, pin=to(release_name("t", "blog", OLD.release)), trouble=why)
    assert beside.goal is not None
    tried = replace(tried, begun=beside.goal.release)
    assert [given_up(plan_site(replace(beside, now=now), tried)) for now in (149, 150)] == [False, True]
    part = seen(beside.goal, OLD_ONE, container(beside.goal, 1), trouble=why, ready=frozenset({OLD_ONE.id}), now=151)
    assert given_up(plan_site(part, replace(tried, tried_at=149)))


def given_up(motion: Motion) -> bool:
    return any(isinstance(step, GiveUp) for step in due(motion.steps))


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
        step, create = due(plan_site(seen(new, container(old, 1)), SiteMemory()).steps)
        assert isinstance(create, Create)
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
