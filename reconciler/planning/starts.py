"""What is to be started, when, and why. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.release import container_name, replica_name
from reconciler.desired.spec import NewContainer
from reconciler.planning.labels import container_labels, joining_labels
from reconciler.planning.memory import SiteMemory
from reconciler.planning.ranks import rank_for
from reconciler.planning.seen import Cast, Seen, alive, alone_name
from reconciler.planning.steps import Start, Step

FREE_TRIES = 3
"""So often containers are started without waiting."""
MAX_BACKOFF = 300.0
"""Seconds between two tries at the most."""
CALM = 10.0
"""Seconds that started containers have to last so that earlier tries are forgotten: what a hand does now and then is healed at once."""


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
                labels = joining_labels(sibling, labels, (alone_name(seen, sibling), alone))
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
