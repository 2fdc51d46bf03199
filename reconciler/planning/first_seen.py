"""Since when each difference is there. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from reconciler.planning.diff import Difference, DifferenceKey
from reconciler.planning.plan import Plan

FirstSeen = Mapping[DifferenceKey, str]
"""When a difference was first seen (ISO 8601)."""


def first_seen(plan: Plan, before: FirstSeen, now: str) -> dict[DifferenceKey, str]:
    """Brought up to date: what is new since `now`, what is gone left out, what belongs to a busy site kept."""
    kept = {key: since for key, since in before.items() if key[0] in plan.busy}
    rows = [row.key(name) for name, site in plan.sites.items() for row in site.differences]
    others = [*(row.key("") for row in plan.host), *(claim.difference.key(claim.site) for claim in plan.foreign)]
    return kept | {key: before.get(key, now) for key in (*rows, *others)}


def dated(plan: Plan, seen: FirstSeen) -> Plan:
    """The plan with the time at which each difference was first seen, where that is known."""

    def known(name: str, rows: tuple[Difference, ...]) -> tuple[Difference, ...]:
        return tuple(replace(row, since=seen.get(row.key(name), "")) for row in rows)

    sites = {
        name: replace(site, differences=known(name, site.differences)) if site.differences else site for name, site in plan.sites.items()
    }
    foreign = tuple(replace(claim, since=seen.get(claim.difference.key(claim.site), "")) for claim in plan.foreign)
    return replace(plan, sites=sites, host=known("", plan.host), foreign=foreign)
