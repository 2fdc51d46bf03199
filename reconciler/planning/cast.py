"""Who plays which part in a site's motion: who stays, who goes, who is missing, and who must be alone. Pure."""

import math
from collections.abc import Iterable

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import release_name
from reconciler.desired.spec import ContainerSpec
from reconciler.planning.labels import applied_of, router_names
from reconciler.planning.observed import Container
from reconciler.planning.seen import Cast, Seen, alive, alone_name

MOMENT = 2.0
"""Seconds for which a container that was restarted has to run before it counts as ready."""


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
            if c.release == seen.goal.release
            and c.service == service.name
            and c.id not in seen.wrong
            and (alive(c) or halted(seen, c) or created(seen, c))
        ]
        right.sort(key=lambda c: (c.id not in seen.ready, not alive(c), c.replica))
        keep += right[: service.replicas]
        if len(right) < service.replicas:
            missing.append((service, service.replicas - len(right)))
    kept = {c.id for c in keep}
    leaving = tuple(c for c in seen.containers if c.id not in kept)
    return Cast(tuple(keep), leaving, tuple(missing), alone_because(seen.goal, leaving))


def created(seen: Seen, c: Container) -> bool:
    """It waits for its first start. Without pins its labels may have been outranked since."""
    return c.state == "created" and seen.names.pins


def halted(seen: Seen, c: Container) -> bool:
    """It was stopped and kept while a release was tried that failed: it is started again."""
    return seen.fallback and c.state == "exited" and stop_first_because(applied_of(c).timing, [applied_of(c).spec], seen.containers) != ""


def alone_because(goal: DesiredSite, leaving: tuple[Container, ...]) -> str:
    """Why those who leave must have stopped before others start."""
    return stop_first_because(goal.timing, [service.spec for service in goal.services], leaving)


def stop_first_because(timing: Timing, specs: Iterable[ContainerSpec], others: Iterable[Container]) -> str:
    """Why containers of these specs cannot run beside `others`: their file says so, or both would write to one volume or have one port of
    the host, whatever the file says."""
    others, specs = tuple(others), tuple(specs)
    ports = {port for spec in specs for port in published(spec)} & {port for c in others for port in published(applied_of(c).spec)}
    if ports:
        return f"both would have port {min(ports)[0]} of the host"
    if not others or timing.order == "start-first":
        return ""
    if timing.order == "stop-first":
        return "rollout.order says stop-first"
    theirs = {source for c in others for source in written_to(applied_of(c).spec)}
    both = sorted(theirs & {source for spec in specs for source in written_to(spec)})
    return f"both would write to {both[0]}" if both else ""


def published(spec: ContainerSpec) -> Iterable[tuple[int, str]]:
    return ((port.host, port.protocol) for port in spec.ports)


def written_to(spec: ContainerSpec) -> Iterable[str]:
    return (volume.source for volume in spec.volumes if not volume.read_only)


def youngest(containers: Iterable[Container]) -> float:
    """Seconds since the last of them was started for the first time: with many sites at once a release begins long before its containers
    do, and they start one after another. Infinite where none has."""
    return min((c.up for c in containers if c.state == "running" and c.up and not c.restarts), default=math.inf)


def is_whole(seen: Seen, cast: Cast) -> bool:
    """Every replica that stays is ready, and was not restarted a moment ago: what crashes in a loop answers now and then."""
    return all(c.id in seen.ready and not (c.restarts and c.up < MOMENT) for c in cast.keep)


def is_known(seen: Seen, cast: Cast) -> bool:
    """Traefik lists every replica that stays, and the release with all of them. With nobody to stay it need know nothing."""
    if seen.goal is None or not cast.keep:
        return seen.traefik.reachable
    whole = release_name(seen.names.instance, seen.site, seen.goal.release)
    up = seen.traefik.services
    return up.get(whole, 0) >= len(cast.keep) and all(up.get(alone_name(seen, c), 0) >= 1 for c in cast.keep)


def is_routed(seen: Seen, cast: Cast) -> bool:
    """Traefik follows every router in the labels of those that stay."""
    return all(router_names(c.labels) <= seen.traefik.routers for c in cast.keep)
