"""One site's motion, read as text: what is done now stands before the first wait."""

from dataclasses import replace

import pytest

from reconciler.desired.desired import Desired, DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, fingerprint, release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Route
from reconciler.planning.cast import MOMENT
from reconciler.planning.failure import trouble
from reconciler.planning.handover import Handover
from reconciler.planning.labels import applied_of, container_labels
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed, Pin, TraefikView
from reconciler.planning.pinning import answering
from reconciler.planning.plan import make_plan
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Motion, Names, Seen, alone_name, poll
from reconciler.planning.starts import CALM, next_start
from reconciler.planning.steps import Create, GiveUp, SetPin, Start, Stop, due

NAMES = Names("t", "net", "web")
ROUTE = Route(("blog.test",))
RULE = "Host(`blog.test`)"


def site(version: str, replicas: int = 2, route: Route = ROUTE) -> DesiredSite:
    spec = ContainerSpec(image="blog:" + version, port=80)
    return DesiredSite("blog", fingerprint({"web": spec}, route), route, (DesiredService("web", spec, replicas),), Timing(60, 1, 2))


def container(of: DesiredSite, n: int, **changes: object) -> Container:
    labels = container_labels(NAMES.instance, NAMES.network, NAMES.entry_point, of, of.services[0], n, of.services[0].spec.image)
    name = container_name("t", "blog", "web", of.release, n)
    return replace(Container(name, name, "running", "none", labels, f"10.0.0.{n}"), **changes)  # type: ignore[arg-type]


def traefik(*containers: Container, pin: Pin | None = None) -> TraefikView:
    """What it lists: those that run."""
    containers = tuple(c for c in containers if c.state == "running")
    services: dict[str, int] = {}
    for c in containers:
        whole = release_name("t", "blog", c.release)
        services[whole] = services.get(whole, 0) + 1
        services[replica_name("t", "blog", c.release, "web", c.replica)] = 1
    routers = frozenset(key.split(".")[3] for c in containers for key in c.labels if key.startswith("traefik.http.routers."))
    return TraefikView(reachable=True, pins={"blog": pin} if pin else {}, services=services, routers=routers)


def seen(goal: DesiredSite | None, *containers: Container, pin: Pin | None = None, now: float = 100.0, **changes: object) -> Seen:
    images = {s.spec.image: s.spec.image for s in goal.services} if goal else {}
    ready = frozenset(c.id for c in containers if c.state == "running" and c.health in ("none", "healthy"))
    base = Seen("blog", goal, containers, pin, traefik(*containers, pin=pin), ready, {}, images, NAMES, now)
    return replace(base, **changes)  # type: ignore[arg-type]


def to(*targets: str) -> Pin:
    return Pin(((RULE, tuple((target, 1) for target in targets)),), ((RULE, 2 * len(RULE) + 1),))


def words(motion: Motion) -> list[str]:
    return [f"{step.step} {step.target}" for step in due(motion.steps)]


OLD, NEW = site("1"), site("2")
OLD_TWO = (container(OLD, 1), container(OLD, 2))
NEW_TWO = (container(NEW, 1), container(NEW, 2))
NEW_MADE = tuple(replace(c, state="created", address=None) for c in NEW_TWO)
TO_OLD, TO_NEW, TO_NOBODY = to(release_name("t", "blog", OLD.release)), to(release_name("t", "blog", NEW.release)), to()


def test_at_rest_there_is_nothing_to_do() -> None:
    assert plan_site(seen(OLD, *OLD_TWO), SiteMemory()).steps == ()


@pytest.mark.parametrize(("up", "waited"), [(0.1, 0.1), (5.0, 5.0), (90.0, 30.0), (0.0, 30.0)])
def test_who_was_just_started_is_looked_at_soon_however_long_ago_the_release_began(up: float, waited: float) -> None:
    """With many sites at once it was a while before it was its turn. How long one has run may be unknown (0)."""
    long_ago = SiteMemory(begun=OLD.release, begun_at=70.0, unserved=frozenset({OLD.release}))
    first, last = replace(OLD_TWO[0], up=90.0), replace(OLD_TWO[1], up=up)
    motion = plan_site(seen(OLD, first, last, pin=TO_NOBODY, ready=frozenset()), long_ago)
    assert motion.look_at == 100 + poll(waited)
    again = plan_site(seen(OLD, first, replace(last, restarts=1), pin=TO_NOBODY, ready=frozenset()), long_ago)
    assert again.look_at == 100 + poll(30.0)


def test_a_first_release_pins_its_host_to_nobody() -> None:
    motion = plan_site(seen(OLD), SiteMemory())
    pin, *creates = due(motion.steps)
    assert pin == SetPin("blog", TO_NOBODY, f"requests only to nobody (503) while {OLD.release} starts")
    assert [step.target for step in creates if isinstance(step, Create)] == [c.name for c in OLD_TWO]


def test_images_come_before_anything_is_touched() -> None:
    assert words(plan_site(seen(NEW, *OLD_TWO, images={}), SiteMemory())) == ["pull blog:2"]


def test_a_replace_pins_to_the_old_release_first() -> None:
    motion = plan_site(seen(NEW, *OLD_TWO), SiteMemory())
    assert [step.pin for step in due(motion.steps) if isinstance(step, SetPin)] == [TO_OLD]
    assert not [step for step in due(motion.steps) if isinstance(step, Start)]


SILENT: frozenset[str] = frozenset()


@pytest.mark.parametrize("pin", [None, TO_OLD], ids=["at rest", "pinned"])
@pytest.mark.parametrize(
    ("changes", "serves"),
    [({}, TO_OLD), ({"health": "unhealthy"}, TO_NOBODY), ({"state": "restarting"}, TO_NOBODY), ({"address": None}, TO_NOBODY)],
    ids=["silent", "sick", "ended", "disconnected"],
)
def test_who_did_not_answer_in_time_serves_better_than_nobody(pin: Pin | None, changes: dict[str, object], serves: Pin) -> None:
    """No one is ready, as after a restart on a machine that stalls. A check that says so, or an end, is another matter."""
    rows = tuple(replace(c, **changes) for c in OLD_TWO)  # type: ignore[arg-type]
    motion = plan_site(seen(NEW, *rows, pin=pin, ready=SILENT), SiteMemory())
    assert [step.pin for step in due(motion.steps) if isinstance(step, SetPin)] == ([serves] if serves != pin else [])


def test_who_is_silent_and_not_listed_by_traefik_serves_nobody() -> None:
    """A pin to it would not be taken, and everything would wait for that."""
    motion = plan_site(seen(NEW, *OLD_TWO, ready=SILENT, traefik=TraefikView(reachable=True)), SiteMemory())
    assert [step.pin for step in due(motion.steps) if isinstance(step, SetPin)] == [TO_NOBODY]


def test_who_answers_goes_before_who_does_not() -> None:
    half = frozenset({OLD_TWO[0].id})
    alone = replica_name("t", "blog", OLD.release, "web", 1)
    assert due(plan_site(seen(NEW, *OLD_TWO, ready=half), SiteMemory()).steps)[0] == SetPin(
        "blog", to(alone), f"requests only to {OLD.release} while {NEW.release} starts"
    )


def test_what_never_served_is_not_routed_while_it_is_silent() -> None:
    """The pins of a first release were lost."""
    memory = SiteMemory(begun=NEW.release, begun_at=99.0, unserved=frozenset({NEW.release}))
    assert due(plan_site(seen(NEW, NEW_TWO[0], ready=SILENT), memory).steps)[0] == SetPin(
        "blog", TO_NOBODY, f"requests only to nobody (503) while {NEW.release} starts"
    )


LONG_AGO = SiteMemory(pin_since=0.0, served=OLD.release)


@pytest.mark.parametrize("sick", [OLD_TWO, OLD_TWO[:1]], ids=["all of it", "one of two"])
def test_the_old_release_is_not_stopped_because_it_is_sick_while_the_new_one_comes_up(sick: tuple[Container, ...]) -> None:
    """It may recover, and the new one may fail: nobody else could take its place."""
    rows = tuple(replace(c, health="unhealthy") if c in sick else c for c in OLD_TWO)
    ready = frozenset(c.id for c in rows if c.health != "unhealthy")
    before = seen(NEW, *rows, *NEW_TWO[:1], ready=ready)
    pin = next(step.pin for step in plan_site(before, LONG_AGO).steps if isinstance(step, SetPin))
    memory = replace(LONG_AGO, begun=NEW.release, begun_at=99.0, pin=pin, unserved=frozenset({NEW.release}))
    later = seen(NEW, *rows, *NEW_TWO[:1], pin=pin, ready=ready)
    assert not [step for step in due(plan_site(later, memory).steps) if isinstance(step, Stop)]


def test_after_the_switch_the_old_release_stays_for_min_healthy_also_when_the_new_one_grows() -> None:
    """Its drain alone is shorter: there would be nothing to go back to."""
    three = replace(NEW, services=(replace(NEW.services[0], replicas=3),))
    alone = to(*sorted(replica_name("t", "blog", NEW.release, "web", n) for n in (1, 2)))
    memory = SiteMemory(begun=NEW.release, begun_at=90.0, pin=alone, pin_since=97.5)
    rows = (*OLD_TWO, *NEW_TWO)
    stops = [
        [step for step in due(plan_site(seen(three, *rows, pin=alone, now=now), memory).steps) if isinstance(step, Stop)]
        for now in (100.4, 100.6)
    ]
    assert [len(found) for found in stops] == [0, 2]


def test_one_that_was_started_anew_takes_no_requests_before_it_answers() -> None:
    """It crashed, or was restarted by hand, and Traefik routes to it as soon as it runs."""
    rows = (OLD_TWO[0], replace(OLD_TWO[1], restarts=1))
    half = frozenset({OLD_TWO[0].id})
    limps = plan_site(seen(OLD, *rows, ready=half), LONG_AGO)
    alone = to(replica_name("t", "blog", OLD.release, "web", 1))
    assert due(limps.steps)[0] == SetPin("blog", alone, f"requests only to {OLD.release} while {OLD.release} starts")
    whole = plan_site(seen(OLD, rows[0], replace(rows[1], up=MOMENT), pin=alone), limps.memory)
    assert due(whole.steps) == (SetPin("blog", None, "labels route again"),)
    assert plan_site(seen(OLD, *rows, ready=frozenset()), LONG_AGO).steps == (), "nobody else could take them"


def test_what_serves_is_drained_though_it_was_thought_never_to_have_served() -> None:
    """As a release that labels routed without a pin, or one that took the place of another that died."""
    memory = SiteMemory(begun=OLD.release, begun_at=90.0, unserved=frozenset({OLD.release}))
    motion = plan_site(seen(NEW, *OLD_TWO, pin=None), memory)
    assert motion.memory.unserved == {NEW.release}


def test_an_undo_does_not_wait_until_all_of_the_old_release_is_ready() -> None:
    """The pin names the release that failed: one replica of the old one is better."""
    half = frozenset({OLD_TWO[0].id, *(c.id for c in NEW_TWO)})
    motion = plan_site(seen(OLD, *OLD_TWO, *NEW_TWO, pin=TO_NEW, ready=half, fallback=True), SiteMemory())
    alone = to(replica_name("t", "blog", OLD.release, "web", 1))
    assert due(motion.steps)[0] == SetPin("blog", alone, f"requests only to {OLD.release} while {OLD.release} starts")


def test_without_an_answer_of_traefik_a_pin_to_each_replica_stays_so() -> None:
    """What it lists of the whole release is not known: an address may be somebody else's by now."""
    alone = to(*(replica_name("t", "blog", OLD.release, "web", n) for n in (1, 2)))
    motion = plan_site(seen(OLD, *OLD_TWO, pin=alone, traefik=TraefikView(reachable=False)), SiteMemory())
    assert due(motion.steps) == ()
    assert [step.pin for step in motion.steps if isinstance(step, SetPin)] == [None]


def test_the_pin_goes_only_when_traefik_follows_the_labels() -> None:
    """Somebody else's container may have a router of the same name: Traefik takes neither then."""
    view = replace(traefik(*NEW_TWO, pin=TO_NEW), routers=frozenset())
    assert due(plan_site(seen(NEW, *NEW_TWO, pin=TO_NEW, traefik=view), SiteMemory()).steps) == ()


def test_nothing_starts_before_traefik_took_the_pin() -> None:
    """It is only created meanwhile: nobody routes to that."""
    created = [f"create {c.name}" for c in NEW_TWO]
    for view in (traefik(*OLD_TWO), traefik(*OLD_TWO, pin=TO_NEW)):
        assert words(plan_site(seen(NEW, *OLD_TWO, pin=TO_OLD, traefik=view), SiteMemory())) == created
        assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_MADE, pin=TO_OLD, traefik=view), SiteMemory())) == []
    assert words(plan_site(seen(NEW, *OLD_TWO, pin=TO_OLD, traefik=TraefikView(reachable=False)), SiteMemory())) == []


def test_a_fourth_release_waits_until_one_has_drained() -> None:
    """Commits that come faster than the drain pile up nothing."""
    drained = [container(site(version), 1) for version in ("7", "8")]
    crowd = seen(NEW, *OLD_TWO, *drained, pin=TO_OLD)
    served = SiteMemory(begun=NEW.release, begun_at=99.0, pin=TO_OLD, pin_since=99.5, pinned=True)
    assert not any(isinstance(step, Start) for step in due(plan_site(crowd, served).steps))
    later = plan_site(replace(crowd, now=110.0), served)
    assert words(later)[:2] == [f"stop {c.name}" for c in drained]
    assert any(isinstance(step, Start) for step in due(plan_site(seen(NEW, *OLD_TWO, drained[0], pin=TO_OLD), served).steps))


def test_what_was_created_is_started_or_removed() -> None:
    """It is adopted after a crash too; a first start is none that a deadline counts from."""
    motion = plan_site(seen(NEW, *OLD_TWO, *NEW_MADE, pin=TO_OLD, traefik=traefik(*OLD_TWO, pin=TO_OLD)), SiteMemory())
    assert [(step.target, step.made) for step in due(motion.steps) if isinstance(step, Start)] == [(c.name, c.id) for c in NEW_MADE]
    begun = SiteMemory(begun=NEW.release, begun_at=0.0, unserved=frozenset({NEW.release}))
    late = plan_site(seen(NEW, *OLD_TWO, *NEW_MADE, pin=TO_OLD, traefik=traefik(*OLD_TWO), now=1e6), begun)
    assert not any(isinstance(step, GiveUp) for step in late.steps)
    back = plan_site(seen(OLD, *OLD_TWO, *NEW_MADE, traefik=traefik(*OLD_TWO)), SiteMemory())
    assert words(back) == [f"remove {c.name}" for c in NEW_MADE]


def test_an_image_that_nobody_waits_for_does_not_hold_up_the_deadline() -> None:
    """Of a service without replicas nothing is pulled, for ever."""
    idle = DesiredService("idle", ContainerSpec(image="other:1", port=80), 0)
    both = replace(NEW, services=(*NEW.services, idle))
    begun = SiteMemory(begun=NEW.release, begun_at=100.0, pin=TO_OLD, pin_since=100.0, unserved=frozenset({NEW.release}))
    waiting = replace(seen(both, *OLD_TWO, *NEW_TWO, pin=TO_OLD, now=130.0, ready=frozenset(c.id for c in OLD_TWO)), images={"blog:2": "x"})
    assert plan_site(waiting, begun).memory.begun_at == 100.0


def test_the_deadline_counts_from_the_last_start() -> None:
    """Containers of one site start one after another, behind those of others: the last may be young when the first is old."""
    begun = SiteMemory(begun=NEW.release, begun_at=0.0, tried_at=1.0, tries=1, unserved=frozenset({NEW.release}))
    old = replace(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, ready=frozenset(c.id for c in OLD_TWO)), now=1000.0)
    rows = (*OLD_TWO, replace(NEW_TWO[0], up=900.0), replace(NEW_TWO[1], up=3.0))
    assert not any(isinstance(step, GiveUp) for step in plan_site(replace(old, containers=rows), begun).steps)
    rows = (*OLD_TWO, replace(NEW_TWO[0], up=900.0), replace(NEW_TWO[1], up=600.0))
    assert any(isinstance(step, GiveUp) for step in plan_site(replace(old, containers=rows), begun).steps)


def test_what_the_engine_cannot_stop_or_remove_holds_up_no_start() -> None:
    """A container that it calls busy for ever must not keep a site from being deployed and healed. What can be stopped makes room first."""
    dead = container(site("0"), 1, state="exited")
    superseded = container(site("7"), 1)
    memory = SiteMemory(begun=NEW.release, begun_at=99.0, pin=TO_OLD, pin_since=99.5, pinned=True, unserved=frozenset({site("7").release}))
    crowd = seen(NEW, *OLD_TWO, superseded, dead, pin=TO_OLD, traefik=traefik(*OLD_TWO, pin=TO_OLD))
    starts = [f"start t-blog-web-{NEW.release}-{n}" for n in (1, 2)]
    assert words(plan_site(crowd, memory)) == [f"stop {superseded.name}", *starts, f"remove {dead.name}"]
    failed = replace(crowd, trouble=f"cannot stop {superseded.name}: it does not end")
    assert words(plan_site(failed, memory)) == [*starts, f"stop {superseded.name}", f"remove {dead.name}"]


def test_who_has_no_weight_is_nobody_to_send_requests_to() -> None:
    """Traefik answers 503 where all targets weigh nothing: who serves, and did not answer in time, is better."""
    specs = {"a": ContainerSpec(image="blog:1", port=80, weight=1), "b": ContainerSpec(image="blog:1", port=80, weight=0)}
    services = tuple(DesiredService(name, spec, 1) for name, spec in specs.items())
    shop = DesiredSite("blog", fingerprint(specs, ROUTE), ROUTE, services, Timing(60, 1, 2))
    labels = [container_labels("t", "net", "web", shop, service, n + 1, "blog:1") for n, service in enumerate(services)]
    heavy, light = (Container(f"c{n}", f"c{n}", "running", "none", row, f"10.0.0.{n}") for n, row in enumerate(labels))
    whole = release_name("t", "blog", shop.release)
    lists = TraefikView(reachable=True, services={whole: 2, alone_name(seen(shop), heavy): 1, alone_name(seen(shop), light): 1})
    anew = seen(shop, heavy, light, ready=frozenset({light.id}), traefik=lists)
    assert plan_site(anew, SiteMemory(served=shop.release)).steps == ()
    assert heavy in answering(anew, (heavy, light), ())
    assert answering(replace(anew, ready=frozenset({heavy.id})), (heavy, light), ()) == (heavy,)
    assert answering(anew, (light,), ()) == (light,)


def test_who_is_waited_for_in_vain_is_looked_at_ever_less_often() -> None:
    """Another site that is to take over may not come up for hours; nor may Traefik's API."""
    promised = Handover(promised={(RULE, False): "two"})
    waits = replace(seen(OLD, *OLD_TWO, pin=TO_OLD), handover=promised)
    looks = [plan_site(waits, SiteMemory(pin=TO_OLD, pin_since=since, pinned=True)).look_at for since in (100.0, 90.0, 0.0)]
    assert looks == [100.02, 100.2, 102.0]
    for view in (TraefikView(reachable=False), replace(traefik(*OLD_TWO), blind=True)):
        assert plan_site(replace(seen(None, *OLD_TWO, pin=TO_OLD), traefik=view), SiteMemory()).look_at == 100.5


def test_whether_a_switch_is_taken_is_looked_at_often() -> None:
    """However long the release took to come up: who cannot be reached is undone after it."""
    late = SiteMemory(begun=NEW.release, begun_at=0.0, unserved=frozenset({NEW.release}))
    switching = seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_NEW, traefik=traefik(*OLD_TWO, *NEW_TWO, pin=TO_OLD))
    assert plan_site(switching, late).look_at == 100.02


def test_the_time_that_images_take_does_not_count_for_the_deadline() -> None:
    """Else a short fault of the engine fails a release whose images came late."""
    pulling = plan_site(replace(seen(NEW, *OLD_TWO, pin=TO_OLD), images={}, now=1000.0), SiteMemory(begun=NEW.release, begun_at=100.0))
    assert pulling.memory.begun_at == 1000.0
    here = plan_site(seen(NEW, *OLD_TWO, pin=TO_OLD, now=1010.0), pulling.memory)
    assert (here.memory.begun_at, due(here.steps)[0].step) == (1000.0, "start")


def test_the_new_release_starts_beside_the_old() -> None:
    motion = plan_site(seen(NEW, *OLD_TWO, pin=TO_OLD), SiteMemory())
    assert words(motion) == [f"start t-blog-web-{NEW.release}-1", f"start t-blog-web-{NEW.release}-2"]


def test_no_switch_before_every_replica_is_ready_and_known() -> None:
    one_ready = frozenset({*(c.id for c in OLD_TWO), NEW_TWO[0].id})
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, ready=one_ready), SiteMemory())) == []
    assert (
        words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, traefik=traefik(*OLD_TWO, NEW_TWO[0], pin=TO_OLD)), SiteMemory())) == []
    )


def test_the_switch_is_one_change_of_the_pin() -> None:
    motion = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD), SiteMemory())
    assert [step.pin for step in due(motion.steps) if isinstance(step, SetPin)] == [TO_NEW]
    assert len(due(motion.steps)) == 1


def test_the_old_release_is_stopped_only_after_min_healthy_and_drain() -> None:
    first = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_NEW, now=100), SiteMemory())
    assert words(first) == []
    assert first.look_at == 103
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_NEW, now=102.9), first.memory)) == []
    last = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_NEW, now=103), first.memory)
    assert words(last) == [f"stop {c.name}" for c in OLD_TWO]


def test_the_pin_goes_only_when_traefik_has_forgotten_the_old() -> None:
    assert words(plan_site(seen(NEW, *NEW_TWO, pin=TO_NEW, traefik=traefik(*OLD_TWO, *NEW_TWO, pin=TO_NEW)), SiteMemory())) == []
    assert due(plan_site(seen(NEW, *NEW_TWO, pin=TO_NEW), SiteMemory()).steps) == (SetPin("blog", None, "labels route again"),)


@pytest.mark.parametrize("neighbour", ["blog-shop", "blog-3fa9c1d2e4", "blog-3fa9c1d2e4-2"])
def test_the_pin_does_not_wait_for_a_neighbour_of_a_longer_name(neighbour: str) -> None:
    """Also where that is a preview, named by a commit."""
    theirs = release_name("t", neighbour, OLD.release)
    view = traefik(*NEW_TWO, pin=TO_NEW)
    view = replace(view, services={**view.services, theirs: 1, f"{theirs}-web-1": 1})
    assert due(plan_site(seen(NEW, *NEW_TWO, pin=TO_NEW, traefik=view), SiteMemory()).steps) == (
        SetPin("blog", None, "labels route again"),
    )


def test_the_motion_ends_only_when_traefik_has_let_go_of_the_pin() -> None:
    """Until then what the pin says is served: for a first release 503."""
    pinned = plan_site(seen(NEW, *NEW_TWO, pin=TO_NOBODY), SiteMemory()).memory
    for view in (traefik(*NEW_TWO, pin=TO_NOBODY), TraefikView(reachable=False)):
        motion = plan_site(seen(NEW, *NEW_TWO, traefik=view), pinned)
        assert [step.target for step in motion.steps] == ["Traefik"]
        assert motion.look_at is not None
        pinned = motion.memory
    last = plan_site(seen(NEW, *NEW_TWO), pinned)
    assert last.steps == ()
    assert plan_site(seen(NEW, *NEW_TWO, traefik=TraefikView(reachable=False)), last.memory).steps == ()


def test_requests_go_back_to_the_old_release_before_the_new_one_is_given_up() -> None:
    """Its last log lines are asked for then, which may take a while. Before the switch the pin is right as it is."""
    dead = replace(NEW_TWO[0], state="restarting", address=None)
    memory = SiteMemory(begun=NEW.release, begun_at=99)
    switched = plan_site(seen(NEW, *OLD_TWO, dead, NEW_TWO[1], pin=TO_NEW), memory)
    assert [type(step) for step in due(switched.steps)] == [SetPin, GiveUp]
    assert due(switched.steps)[0] == SetPin("blog", TO_OLD, f"requests to {OLD.release} again")
    before = plan_site(seen(NEW, *OLD_TWO, replace(dead, restarts=9), NEW_TWO[1], pin=TO_OLD), memory)
    assert [type(step) for step in due(before.steps)] == [GiveUp]


def test_what_ran_before_is_never_given_up() -> None:
    """The new release failed and still answers; a replica of the old one ended meanwhile: it is healed."""
    exited = container(OLD, 2, state="exited")
    world = seen(OLD, OLD_TWO[0], exited, *NEW_TWO, pin=TO_OLD)
    memory = SiteMemory(begun=OLD.release, begun_at=99)
    assert [type(step) for step in plan_site(world, memory).steps] == [SetPin, GiveUp]
    motion = plan_site(replace(world, fallback=True), memory)
    assert [step.new.name for step in motion.steps if isinstance(step, Start)] == [container(OLD, 3).name]
    assert not [step for step in motion.steps if isinstance(step, GiveUp)]


def test_a_surplus_replica_that_was_stopped_is_no_failure() -> None:
    """It could not be removed at once; the release is complete without it."""
    exited = container(NEW, 3, state="exited")
    memory = SiteMemory(begun=NEW.release, begun_at=99)
    motion = plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, exited, pin=TO_NEW), memory)
    assert not [step for step in motion.steps if isinstance(step, GiveUp)]
    assert f"remove {exited.name}" in [f"{step.step} {step.target}" for step in motion.steps]


def test_scaling_up_keeps_what_runs_and_pins_to_it() -> None:
    three = site("1", replicas=3)
    both = to(*(replica_name("t", "blog", OLD.release, "web", n) for n in (1, 2)))
    motion = plan_site(seen(three, *OLD_TWO, pin=both), SiteMemory())
    assert words(motion) == [f"start t-blog-web-{OLD.release}-3"]
    ready = frozenset(c.id for c in OLD_TWO)
    assert words(plan_site(seen(three, *OLD_TWO, container(three, 3), pin=both, ready=ready), motion.memory)) == []


def test_scaling_up_pins_to_each_replica_before_one_joins() -> None:
    three = site("1", replicas=3)
    motion = plan_site(seen(three, *OLD_TWO), SiteMemory())
    assert [step.pin for step in due(motion.steps) if isinstance(step, SetPin)] == [
        to(*(replica_name("t", "blog", OLD.release, "web", n) for n in (1, 2)))
    ]


def test_scaling_down_drains_before_it_stops() -> None:
    one = site("1", replicas=1)
    motion = plan_site(seen(one, *OLD_TWO), SiteMemory())
    assert [step.pin for step in due(motion.steps)] == [to(replica_name("t", "blog", OLD.release, "web", 1))]  # type: ignore[union-attr]


def test_a_removed_site_is_drained_too() -> None:
    motion = plan_site(seen(None, *OLD_TWO), SiteMemory())
    assert [step.pin for step in due(motion.steps)] == [TO_NOBODY]  # type: ignore[union-attr]
    drained = SiteMemory(pin=TO_NOBODY, pin_since=0.0)
    assert [type(step) for step in due(plan_site(seen(None, *OLD_TWO, pin=TO_NOBODY), drained).steps)] == [Stop, Stop]


def test_a_removed_site_is_drained_for_as_long_as_it_says() -> None:
    drain = applied_of(OLD_TWO[0]).timing.drain
    late = SiteMemory(pin=TO_NOBODY, pin_since=100.0 - drain + 1)
    assert due(plan_site(seen(None, *OLD_TWO, pin=TO_NOBODY), late).steps) == ()
    over = replace(late, pin_since=100.0 - drain)
    assert [type(step) for step in due(plan_site(seen(None, *OLD_TWO, pin=TO_NOBODY), over).steps)] == [Stop, Stop]


def test_what_its_file_said_last_of_the_drain_outweighs_what_its_containers_were_made_with() -> None:
    """A change of `rollout.drain` makes no other release."""
    patient = replace(OLD, timing=replace(OLD.timing, drain=600.0))
    observed = Observed(OLD_TWO, network=True, pins={}, traefik=traefik(*OLD_TWO), answering=frozenset(c.id for c in OLD_TWO))
    known = make_plan(Desired("c", {"blog": patient}), observed, Memory(), 100.0, NAMES).memory.sites["blog"]
    late = replace(known, pin=TO_NOBODY, pin_since=100.0)
    assert due(plan_site(seen(None, *OLD_TWO, pin=TO_NOBODY, now=699.0), late).steps) == ()
    assert [type(step) for step in due(plan_site(seen(None, *OLD_TWO, pin=TO_NOBODY, now=700.0), late).steps)] == [Stop, Stop]


def test_a_removed_site_waits_for_a_traefik_whose_api_does_not_answer() -> None:
    """It is pinned to nobody, and runs on until that is known to be so."""
    silent = TraefikView(reachable=False)
    for pin, now in ((None, ["pin blog"]), (TO_NOBODY, [])):
        motion = plan_site(seen(None, *OLD_TWO, pin=pin, traefik=silent), SiteMemory())
        assert words(motion) == now
        assert [step.step for step in motion.steps].count("stop") == 2
    assert words(plan_site(seen(None, pin=TO_NOBODY, traefik=silent), SiteMemory())) == []


def test_an_orphan_pin_is_taken_away() -> None:
    assert due(plan_site(seen(None, pin=TO_NOBODY), SiteMemory()).steps) == (SetPin("blog", None, "labels route again"),)


def test_a_release_that_exits_is_given_up_while_the_old_serves() -> None:
    begun = SiteMemory(pin=TO_OLD, pin_since=0.0, unserved=frozenset({NEW.release}), begun=NEW.release, begun_at=99.0)
    dead = container(NEW, 1, state="exited", exit_code=3)
    motion = plan_site(seen(NEW, *OLD_TWO, dead, pin=TO_OLD), begun)
    assert [step.reason for step in motion.steps if isinstance(step, GiveUp)] == [f"{dead.name} exited with 3"]


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"state": "exited", "exit_code": 3}, "exited with 3", "exited with 3"),
        ({"state": "exited", "exit_code": 137, "oom_killed": True}, *["exited with 137, killed for want of memory"] * 2),
        (
            {"state": "exited", "exit_code": 137, "live": {"mem_limit": 8 << 20}},
            *["exited with 137, killed: 8 MiB of memory may be too little"] * 2,
        ),
        ({"state": "restarting", "exit_code": 3, "restarts": 1}, "", "exited with 3"),
        ({"state": "restarting", "exit_code": 3, "restarts": 3}, *["exited with 3 and was restarted 3 times"] * 2),
        ({"restarts": 4, "up": 1.0}, "", "ended by itself and was restarted"),
        ({"restarts": 4, "up": 2.0}, "", ""),
        ({"health": "unhealthy"}, "is unhealthy", "is unhealthy"),
        ({"health": "starting"}, "", ""),
    ],
)
def test_what_makes_a_release_fail(changes: dict[str, object], before: str, after: str) -> None:
    """`before` it took requests it may be restarted a few times; `after` that its first end is one too many."""
    c = container(NEW, 1, **changes)
    for served, why in ((False, before), (True, after)):
        assert trouble(c, served=served) == (f"{c.name} {why}" if why else None)


def test_no_switch_to_what_was_restarted_a_moment_ago() -> None:
    """What crashes in a loop answers now and then."""
    for up, steps in ((1.0, []), (2.0, ["pin blog"])):
        again = container(NEW, 2, restarts=1, up=up)
        assert words(plan_site(seen(NEW, *OLD_TWO, NEW_TWO[0], again, pin=TO_OLD), SiteMemory())) == steps


def test_a_release_that_is_never_ready_is_given_up_at_its_deadline() -> None:
    begun = SiteMemory(pin=TO_OLD, pin_since=0.0, unserved=frozenset({NEW.release}), begun=NEW.release, begun_at=40.0)
    ready = frozenset(c.id for c in OLD_TWO)
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, ready=ready, now=99.9), begun)) == []
    assert words(plan_site(seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, ready=ready, now=100), begun)) == ["give up blog"]


def test_a_failed_release_that_never_served_is_removed_without_a_drain() -> None:
    memory = SiteMemory(pin=TO_OLD, pin_since=99.9, unserved=frozenset({NEW.release}))
    assert words(plan_site(seen(OLD, *OLD_TWO, *NEW_TWO, pin=TO_OLD), memory)) == [f"stop {c.name}" for c in NEW_TWO]


def test_a_changed_host_is_nobodys_until_the_switch() -> None:
    moved = site("1", route=Route(("blog.test", "new.test")))
    motion = plan_site(seen(moved, *OLD_TWO), SiteMemory())
    pins = [step.pin for step in due(motion.steps) if isinstance(step, SetPin)]
    assert dict(pins[0].targets) == {RULE: ((release_name("t", "blog", OLD.release), 1),), "Host(`new.test`)": ()}  # type: ignore[union-attr]


def test_what_dies_at_once_is_started_ever_more_slowly() -> None:
    """A release that serves is healed without waiting for the first few times only."""
    memory, now, waited = SiteMemory(served=OLD.release), 100.0, []
    for _ in range(8):
        motion = plan_site(seen(OLD, pin=TO_NOBODY, now=now), memory)
        began = now
        while not words(motion):
            assert motion.look_at is not None
            now = motion.look_at
            motion = plan_site(seen(OLD, pin=TO_NOBODY, now=now), motion.memory)
        waited.append(now - began)
        assert words(motion) == [f"start t-blog-web-{OLD.release}-1", f"start t-blog-web-{OLD.release}-2"]
        memory, now = motion.memory, now + 0.5
    assert waited[:3] == [0.0, 0.0, 0.0]
    assert waited[3:] == [0.5, 1.5, 3.5, 7.5, 15.5]
    lasted = next_start(memory) + CALM
    assert plan_site(seen(OLD, pin=TO_NOBODY, now=lasted - 1), memory).memory.tries == 9
    assert plan_site(seen(OLD, pin=TO_NOBODY, now=lasted), memory).memory.tries == 1
    assert words(plan_site(seen(NEW, pin=to(), now=now), memory)) != []


def test_a_sticky_site_is_pinned_as_traefik_tells_it_back() -> None:
    """Stickiness is a matter of several targets: of one, or of none, Traefik's API says nothing about it."""
    sticky = replace(ROUTE, sticky=True)
    old, new = site("1", route=sticky), site("2", route=sticky)
    two = (container(old, 1), container(old, 2))
    more = (replace(old.services[0], replicas=3),)
    rows: list[tuple[DesiredSite, tuple[Container, ...]]] = [(old, ()), (new, two), (replace(old, services=more), two)]
    steps = [step for goal, there in rows for step in due(plan_site(seen(goal, *there), SiteMemory()).steps)]
    assert [step.pin.sticky for step in steps if isinstance(step, SetPin) and step.pin] == [False, False, True]
