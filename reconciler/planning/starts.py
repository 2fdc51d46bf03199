"""What is to be started, when, and why; and how one is stopped. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.release import container_name, replica_name
from reconciler.desired.spec import NewContainer
from reconciler.planning.labels import container_labels, joining_labels
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container
from reconciler.planning.ranks import rank_for
from reconciler.planning.seen import Cast, Seen, alive, alone_name
from reconciler.planning.steps import Create, Pull, Remove, Start, StartAgain, Step, Stop, Wait

FREE_TRIES = 3
"""So often containers are started without waiting."""
MAX_BACKOFF = 300.0
"""Seconds between two tries at the most."""
CALM = 10.0
"""Seconds that started containers have to last so that earlier tries are forgotten: what a hand does now and then is healed at once."""


def next_start(memory: SiteMemory) -> float:
    """When containers may be started again (monotonic seconds): at once for the first few times, then ever later."""
    return memory.tried_at + min(2.0 ** (memory.tries - FREE_TRIES), MAX_BACKOFF) if memory.tries >= FREE_TRIES else 0.0


def begin(seen: Seen, goal: DesiredSite, memory: SiteMemory, *, pulling: bool) -> SiteMemory:
    """Note since when the release is being brought up, its images being here, and whether it ever took a request."""
    if memory.begun != goal.release:
        tries = memory.tries if goal.release == memory.served else 0
        memory = replace(memory, begun=goal.release, begun_at=seen.now, tries=tries)
    elif pulling:
        memory = replace(memory, begun_at=seen.now)
    fresh = goal.release != memory.served and not any(c.release == goal.release and c.state != "created" for c in seen.containers)
    return replace(memory, unserved=memory.unserved | {goal.release}) if fresh and goal.release not in memory.unserved else memory


def pulls_of(seen: Seen, goal: DesiredSite, cast: Cast) -> list[Step]:
    """A pull for each image of what is missing that is not known to be here, and that all of them are waited for."""
    images = dict.fromkeys(service.spec.image for service, _ in cast.missing)
    pulls = [Pull(seen.lost.get(image, image), f"for {goal.name}", goal.release) for image in images if image not in seen.images]
    return [*pulls, Wait("images", "until all are here; nothing is touched before")] if pulls else []


def apart_of(seen: Seen) -> list[Step]:
    """A wait, where another site has to end first."""
    return [Wait(seen.handover.apart[0], f"until it has ended: {seen.handover.apart[1]}")] if seen.handover.apart else []


def creates_of(seen: Seen, goal: DesiredSite, cast: Cast, memory: SiteMemory, *, healing: bool = False) -> list[Create]:
    """What can be created while Traefik takes the pin that is written: the start comes sooner then, and nobody routes to them before."""
    if not seen.traefik.reachable or next_start(memory) > seen.now:
        return []
    return [Create(step.new, step.reason) for step in starts_of(seen, goal, cast, healing=healing)]


def starts_of(seen: Seen, goal: DesiredSite, cast: Cast, *, healing: bool = False) -> list[Start]:
    """A start for each container that is missing. `healing`: under numbers that Traefik does not list, so that it need not forget any."""
    steps: list[Start] = []
    rank = rank_for(seen.containers, goal.release, pins=seen.names.pins)
    for service, count in cast.missing:
        used = {c.replica for c in seen.containers if c.release == goal.release and c.service == service.name}
        if healing:
            used |= known_numbers(seen, goal, service.name)
        free = [n for n in range(1, count + len(used) + 1) if n not in used][:count]
        for n in free:
            digest = seen.images.get(service.spec.image, service.spec.image)
            entry_point = seen.names.entry_of(goal.route)
            labels = container_labels(seen.names.instance, seen.names.network, entry_point, goal, service, n, digest, rank)
            if sibling := next((c for c in seen.containers if c.release == goal.release and c.service == service.name), None):
                alone = replica_name(seen.names.instance, goal.name, goal.release, service.name, n)
                labels = joining_labels(sibling, labels, (alone_name(seen, sibling), alone))
            name = container_name(seen.names.instance, goal.name, service.name, goal.release, n)
            new = NewContainer(name, digest, service.spec, tuple(sorted(labels.items())), seen.names.network, goal.timing.deadline)
            steps.append(Start(new, _why_start(seen, goal, service)))
    return steps


def known_numbers(seen: Seen, goal: DesiredSite, service: str) -> set[int]:
    """Of replicas that Traefik still lists by themselves."""
    start = replica_name(seen.names.instance, goal.name, goal.release, service, 0).removesuffix("0")
    return {int(name[len(start) :]) for name in seen.traefik.services if name.startswith(start) and name[len(start) :].isdigit()}


def names_of(seen: Seen, goal: DesiredSite, starts: Iterable[Step]) -> Iterator[str]:
    """The Traefik services of what is to be started, each by itself."""
    for step in starts:
        if isinstance(step, Start):
            labels = dict(step.new.labels)
            replica = int(labels["shipstone.replica"])
            yield replica_name(seen.names.instance, goal.name, goal.release, labels["shipstone.service"], replica)


def _start_of(seen: Seen, goal: DesiredSite, c: Container) -> Start:
    """The first start of one that was created."""
    service = next(service for service in goal.services if service.name == c.service)
    labels = tuple(sorted(c.labels.items()))
    new = NewContainer(c.name, c.labels.get("shipstone.digest", ""), service.spec, labels, seen.names.network, goal.timing.deadline)
    return Start(new, _why_start(seen, goal, service), c.id)


def _why_start(seen: Seen, goal: DesiredSite, service: DesiredService) -> str:
    wrong = [why for c_id, why in seen.wrong.items() if any(c.id == c_id and c.service == service.name for c in seen.containers)]
    if wrong:
        return wrong[0]
    if any(c.release == goal.release and c.service == service.name and alive(c) for c in seen.containers):
        return f"{service.replicas} replicas are wanted"
    return "new release" if any(c.release != goal.release for c in seen.containers) else "missing"


def due_starts(
    seen: Seen, goal: DesiredSite, cast: Cast, before: list[Step], memory: SiteMemory, *, healing: bool = False
) -> tuple[list[Step], SiteMemory, float | None]:
    """What is started after the steps in `before`, with what has to be waited for first; the try is counted when nothing has to.
    Last, when a wait for the next try ends (monotonic seconds)."""
    starts: list[Step] = [
        _start_of(seen, goal, c) if c.state == "created" else StartAgain(c.name, c.id, f"{goal.release} serves again") for c in cast.stopped
    ]
    starts += starts_of(seen, goal, cast, healing=healing)
    waits: list[Step] = []
    names = {*names_of(seen, goal, starts), *(alone_name(seen, c) for c in cast.stopped)}
    if names & seen.traefik.services.keys():
        waits.append(Wait("Traefik", "until it has forgotten earlier containers of the same names: it would seem to know the new ones"))
    again: float | None = None
    if starts and (at := next_start(memory)) > seen.now:
        waits.append(Wait("backoff", "its containers ended soon after they were started, again and again", at))
        again = at
    elif starts and not any(isinstance(step, Wait) for step in (*before, *waits)):
        soon = seen.now < max(memory.tried_at, next_start(memory)) + CALM
        memory = replace(memory, tries=memory.tries + 1 if soon else 1, tried_at=seen.now)
    return [*waits, *starts], memory, again


def in_turn(seen: Seen, cast: Cast, ends: list[Step], starts: list[Step]) -> list[Step]:
    """Who ends, who starts, what is removed. What the engine cannot stop or remove holds up no start: where the last steps could not be
    done starts go first, if they can."""
    removals = [] if cast.alone else removals_of(cast)
    starts_first = seen.trouble and not cast.alone and not any(isinstance(step, Wait) for step in (*starts, *ends))
    return [*starts, *ends, *removals] if starts_first else [*ends, *starts, *removals]


def stop_of(c: Container, reason: str, *, keep: bool = False) -> Stop:
    return Stop(c.name, c.id, float(c.labels.get("shipstone.grace", "10")), reason, keep)


def removals_of(cast: Cast) -> list[Step]:
    """Of those who leave, and do not run any more."""
    return [Remove(c.name, c.id, f"it is {c.state}") for c in cast.leaving if not alive(c)]
