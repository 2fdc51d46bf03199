"""One site's motion: from what is there to what should be, so that no request is lost. Pure.

The steps are the whole way as it looks now; only those before the first wait are done, and the next pass plans afresh.
Every motion is the same: pin the route to whoever may serve, change what does not serve, let the pin move on, take it away.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, release_name, replica_name
from reconciler.desired.spec import ContainerSpec, NewContainer, Route
from reconciler.desired.traefik_v3 import middleware_names
from reconciler.planning.handover import NOTHING, Handover, without, yielding
from reconciler.planning.labels import applied_of, container_labels, joining_labels, route_of, weight_of
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container, Pin, TraefikView
from reconciler.planning.pinning import route_pin
from reconciler.planning.ranks import heights, rank_for
from reconciler.planning.steps import GiveUp, Pull, Remove, SetPin, Start, StartAgain, Step, Stop, Wait

POLL = 0.05
"""Seconds between two looks at the engine and at Traefik while a site is in motion."""
FREE_TRIES = 3
"""So often containers are started without waiting."""
MAX_BACKOFF = 300.0
"""Seconds between two tries at the most."""
CALM = 10.0
"""Seconds that started containers have to last so that earlier tries are forgotten: what a hand does now and then is healed at once."""
RELEASE = re.compile(r"[0-9a-f]{10}(r[0-9]+)?(?=[-.]|$)")
RESTARTS = 3
"""A container of a new release that was restarted this often, and ended again, is not going to come up."""
KILLED = 137
"""The exit code of a process that SIGKILL ended."""
MOMENT = 2.0
"""Seconds for which a container that was restarted has to run before it counts as ready."""


@dataclass(frozen=True)
class Names:
    """What the names and labels of this installation are made with."""

    instance: str
    network: str
    entry_point: str
    tls_entry_point: str = "websecure"
    pins: bool = True
    """False where Traefik has no file provider: labels alone route, see labels_only.py."""
    settle: float = 2.5
    """Seconds without pins in which Traefik has followed a change of labels, whatever it throttles."""

    def entry_of(self, route: Route) -> str:
        """Where the route is answered."""
        return self.tls_entry_point if route.tls else self.entry_point


@dataclass(frozen=True)
class Seen:
    """All that is known of one site. `ready` are ids of containers that may take requests; `wrong` those to be replaced, and why;
    `images` maps an image as written to what it was resolved to for the goal's release."""

    site: str
    goal: DesiredSite | None
    containers: tuple[Container, ...]
    pin: Pin | None
    traefik: TraefikView
    ready: frozenset[str]
    wrong: Mapping[str, str]
    images: Mapping[str, str]
    names: Names
    now: float
    gone: str = "removed from the desired state"
    """Why there is no goal, where there is none."""
    handover: Handover = NOTHING
    """Routes that move to this site from another, or from it to another."""
    fallback: bool = False
    """The goal is what ran before, because what is written cannot be had: it is healed, never given up."""


@dataclass(frozen=True)
class Motion:
    """Steps in order, what to remember, what to say, and when to look again (monotonic seconds; None: when something happens)."""

    steps: tuple[Step, ...] = ()
    memory: SiteMemory = field(default_factory=SiteMemory)
    message: str = ""
    look_at: float | None = None


@dataclass(frozen=True)
class Cast:
    """Who plays which part: `keep` stay, `leaving` go, `missing` (service, how many) are to be started.

    `alone`: why those who leave must have stopped before others start; empty where they may run side by side.
    """

    keep: tuple[Container, ...]
    leaving: tuple[Container, ...]
    missing: tuple[tuple[DesiredService, int], ...]
    alone: str = ""

    @property
    def stopped(self) -> tuple[Container, ...]:
        """Those who stay and are to be started again."""
        return tuple(c for c in self.keep if not alive(c))


def plan_site(seen: Seen, memory: SiteMemory) -> Motion:
    """The motion of one site; no steps when it is as it should be."""
    cast = assign(seen)
    alive_leaving = tuple(c for c in cast.leaving if alive(c))
    memory = remember_pin(seen, memory)
    if not cast.missing and not cast.stopped and not alive_leaving and seen.pin is None and not seen.handover.takes:
        at_rest = memory
        if memory.begun or not memory.served or memory.unserved:
            at_rest = replace(memory, begun="", served=seen.goal.release if seen.goal else "", unserved=frozenset())
        steps: list[Step] = [_remove(c) for c in cast.leaving]
        if memory.pinned:
            steps.append(Wait("Traefik", "until it has let go of the pin"))
        return Motion(tuple(steps), at_rest, "labels route again", seen.now + POLL if memory.pinned else None)
    complete = not cast.missing and is_whole(seen, cast)
    if why := failure(seen, cast, memory):
        return give_up(seen, memory, why)
    if complete and is_known(seen, cast):
        if seen.handover.promised and not _mutual(seen.handover):
            return keep_serving(seen, memory)
        return finish(seen, cast, alive_leaving, memory)
    return bring_up(seen, cast, alive_leaving, memory)


def assign(seen: Seen) -> Cast:
    """Keep as many right containers of the goal's release as are wanted, ready and low-numbered ones first."""
    if seen.goal is None:
        return Cast((), seen.containers, ())
    keep: list[Container] = []
    missing: list[tuple[DesiredService, int]] = []
    for service in seen.goal.services:
        right = [
            c
            for c in seen.containers
            if c.release == seen.goal.release and c.service == service.name and c.id not in seen.wrong and (alive(c) or halted(seen, c))
        ]
        right.sort(key=lambda c: (c.id not in seen.ready, not alive(c), c.replica))
        keep += right[: service.replicas]
        if len(right) < service.replicas:
            missing.append((service, service.replicas - len(right)))
    kept = {c.id for c in keep}
    leaving = tuple(c for c in seen.containers if c.id not in kept)
    return Cast(tuple(keep), leaving, tuple(missing), alone_because(seen.goal, leaving))


def halted(seen: Seen, c: Container) -> bool:
    """It was stopped and kept while a release was tried that failed: it is started again."""
    return seen.fallback and c.state == "exited" and stop_first_because(applied_of(c).timing, [applied_of(c).spec], seen.containers) != ""


def alone_because(goal: DesiredSite, leaving: tuple[Container, ...]) -> str:
    """Why those who leave must have stopped before others start."""
    return stop_first_because(goal.timing, [service.spec for service in goal.services], leaving)


def stop_first_because(timing: Timing, specs: Iterable[ContainerSpec], others: Iterable[Container]) -> str:
    """Why containers of these specs cannot run beside `others`: their file says so, or both would write to one volume."""
    others = tuple(others)
    if not others or timing.order == "start-first":
        return ""
    if timing.order == "stop-first":
        return "rollout.order says stop-first"
    theirs = {source for c in others for source in _written(applied_of(c).spec)}
    both = sorted(theirs & {source for spec in specs for source in _written(spec)})
    return f"both would write to {both[0]}" if both else ""


def _written(spec: ContainerSpec) -> Iterable[str]:
    return (volume.source for volume in spec.volumes if not volume.read_only)


def bring_up(seen: Seen, cast: Cast, alive_leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """Pin to those that serve, start what is missing, wait until all of it is ready and Traefik lists it; then the switch, foreseen."""
    goal = seen.goal
    assert goal is not None
    serving = tuple(c for c in cast.keep if c.id in seen.ready and alive(c)) if cast.alone else serving_now(seen)
    images = dict.fromkeys(service.spec.image for service, _ in cast.missing)
    steps: list[Step] = [Pull(image, f"for {goal.name}") for image in images if image not in seen.images]
    if steps:
        steps.append(Wait("images", "until all are here; nothing is touched before"))
    pin = pin_of(seen, serving, _routes(seen), growing=goal.release if cast.missing else "")
    if seen.pin != pin:
        why = f"; stop-first: {cast.alone}" if cast.alone else ""
        steps.append(SetPin(goal.name, pin, f"requests only to {_who(serving)} while {goal.release} starts{why}"))
    if not confirmed(seen, pin):
        steps.append(_wait_for_pin(seen))
    if seen.handover.waits:
        steps.append(Wait(seen.handover.waits, "until its own pin has what is taken over from it"))
    memory = begin(seen, goal, memory)
    idle = [c for c in alive_leaving if c not in serving and (c.release in memory.unserved or drained(seen, memory, goal.timing.drain))]
    if cast.alone:
        if len(idle) < len(alive_leaving):
            until = memory.pin_since + goal.timing.drain if memory.pin_since is not None else None
            steps.append(Wait("drain", f"{goal.timing.drain:g} s, so that what is in flight can end", until))
        steps += [_stop(c, f"stop-first: {cast.alone}", keep=c.release not in memory.unserved) for c in alive_leaving]
        idle = list(alive_leaving)
    else:
        steps += [_stop(c, "superseded before it served") for c in idle]
        steps += [_remove(c) for c in cast.leaving if not alive(c)]
    starts: list[Step] = [StartAgain(c.name, c.id, f"{goal.release} serves again") for c in cast.stopped]
    starts += starts_of(seen, goal, cast)
    if any(name in seen.traefik.services for name in names_of(seen, goal, starts)):
        steps.append(Wait("Traefik", "until it has forgotten earlier containers of the same names: it would seem to know the new ones"))
    look_at = seen.now + POLL
    if starts and (again := next_start(memory)) > seen.now:
        steps.append(Wait("backoff", "its containers ended soon after they were started, again and again", again))
        look_at = again if confirmed(seen, pin) else look_at
    elif starts and not any(isinstance(step, Wait) for step in steps):
        again = seen.now < max(memory.tried_at, next_start(memory)) + CALM
        memory = replace(memory, tries=memory.tries + 1 if again else 1, tried_at=seen.now)
    steps += starts
    steps.append(Wait(goal.release, f"until every replica is ready ({_count_ready(seen, cast)} of {_wanted(goal)}) and Traefik lists it"))
    rest = [c for c in alive_leaving if c not in idle]
    if rest:
        steps.append(SetPin(goal.name, pin_of(seen, cast.keep, _routes(seen)), f"the switch: requests to {goal.release}"))
        steps.append(Wait("drain", f"{goal.timing.min_healthy + goal.timing.drain:g} s"))
        steps += [_stop(c, f"replaced by {goal.release}") for c in rest]
    steps.append(SetPin(goal.name, None, "labels route again"))
    deadline = memory.begun_at + goal.timing.deadline
    message = f"{goal.release} is coming up, {_count_ready(seen, cast)} of {_wanted(goal)} ready"
    return Motion(tuple(steps), memory, message, min(look_at, deadline) if deadline > seen.now else look_at)


def next_start(memory: SiteMemory) -> float:
    """When containers may be started again (monotonic seconds): at once for the first few times, then ever later."""
    return memory.tried_at + min(2.0 ** (memory.tries - FREE_TRIES), MAX_BACKOFF) if memory.tries >= FREE_TRIES else 0.0


def begin(seen: Seen, goal: DesiredSite, memory: SiteMemory) -> SiteMemory:
    """Note since when the release is being brought up, and whether it ever took a request."""
    if memory.begun != goal.release:
        tries = memory.tries if goal.release == memory.served else 0
        memory = replace(memory, begun=goal.release, begun_at=seen.now, tries=tries)
    fresh = goal.release != memory.served and not any(c.release == goal.release for c in seen.containers)
    return replace(memory, unserved=memory.unserved | {goal.release}) if fresh and goal.release not in memory.unserved else memory


def keep_serving(seen: Seen, memory: SiteMemory) -> Motion:
    """Another site will take over some of the routes: until it has, whoever serves them goes on."""
    serving = serving_now(seen)
    pin = pin_of(seen, serving, _routes(seen))
    steps: list[Step] = []
    if seen.pin != pin:
        steps.append(SetPin(seen.site, pin, f"requests only to {_who(serving)} until another site takes over"))
    if not confirmed(seen, pin):
        steps.append(_wait_for_pin(seen))
    (rule, _), taker = min(seen.handover.promised.items())
    steps.append(Wait(taker, f"until it has taken over {rule}"))
    return Motion(tuple(steps), memory, f"serves until {taker} has taken over {rule}", seen.now + POLL)


def _mutual(handover: Handover) -> bool:
    """Both wait for each other: they exchange routes, and neither can be first without a gap."""
    return bool(set(handover.promised.values()) & set(handover.takes.values()))


def finish(seen: Seen, cast: Cast, alive_leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """All that should run is ready and known: switch to it, drain and stop the rest, wait until Traefik forgot it, unpin."""
    steps: list[Step] = []
    look_at: float | None = seen.now + POLL
    goal_name = seen.goal.release if seen.goal else "nobody"
    timing = seen.goal.timing if seen.goal else None
    message = f"{goal_name} serves"
    parting = cast.leaving if cast.alone else alive_leaving
    if parting or seen.handover.shared:
        pin = pin_of(seen, cast.keep, _routes(seen), take=True)
        if seen.pin != pin:
            steps.append(SetPin(seen.site, pin, f"the switch: requests to {goal_name}", tuple(sorted(seen.handover.also.items()))))
            memory = replace(memory, unserved=memory.unserved - {goal_name})
        message = f"{goal_name} serves; the rest is drained" if confirmed(seen, pin) else f"switching to {goal_name}"
        if not confirmed(seen, pin):
            steps.append(_wait_for_pin(seen))
        elif any(c.release not in memory.unserved for c in parting):
            drain = (timing.drain if timing else 10.0) if alive_leaving else 0.0
            wait = drain + (timing.min_healthy if timing and any(c.release != goal_name for c in parting) else 0.0)
            if not drained(seen, memory, wait) and memory.pin_since is not None:
                until = memory.pin_since + wait
                steps.append(Wait("drain", f"{wait:g} s, so that what is in flight can end", until))
                look_at = until
        reason = f"replaced by {goal_name}" if seen.goal else seen.gone
        steps += [_stop(c, reason) for c in alive_leaving]
    steps += [_remove(c) for c in cast.leaving if not alive(c)]
    if parting or lingering(seen, cast.keep):
        steps.append(Wait("Traefik", "until it has forgotten what was stopped"))
    if seen.handover.shared:
        steps.append(Wait(seen.handover.shared, "until nothing of it has the routes any more that were taken over from it"))
    steps.append(SetPin(seen.site, None, "labels route again"))
    return Motion(tuple(steps), memory, message, look_at)


def give_up(seen: Seen, memory: SiteMemory, why: str) -> Motion:
    """Take the new release away; what serves was never touched."""
    assert seen.goal is not None
    mine = tuple(c for c in seen.containers if c.release == seen.goal.release)
    step = GiveUp(seen.site, seen.goal.release, tuple(c.id for c in mine), why)
    return Motion((step,), memory, f"{seen.goal.release} failed: {why}", seen.now)


def failure(seen: Seen, cast: Cast, memory: SiteMemory) -> str | None:
    """Why the goal's release will not come up, if so. A release of which a replica serves is healed instead, never given up."""
    goal = seen.goal
    if goal is None or seen.fallback or memory.begun != goal.release:
        return None
    others = [c for c in seen.containers if c.release != goal.release and (c.id in seen.ready or cast.alone)]
    mine = [c for c in seen.containers if c.release == goal.release]
    if not others and any(c in mine for c in serving_now(seen)):
        return None
    if goal.release not in memory.unserved and not others:
        return None
    if why := refused(seen, goal):
        return why
    served = seen.pin is not None and any(seen.pin.services & set(_service_names(seen, c)) for c in mine)
    served = served or not (seen.names.pins or goal.release in memory.unserved)
    surplus = () if cast.missing else ("exited", "dead")  # what ended in a whole release was stopped, and is only to be removed
    for c in mine:
        if c.state not in surplus and (why := trouble(c, served=served)):
            return why
    since = max(memory.begun_at, memory.tried_at)
    if not (is_whole(seen, cast) and not cast.missing) and seen.now >= since + goal.timing.deadline and mine:
        return f"not ready within {goal.timing.deadline:g} s"
    return None


def trouble(c: Container, *, served: bool) -> str | None:
    """What is wrong with a replica of a release that others could serve for. Once it took requests its first end is one too many."""
    ended = f"exited with {c.exit_code}{_killed(c)}"
    if c.state in ("exited", "dead"):
        return f"{c.name} {ended}"
    if c.state == "restarting" and (served or c.restarts >= RESTARTS):
        return f"{c.name} {ended}" + (f" and was restarted {c.restarts} times" if c.restarts > 1 else "")
    if served and c.restarts and c.up < MOMENT:
        return f"{c.name} ended by itself and was restarted"
    return f"{c.name} is unhealthy" if c.health == "unhealthy" else None


def _killed(c: Container) -> str:
    """The engine hears of a want of memory beside the end itself, and may miss it."""
    if c.oom_killed:
        return ", killed for want of memory"
    limit = (c.live or {}).get("mem_limit")
    return f", killed: {limit / 2**20:g} MiB of memory may be too little" if c.exit_code == KILLED and limit else ""


def refused(seen: Seen, goal: DesiredSite) -> str | None:
    """What Traefik says of a router of the goal's release that it does not take; it will not take it later either."""
    start = f"{release_name(seen.names.instance, seen.site, goal.release)}-"
    rows = sorted((name, why) for name, why in seen.traefik.refused.items() if name.startswith(start) and name.endswith("@docker"))
    return f"Traefik refuses its router: {rows[0][1]}" if rows else None


def serving_now(seen: Seen) -> tuple[Container, ...]:
    """Who takes requests now: with a pin those it names, at rest every ready container."""
    ready = tuple(c for c in seen.containers if c.id in seen.ready and alive(c))
    if seen.pin is None:
        return ready
    pinned = tuple(c for c in ready if seen.pin.services & set(_service_names(seen, c)))
    if pinned:
        return pinned
    return tuple(c for c in ready if seen.goal is None or c.release != seen.goal.release)


def pin_of(seen: Seen, serving: Iterable[Container], routes: Iterable[Route], growing: str = "", *, take: bool = False) -> Pin | None:
    """The pin that sends every rule of `routes` to `serving`, or to nobody where the serving release does not claim that rule.

    It names a whole release where all of it serves, none is to join (`growing`) and Traefik lists no more of it than these: an address
    that one of it had may be another site's by now. Else it names each replica by itself.
    What another site still serves is left out until it is to be taken over (`take`); None where nothing is left.
    """
    serving = tuple(serving)
    releases = {c.release for c in serving}
    of_release = [c for c in seen.containers if c.release in releases and (alive(c) or c.state == "created")]
    wholes = [release_name(seen.names.instance, seen.site, release) for release in releases]
    if (
        len(wholes) == 1
        and growing not in releases
        and len(of_release) == len(serving)
        and seen.traefik.services.get(wholes[0], 0) <= len(serving)
    ):
        targets: tuple[tuple[str, int], ...] = ((wholes[0], 1),)
    else:
        targets = tuple(sorted((_alone(seen, c), weight_of(c)) for c in serving))
    # Where several releases serve, requests are treated as the goal's are.
    first = min(serving, key=lambda c: (seen.goal is None or c.release != seen.goal.release, c.release), default=None)
    middlewares = middleware_names(seen.names.instance, seen.site, first.release, route_of(first)) if first else ()
    kept = seen.pin if lingering(seen, tuple(c for c in seen.containers if alive(c))) else None
    pin = route_pin(targets, tuple(route_of(c) for c in serving), routes, middlewares, kept, heights(seen.containers))
    return without(yielding(pin, seen.handover.given), () if take else seen.handover.takes)


def confirmed(seen: Seen, pin: Pin | None) -> bool:
    """Traefik holds this pin, and its routers are enabled; or none, where none is wanted."""
    return seen.pin == pin and seen.traefik.pins.get(seen.site) == pin


def remember_pin(seen: Seen, memory: SiteMemory) -> SiteMemory:
    if seen.pin is None:
        pinned = memory.pinned and (not seen.traefik.reachable or seen.site in seen.traefik.pins)
        after = replace(memory, pin=None, pin_since=None, pinned=pinned)
    elif not confirmed(seen, seen.pin):
        after = replace(memory, pin=None, pin_since=None, pinned=True)
    else:
        after = replace(memory, pin=seen.pin, pin_since=memory.pin_since if memory.pin == seen.pin else seen.now, pinned=True)
    return memory if after == memory else after


def drained(seen: Seen, memory: SiteMemory, seconds: float) -> bool:
    return memory.pin_since is not None and seen.now >= memory.pin_since + seconds


def is_whole(seen: Seen, cast: Cast) -> bool:
    """Every replica that stays is ready, and was not restarted a moment ago: what crashes in a loop answers now and then."""
    return all(c.id in seen.ready and not (c.restarts and c.up < MOMENT) for c in cast.keep)


def is_known(seen: Seen, cast: Cast) -> bool:
    """Traefik lists every replica that stays, and the release with all of them. With nobody to stay it need know nothing."""
    if seen.goal is None or not cast.keep:
        return seen.traefik.reachable
    whole = release_name(seen.names.instance, seen.site, seen.goal.release)
    up = seen.traefik.services
    return up.get(whole, 0) >= len(cast.keep) and all(up.get(_alone(seen, c), 0) >= 1 for c in cast.keep)


def lingering(seen: Seen, keep: tuple[Container, ...]) -> bool:
    """Traefik still lists something of this site that is not among those that stay."""
    if not seen.traefik.reachable:
        return True
    there = {name for c in keep for name in _service_names(seen, c)}
    start = f"{seen.names.instance}-{seen.site}-"
    return any(name.startswith(start) and _is_ours(name[len(start) :]) and name not in there for name in seen.traefik.services)


def alive(container: Container) -> bool:
    """It runs, or is about to: it may take requests, so it is drained before it is stopped."""
    return container.state in ("running", "restarting")


def _is_ours(rest: str) -> bool:
    """What follows `<instance>-<site>-` in a name begins with a release: another site's longer name does not."""
    return RELEASE.match(rest) is not None


def _routes(seen: Seen) -> tuple[Route, ...]:
    """Every route that a container of the site has, or will have."""
    routes = [route_of(c) for c in seen.containers if alive(c)]
    if seen.goal is not None:
        routes.append(seen.goal.route)
    return tuple(dict.fromkeys(routes))


def starts_of(seen: Seen, goal: DesiredSite, cast: Cast) -> list[Step]:
    """A start for each container that is missing."""
    steps: list[Step] = []
    rank = rank_for(seen.containers, goal.release, pins=seen.names.pins)
    for service, count in cast.missing:
        used = {c.replica for c in seen.containers if c.release == goal.release and c.service == service.name}
        free = [n for n in range(1, count + len(used) + 1) if n not in used][:count]
        for n in free:
            digest = seen.images.get(service.spec.image, service.spec.image)
            entry_point = seen.names.entry_of(goal.route)
            labels = container_labels(seen.names.instance, seen.names.network, entry_point, goal, service, n, digest, rank)
            if sibling := next((c for c in seen.containers if c.release == goal.release and c.service == service.name), None):
                alone = replica_name(seen.names.instance, goal.name, goal.release, service.name, n)
                labels = joining_labels(sibling, labels, (_alone(seen, sibling), alone))
            name = container_name(seen.names.instance, goal.name, service.name, goal.release, n)
            new = NewContainer(name, digest, service.spec, tuple(sorted(labels.items())), seen.names.network, goal.timing.deadline)
            steps.append(Start(new, _why_start(seen, goal, service)))
    return steps


def names_of(seen: Seen, goal: DesiredSite, starts: Iterable[Step]) -> Iterator[str]:
    """The Traefik services of what is to be started, each by itself."""
    for step in starts:
        if isinstance(step, Start):
            labels = dict(step.new.labels)
            replica = int(labels["shipstone.replica"])
            yield replica_name(seen.names.instance, goal.name, goal.release, labels["shipstone.service"], replica)


def _why_start(seen: Seen, goal: DesiredSite, service: DesiredService) -> str:
    wrong = [why for c_id, why in seen.wrong.items() if any(c.id == c_id and c.service == service.name for c in seen.containers)]
    if wrong:
        return wrong[0]
    if any(c.release == goal.release and c.service == service.name and alive(c) for c in seen.containers):
        return f"{service.replicas} replicas are wanted"
    return "new release" if any(c.release != goal.release for c in seen.containers) else "missing"


def _service_names(seen: Seen, c: Container) -> tuple[str, str]:
    return release_name(seen.names.instance, seen.site, c.release), _alone(seen, c)


def _alone(seen: Seen, c: Container) -> str:
    return replica_name(seen.names.instance, seen.site, c.release, c.service, c.replica)


def _stop(c: Container, reason: str, *, keep: bool = False) -> Stop:
    grace = c.labels.get("shipstone.grace", "10")
    return Stop(c.name, c.id, float(grace), reason, keep)


def _remove(c: Container) -> Remove:
    return Remove(c.name, c.id, f"it is {c.state}")


def _wait_for_pin(seen: Seen) -> Wait:
    pins = f"{seen.names.instance}-{seen.site}-pin-"
    if why := next((why for name, why in sorted(seen.traefik.refused.items()) if name.startswith(pins) and name.endswith("@file")), ""):
        return Wait("Traefik", f"until it takes the pin, which it refuses: {why}")
    return Wait("Traefik", "until it has taken the pin" if seen.traefik.reachable else "its API does not answer; nothing is changed")


def _who(serving: tuple[Container, ...]) -> str:
    return ", ".join(sorted({c.release for c in serving})) or "nobody (503)"


def _wanted(goal: DesiredSite) -> int:
    return sum(service.replicas for service in goal.services)


def _count_ready(seen: Seen, cast: Cast) -> int:
    return sum(c.id in seen.ready for c in cast.keep)
