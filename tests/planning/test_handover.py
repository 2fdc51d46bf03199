"""Host names that move between sites: whoever served them serves them until the receiver does, whatever Traefik learns when."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.desired.compile import Compiler
from reconciler.desired.policy import Policy
from reconciler.desired.traefik_v3 import label_priority, pin_priority
from reconciler.errors import EngineError
from reconciler.planning.handover import handovers, intruders, owners
from reconciler.planning.labels import applied_of
from reconciler.planning.observed import Observed, Pin, TraefikView
from reconciler.planning.steps import Pull, due
from tests.planning.test_motion_properties import CHECKED, LEARNS, ROLLOUT, Motion

HOST = "moved.test"
RULE = f"Host(`{HOST}`)"
A_SITE = "image: app:now\nport: 80\nreplicas: 2\n" + ROLLOUT
learning = st.lists(st.sampled_from(LEARNS), min_size=60, max_size=60)


def text(version: str, *hosts: str, image: str = "app:slow") -> str:
    return A_SITE.replace("app:now", image) + f"environment: {{V: '{version}'}}\nhosts: [{', '.join(hosts)}]\n"


def one_replica(version: str, *hosts: str, volume: str = "", image: str = "app:now") -> str:
    return text(version, *hosts, image=image).replace("replicas: 2", "replicas: 1") + (f"volumes: ['{volume}:/d']\n" if volume else "")


MOVES = {
    "a file is renamed": ({"one": text("1", HOST)}, {"two": text("1", HOST)}),
    "one of two names moves to a new site": ({"one": text("1", HOST, "one.test")}, {"one": text("1", "one.test"), "two": text("1", HOST)}),
    "a name moves to a site that runs": (
        {"one": text("1", HOST, "one.test"), "two": text("1", "two.test")},
        {"one": text("2", "one.test"), "two": text("2", "two.test", HOST)},
    ),
    "the only name moves to a site that runs": (
        {"one": text("1", HOST), "two": text("1", "two.test")},
        {"two": text("2", "two.test", HOST)},
    ),
    "a name moves while its old site is replaced by another content": (
        {"one": text("1", HOST, "www.one.test"), "three": text("1", "three.test")},
        {"one": text("2", "www.one.test"), "three": text("1", "three.test", HOST, image="app:now")},
    ),
}


def a_world(files: dict[str, str]) -> Motion:
    world = Motion()
    world.begin()
    world.files |= {f"sites/{name}.yaml": text for name, text in files.items()}
    world.take()
    world.settle()
    return world


def change(world: Motion, files: dict[str, str]) -> None:
    sites = {path: body for path, body in world.files.items() if not path.startswith("sites/")}
    anchor = {path: body for path, body in world.files.items() if path == "sites/anchor.yaml"}
    world.files = {**sites, **anchor, **{f"sites/{name}.yaml": body for name, body in files.items()}}
    world.take()


def one_pass(world: Motion) -> None:
    """Traefik learns of all that it did."""
    world.do(world.plan())
    world.traefik.refresh()
    world.now += 0.4


def assert_served(world: Motion, host: str) -> set[str]:
    """By running containers that answer, all of one site; which."""
    routed = world.traefik.route(host)
    assert routed, f"{host} is lost: {routed}"
    by_address = {c.address: c for c in world.engine.containers() if c.address}
    assert all(address in by_address and world.engine.answers(address, 80) for address in routed), f"{host} goes to {routed}"
    sites = {by_address[address].site for address in routed}
    assert len(sites) == 1
    return sites


@pytest.mark.parametrize("move", MOVES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(learns=learning, killed=st.integers(0, 59), fails=st.sampled_from(["", "create", "stop", "remove", "resolve"]))
def test_a_name_that_moves_is_served_all_the_time(move: str, learns: list[str], killed: int, fails: str) -> None:
    """By its old site until the new one is whole, then by that; also when Shipstone is killed on the way or the engine fails once."""
    before, after = MOVES[move]
    world = a_world(before)
    assert_served(world, HOST)
    if fails:
        world.engine.fail(fails, EngineError(f"cannot {fails}: no"))
    change(world, after)
    order = []
    for n, what in enumerate(learns):
        world.do(world.plan(), 1 if n == killed else None)
        if n == killed:
            world.forget(failures=False)
        world.now += 0.4
        world.traefik_learns(what)
        order += [site for site in assert_served(world, HOST) if site not in order]
    world.settle()
    order += [site for site in assert_served(world, HOST) if site not in order]
    assert len(order) == 2, f"it moved once: {order}"


@pytest.mark.parametrize("ring", [("one", "two"), ("one", "two", "three")])
def test_sites_that_exchange_their_names_in_a_ring_come_to_an_end(ring: tuple[str, ...]) -> None:
    """None can be first without a moment in which two of them have a name; waiting for each other would have no end."""
    names = {site: f"{site}.test" for site in ring}
    world = a_world({site: text("1", host) for site, host in names.items()})
    change(world, {site: text("2", names[other]) for site, other in zip(ring, (*ring[1:], ring[0]), strict=True)})
    for _ in range(200):
        world.plan_of = (plan := world.plan()).sites
        for name, site in plan.sites.items():
            for step in due(site.steps):
                world.step(name, step)
        world.traefik.refresh()
        world.now += 0.5
    assert world.plan().quiet
    assert all(assert_served(world, names[other]) == {site} for site, other in zip(ring, (*ring[1:], ring[0]), strict=True))


RECEIVERS = {
    "fails": text("1", HOST, image="app:never"),
    "has errors": text("1", HOST) + "nonsense: 1\n",
    "is suspended": text("1", HOST) + "suspend: true\n",
}


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
@pytest.mark.parametrize(
    ("receiver", "giver"),
    [("fails", "stays"), ("fails", "goes"), ("is suspended", "stays"), ("is suspended", "goes"), ("has errors", "goes")],
)
def test_a_name_whose_receiver_cannot_be_had_stays_where_it_is(receiver: str, giver: str, killed: bool) -> None:
    """A site file is renamed, or a name goes to another file; with the file corrected it moves."""
    world = a_world({"one": text("1", HOST, "one.test")})
    assert_served(world, HOST)
    gone = {"one": text("1", "one.test")} if giver == "stays" else {}
    change(world, {**gone, "two": RECEIVERS[receiver]})
    for _ in range(80):
        one_pass(world)
        assert assert_served(world, HOST) == {"one"}
    if killed:
        world.forget(failures=False)
    world.settle()
    assert assert_served(world, HOST) == {"one"}
    row = world.plan().sites["one"]
    assert (row.sync, "two" in row.message, row.steps) == ("held", True, ())
    change(world, {**gone, "two": text("2", HOST)})
    world.settle()
    assert assert_served(world, HOST) == {"two"}
    assert {c.site for c in world.engine.containers()} == {"anchor", "two", *gone}


def test_whoever_serves_a_name_keeps_it_from_a_newcomer() -> None:
    """Suspended, held or waiting for an approval: what keeps a site keeps its names."""
    world = a_world({"one": text("1", HOST)})
    world.say("one", "suspend")
    change(world, {"two": text("1", HOST)})
    world.settle()
    plan = world.plan()
    assert (plan.sites["two"].sync, plan.sites["two"].steps) == ("held", ())
    assert "is served by one, which keeps it" in plan.sites["two"].message
    assert assert_served(world, HOST) == {"one"}


def test_of_two_that_want_a_rule_the_one_that_has_it_keeps_it() -> None:
    key = ("Host(`a.test`)", False)
    assert owners({key: {"two"}}, {key: {"one", "two"}}, {}) == {key: "two"}
    assert owners({}, {key: {"one", "two"}}, {}) == {key: "one"}
    assert intruders({key: {"one", "two"}}, {key: "two"}) == {"one": (key[0], "two")}
    assert intruders({key: {"one"}}, {key: "one"}) == {}


@pytest.mark.parametrize("before", ["it is unhealthy", "it never came up"])
@pytest.mark.parametrize("old", ["goes", "stays"])
def test_a_name_moves_away_from_a_site_of_which_nothing_is_ready(before: str, old: str) -> None:
    """The usual mend of a broken site may rename it: nobody waits for what cannot serve."""
    broken = text("1", HOST, "one.test", image=CHECKED if before == "it is unhealthy" else "app:never")
    world = a_world({"one": broken}) if before == "it is unhealthy" else a_world({})
    change(world, {"one": broken})
    for c in world.engine.containers() if before == "it is unhealthy" else ():
        if c.site == "one":
            world.engine.set_health(c.id, "unhealthy")
    for _ in range(3):
        one_pass(world)
    change(world, ({"one": text("2", "one.test")} if old == "stays" else {}) | {"two": text("2", HOST)})
    world.settle()
    assert assert_served(world, HOST) == {"two"}
    assert old == "goes" or assert_served(world, "one.test") == {"one"}


def test_a_pin_that_is_left_of_what_never_served_gives_way_at_the_switch() -> None:
    """Two pins of one rule and one priority: Traefik would answer 503 as often as not."""
    pin = Pin(((RULE, ()),), ((RULE, pin_priority(RULE)),))
    found = handovers({}, {(RULE, False): "two"}, Observed((), network=True, pins={"three": pin}, traefik=TraefikView(reachable=True)))
    assert found["two"].also["three"].priorities == ((RULE, label_priority(RULE)),)


NEEDS = {"a volume": "volumes: ['data:/d']\n", "a port of the host": "ports: ['5432:5432']\n"}


@pytest.mark.parametrize("need", NEEDS)
@pytest.mark.parametrize("move", ["is renamed", "goes to another host name", "swaps"])
def test_sites_that_cannot_run_beside_each_other_do_not(need: str, move: str) -> None:
    """As stop-first: who has to let go of it is drained and stopped before another starts that is to have it."""
    one = one_replica("1", HOST) + NEEDS[need]
    other = one_replica("1", "two.test")
    world = Motion()
    world.begin()
    world.compiler = Compiler(Policy(domains=("test",), ports=("5432",)))
    world.files |= {"sites/one.yaml": one} | ({"sites/two.yaml": other} if move == "swaps" else {})
    world.take()
    world.settle()
    to = {"is renamed": {"two": one}, "goes to another host name": {"two": other + NEEDS[need]}}
    change(world, to.get(move) or {"one": text("2", HOST, image="app:now"), "two": other + NEEDS[need]})
    assert not world.desired.held
    both: set[str] = set()
    for _ in range(60):
        one_pass(world)
        running = [c for c in world.engine.containers() if c.state == "running"]
        having = [c.site for c in running if applied_of(c).spec.volumes or applied_of(c).spec.ports]
        both |= set(having)
        assert len(having) <= 1, f"both run: {having}"
    assert both == {"one", "two"}
    world.settle()
    assert assert_served(world, "two.test" if move != "is renamed" else HOST) == {"two"}


def test_what_two_sites_give_each_other_holds_none_of_them_for_ever() -> None:
    """Each would wait for the other to end; then at least the engine says what is wrong."""
    one, two = ("image: app:now\nport: 80\n" + ROLLOUT + f"volumes: ['{name}:/d']\n" for name in ("a", "b"))
    world = a_world({"one": one, "two": two})
    change(world, {"one": two, "two": one})
    world.settle()
    found = {c.site: applied_of(c).spec.volumes for c in world.engine.containers()}
    assert {site: volumes[0].source for site, volumes in found.items() if volumes} == {"one": "b", "two": "a"}


@pytest.mark.parametrize("goes", [False, True])
def test_sites_do_not_wait_for_each_other_over_a_volume_and_a_name(goes: bool) -> None:
    """a lets go of v1 for c, b of v2 for a and of a name for c."""
    hosts = ("b.test",) if not goes else ()
    world = a_world({"a": one_replica("1", "a.test", volume="v1"), "b": one_replica("1", HOST, *hosts, volume="v2")})
    stays = {} if goes else {"b": one_replica("1", "b.test")}
    change(world, {"a": one_replica("1", "a.test", volume="v2"), "c": one_replica("1", HOST, volume="v1"), **stays})
    world.settle()
    assert assert_served(world, HOST) == {"c"}
    assert assert_served(world, "a.test") == {"a"}


def test_who_keeps_a_volume_that_others_share_is_waited_for_by_nobody() -> None:
    """Though it says start-first."""
    keeper = one_replica("1", HOST, volume="s").replace("rollout: {", "rollout: {order: start-first, ")
    world = Motion()
    world.begin()
    world.compiler = Compiler(Policy(domains=("test",), shared_volumes=("s",)))
    world.files["sites/a.yaml"] = keeper
    world.take()
    world.settle()
    change(world, {"a": keeper, "b": one_replica("1", "b.test", volume="s")})
    world.settle()
    assert assert_served(world, "b.test") == {"b"}


@pytest.mark.parametrize("hurt", ["a", "b"])
def test_what_serves_is_kept_whole_while_a_volume_cannot_change_hands(hurt: str) -> None:
    """a is to let go of it, and its new image does not come; b waits."""
    before = {"a": one_replica("1", "a.test", volume="v"), "b": one_replica("1", "b.test")}
    world = a_world({name: body.replace("replicas: 1", "replicas: 2") if name == hurt else body for name, body in before.items()})
    after = {"a": one_replica("2", "a.test", image="app:absent"), "b": one_replica("2", "b.test", volume="v")}
    change(world, {name: body.replace("replicas: 1", "replicas: 2") if name == hurt else body for name, body in after.items()})
    first = next(c for c in world.engine.containers() if c.site == hurt)
    world.engine.destroy(first.id)
    for _ in range(40):
        plan = world.plan()
        for name, site in plan.sites.items():
            for step in due(site.steps):
                if not isinstance(step, Pull):
                    world.step(name, step)
        world.traefik.refresh()
        world.now += 0.4
    assert sum(c.site == hurt and c.release == first.release and c.state == "running" for c in world.engine.containers()) == 2
    assert hurt == "a" or "both would write to v" in world.plan().sites["b"].message


def test_who_says_start_first_writes_beside_another_site() -> None:
    one = text("1", HOST, image="app:now") + NEEDS["a volume"]
    one = one.replace("rollout: {", "rollout: {order: start-first, ")
    world = a_world({"one": one})
    change(world, {"two": one})
    for _ in range(60):
        one_pass(world)
        assert_served(world, HOST)
    assert assert_served(world, HOST) == {"two"}
