"""make_plan: which sites are brought to what, and what differs."""

import time
from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, fingerprint
from reconciler.desired.spec import ContainerSpec, Route
from reconciler.planning.failed import FailedRelease
from reconciler.planning.first_seen import dated, first_seen
from reconciler.planning.labels import container_labels
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container, Observed, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.seen import Names
from reconciler.planning.steps import Start

NAMES = Names("t", "t_net", "web")


def site(name: str, image: str = "app:1", replicas: int = 1, heal: bool = True) -> DesiredSite:
    spec = ContainerSpec(image=image, port=80, environment=(("A", "1"),))
    route = Route((f"{name}.test",))
    release = fingerprint({"web": spec}, route)
    return DesiredSite(name, release, route, (DesiredService("web", spec, replicas),), Timing(), heal, "commit1")


def running(of: DesiredSite, n: int = 1, **changes: object) -> Container:
    service = of.services[0]
    labels = container_labels("t", "t_net", "web", of, service, n, service.spec.image)
    name = container_name("t", of.name, "web", of.release, n)
    live = {"networks": ("t_net",), "image": service.spec.image, "restart": "unless-stopped", "mem_limit": None, "environment": {"A": "1"}}
    return replace(Container(name, name, "running", "none", labels, f"10.0.0.{n}", live=live), **changes)  # type: ignore[arg-type]


def plan(desired: Desired, *containers: Container, memory: Memory | None = None) -> Plan:
    ready = frozenset(c.id for c in containers if c.state == "running")
    observed = Observed(containers, network=True, pins={}, traefik=TraefikView(reachable=True), answering=ready)
    return make_plan(desired, observed, memory or Memory(), 100.0, NAMES)


def desired(*sites: DesiredSite, held: dict[str, str] | None = None) -> Desired:
    return Desired("commit1", {one.name: one for one in sites}, held or {})


def test_what_agrees_is_synced_and_quiet() -> None:
    """And says who made it."""
    shop = site("shop")
    found = plan(desired(shop), running(shop))
    assert found.quiet
    assert str(found) == ""
    row = found.sites["shop"]
    assert (row.sync, row.health, row.ready, row.wanted, row.commit, row.differences) == ("synced", "healthy", 1, 1, "commit1", ())


def test_a_plan_is_not_quiet_while_a_site_is_worked_on() -> None:
    """Whoever waits for quiet must not take a look that left a site out for the end."""
    shop, other = site("shop"), site("other")
    observed = Observed((running(other),), network=True, pins={}, traefik=TraefikView(reachable=True), answering=frozenset({"x"}))
    found = make_plan(desired(shop, other), observed, Memory(), 100.0, NAMES, busy=frozenset({"shop"}))
    assert "shop" not in found.sites
    assert not found.quiet


def test_a_commit_is_named_field_by_field() -> None:
    """Desired against what the labels say was applied."""
    found = plan(desired(site("shop", "app:2")), running(site("shop")))
    rows = {(row.field, row.desired, row.actual, row.cause) for row in found.sites["shop"].differences}
    assert ("image", "app:2", "app:1", "commit") in rows
    assert found.sites["shop"].sync == "out-of-sync"


def test_a_hand_is_named_field_by_field_and_healed() -> None:
    """What the labels say against what is live; the value of a variable stays unsaid."""
    shop = site("shop")
    live = {"mem_limit": 67108864, "networks": ("t_net", "other"), "environment": {"A": "secret"}}
    found = plan(desired(shop), running(shop, live=live))
    rows = {(row.field, row.desired, row.actual, row.cause) for row in found.sites["shop"].differences}
    assert rows == {
        ("mem_limit", "", "67108864", "drift"),
        ("networks", "t_net", "t_net, other", "drift"),
        ("environment.A", "set", "another value", "drift"),
    }
    assert any(step.step == "start" for step in found.sites["shop"].steps)


def test_a_hand_is_only_reported_where_the_site_says_so() -> None:
    shop = site("shop", heal=False)
    found = plan(desired(shop), running(shop, live={"mem_limit": 67108864}))
    assert [row.field for row in found.sites["shop"].differences] == ["mem_limit"]
    assert found.sites["shop"].steps == ()


def test_a_held_site_is_kept_and_healed_at_what_runs() -> None:
    """Nothing is known of it but what its containers say."""
    shop = site("shop", replicas=2)
    found = plan(desired(held={"shop": "sites/shop.yaml:1:1 broken"}), running(shop, 1), running(shop, 2, state="exited"))
    assert found.sites["shop"].sync == "held"
    assert found.sites["shop"].message == "sites/shop.yaml:1:1 broken"
    assert any(step.step == "start" for step in found.sites["shop"].steps)
    assert not any(step.step == "stop" for step in found.sites["shop"].steps)


def test_a_held_site_never_grows_while_a_replica_is_replaced() -> None:
    """While both run there is one more than is wanted: that must not become what is wanted."""
    shop = site("shop", replicas=2)
    changed = {"mem_limit": 67108864}
    held = desired(held={"shop": "sites/shop.yaml:1:1 broken"})
    first = plan(held, running(shop, 1, live=changed), running(shop, 2))
    again = plan(held, running(shop, 1, live=changed), running(shop, 2), running(shop, 3), memory=first.memory)
    assert [step.target for step in first.sites["shop"].steps if step.step == "start"] == [running(shop, 3).name]
    assert [step.target for step in again.sites["shop"].steps if step.step == "start"] == []
    assert again.sites["shop"].wanted == 2


def test_a_held_site_that_never_ran_is_only_reported() -> None:
    found = plan(desired(held={"shop": "broken"}))
    assert (found.sites["shop"].sync, found.sites["shop"].steps) == ("held", ())


def test_a_removed_site_goes() -> None:
    found = plan(desired(site("other")), running(site("shop")), running(site("other")))
    assert [step.step for step in found.sites["shop"].steps if step.step == "stop"] == ["stop"]
    assert found.sites["other"].steps == ()


def test_a_desired_state_without_any_site_removes_nothing() -> None:
    """A wrong branch or an empty folder must not take everything down."""
    found = plan(desired(), running(site("shop")))
    assert found.sites["shop"].steps == ()
    assert "nothing is removed" in found.sites["shop"].message


def test_a_failed_release_is_not_tried_again_and_the_old_one_is_kept() -> None:
    old, new = site("shop"), site("shop", "app:2")
    memory = Memory(failed={"shop": FailedRelease("shop", new.release, "exited with 1\nlog line", 5.0)})
    found = plan(desired(new), running(old), memory=memory)
    assert found.sites["shop"].steps == ()
    assert found.sites["shop"].message == f"release {new.release} failed: exited with 1\nlog line"
    newer = plan(desired(site("shop", "app:3")), running(old), memory=memory)
    assert newer.sites["shop"].steps != ()


def test_a_held_site_whose_last_good_release_failed_stays_as_it_runs() -> None:
    """The release that failed is not tried again because the file is broken now."""
    old, new = site("shop"), site("shop", "app:2")
    memory = Memory(failed={"shop": FailedRelease("shop", new.release, "exited with 1", 5.0)})
    found = plan(desired(new, held={"shop": "sites/shop.yaml:1:1 broken"}), running(old), memory=memory)
    assert found.sites["shop"].steps == ()
    assert found.sites["shop"].sync == "held"
    assert found.sites["shop"].message == f"sites/shop.yaml:1:1 broken\nrelease {new.release} failed: exited with 1"


def test_differences_keep_the_time_when_they_were_first_seen() -> None:
    """Also while their site is busy; what is gone is forgotten."""
    shop = site("shop")
    found = plan(desired(shop), running(shop, live={"mem_limit": 67108864}))
    seen = first_seen(found, {}, "2026-01-01T00:00:00+00:00")
    assert [row.since for row in dated(found, seen).sites["shop"].differences] == ["2026-01-01T00:00:00+00:00"]
    assert first_seen(found, seen, "2026-01-02T00:00:00+00:00") == seen
    busy = make_plan(
        desired(shop),
        Observed((), network=True, pins={}, traefik=TraefikView(reachable=True)),
        Memory(),
        1.0,
        NAMES,
        busy=frozenset({"shop"}),
    )
    assert first_seen(busy, seen, "2026-01-02T00:00:00+00:00") == seen
    assert first_seen(plan(desired(shop), running(shop)), seen, "2026-01-02T00:00:00+00:00") == {}


def test_as_many_containers_as_a_site_may_have_are_planned_soon() -> None:
    """Every pass does it, and other sites wait meanwhile."""
    one = site("shop", replicas=1000)
    spec = replace(one.services[0].spec, environment=tuple((f"E{n}", "x") for n in range(1000)))
    many = replace(one, services=(replace(one.services[0], spec=spec),))
    began = time.process_time()
    found = plan(desired(many))
    assert time.process_time() - began < 1.0
    assert sum(isinstance(step, Start) for step in found.sites["shop"].steps) == 1000
