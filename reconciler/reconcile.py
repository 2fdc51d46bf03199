"""The story: one pass. A pass is short, looks at the world afresh, decides, acts, and is repeated until nothing is left to do.

    revision = source.fetch()                     # a commit and its files
    desired  = compile(revision)                  # pure: sites, container specs, problems
    observed = observe(engine, pins, traefik)     # one list call; Traefik is asked only about sites in motion
    plan     = make_plan(desired, observed, memory, now)
    outcomes = apply(plan, engine)                # steps of one site in order, sites side by side

A rollout is not a script that must run to its end: it is what successive passes do. So a crash at any step is only a late next pass.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from reconciler.apply import Apply, Queue
from reconciler.beside import Beside
from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.release import content_of
from reconciler.desired.revision import Revision
from reconciler.errors import ShipstoneError, TraefikError
from reconciler.followers.follower import Follower, Followers, Pass
from reconciler.old_images import remove_images
from reconciler.outcome import Outcome, Report
from reconciler.planning.guard import Guard
from reconciler.planning.handover import not_alone
from reconciler.planning.labels import applied_of, route_of, sites_from_labels
from reconciler.planning.masked import with_known_digests
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container, Observed, ProxyState, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.seen import Names, alive
from reconciler.pulling import Pulled
from reconciler.remembered import Remembered
from reconciler.world.engine import Engine
from reconciler.world.generated import GeneratedFiles
from reconciler.world.pins import PinFile
from reconciler.world.readiness import Readiness
from reconciler.world.store import Store
from reconciler.world.traefik_api import TraefikApi

BLIND = 3.0
"""Seconds in which Traefik has read a change of the pins."""


class Proxy(Protocol):
    """Traefik itself: a container of ours, or someone else's."""

    def state(self) -> ProxyState: ...

    def start(self) -> None: ...


@dataclass(frozen=True)
class World:
    """Everything that touches the world, put together by wiring.py."""

    engine: Engine
    pins: PinFile
    traefik: TraefikApi
    store: Store
    readiness: Readiness
    proxy: Proxy
    generated: GeneratedFiles


class Reconciler:
    """Holds the desired state and what is known between passes; each pass is one call of `once`."""

    def __init__(
        self,
        world: World,
        compiler: Compiler,
        names: Names,
        apply: Apply,
        guard: Guard,
        clock: Callable[[], float] = time.monotonic,
        keep_images: int = 0,
        followers: Collection[Follower] = (),
    ) -> None:
        self.world = world
        self._compiler = compiler
        self._names = names
        self._apply = apply
        self._guard = guard
        self._clock = clock
        self.remembered = Remembered(world.store)
        self.followers = Followers(followers)
        self.moving = 0
        """Sites that had steps, or were busy, at the last pass."""
        self.only: frozenset[str] | None = None
        """The sites that are brought to what is written; None: all of them."""
        self._files_seen = True
        self._keep_images = keep_images
        self._images_due = True
        self._pulling: frozenset[Pulled] = frozenset()
        self._tending, self._starting, self._preparing = Beside("images"), Beside("traefik"), Beside("network")
        self._containers: tuple[Container, ...] | None = None
        """None until the engine has told once."""
        self.desired: Desired | None = None

    def watch(self, told: Report) -> None:
        """`told` hears of every outcome from now on, when there may be more to do for its site; from another thread."""
        self._apply.watch(told)

    def prepare(self) -> None:
        """Where nothing runs yet, begin to make the network: that takes the engine as long as it takes to read a commit. What goes wrong
        with it, the first pass finds too."""
        if not self._known():
            self._preparing.begin(self.world.engine.ensure_network)

    def take(self, revision: Revision) -> Desired:
        """A new revision becomes the desired state; a site whose file has errors stays at its last good content."""
        unsure = self.desired is None or self.desired.held
        self.desired = self._compiler.compile(revision, self.desired, sites_from_labels(self._known()) if unsure else {})
        self._apply.take(revision)
        self._files_seen = False
        self.followers.fetched(revision, self.desired)
        return self.desired

    def _known(self) -> tuple[Container, ...]:
        """From the last pass; before the first one of what is there now, if the engine answers."""
        if self._containers is None:
            with contextlib.suppress(ShipstoneError):
                self._containers = self.world.engine.containers()
        return self._containers or ()

    def hosts(self) -> tuple[str, ...]:
        """The base domain, every host name that is written, and those that are still served: a removal may wait, and a release may fail."""
        served = {host for c in self._known() if alive(c) for host in route_of(c).hosts}
        return tuple(dict.fromkeys([*(self.desired.hosts() if self.desired else ()), *sorted(served)]))

    def labels(self) -> Iterator[str]:
        """The names of all that Traefik reads on any container, some more than once, and of all others on ours."""
        yield from (label for c in self._known() for label in c.labels)
        yield from (label for c in self.world.engine.foreign() for label, _ in c.labels)

    def choose(self, sites: Collection[str]) -> None:
        """From now on only these are touched. Raises ShipstoneError where one is neither written nor runs, or cannot change by itself."""
        plan = self.plan()
        for name in sites:
            if name not in plan.sites:
                there = ", ".join(sorted(plan.sites)) or "none"
                raise ShipstoneError(f"cannot find the site {name}. There are: {there}.")
        if why := not_alone(sites, plan.moves):
            raise ShipstoneError(why)
        self.only = frozenset(sites)

    def plan(self) -> Plan:
        """Observe and decide; nothing is changed."""
        self.remembered.hear()
        return self._plan()

    def _plan(self) -> Plan:
        desired, known = self._desired(), self.remembered
        busy, pulling = self._apply.busy, self._apply.pulling  # before looking: a site whose steps end meanwhile was seen half done
        observed = self.observe(desired, busy)
        now, pulled = self._clock(), frozenset(site for site, _ in pulling)
        desired = with_known_digests(desired, observed.containers)
        plan = make_plan(
            desired, observed, known.memory, now, self._names, intents=known.intents, guard=self._guard, busy=busy, pulling=pulled
        )
        known.planned(plan, busy | pulled)
        self._pulling = pulling
        self.moving = len(busy) + sum(bool(site.steps) for site in self._chosen(plan).sites.values())
        return known.dated(plan)

    def once(self) -> Plan:
        """One pass: observe, decide, and hand the steps that are due to their workers."""
        begun = self._clock()
        self.world.pins.ensure()
        self.remembered.hear()
        self._apply.retry_now(self.remembered.take_retries())
        plan = self._plan()
        self.world.engine.ensure_network()
        chosen = self._chosen(plan)
        if chosen.quiet and not self._files_seen:
            self._apply.tend_files(self._known(), self._desired(), self.remembered.past_sites())
            self._files_seen = True
        self._apply.submit(chosen, self._desired(), self._done, self._pulling)
        self.remembered.forget(plan, self._desired(), self._known())
        self._images_due |= self.remembered.remember_releases(plan, self._known())
        self._tend_images()
        plan = self._chosen(self.remembered.remember_differences(plan))
        self.followers.passed(Pass(plan, self._desired(), time.time(), self._clock() - begun, self.only is None))
        if plan.proxy_down:
            self._starting.begin(self.world.proxy.start)  # its image may have to be pulled
        return plan

    def observe(self, desired: Desired, busy: frozenset[str] = frozenset()) -> Observed:
        """What is there now. Traefik is asked only about sites in motion: pinned, or not as they should be."""
        containers = self.world.engine.containers(busy)
        self._containers = containers
        pins = self.world.pins.read()
        ready = self.world.readiness.ready(containers, lambda c: applied_of(c).spec.port)
        moving = in_motion(desired, containers, ready, pins, self.remembered.memory)
        view = self.world.traefik.view(moving) if moving else TraefikView(reachable=True)
        if view.reachable and any(view.pins.get(site) != pin for site, pin in pins.items()):
            view = replace(view, blind=self._blind())
        network, foreign, proxy = self.world.engine.network_exists(), self.world.engine.foreign(), self.world.proxy.state()
        files = (*self.world.pins.differences(), *self.world.generated.differences())
        return Observed(containers, network, pins, view, ready, foreign, proxy, self.world.engine.capacity(), files)

    def _tend_images(self) -> None:
        """When a release has come to rest: in a thread of its own, because removing takes seconds."""
        if not self._keep_images or not self._images_due or self._tending.busy:
            return
        self._images_due = False
        wanted = self.remembered.wanted_images(self._desired(), self._known())
        if found := self.remembered.old_images(self._keep_images, wanted):
            self._tending.begin(lambda: remove_images(self.world.engine, self.world.store, found, wanted))

    def _chosen(self, plan: Plan) -> Plan:
        """Without the sites that are left untouched; what is remembered between passes needs them all the same."""
        if self.only is None:
            return plan
        return replace(plan, sites={name: site for name, site in plan.sites.items() if name in self.only})

    def _done(self, outcome: Outcome) -> None:
        self.remembered.outcome(outcome)
        self.followers.did(outcome)

    def _blind(self) -> bool:
        """Traefik answers, and does not read what is written for it."""
        try:
            return self.world.pins.age() > BLIND and self.world.traefik.pins_digest() != self.world.pins.digest()
        except TraefikError:
            return False

    def _desired(self) -> Desired:
        if self.desired is None:
            raise RuntimeError("plan() before take(): there is no desired state yet")
        return self.desired

    @property
    def starting(self) -> int:
        """How many sites' steps are being done, without those that only wait for what is stopped."""
        return self._apply.starting

    @property
    def queue(self) -> Queue:
        return self._apply.queue

    def next_try(self) -> float | None:
        """When a site that backs off is tried again (monotonic seconds)."""
        return self._apply.next_try()

    def rest(self, seconds: float) -> None:
        """Sleep; no longer than until the steps that the last pass left under way, if any, have ended."""
        self._apply.rest(seconds)

    def close(self, timeout: float) -> bool:
        """Begin no more steps and let those under way end; False if they did not within `timeout` seconds."""
        done = self._apply.close(timeout)
        self._tending.close(timeout)
        self._starting.close(timeout)
        self._preparing.close(timeout)
        self.followers.close()
        self.world.store.close()
        return done


def in_motion(
    desired: Desired, containers: tuple[Container, ...], ready: frozenset[str], pins: Collection[str], memory: Memory
) -> set[str]:
    """Sites that are pinned, whose motion has not come to its end, or whose containers are not simply those that are wanted, all ready."""
    counts: dict[tuple[str, str, str], int] = {}
    moving = {*pins, *(name for name, site in memory.sites.items() if site.pinned or site.begun)}
    for c in containers:
        key = c.site, content_of(c.release)[0], c.service
        counts[key] = counts.get(key, 0) + 1
        if c.id not in ready or c.site not in desired.sites:
            moving.add(c.site)
    wanted = {(site.name, site.release, s.name): s.replicas for site in desired.sites.values() for s in site.services if s.replicas}
    for key in counts.keys() ^ wanted.keys():
        moving.add(key[0])
    moving |= {key[0] for key, count in wanted.items() if counts.get(key, count) != count}
    return moving
