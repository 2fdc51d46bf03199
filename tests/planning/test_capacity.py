"""What the host cannot take is not begun; the old release serves on, and other sites go on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.desired import DesiredSite
from reconciler.desired.spec import ContainerSpec, NewContainer
from reconciler.errors import EngineError
from reconciler.planning.capacity import LEAST_DISK, PORTS, Need, find_room
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Capacity, Container, Observed, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.steps import Start, Step, Stop
from tests.planning.test_motion_properties import Motion
from tests.planning.test_plan import NAMES, desired, running, site

FULL = Capacity(ports=0, memory=2**40, disk=2**40)
POOR = Capacity(ports=PORTS, memory=2**20, disk=2**40)
CRAMMED = Capacity(ports=PORTS, memory=2**40, disk=LEAST_DISK - 1)


def limited(one: DesiredSite, mem_limit: int) -> DesiredSite:
    (service,) = one.services
    return replace(one, services=(replace(service, spec=replace(service.spec, mem_limit=mem_limit)),))


def plan(written: object, capacity: Capacity, *containers: Container, memory: Memory | None = None) -> Plan:
    ready = frozenset(c.id for c in containers if c.state == "running")
    view = TraefikView(reachable=True)
    observed = Observed(containers, network=True, pins={}, traefik=view, answering=ready, capacity=capacity)
    return make_plan(written, observed, memory or Memory(), 100.0, NAMES)


@pytest.mark.parametrize(
    ("capacity", "said"),
    [
        (FULL, "the network t_net holds, or is to take, 1,023 of at most 1,023 containers. Use another host or remove sites."),
        (CRAMMED, "less than 1 GiB is free where the engine keeps its data."),
        (POOR, "they may take 4 MiB of memory (mem_limit), and less is available."),
    ],
)
def test_a_release_that_does_not_fit_is_not_begun(capacity: Capacity, said: str) -> None:
    """Neither pinned nor pulled for; it is looked at again, and goes on when there is room."""
    old, new = site("blog", replicas=2), limited(site("blog", "app:2", replicas=2), 2**21)
    there = (running(old, 1), running(old, 2))
    found = plan(desired(new), capacity, *there)
    row = found.sites["blog"]
    assert [step.step for step in row.steps] == ["wait"]
    assert row.message.startswith(f"cannot start 2 containers of blog: {said}")
    assert row.sync == "out-of-sync"
    assert found.look_at is not None
    assert found.memory.sites["blog"].tries == 0, "no try is counted"
    later = plan(desired(new), Capacity(PORTS, 2**40, 2**40), *there, memory=found.memory)
    assert any(step.step == "start" for step in later.sites["blog"].steps)


def test_what_is_lost_is_healed_whatever_the_memory_and_the_disk() -> None:
    """Of a release that ran; only a place on the network cannot be done without."""
    shop = limited(site("shop", replicas=2), 2**30)
    for capacity in (CRAMMED, POOR):
        found = plan(desired(shop), capacity, running(shop, 1), running(shop, 2, state="exited"))
        assert any(step.step == "start" for step in found.sites["shop"].steps)
    shop = site("shop", replicas=2)
    at_rest = plan(desired(shop), CRAMMED, running(shop, 1), running(shop, 2))
    assert at_rest.quiet
    found = plan(desired(shop), CRAMMED, memory=at_rest.memory)
    assert any(step.step == "start" for step in found.sites["shop"].steps), "all of it was removed by a hand"
    assert [step.step for step in plan(desired(shop), FULL, running(shop, 1)).sites["shop"].steps] == ["wait"]


def test_others_go_on() -> None:
    big, small = limited(site("big"), 2**30), site("small")
    found = plan(desired(big, small), POOR)
    assert [step.step for step in found.sites["big"].steps] == ["wait"]
    assert any(step.step == "start" for step in found.sites["small"].steps)


def start(name: str, n: int, mem_limit: int) -> Start:
    spec = ContainerSpec("app:1", 80, mem_limit=mem_limit or None)
    return Start(NewContainer(f"{name}-{n}", "app:1", spec, (("shipstone.release", "r"),), "net"), "")


needs = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2)), max_size=8)


@given(sites=needs, begun=st.sets(st.sampled_from("abcdefgh")), ports=st.integers(0, 12), memory=st.integers(0, 12))
def test_no_more_is_promised_than_there_is(sites: dict[str, tuple[int, int, int]], begun: set[str], ports: int, memory: int) -> None:
    """But what has begun goes on."""
    steps: dict[str, tuple[Step, ...]] = {
        name: (*(Stop(name, f"{n}", 1.0, "") for n in range(stops)), *(start(name, n, limit) for n in range(starts)))
        for name, (starts, limit, stops) in sites.items()
    }
    room = find_room(steps, begun, (), Capacity(ports, memory), {"busy": Need(1, 1)}, "net")
    assert not room.waits.keys() & begun
    assert room.waits.keys() | room.needs.keys() == {"busy", *(name for name, (starts, _, _) in sites.items() if starts)}
    fresh = [need for name, need in room.needs.items() if name not in begun]
    if not room.needs.keys() & begun and fresh != [Need(1, 1)]:
        assert sum(need.containers for need in fresh) <= max(ports, 1)
        assert sum(need.memory for need in fresh) <= max(memory, 1)


def test_a_full_network_fills_up_and_no_further() -> None:
    """Three sites grow and are replaced on an engine that refuses one too many: it never has to; what served serves on."""
    host = Motion()
    host.begin()
    host.take()
    host.settle()
    host.engine.limits = Capacity(ports=5)
    for name in ("one", "two"):
        host.deploy(name, 1, 2, ["all"] * 30, 0.4)
    assert len(host.engine.containers()) == 5
    with pytest.raises(EngineError, match="exchange full"):
        host.engine.create_and_start(NewContainer("x", "app:now", ContainerSpec("app:now", 80), (), NAMES.network))
    host.deploy("one", 2, 2, ["all"] * 30, 0.4)
    waits = host.plan().sites["one"]
    assert waits.message.startswith("cannot start 2 containers of one: the network ship_net holds, or is to take, 1,023 of")
    host.settle()
    host.teardown()
