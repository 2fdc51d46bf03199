"""One site's part of a plan: its goal and what is seen of it become its steps, and how it stands. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.desired.desired import DesiredSite
from reconciler.planning import labels_only
from reconciler.planning.actions import ill_in, is_ill
from reconciler.planning.describe import SitePlan, describe, sync_of
from reconciler.planning.diff import Difference
from reconciler.planning.drift import drifted
from reconciler.planning.goal import Goal, Wishes, as_counted, meanwhile
from reconciler.planning.handover import NOTHING, Handover
from reconciler.planning.memory import Memory, SiteMemory
from reconciler.planning.observed import Container, Observed
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Motion, Names, Seen
from reconciler.planning.steps import Pull


@dataclass(frozen=True)
class Scene:
    """All that is known when sites are planned. `rows`: their containers; `goals`: what each is brought to; `moves`: those whose routes
    change hands."""

    wishes: Wishes
    observed: Observed
    rows: Mapping[str, tuple[Container, ...]] = field(hash=False)
    names: Names
    now: float
    goals: Mapping[str, Goal] = field(hash=False)
    moves: Mapping[str, Handover] = field(hash=False)
    pulling: frozenset[str] = frozenset()


def planned(name: str, scene: Scene) -> tuple[SitePlan | None, SiteMemory]:
    """Its steps and what to remember; None where there is nothing to say of it. While its images are pulled, or another site has to end
    first, it is kept whole."""
    plan, after = _site(name, scene.goals[name], scene, scene.moves.get(name, NOTHING))
    if plan is None:
        return None, after
    pulls = tuple(step for step in plan.steps if isinstance(step, Pull))
    failed = scene.wishes.memory.troubles.get(name, ("", ""))[0] == plan.asked
    if (pulls or scene.moves.get(name, NOTHING).apart) and (kept := kept_whole(name, scene, failed=failed)):
        plan, after = replace(kept[0], steps=(*pulls, *kept[0].steps)), kept[1]
    elif pulls:
        plan = replace(plan, look_at=None)  # the end of the pull wakes
    return _troubled(plan, scene.wishes.memory), after


def kept_whole(name: str, scene: Scene, *, failed: bool) -> tuple[SitePlan, SiteMemory] | None:
    """What there is to do to keep what serves whole, while its site's goal cannot be begun. Without pins, and while routes change hands,
    it is left as it runs."""
    if not scene.names.pins or scene.moves.get(name, NOTHING).moving:
        return None
    goal = meanwhile(name, scene.goals[name], scene.wishes, scene.observed, scene.rows[name], scene.names, failed=failed)
    plan, after = _site(name, goal, scene, NOTHING) if goal else (None, SiteMemory())
    return (plan, after) if plan is not None and plan.steps else None


def _site(name: str, chosen: Goal, scene: Scene, handover: Handover) -> tuple[SitePlan | None, SiteMemory]:
    wishes, observed, containers, names = scene.wishes, scene.observed, scene.rows[name], scene.names
    before = wishes.memory.sites.get(name, SiteMemory())
    if (written := wishes.desired.sites.get(name)) is not None and before.drain != written.timing.drain:
        before = replace(before, drain=written.timing.drain)
    goal = chosen.site
    if goal is not None:
        whole = wishes.memory.whole.get((name, goal.release), {})
        goal = as_counted(goal, before, whole) if chosen.fallback else goal
        counts = goal.release, tuple((service.name, service.replicas) for service in goal.services)
        before = before if before.counts == counts else replace(before, counts=counts)
        chosen = chosen if chosen.site is goal else replace(chosen, site=goal)
    if goal is None and not containers and name not in observed.pins:
        if not chosen.note:
            return None, SiteMemory()
        sync = sync_of(chosen, settled=False)
        return SitePlan(name, sync, "missing", "", "", (), 0, 0, message=chosen.note, asked=chosen.asked), before
    heal = goal.heal if goal else True
    drift = tuple(row for c in containers for row in drifted(c, names))
    wrong = _wrong(containers, goal, drift, before.unserved) if heal else {}
    release, trouble = wishes.memory.troubles.get(name, ("", ""))
    images, lost = _images(name, goal, containers, wishes.memory)
    seen = Seen(
        name,
        goal,
        containers,
        observed.pins.get(name),
        observed.traefik,
        observed.answering,
        wrong,
        images,
        names,
        scene.now,
        chosen.note.split("\n")[0] or "removed from the desired state",
        handover,
        asked=wishes.memory.asked.get(name),
        trouble=trouble if goal is not None and release == goal.release else "",
        fallback=chosen.fallback,
        lost=lost,
    )
    at_rest = seen.pin is None and not before.pinned
    plan_motion = plan_site if names.pins else labels_only.plan_site
    motion = Motion(memory=before) if chosen.parked and at_rest else plan_motion(seen, before)
    if not motion.steps and heal and not chosen.parked:
        times = [scene.now + left for c in containers if (left := ill_in(c, goal)) is not None and left > 0]
        motion = replace(motion, look_at=min(times)) if times else motion
    known = wishes.memory.whole.get((name, goal.release)) if goal else None
    return describe(written, chosen, seen, motion, drift, known), motion.memory


def _wrong(
    containers: tuple[Container, ...], goal: DesiredSite | None, drift: tuple[Difference, ...], unserved: frozenset[str]
) -> dict[str, str]:
    """Ids of containers that are to be replaced, and why. A release that never served fails instead."""
    wrong = {c.id: str(row) for c in containers for row in drift if row.container == c.name}
    wrong |= {c.id: f"{c.name} is {c.state}" for c in containers if c.state == "paused"}
    return wrong | {c.id: f"{c.name} is unhealthy" for c in containers if is_ill(c, goal) and c.release not in unserved}


def _troubled(site: SitePlan, memory: Memory) -> SitePlan:
    """Why it does not get on is said in place of what it waits for."""
    release, why = memory.troubles.get(site.name, ("", ""))
    return replace(site, message=why) if why and site.steps and release in (site.asked, site.release) else site


def _images(
    name: str, goal: DesiredSite | None, containers: tuple[Container, ...], memory: Memory
) -> tuple[dict[str, str], dict[str, str]]:
    """Image as written → what this release runs: fixed by its running replicas, else by what was resolved for it. And of those that were
    not here any more, as after `docker image prune`, what is to be pulled first: the very same."""
    if goal is None:
        return {}, {}
    alone = all(c.release == goal.release for c in containers)
    fixed = dict(memory.digests.get((name, goal.release), {})) if alone else {}
    fixed |= {image: digest for (release, image), digest in memory.images.get(name, {}).items() if release == goal.release}
    fixed |= {service.spec.image: service.digest for service in goal.services if service.digest}
    specs = {service.name: service.spec for service in goal.services}
    for c in containers:
        digest = c.labels.get("shipstone.digest")
        if c.release == goal.release and c.service in specs and digest:
            fixed[specs[c.service].image] = digest
    if memory.lost.get(name) != goal.release:
        return fixed, {}
    here = {digest for (release, _), digest in memory.images.get(name, {}).items() if release == goal.release}
    lost = {image: digest for image, digest in fixed.items() if "@" in digest and digest not in here}
    return {image: digest for image, digest in fixed.items() if image not in lost}, lost
