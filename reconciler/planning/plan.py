"""make_plan: desired and observed in, steps per site out. Pure; the story's heart."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.planning.diff import Difference, committed, counted, drifted
from reconciler.planning.foreign import Claim, claims
from reconciler.planning.labels import site_from_labels
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed, ProxyState
from reconciler.planning.rollout import Motion, Names, Seen, alive, plan_site
from reconciler.planning.steps import Step, line

Sync = Literal["synced", "out-of-sync", "held"]
Health = Literal["healthy", "progressing", "degraded", "missing"]


RESTART = (
    "restart needed: Traefik runs with an older traefik.toml. When it suits: `shipstone traefik-restart`, or restart your own Traefik."
)


@dataclass(frozen=True)
class SitePlan:
    """What is to be done for one site, and how it stands. `ready` and `wanted` count replicas; `look_at` is monotonic seconds."""

    name: str
    sync: Sync
    health: Health
    release: str
    commit: str
    hosts: tuple[str, ...]
    ready: int
    wanted: int
    steps: tuple[Step, ...] = ()
    differences: tuple[Difference, ...] = ()
    message: str = ""
    look_at: float | None = None


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

    @property
    def quiet(self) -> bool:
        """Nothing is left to do, nothing is waited for, and nothing was under way when it was looked at."""
        return self.network and not self.busy and not any(site.steps for site in self.sites.values())

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know and Shipstone will not change by itself."""
        restart = (RESTART,) if self.proxy == "restart needed" else ()
        return (*restart, *(str(claim) for claim in self.foreign))

    def __str__(self) -> str:
        rows = [f"{name}: {line(step)}" for name, site in sorted(self.sites.items()) for step in site.steps]
        return "\n".join(rows if self.network else ["network: missing, is made first", *rows])


def make_plan(
    desired: Desired, observed: Observed, memory: Memory, now: float, names: Names, *, busy: frozenset[str] = frozenset()
) -> Plan:
    """Steps per site, for every site that is desired, runs or is pinned, except those whose steps are being done (`busy`)."""
    by_site: dict[str, list[Container]] = {}
    for container in observed.containers:
        by_site.setdefault(container.site, []).append(container)
    every = desired.sites.keys() | desired.held.keys() | by_site.keys() | observed.pins.keys() | memory.failed.keys()
    sites: dict[str, SitePlan] = {}
    remembered = dict(memory.sites)
    for name in sorted(every - busy):
        containers = tuple(sorted(by_site.get(name, ()), key=lambda c: (c.release, c.service, c.replica)))
        plan, remembered[name] = _site(name, desired, observed, memory, containers, names, now)
        if plan is not None:
            sites[name] = plan
    times = [plan.look_at for plan in sites.values() if plan.look_at is not None]
    foreign = claims(observed.foreign, _hosts(desired, sites)) if observed.foreign else ()
    images = {name: rows for name, rows in memory.images.items() if name in busy or (name in sites and sites[name].steps)}
    after = replace(memory, sites=remembered, images=images)
    return Plan(sites, after, observed.network, min(times, default=None), foreign, observed.proxy, busy)


def _hosts(desired: Desired, sites: Mapping[str, SitePlan]) -> dict[str, str]:
    """Host name → site: what is written, and what runs."""
    runs = {host: name for name, site in sites.items() for host in site.hosts}
    return runs | {host: site.name for site in desired.sites.values() for host in site.route.hosts}


def _site(
    name: str, desired: Desired, observed: Observed, memory: Memory, containers: tuple[Container, ...], names: Names, now: float
) -> tuple[SitePlan | None, SiteMemory]:
    wanted = desired.sites.get(name)
    goal, note = choose_goal(name, desired, observed, memory, containers, names)
    before = memory.sites.get(name, SiteMemory())
    if goal is not None:
        goal = goal if goal is wanted else as_counted(goal, before)
        counts = goal.release, tuple((service.name, service.replicas) for service in goal.services)
        before = before if before.counts == counts else replace(before, counts=counts)
    if goal is None and not containers and name not in observed.pins:
        if name not in desired.held:
            return None, SiteMemory()
        return SitePlan(name, "held", "missing", "", "", (), 0, 0, message=note), before
    heal = goal.heal if goal else True
    drift = tuple(row for c in containers for row in drifted(c, names.instance))
    wrong = {c.id: str(row) for c in containers for row in drift if row.container == c.name and heal}
    wrong |= {c.id: f"{c.name} is {c.state}" for c in containers if c.state == "paused" and heal}
    seen = Seen(
        name,
        goal,
        containers,
        observed.pins.get(name),
        observed.traefik,
        observed.answering,
        wrong,
        _images(name, goal, containers, memory),
        names,
        now,
        note.split("\n")[0] or "removed from the desired state",
        fallback=goal is not wanted,
    )
    motion = Motion(memory=before) if name in desired.held and goal is None else plan_site(seen, before)
    return _describe(name, wanted, goal, seen, motion, note, drift, held=name in desired.held), motion.memory


FirstSeen = Mapping[tuple[str, str, str, str, str, str], str]
"""When a difference was first seen (ISO 8601), by (site, service, container, field, desired, actual)."""


def first_seen(plan: Plan, before: FirstSeen, now: str) -> dict[tuple[str, str, str, str, str, str], str]:
    """Brought up to date: what is new since `now`, what is gone left out, what belongs to a busy site kept."""
    kept = {key: since for key, since in before.items() if key[0] not in plan.sites}
    rows = (_key(name, row) for name, site in plan.sites.items() for row in site.differences)
    return kept | {key: before.get(key, now) for key in rows}


def dated(plan: Plan, seen: FirstSeen) -> Plan:
    """The plan with the time at which each difference was first seen, where that is known."""
    sites = {
        name: replace(site, differences=tuple(replace(row, since=seen.get(_key(name, row), "")) for row in site.differences))
        if site.differences
        else site
        for name, site in plan.sites.items()
    }
    return replace(plan, sites=sites)


def _key(site: str, row: Difference) -> tuple[str, str, str, str, str, str]:
    return site, row.service, row.container, row.field, row.desired, row.actual


def choose_goal(
    name: str, desired: Desired, observed: Observed, memory: Memory, containers: tuple[Container, ...], names: Names
) -> tuple[DesiredSite | None, str]:
    """What the site is brought to, and why that is not what is written, if so."""
    wanted = desired.sites.get(name)
    failed = memory.failed.get(name)
    if wanted is not None and failed is not None and failed.release == wanted.release:
        others = tuple(c for c in containers if c.release != wanted.release)
        why = f"release {failed.release} failed: {failed.reason}"
        return running_site(name, observed, others, names), "\n".join([*([desired.held[name]] if name in desired.held else []), why])
    if name in desired.held:
        return wanted or running_site(name, observed, containers, names), desired.held[name]
    if wanted is None and not desired.sites and not desired.held:
        return running_site(name, observed, containers, names), "the desired state has no sites at all: nothing is removed"
    return wanted, ""


def running_site(name: str, observed: Observed, containers: tuple[Container, ...], names: Names) -> DesiredSite | None:
    """The release that serves: of several the one with the most ready replicas, as its labels describe it."""
    releases: dict[str, list[Container]] = {}
    for c in containers:
        releases.setdefault(c.release, []).append(c)
    if not releases:
        return None
    pin = observed.pins.get(name)
    pinned = pin.services if pin else frozenset()

    def serves(release: str) -> tuple[bool, int, int, str]:
        rows = releases[release]
        named = any(target.startswith(f"{names.instance}-{name}-{release}") for target in pinned)
        return named, sum(c.id in observed.answering for c in rows), sum(alive(c) for c in rows), release

    return site_from_labels(name, releases[max(releases, key=serves)])


def as_counted(goal: DesiredSite, memory: SiteMemory) -> DesiredSite:
    """With as many replicas as were aimed at before: what runs may be one less, or one more while a replica is replaced."""
    release, counts = memory.counts
    if release != goal.release:
        return goal
    wanted = dict(counts)
    return replace(goal, services=tuple(replace(s, replicas=wanted.get(s.name, s.replicas)) for s in goal.services))


def _images(name: str, goal: DesiredSite | None, containers: tuple[Container, ...], memory: Memory) -> dict[str, str]:
    """Image as written → what this release runs: fixed by its running replicas, else by what was resolved for it."""
    if goal is None:
        return {}
    fixed = {image: digest for (release, image), digest in memory.images.get(name, {}).items() if release == goal.release}
    specs = {service.name: service.spec for service in goal.services}
    for c in containers:
        digest = c.labels.get("shipstone.digest")
        if c.release == goal.release and c.service in specs and digest:
            fixed[specs[c.service].image] = digest
    return fixed


def _describe(
    name: str,
    wanted: DesiredSite | None,
    goal: DesiredSite | None,
    seen: Seen,
    motion: Motion,
    note: str,
    drift: tuple[Difference, ...],
    *,
    held: bool,
) -> SitePlan:
    running = running_site_of(seen)
    rows = list(drift)
    if wanted is not None and not held:
        rows = [*committed(wanted, running), *rows]
    if goal is not None and running is not None:
        rows += counted(goal, seen.containers) if running.release == goal.release else ()
    if wanted is None and not held and seen.containers and goal is None:
        rows += [Difference(service, "", "service", "", "present", "commit") for service in sorted({c.service for c in seen.containers})]
    total = sum(service.replicas for service in goal.services) if goal else 0
    mine = [c for c in seen.containers if goal is not None and c.release == goal.release]
    ready = sum(c.id in seen.ready for c in mine)
    settled = not motion.steps and not rows
    sync: Sync = "held" if held else "synced" if settled and not note else "out-of-sync"
    health: Health = (
        "healthy" if ready >= total and not motion.steps else "progressing" if motion.steps else "degraded" if ready else "missing"
    )
    commit = max((c.labels.get("shipstone.commit", "") for c in mine), default="")
    hosts = goal.route.hosts if goal else ()
    message = note or (motion.message if motion.steps else "")
    release = goal.release if goal else ""
    return SitePlan(name, sync, health, release, commit, hosts, ready, total, motion.steps, tuple(rows), message, motion.look_at)


def running_site_of(seen: Seen) -> DesiredSite | None:
    """The release whose replicas run, the desired one first."""
    for release in dict.fromkeys([seen.goal.release if seen.goal else "", *(c.release for c in seen.containers)]):
        rows = [c for c in seen.containers if c.release == release]
        if rows and (seen.goal is None or release != seen.goal.release or any(alive(c) for c in rows)):
            return site_from_labels(seen.site, rows)
    return None
