"""What of a revision has come to rest, and what it changes. Pure."""

from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.planning.describe import SitePlan
from reconciler.planning.plan import Plan


def moving(plan: Plan) -> frozenset[str]:
    """Sites for which there is something left to do, or that are worked on."""
    return plan.busy | {name for name, site in plan.sites.items() if site.steps}


def behind(plan: Plan) -> frozenset[str]:
    """Sites that are not yet, or cannot be, as the revision says. A suspended site is as a person says."""
    return moving(plan) | {name for name, site in plan.sites.items() if site.sync != "suspended" and _behind(site)}


def changed(before: Desired, after: Desired) -> frozenset[str]:
    """Sites of which the later revision says something else: other content, held or no longer held, new or gone."""
    names = before.sites.keys() | before.held.keys() | after.sites.keys() | after.held.keys()
    return frozenset(name for name in names if _said(before, name) != _said(after, name))


def by_commit(plan: Plan) -> frozenset[str]:
    """Sites that a commit wants otherwise than they run."""
    return frozenset(name for name, site in plan.sites.items() if any(row.cause == "commit" for row in site.differences))


def _behind(site: SitePlan) -> bool:
    return site.sync == "held" or any(row.cause == "commit" for row in site.differences)


def _said(desired: Desired, name: str) -> tuple[DesiredSite | None, str]:
    """Without the commit: it is another one for every site of every revision."""
    site = desired.sites.get(name)
    return replace(site, commit="") if site else None, desired.held.get(name, "")
