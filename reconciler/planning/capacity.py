"""Whether the host can take what is to be started: asked before a site is touched, so that the old release serves on. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.planning.observed import Capacity
from reconciler.planning.steps import Start, Step, Stop

PORTS = 1023
"""A Linux bridge takes no more: so many running containers on one network."""
LEAST_DISK = 2**30
"""Bytes that have to be free where the engine keeps its data, before another release is begun."""
RETRY = 5.0
"""Seconds after which it is looked at again, at the latest."""
ALIVE = ("running", "restarting", "paused")


@dataclass(frozen=True)
class Need:
    """Of one site: containers more than now, and bytes of memory that they may take."""

    containers: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Room:
    """`waits`: sites that cannot begin, and why. `needs`: what was promised to the others."""

    waits: Mapping[str, str] = field(hash=False)
    needs: Mapping[str, Need] = field(hash=False)


def find_room(
    sites: Mapping[str, tuple[Step, ...]],
    begun: Collection[str],
    known: Collection[tuple[str, str]],
    capacity: Capacity,
    promised: Mapping[str, Need],
    network: str,
) -> Room:
    """Who may begin, in the order of names. A site that has `begun` goes on, and what it still needs counts as taken, as does what was
    `promised` to sites whose steps are being done. Healing and scaling a `known` (site, release) needs a place on the network alone."""
    needs = dict(promised)
    waits: dict[str, str] = {}
    found = {name: [step for step in steps if isinstance(step, Start)] for name, steps in sites.items()}
    for name in sorted((name for name, starts in found.items() if starts), key=lambda name: (name not in begun, name)):
        starts = found[name]
        first = sites[name].index(starts[0])
        stopped = sum(isinstance(step, Stop) for step in sites[name][:first])
        need = Need(max(0, len(starts) - stopped), 0 if stopped else sum(start.new.spec.mem_limit or 0 for start in starts))
        fresh = not any((name, dict(start.new.labels).get("shipstone.release", "")) in known for start in starts)
        if name not in begun and (why := _lack(need, needs.values(), capacity, network, fresh=fresh)):
            waits[name] = f"cannot start {_count(len(starts))} of {name}: {why}"
        else:
            needs[name] = need
    return Room(waits, needs)


def _lack(need: Need, taken: Iterable[Need], capacity: Capacity, network: str, *, fresh: bool) -> str:
    """What there is too little of; no number that changes all the time, because each new text is logged."""
    taken = tuple(taken)
    if capacity.ports is not None and need.containers > (left := capacity.ports - sum(other.containers for other in taken)):
        used = f"{PORTS - max(0, left):,} of at most {PORTS:,} containers"
        return f"the network {network} holds, or is to take, {used}. Use another host or remove sites."
    if fresh and capacity.disk is not None and capacity.disk < LEAST_DISK:
        return "less than 1 GiB is free where the engine keeps its data. Free some; `docker system df` says what takes it."
    if fresh and capacity.memory is not None and need.memory > capacity.memory - sum(other.memory for other in taken):
        mebibytes = f"{need.memory / 2**20:,.0f} MiB"
        return f"they may take {mebibytes} of memory (mem_limit), and less is available. Lower mem_limit, or use another host."
    return ""


def _count(number: int) -> str:
    return "1 container" if number == 1 else f"{number:,} containers"
