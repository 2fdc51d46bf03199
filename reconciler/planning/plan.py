"""make_plan: desired and observed in, steps per site out. Pure; the story's heart."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.desired.desired import Desired
from reconciler.planning.actions import around
from reconciler.planning.apart import kept_apart
from reconciler.planning.capacity import RETRY, Room, find_room
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.foreign import Claim, claims
from reconciler.planning.goal import Goal, Wishes, choose_goal, have_served, kept_for, kept_out, last_good, running_site
from reconciler.planning.guarantee import MEND, Guarantee, guarantee
from reconciler.planning.guard import Guard, removals
from reconciler.planning.handover import Handover, Key, Move, awaited, handovers, intruders, keys_of, moves_of, owners, served, wanted
from reconciler.planning.intents import Intents
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed, ProxyState
from reconciler.planning.one_site import Scene, kept_whole, planned
from reconciler.planning.seen import Names
from reconciler.planning.steps import SetPin, Wait, due, line

RESTART = (
    "restart needed: Traefik runs with an older traefik.toml. When it suits: `shipstone traefik-restart`, or restart your own Traefik."
)


@dataclass(frozen=True)
class Plan:
    """`sites` by name, without those that are `busy`; `look_at`: when to plan again at the latest (monotonic seconds).

    `foreign`: who else claims a host name of ours; `proxy`: how Traefik itself stands.
    """

    sites: Mapping[str, SitePlan] = field(hash=False)
    memory: Memory
    network: bool
    look_at: float | None = None
    foreign: tuple[Claim, ...] = ()
    proxy: ProxyState = "running"
    busy: frozenset[str] = frozenset()
    held_removals: frozenset[str] = frozenset()
    """Sites whose removal waits until a person approves it."""
    guarantee: Guarantee | None = None
    """Where Traefik has no file provider: for whom a deploy loses no request all the same."""
    moves: tuple[Move, ...] = ()
    """Rules that change hands between sites."""
    host: tuple[Difference, ...] = ()
    """What differs and is no site's: the network, generated files."""

    @property
    def quiet(self) -> bool:
        """Nothing is left to do, nothing is waited for, and nothing was under way when it was looked at."""
        return self.network and not self.proxy_down and not self.busy and not any(site.steps for site in self.sites.values())

    @property
    def proxy_down(self) -> bool:
        """A Traefik that is ours to start does not run."""
        return self.proxy in ("missing", "stopped")

    @property
    def drift(self) -> tuple[tuple[str, Difference], ...]:
        """What hands changed: first what is no site's, under an empty name, then site by site, then what others claim of sites."""
        of_sites = ((name, row) for name, site in self.sites.items() for row in site.drift)
        return (*(("", row) for row in self.host), *of_sites, *((claim.site, claim.difference) for claim in self.foreign))

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know and Shipstone will not change by itself."""
        restart = (RESTART,) if self.proxy == "restart needed" else ()
        promise = (f"{self.guarantee} {MEND}",) if self.guarantee else ()
        return (*restart, *promise, *(str(claim) for claim in self.foreign))

    def __str__(self) -> str:
        rows = [f"{name}: {line(step)}" for name, site in sorted(self.sites.items()) for step in site.steps]
        return "\n".join(rows if self.network else ["network: missing, is made first", *rows])


def make_plan(
    desired: Desired,
    observed: Observed,
    memory: Memory,
    now: float,
    names: Names,
    *,
    intents: Intents | None = None,
    guard: Guard | None = None,
    busy: frozenset[str] = frozenset(),
    pulling: frozenset[str] = frozenset(),
) -> Plan:
    """Steps per site, for every site that is desired, runs or is pinned, except those whose steps are being done (`busy`). `pulling`: whose
    images are being pulled, because there was room."""
    by_site: dict[str, list[Container]] = {}
    for container in observed.containers:
        by_site.setdefault(container.site, []).append(container)
    intents = intents or Intents()
    known = desired.sites.keys() | desired.held.keys()
    leaving = by_site.keys() - known
    unread = (desired.held.keys() - desired.sites.keys() - by_site.keys()) | desired.misnamed
    total = len(by_site.keys() | known)
    gone = removals(leaving, total, guard or Guard(), approved=intents.approved, going=memory.going, unread=unread)
    wishes = Wishes(desired, intents, gone, memory)
    every = sorted(known | by_site.keys() | observed.pins.keys() | memory.failed.keys())
    rows = {name: tuple(sorted(by_site.get(name, ()), key=lambda c: (c.release, c.service, c.replica))) for name in every}
    goals, moves = _goals(wishes, observed, rows, names)
    scene = Scene(wishes, observed, rows, names, now, goals, moves, pulling)
    sites: dict[str, SitePlan] = {}
    remembered = dict(memory.sites)
    for name in every:
        if name in busy:
            continue
        plan, remembered[name] = planned(name, scene)
        if plan is not None:
            sites[name] = plan
    room = _fit(sites, remembered, scene, busy)
    sites = _one_at_a_time(sites, busy)
    times = [plan.look_at for plan in sites.values() if plan.look_at is not None]
    domain = desired.domain if names.own_traefik else ""
    foreign = claims(observed.foreign, _hosts(desired, sites), names.instance, observed.containers, domain) if observed.foreign else ()
    images = {name: rows for name, rows in memory.images.items() if name in busy or (name in sites and sites[name].steps)}
    asked = {name: row for name, row in memory.asked.items() if name in busy or (name in sites and sites[name].steps)}
    after = replace(memory, sites=remembered, images=images, asked=asked, going=gone.going, starting=room.needs)
    promise = None if names.pins else guarantee(desired.sites.values(), observed.containers)
    host = around(observed, names)
    return Plan(
        sites, after, observed.network, min(times, default=None), foreign, observed.proxy, busy, gone.held, promise, moves_of(moves), host
    )


def _goals(
    wishes: Wishes, observed: Observed, rows: Mapping[str, tuple[Container, ...]], names: Names
) -> tuple[dict[str, Goal], Mapping[str, Handover]]:
    """What each site is brought to, where no route is given to two; and the routes that change hands on the way. `rows`: by site, also
    of those of which nothing runs."""
    goals = {name: choose_goal(name, wishes, observed, containers, names) for name, containers in rows.items()}
    holders = served(rows)
    for (rule, _), (name, other) in awaited(wishes.desired.sites.values(), holders, _takers(goals)).items():
        goals[name] = kept_for(goals[name], running_site(name, wishes, observed, rows[name], names), rule, other)
    takers = _takers(goals)
    owner = owners(holders, takers, observed.pins)
    for name, (rule, other) in intruders(takers, owner).items():
        runs = running_site(name, wishes, observed, have_served(name, rows[name], wishes), names)
        if runs is None and (last := last_good(name, wishes)) and all(owner.get(key, name) == name for key in keys_of(last.route)):
            runs = last
        goals[name] = kept_out(goals[name], runs, rule, other)
    moves = handovers(holders, owner, observed)
    return goals, kept_apart(moves, {name: goal.site for name, goal in goals.items()}, rows)


def _takers(goals: Mapping[str, Goal]) -> dict[Key, set[str]]:
    return wanted({name: goal.site for name, goal in goals.items()})


def _fit(sites: dict[str, SitePlan], remembered: dict[str, SiteMemory], scene: Scene, busy: frozenset[str]) -> Room:
    """Sites that the host cannot take are only kept whole, and wait."""
    room = _find_room(sites, scene, busy)
    if kept := {name: found for name in room.waits if (found := kept_whole(name, scene, failed=True))}:
        for name, found in kept.items():
            sites[name], remembered[name] = found
        room = _find_room(sites, scene, busy)
    for name, why in room.waits.items():
        sites[name] = replace(sites[name], steps=(Wait("room", why),), message=why, look_at=scene.now + RETRY)
        remembered[name] = scene.wishes.memory.sites.get(name, SiteMemory())
    return room


def _find_room(sites: Mapping[str, SitePlan], scene: Scene, busy: frozenset[str]) -> Room:
    observed, memory, names = scene.observed, scene.wishes.memory, scene.names
    steps = {name: site.steps for name, site in sites.items()}
    promised = {name: need for name, need in memory.starting.items() if name in busy}
    known = {(c.site, c.release) for c in observed.containers} | {(name, site.served) for name, site in memory.sites.items()}
    return find_room(steps, observed.pins.keys() | scene.pulling, known, observed.capacity, promised, names.network)


def _hosts(desired: Desired, sites: Mapping[str, SitePlan]) -> dict[str, str]:
    """Host name → site: what is written, and what runs."""
    runs = {host: name for name, site in sites.items() for host in site.hosts}
    return runs | {host: site.name for site in desired.sites.values() for host in site.route.hosts}


def _one_at_a_time(sites: Mapping[str, SitePlan], busy: frozenset[str]) -> dict[str, SitePlan]:
    """A step that changes another site's pin too is done while nothing else is done to that site. Of sites that would change each
    other's, or the same one's, the first goes ahead."""
    found, ahead = dict(sites), set(busy)
    for name in sites:
        others = {other for step in due(found[name].steps) if isinstance(step, SetPin) for other, _ in step.also}
        waiting = {name} if others & ahead else others
        if others and not others & ahead:
            ahead |= {name} | others
        for one in waiting & found.keys():
            found[one] = replace(found[one], steps=(Wait(name, "while a route changes hands"), *found[one].steps))
    return found
