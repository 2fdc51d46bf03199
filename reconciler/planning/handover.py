"""Routes that move from one site to another: the receiver's pin takes them over in one change, and only then the giver drains. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from reconciler.desired.desired import DesiredSite
from reconciler.desired.spec import Route
from reconciler.desired.traefik_v3 import label_priority, pin_priority, rules
from reconciler.planning.labels import route_of
from reconciler.planning.observed import Container, Observed, Pin

Key = tuple[str, bool]
"""A rule, and whether it is of the entry point with TLS."""


@dataclass(frozen=True)
class Handover:
    """What moves, as one of the sites sees it.

    `takes`: rules of its goal that another site still serves, with that site; `waits` is one that has not pinned them to itself yet;
    `also` are the pins of these sites once they have given way. `promised`: rules that another site will take, with that site.
    `given`: rules that another site's pin serves by now. `shared`: a site that still routes something of what this one has taken.
    `mutual`: sites exchange rules in a ring, this one among them: none can be first without a gap.
    `apart`: a site that has to end before anything of this one starts, and why.
    """

    takes: Mapping[Key, str] = field(default_factory=dict, hash=False)
    waits: str = ""
    also: Mapping[str, Pin] = field(default_factory=dict, hash=False)
    promised: Mapping[Key, str] = field(default_factory=dict, hash=False)
    given: frozenset[Key] = frozenset()
    shared: str = ""
    mutual: bool = False
    apart: tuple[str, str] | None = None

    @property
    def moving(self) -> bool:
        """Routes of it change hands."""
        return bool(self.takes or self.promised or self.given or self.shared)


NOTHING = Handover()


@lru_cache(maxsize=4096)
def keys_of(route: Route) -> tuple[Key, ...]:
    return tuple((rule, route.tls) for rule in rules(route))


def served(by_site: Mapping[str, Iterable[Container]]) -> dict[Key, set[str]]:
    """Which sites' running containers route each rule."""
    found: dict[Key, set[str]] = {}
    for site, containers in by_site.items():
        for route in {route_of(c) for c in containers if c.state in ("running", "restarting")}:
            for key in keys_of(route):
                found.setdefault(key, set()).add(site)
    return found


def wanted(goals: Mapping[str, DesiredSite | None]) -> dict[Key, set[str]]:
    """Which sites' goals route each rule."""
    found: dict[Key, set[str]] = {}
    for site, goal in goals.items():
        for key in keys_of(goal.route) if goal else ():
            found.setdefault(key, set()).add(site)
    return found


def owners(holders: Mapping[Key, set[str]], takers: Mapping[Key, set[str]], pins: Mapping[str, Pin]) -> dict[Key, str]:
    """Of the sites that want a rule the one that gets it: whoever serves it keeps it."""

    def last(site: str, key: Key) -> tuple[bool, bool, str]:
        return not _above(pins.get(site), key), site not in holders.get(key, ()), site

    return {key: min(sites, key=lambda site: last(site, key)) for key, sites in takers.items()}


def intruders(takers: Mapping[Key, set[str]], owner: Mapping[Key, str]) -> dict[str, tuple[str, str]]:
    """Sites whose goal has a rule that another site gets: the rule, and that site."""
    return {site: (key[0], owner[key]) for key, sites in takers.items() for site in sites - {owner[key]}}


def awaited(written: Iterable[DesiredSite], holders: Mapping[Key, set[str]], takers: Mapping[Key, set[str]]) -> dict[Key, tuple[str, str]]:
    """Rules that are written for a site and that no goal has, because it cannot be had: who serves them, and for whom they wait."""
    missing = {key: site.name for site in written for key in keys_of(site.route) if key not in takers}
    return {key: (min(others), name) for key, name in missing.items() if (others := holders.get(key, set()) - {name})}


def _above(pin: Pin | None, key: Key) -> bool:
    """The pin sends this rule to somebody, and has not given way to another site's."""
    return pin is not None and bool(_rows(pin).get(key)) and dict(pin.priorities)[key[0]] >= pin_priority(key[0])


def handovers(holders: Mapping[Key, set[str]], owner: Mapping[Key, str], observed: Observed) -> dict[str, Handover]:
    """For every site that is concerned."""
    pinned: dict[Key, set[str]] = {}
    for site, pin in observed.pins.items():
        for key in _rows(pin):
            pinned.setdefault(key, set()).add(site)
    found: dict[str, Handover] = {}
    for key in sorted((holders.keys() | pinned.keys()) & owner.keys()):
        there = holders.get(key, set()) | pinned.get(key, set())
        if others := sorted(there - {owner[key]}):
            _move(found, key, owner[key], others, holders.get(key, set()), observed)
    givers = {site: set(handover.takes.values()) for site, handover in found.items()}
    return {site: replace(handover, mutual=site in reached(site, givers)) for site, handover in found.items()}


@dataclass(frozen=True)
class Move:
    """A rule that goes from one site to another: both have to change."""

    rule: str
    giver: str
    taker: str


def moves_of(found: Mapping[str, Handover]) -> tuple[Move, ...]:
    """What moves, also where the receiver has it by now and the giver has not drained yet."""
    coming = {Move(rule, giver, taker) for taker, mine in found.items() for (rule, _), giver in mine.takes.items()}
    known = {(move.giver, move.taker) for move in coming}
    taken = {(mine.shared, taker) for taker, mine in found.items() if mine.shared} - known
    late = {Move(min(given)[0], giver, taker) for giver, taker in taken if (given := found.get(giver, NOTHING).given)}
    return tuple(sorted(coming | late, key=lambda move: (move.rule, move.taker)))


def not_alone(sites: Iterable[str], moves: Iterable[Move]) -> str:
    """Why these sites cannot change while all others are left untouched, and what to do; empty where they can."""
    chosen, moves = frozenset(sites), tuple(moves)
    together = chosen
    while more := {name for move in moves for name in (move.giver, move.taker) if {move.giver, move.taker} & together} - together:
        together |= more
    if together == chosen:
        return ""
    left = together - chosen
    move = next(move for move in moves if {move.giver, move.taker} & left)
    command = "shipstone apply " + " ".join(f"--site {name}" for name in sorted(together))
    why = f"{move.rule} moves from {move.giver} to {move.taker}, and both have to change"
    return f"cannot leave {', '.join(sorted(left))} untouched: {why}. Run `{command}`."


def reached(site: str, givers: Mapping[str, set[str]]) -> set[str]:
    """From whom it takes something, from whom they do, and so on."""
    reached: set[str] = set()
    todo = [site]
    while todo:
        fresh = givers.get(todo.pop(), set()) - reached
        reached |= fresh
        todo += fresh
    return reached


def _move(found: dict[str, Handover], key: Key, taker: str, others: list[str], holders: set[str], observed: Observed) -> None:
    mine = found.get(taker, NOTHING)
    pin = observed.pins.get(taker)
    taken = pin is not None and bool(_rows(pin).get(key))
    if taken:
        found[taker] = replace(mine, shared=others[0])
        for site in others:
            theirs = found.get(site, NOTHING)
            found[site] = replace(theirs, given=theirs.given | {key})
        return
    giver = next((site for site in others if site in holders), "")
    if not giver:  # nobody serves it; the other site's pin is about to go, and gives way until then
        way = {site: yielding(mine.also.get(site, observed.pins[site]), {key}) for site in others}
        found[taker] = replace(mine, takes={**mine.takes, key: others[0]}, waits=others[0], also={**mine.also, **way})
        return
    ready = _holds(observed, giver, key)
    also = {**mine.also, giver: yielding(mine.also.get(giver, observed.pins[giver]), {key})} if ready else mine.also
    waits = mine.waits or ("" if ready else giver)
    found[taker] = replace(mine, takes={**mine.takes, key: giver}, waits=waits, also=also, shared=giver)
    theirs = found.get(giver, NOTHING)
    found[giver] = replace(theirs, promised={**theirs.promised, key: taker})


def yielding(pin: Pin, keys: Iterable[Key]) -> Pin:
    """The pin with these rules one step lower, where another site's pin stands above it."""
    lower = {rule for rule, _ in keys}
    return replace(pin, priorities=tuple((rule, label_priority(rule) if rule in lower else number) for rule, number in pin.priorities))


def without(pin: Pin, keys: Iterable[Key]) -> Pin | None:
    """The pin without these rules; None where none is left."""
    out = set(keys)
    if not out:
        return pin
    plain = tuple(row for row in pin.targets if (row[0], False) not in out)
    secure = tuple(row for row in pin.secure if (row[0], True) not in out)
    rest = {rule for rule, _ in (*plain, *secure)}
    return replace(pin, targets=plain, secure=secure, priorities=tuple(row for row in pin.priorities if row[0] in rest)) if rest else None


def _holds(observed: Observed, site: str, key: Key) -> bool:
    """Traefik follows a pin of that site that has this rule, though it be to nobody: where none of it is ready, nobody can wait for it."""
    pin = observed.pins.get(site)
    return pin is not None and key in _rows(pin) and observed.traefik.pins.get(site) == pin


def _rows(pin: Pin) -> dict[Key, object]:
    return {(rule, tls): targets for rows, tls in ((pin.targets, False), (pin.secure, True)) for rule, targets in rows}
