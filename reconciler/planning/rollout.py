"""One site's motion: from what is there to what should be, so that no request is lost. Pure.

The steps are the whole way as it looks now; only those before the first wait are done, and the next pass plans afresh.
Every motion is the same: pin the route to whoever may serve, change what does not serve, let the pin move on, take it away.
"""

import collections
from collections.abc import Collection, Iterable
from dataclasses import replace

from reconciler.desired.desired import DesiredSite
from reconciler.planning.cast import assign, is_known, is_routed, is_whole, youngest
from reconciler.planning.failure import REFUSING, failure, refused, remember_refusal, unsure
from reconciler.planning.handover import NOTHING
from reconciler.planning.labels import applied_of, weight_of
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container
from reconciler.planning.pinning import answering, confirmed, drained, joining, lingering, pin_of, remember_pin, serving_now
from reconciler.planning.reached import question_of
from reconciler.planning.seen import AWAY_POLL, POLL, Cast, Motion, Seen, alive, poll, routes_of, service_names
from reconciler.planning.starts import apart_of, begin, creates_of, due_starts, in_turn, pulls_of, removals_of, stop_of
from reconciler.planning.steps import Ask, GiveUp, SetPin, Step, Wait

MOST_BESIDE = 2
"""Releases that may run beside one that is being started: the one that serves, and one that is drained."""


def plan_site(seen: Seen, memory: SiteMemory) -> Motion:
    """The motion of one site; no steps when it is as it should be."""
    cast = assign(seen)
    alive_leaving = tuple(c for c in cast.leaving if alive(c))
    memory = remember_refusal(seen, remember_pin(seen, memory))
    settled = not cast.missing and not cast.stopped and not alive_leaving and not limps(seen, cast)
    if settled and seen.pin is None and not seen.handover.takes:
        at_rest = memory
        if memory.begun or not memory.served or memory.unserved:
            at_rest = replace(memory, begun="", served=seen.goal.release if seen.goal else "", unserved=frozenset())
        steps = removals_of(cast)
        if memory.pinned:
            steps.append(Wait("Traefik", "until it has let go of the pin"))
        return Motion(tuple(steps), at_rest, "labels route again", seen.now + POLL if memory.pinned else None)
    complete = not cast.missing and is_whole(seen, cast) and not unsure(seen, memory)
    if why := failure(seen, cast, memory):
        return give_up(seen, memory, why)
    if seen.goal is None or (complete and is_known(seen, cast)):
        if seen.handover.promised and not seen.handover.mutual:
            return keep_serving(seen, memory)
        return finish(seen, cast, alive_leaving, memory)
    return bring_up(seen, cast, alive_leaving, memory)


def limps(seen: Seen, cast: Cast) -> bool:
    """One that was started anew does not answer yet, and others, who may take requests, do: these are theirs until it does."""
    ready = {c.id for c in cast.keep if c.id in seen.ready and weight_of(c)}
    return bool(ready) and any(alive(c) and c.health == "none" and c.id not in seen.ready for c in cast.keep)


def bring_up(seen: Seen, cast: Cast, alive_leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """Pin to those that serve, start what is missing, wait until all of it is ready and Traefik lists it; then the switch, foreseen."""
    goal = seen.goal
    assert goal is not None
    serving = joining(seen, answering(seen, cast.keep, memory.unserved) if cast.alone else serving_now(seen, memory.unserved))
    pulls = pulls_of(seen, goal, cast)
    steps = [*pulls]
    pin = pin_of(seen, serving, routes_of(seen), growing=goal.release if cast.missing or cast.stopped else "")
    if seen.pin != pin:
        why = f"; stop-first: {cast.alone}" if cast.alone else ""
        steps.append(SetPin(goal.name, pin, f"requests only to {_who(serving)} while {goal.release} starts{why}"))
    healing = is_healing(seen, memory)
    steps += apart_of(seen)
    if not confirmed(seen, pin) and not (healing and is_lost(seen, cast)):
        steps += creates_of(seen, goal, cast, memory, healing=healing)
        steps.append(_wait_for_pin(seen))
    if seen.handover.waits:
        steps.append(Wait(seen.handover.waits, "until its own pin has what is taken over from it"))
    memory = begin(seen, goal, memory, pulling=bool(pulls))
    memory = replace(memory, unserved=memory.unserved - {c.release for c in serving})
    ends, rest = make_way(seen, goal, cast, alive_leaving, serving, memory)
    starts, memory, again = due_starts(seen, goal, cast, [*steps, *ends], memory, healing=healing)
    steps += in_turn(seen, cast, ends, starts)
    look_at = again if again and confirmed(seen, pin) else seen.now + poll(min(seen.now - memory.begun_at, youngest(cast.keep)))
    steps.append(Wait(goal.release, f"until every replica is ready ({_count_ready(seen, cast)} of {_wanted(goal)}) and Traefik lists it"))
    if memory.refused_at is not None:
        steps.append(Wait("Traefik", f"until it takes what it refuses: {refused(seen, goal)}"))
        look_at = min(look_at, max(memory.refused_at + REFUSING, seen.now + POLL))
    if rest:
        steps.append(SetPin(goal.name, pin_of(seen, cast.keep, routes_of(seen)), f"the switch: requests to {goal.release}"))
        steps.append(Wait("drain", f"{goal.timing.min_healthy + goal.timing.drain:g} s"))
        steps += [stop_of(c, f"replaced by {goal.release}") for c in rest]
    steps.append(SetPin(goal.name, None, "labels route again"))
    deadline = memory.begun_at + goal.timing.deadline
    message = f"{goal.release} is coming up, {_count_ready(seen, cast)} of {_wanted(goal)} ready"
    if seen.handover.apart:
        message = f"{goal.release} waits until {seen.handover.apart[0]} has ended: {seen.handover.apart[1]}"
    return Motion(tuple(steps), memory, message, min(look_at, deadline) if deadline > seen.now else look_at)


def make_way(
    seen: Seen, goal: DesiredSite, cast: Cast, leaving: tuple[Container, ...], serving: Collection[Container], memory: SiteMemory
) -> tuple[list[Step], list[Container]]:
    """What ends before the goal serves, and who of those who leave stays until then."""
    since, timing = memory.pin_since, goal.timing
    if cast.alone:
        steps: list[Step] = []
        if any(c in serving or not (c.release in memory.unserved or drained(seen, memory, timing.drain)) for c in leaving):
            until = since + timing.drain if since is not None else None
            steps.append(Wait("drain", f"{timing.drain:g} s, so that what is in flight can end", until))
        return [*steps, *(stop_of(c, f"stop-first: {cast.alone}", keep=c.release not in memory.unserved) for c in leaving)], []
    wait = timing.drain + timing.min_healthy
    standing = standing_by(serving, leaving, memory)
    over = drained(seen, memory, wait)
    idle = [c for c in leaving if c not in serving and (c.release in memory.unserved or (over and c.release not in standing))]
    steps = [stop_of(c, "superseded before it served") for c in idle]
    if crowded(goal, leaving, serving, idle):
        until = since + wait if since is not None else None
        steps.append(Wait("drain", "until an older release has ended: three at once are enough", until))
    return steps, [c for c in leaving if c not in idle]


def standing_by(serving: Collection[Container], leaving: Iterable[Container], memory: SiteMemory) -> frozenset[str]:
    """The release of those who serve, or who did where nobody does just now: none of it is stopped before another serves in its place,
    though it takes no requests at the moment."""
    if serving:
        return frozenset(c.release for c in serving)
    counts = collections.Counter(c.release for c in leaving if c.release not in memory.unserved)
    best = max(counts, key=lambda release: (release == memory.served, counts[release], release), default="")
    return frozenset({best})


def crowded(goal: DesiredSite, leaving: Collection[Container], serving: Collection[Container], idle: Collection[Container]) -> bool:
    """A release would start beside the one that serves and two that are still drained: commits come faster than the drain."""
    parting = {c.release for c in leaving if c not in idle}
    return len(parting - {goal.release}) > MOST_BESIDE and not parting <= {c.release for c in serving}


def is_healing(seen: Seen, memory: SiteMemory) -> bool:
    """The release that was at rest is completed again, and no route changes hands."""
    return seen.goal is not None and memory.served == seen.goal.release and seen.handover == NOTHING


def is_lost(seen: Seen, cast: Cast) -> bool:
    """All of it is gone: nobody serves whom the pin would have to protect, so it is not waited for."""
    return not any(alive(c) for c in seen.containers) and not cast.stopped and seen.traefik.reachable


def keep_serving(seen: Seen, memory: SiteMemory) -> Motion:
    """Another site will take over some of the routes: until it has, whoever serves them goes on."""
    serving = joining(seen, serving_now(seen, memory.unserved))
    pin = pin_of(seen, serving, routes_of(seen))
    steps: list[Step] = []
    if seen.pin != pin:
        steps.append(SetPin(seen.site, pin, f"requests only to {_who(serving)} until another site takes over"))
    if not confirmed(seen, pin):
        steps.append(_wait_for_pin(seen))
    (rule, _), taker = min(seen.handover.promised.items())
    steps.append(Wait(taker, f"until it has taken over {rule}"))
    return Motion(tuple(steps), memory, f"serves until {taker} has taken over {rule}", next_look(seen, memory))


def finish(seen: Seen, cast: Cast, alive_leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """All that should run is ready and known: switch to it, drain and stop the rest, wait until Traefik forgot it, unpin."""
    steps: list[Step] = []
    look_at = next_look(seen, memory)
    goal_name = seen.goal.release if seen.goal else "nobody"
    timing = seen.goal.timing if seen.goal else None
    message = f"{goal_name} serves"
    parting = cast.leaving if cast.alone else alive_leaving
    if parting or seen.handover.shared:
        pin = pin_of(seen, cast.keep, routes_of(seen), take=True)
        if seen.pin != pin:
            steps.append(SetPin(seen.site, pin, f"the switch: requests to {goal_name}", tuple(sorted(seen.handover.also.items()))))
            memory = replace(memory, unserved=memory.unserved - {goal_name})
        message = f"{goal_name} serves; the rest is drained" if confirmed(seen, pin) else f"switching to {goal_name}"
        if not confirmed(seen, pin):
            steps.append(_wait_for_pin(seen))
        if confirmed(seen, pin) and (question := question_of(seen, cast)):
            steps.append(Ask(question.host, question, f"once through Traefik, whether {goal_name} is reached"))
            steps.append(Wait("Traefik", "until it was asked by host name"))
        if confirmed(seen, pin) and any(c.release not in memory.unserved for c in parting):
            wait = drain_of(seen, memory, alive_leaving)
            if timing and any(c.release != goal_name for c in parting):
                wait += timing.min_healthy
            if not drained(seen, memory, wait) and memory.pin_since is not None:
                until = memory.pin_since + wait
                steps.append(Wait("drain", f"{wait:g} s, so that what is in flight can end", until))
                look_at = until
        reason = f"replaced by {goal_name}" if seen.goal else seen.gone
        steps += [stop_of(c, reason) for c in alive_leaving]
    steps += removals_of(cast)
    if parting or lingering(seen, cast.keep):
        steps.append(Wait("Traefik", "until it has forgotten what was stopped"))
    if seen.handover.shared:
        steps.append(Wait(seen.handover.shared, "until nothing of it has the routes any more that were taken over from it"))
    if not is_routed(seen, cast):
        steps.append(Wait("Traefik", "until it follows every router of the labels: the pin serves until then"))
    steps.append(SetPin(seen.site, None, "labels route again"))
    return Motion(tuple(steps), memory, message, look_at)


def drain_of(seen: Seen, memory: SiteMemory, leaving: Collection[Container]) -> float:
    """Seconds. Of a site that was removed what its file said last; where that is not known, what its containers were made with."""
    if not leaving:
        return 0.0
    if seen.goal is not None:
        return seen.goal.timing.drain
    return memory.drain if memory.drain is not None else max(applied_of(c).timing.drain for c in leaving)


def give_up(seen: Seen, memory: SiteMemory, why: str) -> Motion:
    """Take the new release away. What serves was never touched; where the new one took requests already, they go back first, for its
    last words may take a while to come."""
    assert seen.goal is not None
    mine = tuple(c for c in seen.containers if c.release == seen.goal.release)
    others = tuple(c for c in seen.containers if c not in mine and c.id in seen.ready and alive(c))
    step = GiveUp(seen.site, seen.goal.release, tuple(c.id for c in mine), why)
    steps: tuple[Step, ...] = (step,)
    if seen.pin is not None and others and any(seen.pin.services & set(service_names(seen, c)) for c in mine):
        back = pin_of(replace(seen, goal=None), others, routes_of(seen))
        steps = (SetPin(seen.site, back, f"requests to {_who(others)} again"), step)
    return Motion(steps, memory, f"{seen.goal.release} failed: {why}", seen.now)


def next_look(seen: Seen, memory: SiteMemory) -> float:
    """Monotonic seconds; ever later while Traefik follows the same pin, or reads none, or its API does not answer: what is waited for may
    take hours. Whether it has taken a switch is looked at often."""
    if not seen.traefik.reachable or seen.traefik.blind:
        return seen.now + AWAY_POLL
    return seen.now + (poll(seen.now - memory.pin_since) if memory.pin_since is not None else POLL)


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
