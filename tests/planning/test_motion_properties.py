"""Whatever is committed, killed, cut or forgotten, in whatever order: hosts that were served stay served, and it ends as written."""

import hashlib
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Entry, Revision
from reconciler.desired.traefik_v3 import middleware_names
from reconciler.errors import EngineError
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import Said, as_asked, intents_of, restart, rollback
from reconciler.planning.labels import applied_of
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Capacity, Health, Observed, Pin, TraefikView
from reconciler.planning.past import PastRelease, counts_of, digests_of, past_release, past_text
from reconciler.planning.pin_file import parse_pins, render_pins
from reconciler.planning.pinning import covers
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.seen import Names
from reconciler.planning.steps import Create, GiveUp, Pull, Remove, SetPin, Start, StartAgain, Step, Stop, due
from reconciler.reconcile import in_motion
from reconciler.world.memory import Behaviour, MemoryEngine, Running
from reconciler.world.memory_traefik import MemoryTraefik
from reconciler.world.readiness import Readiness

NAMES = Names("ship", "ship_net", "web")
CHECKED = "app:checked"
IMAGES = {
    "app:now": Behaviour(),
    "app:slow": Behaviour(boot=3.0),
    "app:never": Behaviour(boot=1e9),
    "app:dies": Behaviour(boot=5.0, life=2.0, exit_code=3),
    CHECKED: Behaviour(health="healthy"),  # a check that is right: it is healthy when it answers
}
SITES = ("one", "two", "three")
ROLLOUT = "rollout: {min_healthy: 1s, drain: 1s, deadline: 15s}\n"

site_texts = st.builds(
    lambda image, version, a, b, weight, hosts, sticky, volumes, route: (
        f"image: {image}\nport: 80\nenvironment: {{V: '{version}'}}\nsticky: {sticky}\nhosts: [{hosts}]\n"
        f"volumes: [{volumes}]\n{route}{ROLLOUT}"
        f"services:\n  a: {{replicas: {a}, weight: {weight}}}\n" + (f"  b: {{replicas: {b}}}\n" if b else "")
    ),
    image=st.sampled_from(["app:now", "app:now", "app:slow", "app:never", "app:dies", CHECKED]),
    version=st.integers(1, 3),
    a=st.integers(1, 3),
    b=st.integers(0, 2),
    weight=st.sampled_from([1, 10]),
    hosts=st.sampled_from(["SITE.test", "SITE.test, www.SITE.test", "www.SITE.test", "SITE.test, shared.test"]),
    sticky=st.sampled_from(["true", "false"]),
    volumes=st.sampled_from(["", "", "", "SITE-data:/data"]),
    route=st.sampled_from(["", "", "", "path: /a\n", "path: /a/b\n", "tls: true\n", "middlewares: [{compress: {}}]\n"])
    | st.just("path: /a\nmiddlewares: [{addPrefix: {prefix: /x}}, {compress: {}}]\n"),
)
MOST = 3
"""Releases of a site that run at once."""
KEPT = re.compile("which keeps it|as before until then")
Answered = tuple[str, str, bool]
"""A host name, a path, and whether it is asked by TLS."""
LEARNS = ("", "containers", "pins", "all")
learning = st.lists(st.sampled_from(LEARNS), min_size=5, max_size=30)
seconds = st.sampled_from([0.05, 0.4, 1.2])


def answered(site: DesiredSite) -> list[Answered]:
    return [(host, site.route.path, site.route.tls) for host in site.route.hosts]


def revision(files: Mapping[str, str]) -> Revision:
    entries = {path: Entry(hashlib.sha256(text.encode()).hexdigest(), "file", len(text)) for path, text in files.items()}
    return Revision(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest(), entries, lambda path: files[path].encode())


class Motion(RuleBasedStateMachine):
    """One host: the real planning over the engine in memory, and a Traefik that learns late."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.engine = MemoryEngine(NAMES.instance, NAMES.network, lambda: self.now)
        self.engine.images = dict(IMAGES)
        self.engine.ensure_network()
        self.pin_text = ""
        self.pins: dict[str, Pin] = {}
        self.traefik = MemoryTraefik(self.engine, self.pins)
        self.compiler = Compiler(Policy(domains=("test",)))
        self.failed: dict[str, FailedRelease] = {}
        self.said: dict[tuple[str, str], Said] = {}
        self.past: dict[str, tuple[PastRelease, ...]] = {}
        self.last: dict[str, str] = {}
        self.deaf = 0
        """For so many passes Traefik's API does not answer."""
        self.foreign: dict[str, Running] = {}
        self.volumes: set[str] = set()
        self.forget(failures=False)
        self.serving: dict[Answered, str] = {}
        """What was seen to be served, by site's name; it must go on."""
        self.files = {"shipstone.yaml": "domain: test\n", "sites/anchor.yaml": f"image: app:now\nport: 80\n{ROLLOUT}"}
        self.desired: Desired = self.compiler.compile(revision(self.files), None)
        self.hurt: set[str] = set()
        """Sites of which a hand took away what served: until they are healed they may fail."""

    # What people do.

    @rule(site=st.sampled_from(SITES), text=site_texts)
    def commit(self, site: str, text: str) -> None:
        self.files[f"sites/{site}.yaml"] = text.replace("SITE", site)
        self.take()

    @rule(site=st.sampled_from(SITES[:2]), version=st.integers(1, 3), replicas=st.integers(1, 2), learns=learning, seconds=seconds)
    def deploy(self, site: str, version: int, replicas: int, learns: list[str], seconds: float) -> None:
        """What happens most often: another version or count, and passes while Traefik learns late."""
        environment = f"{{V: '{version}'}}"
        text = f"image: app:now\nport: 80\nreplicas: {replicas}\nenvironment: {environment}\nhosts: [SITE.test]\n{ROLLOUT}"
        self.commit(site, text)
        self.some_passes(learns, seconds)

    @rule(site=st.sampled_from(SITES[:2]), versions=st.permutations(range(4, 8)))
    def deploy_faster_than_the_drain(self, site: str, versions: list[int]) -> None:
        for version in versions:
            self.deploy(site, version, 1, ["all"] * 8, 0.05)

    @rule(site=st.sampled_from(SITES))
    def delete(self, site: str) -> None:
        self.files.pop(f"sites/{site}.yaml", None)
        self.take()

    @rule(site=st.sampled_from(SITES))
    def break_file(self, site: str) -> None:
        if f"sites/{site}.yaml" in self.files:
            self.files[f"sites/{site}.yaml"] += "nonsense: 1\n"
            self.take()

    @rule(data=st.data(), how=st.sampled_from(["crash", "kill", "destroy", "pause", "update"]))
    def by_hand(self, data: st.DataObject, how: str) -> None:
        running = [c for c in self.engine.containers() if c.state == "running"]
        if not running:
            return
        c = data.draw(st.sampled_from(running))
        if how != "update":
            self.hurt.add(c.site)
            self.serving = {asked: site for asked, site in self.serving.items() if site != c.site}
        if how == "update":
            self.engine.update(c.id, 1024)
        else:
            getattr(self.engine, how)(c.id)
        self.traefik.refresh()

    @rule(labels=st.sampled_from([{}, {"shipstone.instance": "other", "shipstone.site": "one", "shipstone.release": "0123456789"}]))
    def a_foreign_container_comes(self, labels: dict[str, str]) -> None:
        """Somebody else's, perhaps of another installation; it has a volume, and one of ours."""
        if len(self.foreign) < 3 and self.engine.limits == Capacity():
            faults, self.engine._faults = self.engine._faults, {}
            made = self.engine.run(f"foreign-{len(self.foreign)}", "app:now", labels, "foreign-data", "one-data")
            self.foreign[made], self.engine._faults = copy(self.engine._all[made]), faults

    @rule(site=st.sampled_from(SITES), how=st.sampled_from(["suspend", "resume", "restart", "rollback", "approve", "retry"]))
    def say(self, site: str, how: str) -> None:
        """What a person says by a command."""
        plan = self.plan()
        found = plan.sites.get(site)
        if how == "approve":
            for name in plan.held_removals:
                self.said["approve", name] = Said("approve", name)
        elif how == "suspend":
            self.said["suspend", site] = Said("suspend", site)
        elif how == "resume":
            self.said.pop(("suspend", site), None)
            self.said.pop(("rollback", site), None)
        elif how == "retry":
            self.failed.pop(site, None)
            self.memory = replace(self.memory, failed=dict(self.failed))
        elif found is not None and found.release and how == "restart":
            self.said["restart", site] = restart(site, found.asked or found.release)
        elif how == "rollback" and site in self.desired.sites:
            now = found.release if found else ""
            for old in [old.site for old in self.past.get(site, ()) if old.site.release != now][:1]:
                self.said["rollback", site] = rollback(site, self.desired.sites[site].release, old.release)
        self.give_up_hosts()

    # What time and faults do.

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.0, 2.0, 7.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(what=st.sampled_from(LEARNS))
    def traefik_learns(self, what: str) -> None:
        """Its two providers tell it of the pins and of the containers, in whatever order."""
        if what in ("containers", "all"):
            self.traefik.learn_containers()
        if what in ("pins", "all"):
            self.traefik.learn_pins()

    @rule(operation=st.sampled_from(["create", "start", "stop", "remove", "resolve"]))
    def engine_fails_once(self, operation: str) -> None:
        self.engine.fail(operation, EngineError(f"cannot {operation}: no"))

    @rule(data=st.data(), health=st.sampled_from(["healthy", "unhealthy", "starting"]))
    def health_flaps(self, data: st.DataObject, health: Health) -> None:
        checked = [c for c in self.engine.containers() if c.state == "running" and applied_of(c).spec.image == CHECKED]
        if not checked:
            return
        c = data.draw(st.sampled_from(checked))
        if health != "healthy":  # Traefik leaves it out, whoever else there is
            self.hurt.add(c.site)
            self.serving = {asked: site for asked, site in self.serving.items() if site != c.site}
        self.engine.set_health(c.id, health)
        self.traefik.refresh()

    @rule(passes=st.integers(1, 5))
    def traefiks_api_does_not_answer(self, passes: int) -> None:
        """It goes on routing by what it has learnt, and learns on."""
        self.deaf = passes

    @rule(ports=st.integers(0, 8))
    def the_network_fills_up(self, ports: int) -> None:
        """It takes so many containers in all, until things settle."""
        self.engine.limits = Capacity(ports=ports)

    @rule(failures=st.booleans())
    def forget(self, failures: bool) -> None:
        """Shipstone is killed and comes back; with `failures` its state folder is lost too: what failed, what ran, what people said."""
        if failures:
            self.failed, self.past, self.last, self.said = {}, {}, {}, {}
            self.give_up_hosts()
        self.silent = False
        self.readiness = Readiness(self.answers)
        self.memory = Memory(failed=dict(self.failed))

    @rule()
    def nobody_answers_in_time(self) -> None:
        """A machine that stalls: whoever is asked in the next pass says nothing, and all go on serving."""
        self.silent = True

    # What Shipstone does.

    @rule(cut=st.none() | st.integers(0, 4))
    def one_pass(self, cut: int | None) -> None:
        """A pass; with `cut` it is killed after so many steps of a site."""
        self.do(self.plan(), cut)
        if cut is not None:
            self.forget(failures=False)

    @rule(learns=learning, seconds=seconds)
    def some_passes(self, learns: list[str], seconds: float) -> None:
        """Traefik learns of what was done only after some of them."""
        for what in learns:
            self.do(self.plan())
            self.now += seconds
            self.traefik_learns(what)
            self.served_hosts_stay_served()

    @precondition(lambda self: self.desired.sites.keys() > {"anchor"})
    @rule()
    def settle(self) -> None:
        self.engine.limits, self.deaf = Capacity(), 0
        for c in self.engine.containers():
            if c.health == "starting":  # no check goes on for ever
                self.engine.set_health(c.id, "healthy")
        for _ in range(400):
            plan = self.plan()
            if plan.quiet and plan.look_at is None:
                break
            self.now = max(self.now, plan.look_at or 0.0) if plan.quiet else self.now
            self.do(plan)
            self.traefik.refresh()
            self.now += 0.5
        self.traefik.refresh()
        plan = self.plan()
        hopeless = {name for name in SITES if self.hopeless(name)}
        kept_out = {name for name, site in plan.sites.items() if site.sync == "held" and KEPT.search(site.message)}
        hopeless |= set(SITES) if kept_out else set()  # one waits until the other gives way, and only a person can say which
        moving = {name for name, site in plan.sites.items() if site.steps}
        assert moving <= hopeless, f"it does not end: {plan}"
        assert self.pins.keys() <= hopeless, "no pin is left"
        self.hurt.clear()
        intents = intents_of(self.said.values(), self.past)
        for written in self.desired.sites.values():
            site = as_asked(written, intents, [c for c in self.engine.containers() if c.site == written.name])
            if site.name in hopeless or intents.is_suspended(site.name):
                continue
            if site.name in plan.memory.failed and plan.memory.failed[site.name].release == site.release:
                continue
            rows = [c for c in self.engine.containers() if c.site == site.name]
            there = sorted((c.release, c.service, c.state) for c in rows)
            assert there == sorted((site.release, s.name, "running") for s in site.services for _ in range(s.replicas))
            for host, path, tls in answered(site):
                routed = self.traefik.route(host, path, tls=tls)
                assert sorted(routed or ()) == sorted(c.address or "" for c in rows), f"{host} is served by all of it"
        gone = {c.site for c in self.engine.containers()} - self.desired.sites.keys() - self.desired.held.keys()
        assert gone <= plan.held_removals | intents.suspended | kept_out, "what is not desired is gone"

    def hopeless(self, name: str) -> bool:
        """Only a release is there that cannot get ready, and nobody remembers that it never served: it is tried for ever."""
        images = {applied_of(c).spec.image for c in self.engine.containers() if c.site == name}
        images |= {site.services[0].spec.image for site in self.asked() if site.name == name and not images}
        return bool(images) and images <= {"app:never", "app:dies"}

    @invariant()
    def served_hosts_stay_served(self) -> None:
        """By running replicas of their own site that are ready, and by nothing else; and no route is left to chance."""
        by_address = {c.address: c for c in self.engine.containers() if c.address}
        for (host, path, tls), name in self.serving.items():
            routed = self.traefik.route(host, path, tls=tls)
            assert routed, f"{host}{path} is lost: {routed}"
            for address in routed:
                c = by_address.get(address)
                assert c is not None, f"{host} goes to {address}, where nothing is"
                assert c.site == name, f"{host} goes to {c.name}"
                assert self.engine.answers(address, 80), f"{host} goes to {c.name}, which does not answer"
            rows = {by_address[address].release: by_address[address] for address in routed}
            if len(rows) == 1:
                ((release, c),) = rows.items()
                wanted = middleware_names(NAMES.instance, name, release, applied_of(c).route)
                assert self.traefik.passes(host, path, tls=tls) == wanted, f"{host} goes through the middlewares of another release"
        for site in self.asked():
            if site.name in self.hurt or writes(site):
                continue
            pin = self.pins.get(site.name)
            nobodys = {rule for rule, targets in (*pin.targets, *pin.secure) if not targets} if pin else set()
            for host, path, tls in answered(site):
                routed = self.traefik.route(host, path, tls=tls)
                given_up = any(rule.startswith(f"Host(`{host}`)") for rule in nobodys)  # Traefik may still have to learn it
                if (
                    not given_up
                    and routed
                    and all(a in by_address and by_address[a].site == site.name and self.engine.answers(a, 80) for a in routed)
                ):
                    self.serving[host, path, tls] = site.name

    @invariant()
    def a_volume_has_one_writing_release(self) -> None:
        """Stop-first: the old release has ended before the new one starts."""
        writers: dict[str, set[str]] = {}
        for c in self.engine.containers():
            for volume in applied_of(c).spec.volumes if c.state == "running" else ():
                writers.setdefault(volume.source, set()).add(c.release)
        assert all(len(releases) == 1 for releases in writers.values()), writers

    @invariant()
    def what_is_not_ours_is_untouched(self) -> None:
        """Containers of others, and everybody's volumes."""
        assert {c_id: self.engine._all.get(c_id) for c_id in self.foreign} == self.foreign
        assert self.engine.volumes >= self.volumes
        self.volumes |= self.engine.volumes

    @invariant()
    def never_more_than_three_releases_of_a_site(self) -> None:
        """The one that serves, the newest, and one that is being taken away."""
        releases: dict[str, set[str]] = {}
        for c in self.engine.containers():
            if c.state == "running":
                releases.setdefault(c.site, set()).add(c.release)
        assert all(len(names) <= MOST for names in releases.values()), releases

    # How it is put together.

    def take(self) -> None:
        """The files as they are now."""
        self.desired = self.compiler.compile(revision(self.files), self.desired)
        self.give_up_hosts()

    def asked(self) -> list[DesiredSite]:
        """Sites as people want them."""
        intents = intents_of(self.said.values(), self.past)
        return [as_asked(site, intents, ()) for site in self.desired.sites.values()]

    def give_up_hosts(self) -> None:
        """What a site gives up need not be served any more."""
        sites, held = {site.name: site for site in self.asked()}, self.desired.held.keys()
        self.serving = {
            asked: name
            for asked, name in self.serving.items()
            if (covers(sites[name].route, *asked) and not writes(sites[name]) if name in sites else name in held)
        }

    def answers(self, address: str, port: int, errors_too: bool = False) -> bool:
        return not self.silent and self.engine.answers(address, port, errors_too)

    def plan(self) -> Plan:
        containers = self.engine.containers()
        ready = self.readiness.ready(containers, lambda c: applied_of(c).spec.port)
        self.silent = False
        moving = in_motion(self.desired, containers, ready, self.pins, self.memory)
        view = self.traefik.view(moving) if moving else TraefikView(reachable=True)
        if self.deaf and moving:
            self.deaf, view = self.deaf - 1, TraefikView(reachable=False)
        observed = Observed(containers, network=True, pins=dict(self.pins), traefik=view, answering=ready, capacity=self.engine.capacity())
        plan = make_plan(self.desired, observed, self.memory, self.now, NAMES, intents=intents_of(self.said.values(), self.past))
        self.memory = plan.memory
        for name, site in plan.sites.items():
            if not site.steps and site.health == "healthy" and site.release:
                rows = [c for c in containers if c.site == name and c.release == site.release]
                older = [old for old in self.past.get(name, ()) if old.site.release != site.release]
                if past := past_release(name, site.release, past_text(rows), self.now):
                    self.past[name], self.last[name] = (past, *older), site.release
        there = {c.site for c in containers} | self.desired.sites.keys() | self.desired.held.keys()
        self.last = {name: release for name, release in self.last.items() if name in there}
        last = {name: old.site for name, rows in self.past.items() for old in rows if self.last.get(name) == old.site.release}
        self.memory = replace(self.memory, whole=counts_of(self.past), digests=digests_of(self.past), last=last)
        return plan

    def do(self, plan: Plan, cut: int | None = None) -> None:
        self.plan_of = plan.sites
        for name, site in plan.sites.items():
            try:
                for step in due(site.steps)[:cut]:
                    self.step(name, step)
                    self.served_hosts_stay_served()
            except EngineError:
                continue

    def step(self, name: str, step: Step) -> None:
        match step:
            case Pull():
                resolved = self.engine.resolve(step.target, timeout=1)
                known = self.memory.images.get(name, {})
                images = {**self.memory.images, name: {**known, (step.release, step.target): resolved}}
                self.memory = replace(self.memory, images=images)
            case SetPin(pin=pin):
                pins = {site: p for site, p in {**self.pins, name: pin, **dict(step.also)}.items() if p is not None}
                self.pin_text, digest = render_pins(NAMES.instance, ("web",), pins)
                assert parse_pins(NAMES.instance, self.pin_text) == (pins, digest)
                self.pins.clear()
                self.pins.update(pins)
            case Create():
                self.engine.create(step.new)
            case Start():
                self.engine.start_new(step.made or self.engine.create(step.new), step.new)
            case StartAgain():
                self.engine.start(step.container_id)
            case Stop():
                self.engine.stop(step.container_id, grace=step.grace)
                if not step.keep:
                    self.engine.remove(step.container_id)
            case Remove():
                self.engine.remove(step.container_id)
            case GiveUp():
                self.failed[name] = FailedRelease(name, step.release, step.reason, self.now)
                self.memory = replace(self.memory, failed=dict(self.failed))


def writes(site: DesiredSite) -> bool:
    return any(service.spec.volumes for service in site.services)


Motion.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestMotion = Motion.TestCase
