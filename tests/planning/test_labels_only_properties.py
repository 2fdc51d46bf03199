"""Without pins and with a healthcheck: whatever is committed, said, killed or forgotten, hosts that were served stay served."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Policy
from reconciler.desired.release import content_of
from reconciler.errors import EngineError
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import Said, as_asked, intents_of, restart
from reconciler.planning.labels import applied_of
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container, Observed, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.seen import Names
from reconciler.planning.steps import GiveUp, Pull, Remove, Start, StartAgain, Step, Stop, due
from reconciler.reconcile import in_motion
from reconciler.world.memory import Behaviour, MemoryEngine
from reconciler.world.memory_traefik import MemoryTraefik
from reconciler.world.readiness import Readiness
from tests.planning.test_motion_properties import revision

NAMES = Names("ship", "ship_net", "web", pins=False)
BOOT = {"app:now": 0.0, "app:slow": 3.0, "app:half": 0.5, "app:never": 1e9}
"""Seconds until it is healthy; of app:half only the first replica ever is."""
ROUTES = {"one": "hosts: [HOSTS]\n", "two": "hosts: [one.test]\npath: /two\n"}
REST = "port: 80\nhealthcheck: {test: [CMD, check]}\nrollout: {min_healthy: 1s, drain: 1s, deadline: 15s}\n"
SITES = st.sampled_from(["one", "two"])


class LabelsOnly(RuleBasedStateMachine):
    """One host: the real planning over the engine in memory, and a Traefik that learns late. Two sites share a host name by path."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.engine = MemoryEngine(NAMES.instance, NAMES.network, lambda: self.now)
        self.engine.images = {image: Behaviour() for image in BOOT}
        self.engine.ensure_network()
        self.traefik = MemoryTraefik(self.engine, {})
        self.compiler = Compiler(Policy(domains=("test",), shared_hosts=("one.test",)))
        self.failed: dict[str, FailedRelease] = {}
        self.said: dict[str, Said] = {}
        self.files = {"shipstone.yaml": "domain: test\n"}
        self.desired: Desired = self.compiler.compile(revision(self.files), None)
        self.serving: set[tuple[str, str, str]] = set()
        """(host, path, site) that was seen to be served; it must go on."""
        self.whole: set[tuple[str, str]] = set()
        """(site, release) of which every replica was healthy once."""
        self.forget()

    # What people do.

    @rule(
        name=SITES,
        image=st.sampled_from(["app:now", "app:now", "app:slow", "app:half", "app:never"]),
        version=st.integers(1, 3),
        replicas=st.integers(1, 3),
        hosts=st.sampled_from(["one.test", "one.test, www.one.test"]),
        learns=st.lists(st.booleans(), max_size=20),
        seconds=st.sampled_from([0.05, 0.4, 1.2]),
    )
    def deploy(self, name: str, image: str, version: int, replicas: int, hosts: str, learns: list[bool], seconds: float) -> None:
        """Another version, image or count; and passes while Traefik learns late."""
        environment = f"environment: {{V: '{version}'}}\n"
        self.files[f"sites/{name}.yaml"] = f"image: {image}\nreplicas: {replicas}\n{environment}{REST}{ROUTES[name]}".replace(
            "HOSTS", hosts
        )
        self.desired = self.compiler.compile(revision(self.files), self.desired)
        assert not self.desired.problems
        kept = {(host, site.route.path, site.name) for site in self.desired.sites.values() for host in site.route.hosts}
        self.serving &= kept
        for learn in learns:
            self.one_pass(None)
            self.wait(seconds)
            if learn:
                self.traefik_learns()

    @rule(name=SITES)
    def restart_it(self, name: str) -> None:
        found = self.plan().sites.get(name)
        if found is not None and found.release:
            self.said[name] = restart(name, found.asked or found.release)

    @rule(data=st.data())
    def change_by_hand(self, data: st.DataObject) -> None:
        if running := [c for c in self.engine.containers() if c.state == "running"]:
            self.engine.update(data.draw(st.sampled_from(running)).id, 1024)

    # What time and faults do.

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.0, 2.0, 7.0]))
    def wait(self, seconds: float) -> None:
        """Meanwhile healthchecks are done."""
        self.now += seconds
        for c in self.engine.containers():
            image = applied_of(c).spec.image
            sick = image == "app:half" and c.replica > 1
            if c.state == "running" and c.health == "starting" and not sick and c.up >= BOOT[image]:
                self.engine.set_health(c.id, "healthy")
        self.served_hosts_stay_served()

    @rule()
    def traefik_learns(self) -> None:
        self.traefik.learn_containers()
        self.served_hosts_stay_served()

    @rule(operation=st.sampled_from(["create", "start", "stop", "remove", "resolve"]))
    def engine_fails_once(self, operation: str) -> None:
        self.engine.fail(operation, EngineError(f"cannot {operation}: no"))

    @rule()
    def forget(self) -> None:
        """Shipstone is killed and comes back; the store is there."""
        self.readiness = Readiness(self.engine.answers)
        self.memory = Memory(failed=dict(self.failed))

    # What Shipstone does.

    @rule(cut=st.none() | st.integers(0, 3))
    def one_pass(self, cut: int | None) -> None:
        """With `cut` it is killed after so many steps of a site."""
        self.do(self.plan(), cut)
        if cut is not None:
            self.forget()

    def do(self, plan: Plan, cut: int | None = None) -> None:
        for name, site in plan.sites.items():
            try:
                for step in due(site.steps)[:cut]:
                    self.step(name, step)
                    self.served_hosts_stay_served()
            except EngineError:
                continue

    @rule()
    def settle(self) -> None:
        for _ in range(400):
            plan = self.plan()
            if plan.quiet and plan.look_at is None:
                break
            self.do(plan)
            self.wait(max(0.5, (plan.look_at or 0.0) - self.now if plan.quiet else 0.0))
            self.traefik_learns()
        self.traefik_learns()
        plan = self.plan()
        hopeless = {site.name for site in self.desired.sites.values() if self.is_hopeless(site.name)}
        assert {name for name, site in plan.sites.items() if site.steps} <= hopeless, f"it does not end: {plan}"
        for site in self.desired.sites.values():
            rows = self.of(site.name)
            wanted = as_asked(site, intents_of(self.said.values(), {}), rows)
            failed = self.failed.get(site.name)
            if site.name in hopeless or (failed and failed.release == plan.sites[site.name].asked):
                continue
            assert [(c.release, c.state) for c in rows] == [(wanted.release, "running")] * site.services[0].replicas
            for host in site.route.hosts:
                assert self.traefik.route(host, site.route.path) == tuple(sorted(c.address or "" for c in rows))

    def is_hopeless(self, name: str) -> bool:
        """Nothing is there that can get ready, and nobody remembers that it never served: it is tried for ever."""
        running = [applied_of(c).spec.image for c in self.of(name)] or [self.desired.sites[name].services[0].spec.image]
        return set(running) <= {"app:never", "app:half"}

    @invariant()
    def served_hosts_stay_served(self) -> None:
        """By healthy replicas of their own site, and by nothing else."""
        self.remember_whole()
        by_address = {c.address: c for c in self.engine.containers() if c.address and c.state == "running"}
        for host, path, name in self.serving:
            routed = self.traefik.route(host, path)
            assert routed, f"{host}{path} is lost: {routed}"
            for address in routed:
                c = by_address.get(address)
                assert c is not None, f"{host}{path} goes to {address}, where nothing is"
                assert (c.site, c.health) == (name, "healthy"), f"{host}{path} goes to {c.name}"
        for site in self.desired.sites.values():
            for host in site.route.hosts:
                routed = self.traefik.route(host, site.route.path) or ()
                if (
                    host in self.kept_hosts(site.name)
                    and routed
                    and all(a in by_address and (by_address[a].site, by_address[a].health) == (site.name, "healthy") for a in routed)
                ):
                    self.serving.add((host, site.route.path, site.name))

    # How it is put together.

    def of(self, name: str) -> list[Container]:
        return [c for c in self.engine.containers() if c.site == name]

    def remember_whole(self) -> None:
        rows: dict[tuple[str, str], list[Container]] = {}
        for c in self.engine.containers():
            rows.setdefault((c.site, c.release), []).append(c)
        wanted = {(site.name, site.release): site.services[0].replicas for site in self.desired.sites.values()}
        self.whole &= rows.keys()
        for (name, release), row in rows.items():
            if len(row) >= wanted.get((name, content_of(release)[0]), 1) and all(c.health == "healthy" for c in row):
                self.whole.add((name, release))

    def kept_hosts(self, name: str) -> set[str]:
        """What only a failed release answers to goes with it, though a part of it served; or only one that it followed and that never
        was whole."""
        failed = self.failed.get(name)
        rows = (c for c in self.of(name) if failed is None or (c.release != failed.release and (name, c.release) in self.whole))
        return {host for c in rows for host in applied_of(c).route.hosts}

    def plan(self) -> Plan:
        containers = self.engine.containers()
        ready = self.readiness.ready(containers, lambda c: applied_of(c).spec.port)
        moving = in_motion(self.desired, containers, ready, (), self.memory)
        view = self.traefik.view(moving) if moving else TraefikView(reachable=True)
        observed = Observed(containers, network=True, pins={}, traefik=view, answering=ready)
        plan = make_plan(self.desired, observed, self.memory, self.now, NAMES, intents=intents_of(self.said.values(), {}))
        self.memory = plan.memory
        settled = [name for name, row in self.failed.items() if name in plan.sites and plan.sites[name].asked != row.release]
        for name in settled:
            del self.failed[name]
        self.memory = replace(self.memory, failed=dict(self.failed))
        return plan

    def step(self, name: str, step: Step) -> None:
        match step:
            case Pull():
                resolved = self.engine.resolve(step.target, timeout=1)
                self.memory = replace(self.memory, images={**self.memory.images, name: {(step.release, step.target): resolved}})
            case Start():
                self.engine.start_new(step.made or self.engine.create(step.new), step.new)
            case StartAgain():
                self.engine.start(step.container_id)
            case Stop():
                self.engine.stop(step.container_id, grace=step.grace)
                self.engine.remove(step.container_id)
            case Remove():
                self.engine.remove(step.container_id)
            case GiveUp():
                self.failed[name] = FailedRelease(name, step.release, step.reason, self.now)
                self.memory = replace(self.memory, failed=dict(self.failed))
                self.serving = {row for row in self.serving if row[2] != name or row[0] in self.kept_hosts(name)}
            case _:
                raise AssertionError(f"no such step without pins: {step}")


LabelsOnly.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestLabelsOnly = LabelsOnly.TestCase


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_release_that_never_was_whole_does_not_come_back(replicas: int, killed: bool) -> None:
    """The second release was ready in part when a third took its place, which fails: the first comes back, however few its replicas."""
    state = LabelsOnly()
    state.begin()
    state.deploy(name="one", image="app:now", version=1, replicas=replicas, hosts="one.test", learns=[], seconds=1.2)
    state.settle()
    state.deploy(name="one", image="app:half", version=2, replicas=3, hosts="one.test", learns=[True] * 5, seconds=1.2)
    state.deploy(name="one", image="app:never", version=3, replicas=1, hosts="one.test", learns=[True], seconds=0.4)
    if killed:
        state.forget()
    state.settle()
    assert {applied_of(c).spec.environment for c in state.of("one")} == {(("V", "1"),)}


@pytest.mark.parametrize("killed", [False, True])
def test_a_host_name_that_is_wanted_again_stays_though_the_release_that_wants_it_fails(killed: bool) -> None:
    """Found by the machine above, and shrunk. The first release is still there beside the second, which does not answer to www.one.test
    any more, when a third asks for it again and never gets ready. Going back to the second, the one with more replicas, would stop what
    www.one.test is routed to."""
    state = LabelsOnly()
    state.begin()
    state.deploy(name="one", image="app:now", version=1, replicas=1, hosts="one.test, www.one.test", learns=[], seconds=1.2)
    state.settle()
    state.deploy(name="one", image="app:now", version=2, replicas=3, hosts="one.test", learns=[True, True, True], seconds=0.4)
    state.deploy(name="one", image="app:never", version=3, replicas=1, hosts="one.test, www.one.test", learns=[True], seconds=0.4)
    assert ("www.one.test", "/", "one") in state.serving
    if killed:
        state.forget()
    state.settle()
    assert list(state.failed) == ["one"]
    assert {applied_of(c).spec.environment for c in state.of("one")} == {(("V", "1"),)}
    assert state.traefik.route("www.one.test") == state.traefik.route("one.test")
