"""A site whose middlewares, entry point or stickiness change: the pin treats requests as the release that serves them does."""

from dataclasses import replace

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, fingerprint, release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Cookie, Middleware, Route
from reconciler.planning.diff import committed
from reconciler.planning.failure import REFUSING
from reconciler.planning.labels import container_labels
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container, Pin, TraefikView
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Names, Seen
from reconciler.planning.steps import GiveUp, SetPin, Start, due

NAMES = Names("t", "net", "web", "safe")
RULE = "Host(`blog.test`)"
PRIORITIES = ((RULE, 2 * len(RULE) + 1),)
BLOG = Route(("blog.test",))
ONE = replace(BLOG, middlewares=(Middleware("compress"), Middleware("headers", (("customresponseheaders.X", "1"),))))


def site(route: Route, replicas: int = 1) -> DesiredSite:
    spec = ContainerSpec(image="blog:1", port=80)
    return DesiredSite("blog", fingerprint({"web": spec}, route), route, (DesiredService("web", spec, replicas),), Timing(60, 1, 2))


def container(of: DesiredSite, n: int = 1) -> Container:
    labels = container_labels("t", "net", NAMES.entry_of(of.route), of, of.services[0], n, "blog:1")
    name = container_name("t", "blog", "web", of.release, n)
    return Container(name, name, "running", "none", labels, f"10.0.0.{n}")


def seen(goal: DesiredSite, *containers: Container, pin: Pin | None = None, refused: dict[str, str] | None = None) -> Seen:
    services: dict[str, int] = {}
    for c in containers:
        whole = release_name("t", "blog", c.release)
        services |= {whole: services.get(whole, 0) + 1, replica_name("t", "blog", c.release, "web", c.replica): 1}
    view = TraefikView(reachable=True, pins={"blog": pin} if pin and not refused else {}, services=services, refused=refused or {})
    ready = frozenset(c.id for c in containers)
    return Seen("blog", goal, containers, pin, view, ready, {}, {"blog:1": "blog:1"}, NAMES, 100.0)


def next_pin(world: Seen, memory: SiteMemory | None = None) -> Pin:
    (pin,) = [step.pin for step in due(plan_site(world, memory or SiteMemory()).steps) if isinstance(step, SetPin)]
    assert pin is not None
    return pin


def to(of: DesiredSite) -> tuple[tuple[str, int], ...]:
    return ((release_name("t", "blog", of.release), 1),)


def test_the_switch_takes_the_middlewares_along() -> None:
    """One change of the pin: to the new release, through its middlewares."""
    old, new = site(ONE), site(replace(ONE, middlewares=ONE.middlewares[1:]))
    before = next_pin(seen(new, container(old)))
    assert before == Pin(((RULE, to(old)),), PRIORITIES, middlewares=tuple(f"t-blog-{old.release}-m{n}" for n in (0, 1)))
    after = next_pin(seen(new, container(old), container(new), pin=before))
    assert after == Pin(((RULE, to(new)),), PRIORITIES, middlewares=(f"t-blog-{new.release}-m0",))


def test_a_scaling_keeps_the_middlewares() -> None:
    """The pin names replicas by themselves, and the release's middlewares."""
    two = site(replace(ONE, sticky=True, cookie=Cookie(secure=True)), replicas=3)
    pin = next_pin(seen(two, container(two, 1), container(two, 2)))
    assert dict(pin.targets)[RULE] == tuple((replica_name("t", "blog", two.release, "web", n), 1) for n in (1, 2))
    assert pin.middlewares == tuple(f"t-blog-{two.release}-m{n}" for n in (0, 1))
    assert (pin.sticky, pin.cookie) == (True, Cookie(secure=True))


def test_where_two_releases_serve_requests_are_treated_as_the_goals_are() -> None:
    """Someone took the pin file away in mid-motion."""
    old, new = site(ONE), site(replace(ONE, middlewares=ONE.middlewares[:1]))
    for goal in (old, new):
        pin = next_pin(seen(replace(goal, services=(replace(goal.services[0], replicas=2),)), container(old), container(new)))
        assert {name.rsplit("-", 1)[0] for name in pin.middlewares} == {f"t-blog-{goal.release}"}
        assert len(dict(pin.targets)[RULE]) == 2


def test_from_plain_to_tls_the_old_serves_until_the_switch() -> None:
    """And what starts is nobody's until then, on the entry point where no request was answered before."""
    old, new = site(BLOG), site(replace(BLOG, tls=True))
    before = next_pin(seen(new, container(old)))
    assert before == Pin(((RULE, to(old)),), PRIORITIES, secure=((RULE, ()),))
    (start,) = [step for step in due(plan_site(seen(new, container(old), pin=before), SiteMemory()).steps) if isinstance(step, Start)]
    labels = dict(start.new.labels)
    assert labels[f"traefik.http.routers.t-blog-{new.release}-0.entrypoints"] == "safe"
    after = next_pin(seen(new, container(old), container(new), pin=before))
    assert after == Pin(((RULE, ()),), PRIORITIES, secure=((RULE, to(new)),))


def test_a_release_whose_router_traefik_refuses_is_given_up() -> None:
    """Before the switch: no request ever comes to it. Not at once: while Traefik starts, a middleware of another of its providers comes
    a moment later."""
    old, new = site(BLOG), site(replace(BLOG, middlewares=(Middleware("stripPrefixRegex", (("regex", "("),)),)))
    pin = Pin(((RULE, to(old)),), PRIORITIES)
    router = f"t-blog-{new.release}-0@docker"
    world = seen(new, container(old), container(new), pin=pin, refused={router: "error parsing regexp", "t-blog-x-0@docker": "other"})
    begun = SiteMemory(pin=pin, pin_since=0.0, unserved=frozenset({new.release}), begun=new.release, begun_at=99.0)
    first = plan_site(world, begun)
    assert not due(first.steps)
    assert any("until it takes what it refuses: Traefik refuses its router: error parsing regexp" in str(step) for step in first.steps)
    assert first.look_at is not None
    before = plan_site(replace(world, now=world.now + REFUSING - 0.1), first.memory)
    assert not due(before.steps)
    (step,) = plan_site(replace(world, now=world.now + REFUSING), before.memory).steps
    assert isinstance(step, GiveUp)
    assert step.reason == "Traefik refuses its router: error parsing regexp"


def test_a_router_that_traefik_refuses_for_a_moment_fails_nobody() -> None:
    old, new = site(BLOG), site(replace(BLOG, middlewares=(Middleware("addPrefix", (("prefix", "/x"),)),)))
    pin = Pin(((RULE, to(old)),), PRIORITIES)
    begun = SiteMemory(pin=pin, pin_since=0.0, unserved=frozenset({new.release}), begun=new.release, begun_at=99.0)
    world = seen(new, container(old), container(new), pin=pin)
    refusing = seen(new, container(old), container(new), pin=pin, refused={f"t-blog-{new.release}-0@docker": "it does not exist"})
    motion = plan_site(replace(refusing, traefik=replace(refusing.traefik, pins={"blog": pin})), begun)
    motion = plan_site(replace(world, now=world.now + REFUSING + 1), motion.memory)
    assert motion.memory.refused_at is None
    assert isinstance(motion.steps[0], SetPin), "the switch"
    again = plan_site(replace(refusing, now=world.now + REFUSING + 2), motion.memory)
    assert not any(isinstance(step, GiveUp) for step in again.steps), "it is counted anew"


def test_a_pin_that_traefik_refuses_is_waited_for_with_its_reason() -> None:
    """Nothing starts without it."""
    old, new = site(BLOG), site(replace(BLOG, tls=True))
    pin = next_pin(seen(new, container(old)))
    steps = plan_site(seen(new, container(old), pin=pin, refused={"t-blog-pin-tls-0@file": "no valid entryPoint"}), SiteMemory()).steps
    assert not any(isinstance(step, Start) for step in due(steps))
    assert "which it refuses: no valid entryPoint" in str(steps)


def test_what_comes_back_under_its_old_name_waits_until_traefik_forgot_that_name() -> None:
    """A quick revert: Traefik still lists the release that was just removed, at addresses where nothing is."""
    old, new = site(BLOG), site(ONE)
    pin = Pin(((RULE, to(new)),), PRIORITIES, middlewares=tuple(f"t-blog-{new.release}-m{n}" for n in (0, 1)))
    world = seen(old, container(new), pin=pin)
    stale = {**world.traefik.services, replica_name("t", "blog", old.release, "web", 1): 1, to(old)[0][0]: 1}
    assert due(plan_site(replace(world, traefik=replace(world.traefik, services=stale)), SiteMemory()).steps) == ()
    assert [type(step) for step in due(plan_site(world, SiteMemory()).steps)] == [Start]


def test_a_release_is_not_pinned_as_a_whole_while_traefik_lists_more_of_it() -> None:
    """What was stopped a moment ago is still among its servers."""
    old, new = site(BLOG), site(ONE)
    world = seen(new, container(old))
    stale = replace(world.traefik, services={**world.traefik.services, to(old)[0][0]: 2})
    assert dict(next_pin(replace(world, traefik=stale)).targets)[RULE] == ((replica_name("t", "blog", old.release, "web", 1), 1),)
    assert dict(next_pin(world).targets)[RULE] == to(old)


def test_a_difference_names_the_option_and_never_a_password() -> None:
    auth = replace(BLOG, middlewares=(Middleware("basicAuth", (("realm", "x"), ("users", "a:$apr1$secret"))),))
    rows = committed(site(auth), site(BLOG))
    assert [(row.field, row.desired, row.actual) for row in rows] == [("middlewares", "basicAuth realm=x users=…", "")]
