"""Why a release will not come up, in one line. Pure."""

from dataclasses import replace

from reconciler.desired.desired import DesiredSite
from reconciler.desired.release import release_name
from reconciler.planning.cast import MOMENT, is_whole, youngest
from reconciler.planning.memory import SiteMemory
from reconciler.planning.observed import Container
from reconciler.planning.pinning import serving_now
from reconciler.planning.seen import Cast, Seen, service_names
from reconciler.planning.starts import FREE_TRIES

RESTARTS = 3
"""A container of a new release that was restarted this often, and ended again, is not going to come up."""
REFUSING = 5.0
"""Seconds for which Traefik has to refuse a router: while it starts, a middleware of another of its providers comes a moment later."""
KILLED = 137
"""The exit code of a process that SIGKILL ended."""


def failure(seen: Seen, cast: Cast, memory: SiteMemory) -> str | None:
    """Why the goal's release will not come up, if so. A release of which a replica serves is healed instead, never given up."""
    goal = seen.goal
    if goal is None or seen.fallback or memory.begun != goal.release:
        return None
    others = [c for c in seen.containers if c.release != goal.release and (c.id in seen.ready or cast.alone)]
    mine = [c for c in seen.containers if c.release == goal.release and c.state != "created"]
    if not others and any(c in mine for c in serving_now(seen, memory.unserved)):
        return None
    if goal.release not in memory.unserved and not others:
        return None
    if why := lastingly_refused(seen, goal, memory) or unreached(seen, goal) or unstarted(seen, goal, cast, memory, others, mine):
        return why
    served = seen.pin is not None and any(seen.pin.services & set(service_names(seen, c)) for c in mine)
    served = served or not (seen.names.pins or goal.release in memory.unserved)
    surplus = () if cast.missing else ("exited", "dead")  # what ended in a whole release was stopped, and is only to be removed
    for c in mine:
        if c.state not in surplus and (why := trouble(c, served=served)):
            return why
    since = memory.begun_at if seen.trouble else max(memory.begun_at, memory.tried_at, seen.now - youngest(mine))
    if not (is_whole(seen, cast) and not cast.missing) and seen.now >= since + goal.timing.deadline and mine:
        return f"not ready within {goal.timing.deadline:g} s"
    return None


def unstarted(seen: Seen, goal: DesiredSite, cast: Cast, memory: SiteMemory, others: list[Container], mine: list[Container]) -> str | None:
    """The engine starts none of it, again and again. While nobody serves, because the old one had to stop first, some tries are enough;
    else it has its deadline, for what fails may be the engine."""
    tried = memory.tries >= FREE_TRIES and memory.tried_at >= memory.begun_at
    if not (seen.trouble and others and tried) or mine:
        return None
    over = cast.alone or seen.now >= memory.begun_at + goal.timing.deadline
    return f"it could not be started, {memory.tries} times: {seen.trouble}" if over else None


def trouble(c: Container, *, served: bool) -> str | None:
    """What is wrong with a replica of a release that others could serve for. Once it took requests its first end is one too many."""
    ended = f"exited with {c.exit_code}{_killed(c)}"
    if c.state in ("exited", "dead"):
        return f"{c.name} {ended}"
    if c.state == "restarting" and (served or c.restarts >= RESTARTS):
        return f"{c.name} {ended}" + (f" and was restarted {c.restarts} times" if c.restarts > 1 else "")
    if served and c.restarts and c.up < MOMENT:
        return f"{c.name} ended by itself and was restarted"
    return f"{c.name} is unhealthy" if c.health == "unhealthy" else None


def _killed(c: Container) -> str:
    """The engine hears of a want of memory beside the end itself, and may miss it."""
    if c.oom_killed:
        return ", killed for want of memory"
    limit = (c.live or {}).get("mem_limit")
    return f", killed: {limit / 2**20:g} MiB of memory may be too little" if c.exit_code == KILLED and limit else ""


def unreached(seen: Seen, goal: DesiredSite) -> str | None:
    """What Traefik answered in the place of the goal's release, after the switch."""
    return seen.asked[1] if seen.asked and seen.asked[0] == goal.release else None


def refused(seen: Seen, goal: DesiredSite) -> str | None:
    """What Traefik says of a router of the goal's release that it does not take."""
    start = f"{release_name(seen.names.instance, seen.site, goal.release)}-"
    rows = sorted((name, why) for name, why in seen.traefik.refused.items() if name.startswith(start) and name.endswith("@docker"))
    return f"Traefik refuses its router: {rows[0][1]}" if rows else None


def lastingly_refused(seen: Seen, goal: DesiredSite, memory: SiteMemory) -> str | None:
    """What it has said for so long that it will not take it later either."""
    return refused(seen, goal) if memory.refused_at is not None and not unsure(seen, memory) else None


def unsure(seen: Seen, memory: SiteMemory) -> bool:
    """It refuses a router of the goal's release, and may take it in a moment."""
    return memory.refused_at is not None and seen.now < memory.refused_at + REFUSING


def remember_refusal(seen: Seen, memory: SiteMemory) -> SiteMemory:
    """Since when a router of the goal's release is refused, if one is."""
    now = bool(seen.goal and refused(seen, seen.goal))
    if now == (memory.refused_at is not None):
        return memory
    return replace(memory, refused_at=seen.now if now else None)
