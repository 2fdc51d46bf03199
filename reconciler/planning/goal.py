"""What each site is brought to: what is written, what people asked for instead, or what runs where that cannot be had. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.planning.guard import Removals
from reconciler.planning.intents import ALL, Intents, as_asked
from reconciler.planning.labels import site_from_labels
from reconciler.planning.labels_only import fitting, worth_going_back_to
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed
from reconciler.planning.seen import Names, alive


@dataclass(frozen=True)
class Goal:
    """`site` is what it is brought to, `asked` the release that is wanted; `note` says why these differ, if they do.

    `fallback`: the goal is what ran before, because what is wanted cannot be had. `parked`: nothing is begun; what moves comes to rest.
    """

    site: DesiredSite | None
    asked: str = ""
    note: str = ""
    fallback: bool = False
    held: bool = False
    parked: bool = False


@dataclass(frozen=True)
class Wishes:
    """All that says what should be: the files, what people said, which sites may go, which releases failed."""

    desired: Desired
    intents: Intents
    removals: Removals
    memory: Memory


def choose_goal(name: str, wishes: Wishes, observed: Observed, containers: tuple[Container, ...], names: Names) -> Goal:
    """Suspended before failed before held before removed: each keeps what runs, for its own reason."""
    desired, held = wishes.desired, wishes.desired.held.get(name, "")
    written = desired.sites.get(name)
    wanted = as_asked(written, wishes.intents, containers) if written else None
    failed = wishes.memory.failed.get(name)
    if wanted is not None and not names.pins and (failed is None or failed.release != wanted.release):
        wanted = fitting(wanted, containers, observed.answering, names)
    asked = wanted.release if wanted else ""

    def kept(note: str, rows: tuple[Container, ...] = containers, *, parked: bool = False) -> Goal:
        site = running_site(name, wishes, observed, have_served(name, rows, wishes) or rows, names)
        if site is None and not parked:
            site = last_good(name, wishes, but=failed.release if failed else "")
        if site is not None and not names.pins and not parked:
            site = fitting(site, containers, observed.answering, names, failed.release if failed else "")
        return Goal(site, asked, note, fallback=True, held=bool(held), parked=parked)

    if wishes.intents.is_suspended(name) or (written is not None and written.suspend):
        return kept(_suspended(name, written, wishes.intents), have_served(name, containers, wishes), parked=True)
    if wanted is not None and failed is not None and failed.release == wanted.release:
        others = tuple(c for c in containers if c.release != wanted.release)
        others = others if names.pins else worth_going_back_to(others, wanted, observed.answering)
        why = f"release {failed.release} failed: {failed.reason}"
        return kept("\n".join([*([held] if held else []), why]), others)
    if held:
        return Goal(wanted, asked, held, held=True) if wanted else kept(held)
    if name in wishes.removals.held:
        return replace(kept(wishes.removals.reason), held=True)
    return Goal(wanted, asked, _rolled_back(name, written, wishes.intents))


def have_served(name: str, containers: tuple[Container, ...], wishes: Wishes) -> tuple[Container, ...]:
    """Without releases that took no request yet."""
    unserved = wishes.memory.sites.get(name, SiteMemory()).unserved
    return tuple(c for c in containers if c.release not in unserved)


def last_good(name: str, wishes: Wishes, *, but: str = "") -> DesiredSite | None:
    """What was whole last, where nothing of a site runs any more; `but`: a release that is not to be had."""
    site = wishes.memory.last.get(name)
    return as_filed(site, wishes.desired.sites.get(name)) if site is not None and site.release != but else None


def as_filed(site: DesiredSite, written: DesiredSite | None) -> DesiredSite:
    """With what its file says now of that which makes no other release."""
    return replace(site, timing=written.timing, heal=written.heal) if written is not None else site


def meanwhile(
    name: str, goal: Goal, wishes: Wishes, observed: Observed, containers: tuple[Container, ...], names: Names, *, failed: bool
) -> Goal | None:
    """What the site is kept whole at while its goal cannot be begun: what serves. Where nothing is left of that, and a try to begin has
    `failed`, what was whole last. None where there is neither, or the goal is that already."""
    site = running_site(name, wishes, observed, have_served(name, containers, wishes), names)
    if site is None and failed:
        site = last_good(name, wishes)
    if site is None or goal.site is None or site.release == goal.site.release:
        return None
    return replace(goal, site=site, fallback=True)


def kept_out(goal: Goal, runs: DesiredSite | None, rule: str, owner: str) -> Goal:
    """Held as it `runs`: what it wants to answer to is another site's, which keeps it."""
    note = f"{rule} is served by {owner}, which keeps it. Take it out of one of the two files, or let {owner} go first."
    return replace(goal, site=runs, note=note, fallback=True, held=True)


def kept_for(goal: Goal, runs: DesiredSite | None, rule: str, taker: str) -> Goal:
    """Held as it `runs`: one of its rules is to be another site's, which cannot be had."""
    note = f"{rule} is to be served by {taker}, which does not come up: it is served as before until then."
    return replace(goal, site=runs, note=note, fallback=True, held=True)


def running_site(name: str, wishes: Wishes, observed: Observed, containers: tuple[Container, ...], names: Names) -> DesiredSite | None:
    """The release that serves, as its labels describe it: of several the one with the most ready replicas, else the one that was whole
    last. With the services that it had when it was whole, though nothing of one is left."""
    releases: dict[str, list[Container]] = {}
    for c in containers:
        releases.setdefault(c.release, []).append(c)
    if not releases:
        return None
    pin = observed.pins.get(name)
    pinned = pin.services if pin else frozenset()
    good = last_good(name, wishes)
    last = good.release if good else ""

    def serves(release: str) -> tuple[bool, int, bool, int, str]:
        rows = releases[release]
        whole = f"{names.instance}-{name}-{release}"
        named = any(target == whole or target.startswith(f"{whole}-") for target in pinned)
        return named, sum(c.id in observed.answering for c in rows), release == last, sum(alive(c) for c in rows), release

    site = site_from_labels(name, releases[max(releases, key=serves)])
    site = as_filed(site, wishes.desired.sites.get(name)) if site is not None else None
    if site is None or good is None or site.release != good.release:
        return site
    there = {service.name for service in site.services}
    lost = (service for service in good.services if service.name not in there)
    return replace(site, services=tuple(sorted((*site.services, *lost), key=lambda service: service.name)))


def as_counted(goal: DesiredSite, memory: SiteMemory, whole: Mapping[str, int]) -> DesiredSite:
    """With as many replicas as were aimed at before: what runs may be one less, or one more while a replica is replaced. `whole`: how
    many there were when it was last seen whole."""
    release, counts = memory.counts
    wanted = dict(counts) if release == goal.release else dict(whole)
    return replace(goal, services=tuple(replace(s, replicas=wanted.get(s.name, s.replicas)) for s in goal.services))


def _suspended(name: str, written: DesiredSite | None, intents: Intents) -> str:
    if written is not None and written.suspend:
        return "suspended by its file: it stays as it runs. Take `suspend: true` out to go on."
    return f"suspended: it stays as it runs. `shipstone resume {'--all' if ALL in intents.suspended else name}` goes on."


def _rolled_back(name: str, written: DesiredSite | None, intents: Intents) -> str:
    back = intents.rollbacks.get(name)
    if written is None or back is None or back.content != written.release:
        return ""
    return (
        f"rolled back to {back.to.release}; the repository says {written.release}. "
        f"`shipstone resume {name}` goes forward again, and so does a commit that changes the site."
    )
