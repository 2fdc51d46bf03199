"""What of a revision has come to rest, and what it changes. Pure."""

from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.release import content_of
from reconciler.planning.describe import SitePlan
from reconciler.planning.plan import Plan


def moving(plan: Plan) -> frozenset[str]:
    """Sites for which there is something left to do, or that are worked on."""
    return plan.busy | {name for name, site in plan.sites.items() if site.steps}


def behind(plan: Plan) -> frozenset[str]:
    """Sites that are not yet, or cannot be, as the revision says. A suspended site is as a person says."""
    return moving(plan) | {name for name, site in plan.sites.items() if site.sync != "suspended" and _behind(site)}


def unfinished(plan: Plan, desired: Desired) -> frozenset[str]:
    """Of those the ones that are so by nobody's word: a site that was rolled back, and has come to rest, is as a person says, too."""
    return moving(plan) | {name for name in behind(plan) if not (name in plan.sites and _rolled_back(plan.sites[name], desired))}


def changed(before: Desired, after: Desired) -> frozenset[str]:
    """Sites of which the later revision says something else: other content, held or no longer held, new or gone."""
    names = before.sites.keys() | before.held.keys() | after.sites.keys() | after.held.keys()
    return frozenset(name for name in names if _said(before, name) != _said(after, name))


def by_commit(plan: Plan) -> frozenset[str]:
    """Sites that a commit wants otherwise than they run."""
    return frozenset(name for name, site in plan.sites.items() if any(row.cause == "commit" for row in site.differences))


def _behind(site: SitePlan) -> bool:
    return site.sync == "held" or any(row.cause == "commit" for row in site.differences)


def _rolled_back(site: SitePlan, desired: Desired) -> bool:
    written = desired.sites.get(site.name)
    if written is None or site.sync == "held" or site.asked != site.release:
        return False
    return content_of(site.asked)[0] != content_of(written.release)[0]


def _said(desired: Desired, name: str) -> tuple[DesiredSite | None, str]:
    """Without the commit: it is another one for every site of every revision."""
    site = desired.sites.get(name)
    return replace(site, commit="") if site else None, desired.held.get(name, "")
