"""Sites that cannot run beside each other for a moment: one lets go of a volume or of a port of the host that another is to have. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.desired.desired import DesiredSite
from reconciler.desired.spec import ContainerSpec
from reconciler.planning.cast import published, written_to
from reconciler.planning.handover import NOTHING, Handover, reached
from reconciler.planning.labels import applied_of
from reconciler.planning.observed import Container
from reconciler.planning.seen import alive

WRITES = "both would write to "


def kept_apart(
    moves: Mapping[str, Handover], goals: Mapping[str, DesiredSite | None], rows: Mapping[str, Iterable[Container]]
) -> dict[str, Handover]:
    """`moves`, where who is to have something waits until the other one has ended. That one waits for nobody who takes a route of it: else
    sites might wait for each other in a ring."""
    found = dict(moves)
    first = _first(goals, rows)
    givers = {taker: {giver} for taker, (giver, _) in first.items()}
    for taker, (giver, why) in first.items():
        if taker in reached(taker, givers):
            continue  # in a ring each would wait for the other for ever
        found[taker] = replace(found.get(taker, NOTHING), apart=(giver, why), also={})
        found[giver] = replace(found.get(giver, NOTHING), promised={})
    return found


def _first(goals: Mapping[str, DesiredSite | None], rows: Mapping[str, Iterable[Container]]) -> dict[str, tuple[str, str]]:
    """Who has to end first, and why, by who waits for it."""
    some = {name: goal for name, goal in goals.items() if goal and any(s.spec.volumes or s.spec.ports for s in goal.services)}
    if not some:
        return {}
    wanted = {name: set(_of(service.spec for service in goal.services)) for name, goal in some.items()}
    running = {name: set(_of(applied_of(c).spec for c in containers if alive(c))) for name, containers in rows.items()}
    leaving = {need: name for name, needs in sorted(running.items()) for need in needs - wanted.get(name, set())}
    found: dict[str, tuple[str, str]] = {}
    for name, needs in wanted.items():
        beside = some[name].timing.order == "start-first"  # who says so may write beside others
        for need in sorted(needs - running.get(name, set())):
            if need in leaving and not (beside and need.startswith(WRITES)):
                found.setdefault(name, (leaving[need], need))
    return found


def _of(specs: Iterable[ContainerSpec]) -> Iterator[str]:
    """What only one site can have, as it is said."""
    for spec in specs:
        yield from (f"{WRITES}{source}" for source in written_to(spec))
        yield from (f"both would have port {port}{'/udp' if protocol == 'udp' else ''} of the host" for port, protocol in published(spec))
