"""One site's motion where Traefik has no file provider: labels alone route, so a release outranks the one before it. Pure.

start the new beside the old, with routers of a higher rank → all of it is ready, and listed by Traefik → settle, min_healthy, drain
→ stop the old. A container is routed as soon as Docker calls it healthy; without a healthcheck as soon as it starts: no promise then.
"""

from collections.abc import Collection
from dataclasses import replace

from reconciler.desired.desired import DesiredSite
from reconciler.desired.release import content_of, counted
from reconciler.desired.traefik_v3 import rules
from reconciler.planning.cast import alone_because, assign, is_known, is_routed, is_whole, youngest
from reconciler.planning.drift import drifted
from reconciler.planning.failure import failure, remember_refusal
from reconciler.planning.labels import route_of
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container
from reconciler.planning.ranks import height_of
from reconciler.planning.rollout import give_up
from reconciler.planning.seen import POLL, Cast, Motion, Names, Seen, alive, poll
from reconciler.planning.starts import apart_of, begin, due_starts, in_turn, pulls_of, removals_of, stop_of
from reconciler.planning.steps import Step, Wait


def fitting(goal: DesiredSite, containers: tuple[Container, ...], ready: Collection[str], names: Names, failed: str = "") -> DesiredSite:
    """The goal as labels alone can bring it about: under the next counter where its release as it runs cannot become what is wanted
    without loss. `failed`: a release that is not to be tried again; of its own content only what keeps it from being routed counts."""
    content, own = content_of(goal.release)
    heal = goal.heal and content_of(failed)[0] != content
    if not unfit(goal, containers, ready, names, heal=heal):
        return goal
    there = {n: c.release for c in containers for name, n in [content_of(c.release)] if name == content}
    digests = {c.service: c.labels.get("shipstone.digest", "") for c in containers if c.release == goal.release}
    goal = replace(goal, services=tuple(replace(s, digest=s.digest or digests.get(s.name, "")) for s in goal.services))
    for n in sorted((n for n, release in there.items() if n > own and release != failed), reverse=True):
        begun = replace(goal, release=there[n])
        if not unfit(begun, containers, ready, names, heal=heal):
            return begun
    return replace(goal, release=counted(content, 1 + max([own, *there])))


def unfit(goal: DesiredSite, containers: tuple[Container, ...], ready: Collection[str], names: Names, *, heal: bool) -> bool:
    """Too many of it run, a hand changed one, or another release outranks it. One that is replaced stop-first anyway is left alone."""
    running = tuple(c for c in containers if alive(c))
    mine = tuple(c for c in running if c.release == goal.release)
    if not mine or alone_because(goal, running):
        return False
    surplus = any(sum(c.service == service.name for c in mine) > service.replicas for service in goal.services)
    changed = heal and any(drifted(c, names) for c in mine)
    mark = min(height_of(c) for c in mine)
    return surplus or changed or any(c.id in ready and height_of(c) >= mark for c in running if c.release != goal.release)


def worth_going_back_to(others: tuple[Container, ...], failed: DesiredSite, ready: Collection[str]) -> tuple[Container, ...]:
    """Those of `others` whose release may come back when `failed` is not to be had: all of it is ready, where there is such a one. While
    one hands over to another, a host name may be served by the older one only; where `failed` asks for it, it is to stay."""
    partly = {c.release for c in others if c.id not in ready}
    whole = tuple(c for c in others if c.release not in partly)
    routed = {c.release: set(rules(route_of(c))) for c in whole}
    needed = set[str]().union(*routed.values()).intersection(rules(failed.route))
    return tuple(c for c in whole if needed <= routed[c.release]) or whole or others


def plan_site(seen: Seen, memory: SiteMemory) -> Motion:
    """The motion of one site; no steps when it is as it should be."""
    goal = seen.goal
    if goal is not None and not alone_because(goal, tuple(filter(alive, seen.containers))):
        stopped = {c.id for c in seen.containers if not alive(c)}  # what runs is not replaced one by one: see fitting()
        seen = replace(seen, wrong={c_id: why for c_id, why in seen.wrong.items() if c_id in stopped})
    cast = assign(seen)
    leaving = tuple(c for c in cast.leaving if alive(c))
    if goal is None:
        steps: list[Step] = [stop_of(c, seen.gone) for c in leaving]
        return Motion((*steps, *removals_of(cast)), memory, "it is taken away", seen.now + POLL)
    memory = remember_refusal(seen, remember(seen, cast, memory))
    listed = memory.listed is not None
    kept_for_undo = cast.alone and cast.leaving and memory.begun == goal.release
    if not cast.missing and not cast.stopped and not leaving and not kept_for_undo and (listed or not _is_begun(seen, cast, memory)):
        at_rest = replace(memory, begun="", served=goal.release, unserved=frozenset()) if memory.begun or not memory.served else memory
        return Motion(tuple(removals_of(cast)), at_rest)
    if why := failure(seen, cast, memory):
        return give_up(seen, memory, why)
    return hand_over(seen, cast, leaving, memory) if listed else bring_up(seen, cast, leaving, memory)


def remember(seen: Seen, cast: Cast, memory: SiteMemory) -> SiteMemory:
    """Since when Traefik lists all of the goal's release, and which releases never had a replica that was ready."""
    assert seen.goal is not None
    listed: tuple[str, float] | None = None
    if not cast.missing and is_whole(seen, cast) and is_listed(seen, cast):
        known = memory.listed if memory.listed and memory.listed[0] == seen.goal.release else None
        listed = known or (seen.goal.release, seen.now)
    served = {c.release for c in seen.containers if c.id in seen.ready}
    after = replace(memory, listed=listed, unserved=memory.unserved - served)
    return memory if after == memory else after


def is_listed(seen: Seen, cast: Cast) -> bool:
    """Traefik follows every router of the release that stays, and knows each of its replicas."""
    return is_known(seen, cast) and is_routed(seen, cast)


def bring_up(seen: Seen, cast: Cast, leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """Start what is missing, wait until all of it is ready and Traefik lists it; what serves is not touched."""
    goal = seen.goal
    assert goal is not None
    pulls = pulls_of(seen, goal, cast)
    steps = [*pulls, *apart_of(seen)]
    if not seen.traefik.reachable:
        steps.append(Wait("Traefik", "its API does not answer; nothing is changed"))
    memory = begin(seen, goal, memory, pulling=bool(pulls))
    idle = leaving if cast.alone else tuple(c for c in leaving if c.release in memory.unserved)
    why = f"stop-first: {cast.alone}" if cast.alone else "superseded before it served"
    ends: list[Step] = [stop_of(c, why, keep=bool(cast.alone) and c.release not in memory.unserved) for c in idle]
    starts, memory, again = due_starts(seen, goal, cast, [*steps, *ends], memory)
    steps += in_turn(seen, cast, ends, starts)
    look_at = again or seen.now + poll(min(seen.now - memory.begun_at, youngest(cast.keep)))
    ready, wanted = sum(c.id in seen.ready for c in cast.keep), sum(service.replicas for service in goal.services)
    steps.append(Wait(goal.release, f"until every replica is ready ({ready} of {wanted}) and Traefik lists it"))
    rest = [c for c in leaving if c not in idle]
    if rest:
        steps.append(Wait("drain", f"{_parting_time(seen, goal, drained=True):g} s"))
        steps += [stop_of(c, f"replaced by {goal.release}") for c in rest]
    deadline = memory.begun_at + goal.timing.deadline
    message = f"{goal.release} is coming up, {ready} of {wanted} ready"
    return Motion(tuple(steps), memory, message, min(look_at, deadline) if deadline > seen.now else look_at)


def hand_over(seen: Seen, cast: Cast, leaving: tuple[Container, ...], memory: SiteMemory) -> Motion:
    """The new release outranks the old one in what Traefik lists: what the old one has in flight ends, then it is stopped."""
    goal = seen.goal
    assert goal is not None
    assert memory.listed is not None
    steps: list[Step] = []
    look_at = seen.now + POLL
    wait = _parting_time(seen, goal, drained=bool(leaving))
    until = memory.listed[1] + wait
    parting = cast.leaving if cast.alone else leaving
    if seen.now < until and any(c.release not in memory.unserved for c in parting):
        steps.append(Wait("drain", f"{wait:g} s, so that Traefik has followed its labels and what is in flight can end", until))
        look_at = until
    steps += [stop_of(c, f"replaced by {goal.release}") for c in leaving]
    steps += removals_of(cast)
    return Motion(tuple(steps), memory, f"{goal.release} serves; the rest is drained", look_at)


def _parting_time(seen: Seen, goal: DesiredSite, *, drained: bool) -> float:
    return seen.names.settle + goal.timing.min_healthy + (goal.timing.drain if drained else 0.0)


def _is_begun(seen: Seen, cast: Cast, memory: SiteMemory) -> bool:
    """It is being brought up, or nobody remembers that it ever was."""
    assert seen.goal is not None
    return memory.begun == seen.goal.release or (memory.served != seen.goal.release and not is_whole(seen, cast))
