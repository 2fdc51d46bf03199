"""One contract for the modelled Traefik and a real one: what labels and pins route, and what the API says of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab.host import a_host, until

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, release_name, replica_name
from reconciler.desired.spec import ContainerSpec, Cookie, Middleware, NewContainer, Route
from reconciler.desired.traefik_v3 import middleware_names, rising_priority
from reconciler.planning.labels import container_labels
from reconciler.planning.observed import Pin, TraefikView
from reconciler.planning.question import Answer, Question, verdict
from reconciler.world.docker import DockerEngine
from reconciler.world.engine import Engine
from reconciler.world.memory import Behaviour, MemoryEngine
from reconciler.world.memory_traefik import MemoryTraefik
from reconciler.world.pins import PinFile
from reconciler.world.through_traefik import ThroughTraefik
from reconciler.world.traefik_api import TraefikApi

SHOP = Route(("shop.test",))
RULE = "Host(`shop.test`)"
PRIORITY = 2 * len(RULE) + 1
OLD, NEW = "0123456789", "abcdef0123"


@dataclass(frozen=True)
class Stage:
    """An engine, a Traefik over it and its pins. `route` gives who answers for a host: none is 503, None is 404.

    `via` gives the header X-Via of an answer, which a middleware sets.
    """

    engine: Engine
    instance: str
    image: str
    route: Callable[[str], set[str] | None]
    route_tls: Callable[[str], set[str] | None]
    via: Callable[[str], str]
    view: Callable[[], TraefikView]
    set_pins: Callable[[Mapping[str, Pin]], None]
    settles: Callable[[Callable[[], object], str], object]
    ask: Callable[[Question], tuple[Answer | None, Answer | None]]

    def start(self, release: str, replica: int, route: Route = SHOP, **labels: str) -> str:
        """A replica of site shop that answers `<release>-<replica>`; the container's id. `labels` override."""
        spec = ContainerSpec(image=self.image, port=80, environment=(("BOOT_MS", "0"), ("V", f"{release}-{replica}")))
        service = DesiredService("web", spec, 1)
        site = DesiredSite("shop", release, route, (service,), Timing(), heal=True, commit="c")
        network = f"{self.instance}_net"
        made = container_labels(self.instance, network, "websecure" if route.tls else "web", site, service, replica, self.image)
        made |= labels
        name = container_name(self.instance, "shop", "web", release, replica)
        return self.engine.create_and_start(NewContainer(name, self.image, spec, tuple(sorted(made.items())), network))

    def release(self, release: str) -> str:
        return release_name(self.instance, "shop", release)

    def middlewares(self, release: str, route: Route) -> tuple[str, ...]:
        return middleware_names(self.instance, "shop", release, route)

    def alone(self, release: str, replica: int) -> str:
        return replica_name(self.instance, "shop", release, "web", replica)

    def pin(self, *targets: str) -> None:
        self.set_pins({"shop": pin_to(*targets)})

    def pin_through(self, middlewares: tuple[str, ...], *targets: str) -> dict[str, Pin]:
        """What was written."""
        pins = {"shop": replace(pin_to(*targets), middlewares=middlewares)}
        self.set_pins(pins)
        return pins


def pin_to(*targets: str) -> Pin:
    return Pin(((RULE, tuple((target, 1) for target in targets)),), ((RULE, PRIORITY),))


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.docker)])
def stage(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> Iterator[Stage]:
    if request.param == "memory":
        yield in_memory(instance)
    else:
        yield from real(instance, request.getfixturevalue("docker_socket"), request.getfixturevalue("abrupt_image"), tmp_path)


def in_memory(instance: str) -> Stage:
    engine = MemoryEngine(instance, f"{instance}_net")
    engine.images = {"app:1": Behaviour()}
    engine.ensure_network()
    pins: dict[str, Pin] = {}
    traefik = MemoryTraefik(engine, pins)

    def set_pins(new: Mapping[str, Pin]) -> None:
        pins.clear()
        pins.update(new)

    def route(host: str, *, tls: bool = False) -> set[str] | None:
        addresses = traefik.route(host, tls=tls)
        names = {c.address: f"{c.release}-{c.replica}" for c in engine.containers()}
        return None if addresses is None else {names[address] for address in addresses}

    def via(host: str) -> str:
        labels = {key: value for c in engine.containers() for key, value in c.labels.items()}
        found = [labels.get(f"traefik.http.middlewares.{name}.headers.customresponseheaders.X-Via") for name in traefik.passes(host)]
        return "".join(filter(None, found))

    def settles(condition: Callable[[], object], _what: str) -> object:
        traefik.refresh()
        return condition()

    view = lambda: traefik.view({"shop"})  # noqa: E731
    return Stage(engine, instance, "app:1", route, lambda host: route(host, tls=True), via, view, set_pins, settles, traefik.ask)


def real(instance: str, socket: str, image: str, folder: Path) -> Iterator[Stage]:
    with a_host(folder, socket, instance, tls=True) as host:
        engine = DockerEngine(socket, instance, host.network, str)
        engine.ensure_network()
        host.repository.commit({"shipstone.yaml": "domain: test\n"}, "begin")
        host.start_traefik()
        pins = PinFile(host.dynamic, instance, ("web",), ("websecure",))
        api = TraefikApi(f"http://127.0.0.1:{host.console}", instance)

        def set_pins(new: Mapping[str, Pin]) -> None:
            pins.set({**dict.fromkeys(pins.read()), **new})

        def route(name: str, *, tls: bool = False) -> set[str] | None:
            answers = {host.get(name, tls=tls) for _ in range(12)}
            if {status for status, _ in answers} == {200}:
                return {body for _, body in answers}
            return {404: None, 503: set()}.get(next(iter(answers))[0], {"mixed"}) if len(answers) == 1 else {"mixed"}

        def via(name: str) -> str:
            return host.ask(name)[2].get("X-Via", "")

        def settles(condition: Callable[[], object], what: str) -> object:
            return until(condition, what, 15)

        ask = ThroughTraefik({False: ("127.0.0.1", host.web), True: ("127.0.0.1", host.tls)}).ask
        view = lambda: api.view({"shop"})  # noqa: E731
        yield Stage(engine, instance, image, route, lambda name: route(name, tls=True), via, view, set_pins, settles, ask)
        api.close()


def test_at_rest_every_replica_of_a_release_answers(stage: Stage) -> None:
    """And who asks for another host is told 404."""
    first = stage.start(OLD, 1)
    stage.start(OLD, 2)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1", f"{OLD}-2"}, "both answer")
    assert stage.route("other.test") is None
    counts = stage.view().services
    assert counts[stage.release(OLD)] == 2
    assert counts[stage.alone(OLD, 1)] == counts[stage.alone(OLD, 2)] == 1
    stage.engine.stop(first, grace=0)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-2"}, "the stopped one is forgotten")
    assert stage.alone(OLD, 1) not in stage.view().services


def test_two_that_define_one_router_differently_take_it_away(stage: Stage) -> None:
    """Why names carry the release."""
    stage.start(OLD, 1)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "it answers")
    router = f"traefik.http.routers.{stage.release(OLD)}-0"
    other = stage.start(OLD, 2, **{f"{router}.rule": "Host(`else.test`)"})
    assert stage.settles(lambda: stage.route("shop.test") is None, "nobody answers")
    assert stage.view().routers == frozenset()
    stage.engine.stop(other, grace=0)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "it is back")


@pytest.mark.parametrize("tls", [False, True])
def test_what_traefik_answers_itself_is_told_from_what_a_container_does(stage: Stage, tls: bool) -> None:
    """404 where no router is, 503 where a pin names nobody; the container itself answers all the while."""
    made = stage.start(OLD, 1, replace(SHOP, tls=tls))
    route = stage.route_tls if tls else stage.route
    assert stage.settles(lambda: route("shop.test") == {f"{OLD}-1"}, "it answers")
    (c,) = (c for c in stage.engine.containers() if c.id == made)
    question = Question("shop.test", "/", tls, c.address or "", 80)
    through, direct = stage.ask(question)
    assert through is not None
    assert (through.status, direct) == (200, None)
    nobody = replace(question, host="other.test")
    assert verdict(nobody, *stage.ask(nobody)).startswith("Traefik answers 404 (404 page not found) for other.test/, while the container")
    rows = ((RULE, ()),)
    stage.set_pins({"shop": Pin(() if tls else rows, ((RULE, PRIORITY),), secure=rows if tls else ())})
    assert stage.settles(lambda: route("shop.test") == set(), "nobody answers")
    assert verdict(question, *stage.ask(question)).startswith("Traefik answers 503 (no available server) for shop.test/, while the cont")


def test_a_release_of_a_higher_rank_goes_before_the_one_before_it(stage: Stage) -> None:
    """What there is where there are no pins; a pin that knows of it goes before both."""
    ranks = {OLD: rising_priority(RULE, 3), NEW: rising_priority(RULE, 4)}
    labels = {release: {f"traefik.http.routers.{stage.release(release)}-0.priority": str(rank)} for release, rank in ranks.items()}
    stage.start(OLD, 1, **labels[OLD])
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "it answers")
    new = stage.start(NEW, 1, **labels[NEW])
    assert stage.settles(lambda: stage.route("shop.test") == {f"{NEW}-1"}, "the new release goes before it")
    assert stage.view().routers == {f"{stage.release(OLD)}-0", f"{stage.release(NEW)}-0"}
    pin = Pin(((RULE, ((stage.release(OLD), 1),)),), ((RULE, ranks[NEW] + 1),))
    stage.set_pins({"shop": pin})
    assert stage.settles(lambda: stage.view().pins == {"shop": pin} and stage.route("shop.test") == {f"{OLD}-1"}, "the pin goes first")
    stage.set_pins({})
    assert stage.settles(lambda: stage.route("shop.test") == {f"{NEW}-1"}, "the pin is gone")
    stage.engine.stop(new, grace=0)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "the old release serves again")


def test_a_pin_goes_before_labels(stage: Stage) -> None:
    """To a release, then to replicas by themselves, then to nobody, then no more."""
    old = stage.start(OLD, 1)
    stage.start(NEW, 1)
    stage.start(NEW, 2)
    stage.pin(stage.release(OLD))
    assert stage.settles(lambda: stage.view().pins == {"shop": pin_to(stage.release(OLD))}, "the pin is followed")
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "only the old release")
    stage.pin(stage.alone(NEW, 2), stage.alone(OLD, 1))
    assert stage.settles(lambda: stage.route("shop.test") == {f"{NEW}-2", f"{OLD}-1"}, "only these two replicas")
    stage.set_pins({"shop": replace(pin_to(), targets=((RULE, ()),))})
    assert stage.settles(lambda: stage.route("shop.test") == set(), "nobody: 503")
    stage.engine.stop(old, grace=0)
    stage.set_pins({})
    assert stage.settles(lambda: stage.route("shop.test") == {f"{NEW}-1", f"{NEW}-2"}, "labels route again")
    assert stage.view().pins == {}


def test_a_pin_to_what_is_not_there_is_disabled(stage: Stage) -> None:
    """Labels route, and the view does not say that the pin is followed."""
    stage.start(OLD, 1)
    stage.pin(stage.release(OLD))
    assert stage.settles(lambda: "shop" in stage.view().pins, "the pin is followed")
    stage.pin(stage.release(NEW))
    assert stage.settles(lambda: "shop" not in stage.view().pins, "the pin is not followed")
    assert stage.route("shop.test") == {f"{OLD}-1"}
    stage.start(NEW, 1)
    assert stage.settles(lambda: "shop" in stage.view().pins, "what it names came")
    assert stage.settles(lambda: stage.route("shop.test") == {f"{NEW}-1"}, "the pin is followed")


def with_header(value: str) -> Route:
    """Answers have the header X-Via."""
    strip = Middleware("stripPrefix", (("prefixes", "/api,/v1"),))
    return replace(SHOP, middlewares=(strip, Middleware("headers", (("customresponseheaders.X-Via", value),))))


def test_requests_pass_the_middlewares_of_the_release_that_the_pin_points_at(stage: Stage) -> None:
    """By labels and by a pin alike; and the pin that Traefik tells back is the one that was written."""
    old, new = with_header("old"), with_header("new")
    stage.start(OLD, 1, old)
    assert stage.settles(lambda: stage.via("shop.test") == "old", "labels: through the old release's")
    stage.pin_through(stage.middlewares(OLD, old), stage.release(OLD))
    assert stage.settles(lambda: "shop" in stage.view().pins, "the pin is followed")
    first = stage.start(NEW, 1, new)
    stage.start(NEW, 2, new)
    assert stage.settles(lambda: stage.view().services.get(stage.release(NEW)) == 2, "the new release is known")
    assert (stage.route("shop.test"), stage.via("shop.test")) == ({f"{OLD}-1"}, "old")
    pins = stage.pin_through(stage.middlewares(NEW, new), stage.release(NEW))
    assert stage.settles(lambda: stage.view().pins == pins, "the switch")
    assert (stage.route("shop.test"), stage.via("shop.test")) == ({f"{NEW}-1", f"{NEW}-2"}, "new")
    pins = stage.pin_through(stage.middlewares(NEW, new), stage.alone(NEW, 2))
    assert stage.settles(lambda: stage.view().pins == pins, "one replica only")
    stage.engine.stop(first, grace=0)
    assert stage.settles(lambda: (stage.route("shop.test"), stage.via("shop.test")) == ({f"{NEW}-2"}, "new"), "through them still")


def test_a_pin_through_a_middleware_that_is_not_there_is_disabled(stage: Stage) -> None:
    """As is a router by labels whose middleware Traefik cannot make; it says why."""
    stage.start(OLD, 1)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "it answers")
    stage.pin_through(stage.middlewares(OLD, with_header("x")), stage.release(OLD))
    assert stage.settles(lambda: any(name.endswith("@file") for name in stage.view().refused), "the pin is refused")
    assert stage.view().pins.get("shop") is None
    assert stage.route("shop.test") == {f"{OLD}-1"}
    wrong = replace(SHOP, middlewares=(Middleware("stripPrefixRegex", (("regex", "("),)),))
    stage.start(NEW, 1, wrong)
    router = f"{stage.release(NEW)}-0@docker"
    assert stage.settles(lambda: router in stage.view().refused, "the new release's router is refused")
    assert stage.view().refused[router]
    stage.pin_through(stage.middlewares(NEW, wrong), stage.release(NEW))
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "the old release serves")
    assert stage.view().pins.get("shop") is None


def test_a_rule_with_tls_is_pinned_by_itself(stage: Stage) -> None:
    """From plain to TLS: what starts takes no request before the switch, on neither side."""
    safe = replace(SHOP, tls=True)
    stage.start(OLD, 1)
    before = Pin(((RULE, ((stage.release(OLD), 1),)),), ((RULE, PRIORITY),), secure=((RULE, ()),))
    stage.set_pins({"shop": before})
    assert stage.settles(lambda: stage.view().pins == {"shop": before}, "pinned on both sides")
    stage.start(NEW, 1, safe)
    assert stage.settles(lambda: stage.release(NEW) in stage.view().services, "the new release is known")
    assert (stage.route("shop.test"), stage.route_tls("shop.test")) == ({f"{OLD}-1"}, set())
    after = replace(before, targets=((RULE, ()),), secure=((RULE, ((stage.release(NEW), 1),)),))
    stage.set_pins({"shop": after})
    assert stage.settles(lambda: stage.view().pins == {"shop": after}, "the switch")
    assert (stage.route("shop.test"), stage.route_tls("shop.test")) == (set(), {f"{NEW}-1"})
    stage.set_pins({})
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "labels route again")
    assert stage.settles(lambda: stage.route_tls("shop.test") == {f"{NEW}-1"}, "with TLS too")


def test_a_sticky_pin_is_told_back_with_its_cookie(stage: Stage) -> None:
    stage.start(OLD, 1)
    stage.start(OLD, 2)
    targets = tuple((stage.alone(OLD, n), 1) for n in (1, 2))
    for cookie in (Cookie(), Cookie(secure=True, same_site="lax", max_age=60)):
        pin = Pin(((RULE, targets),), ((RULE, PRIORITY),), sticky=True, cookie=cookie)
        stage.set_pins({"shop": pin})
        assert stage.settles(lambda: stage.view().pins == {"shop": pin}, "it is followed")  # noqa: B023  asked in this round


@pytest.mark.parametrize("strategy", ["p2c", "hrw", "leasttime"])
def test_every_replica_is_reached_whatever_the_balancer_does(stage: Stage, strategy: str) -> None:
    """Traefik knows the strategy, and the other words about the service: a label that it does not know takes the container away."""
    route = replace(SHOP, strategy=strategy, pass_host_header=False, flush_interval="50ms", sticky=True, cookie=Cookie(max_age=60))
    stage.start(OLD, 1, route)
    assert stage.settles(lambda: stage.route("shop.test") == {f"{OLD}-1"}, "it answers")
