"""What is not as it should be, and lasts: a release that failed, a site that is held, drift, what waits for a person. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.desired.desired import Desired
from reconciler.planning.describe import SitePlan
from reconciler.planning.plan import RESTART, Plan


@dataclass(frozen=True)
class Condition:
    """`key` names it from one look to the next; another `about` is news of its own. `site` is empty where it concerns all of them.
    `title` is a line, `text` further ones. `grace`: seconds that it may last before anybody must know."""

    key: str
    site: str
    title: str
    text: str = ""
    about: str = ""
    kind: Literal["failure", "warning", "drift"] = "failure"
    grace: float = 0.0

    @property
    def news(self) -> str:
        """What is not said again too soon."""
        return f"{self.key} {self.about}"


def conditions(plan: Plan, desired: Desired) -> Iterator[Condition]:
    """All that there are. Sites that are busy are not in the plan, and so not among them."""
    yield from _waiting(plan, desired)
    for row in plan.host:
        yield Condition(f"drift::{row.container or row.service}:{row.field}", "", f"this host: {row}", kind="drift")
    for name, site in plan.sites.items():
        failed = plan.memory.failed.get(name)
        if failed is not None and failed.release == site.asked:
            first, _, lines = failed.reason.partition("\n")
            yield Condition(
                f"failed:{name}", name, f"{name}: release {failed.release} failed: {first}", lines, f"{failed.release} {failed.at}"
            )
        if site.sync == "held" and name not in plan.held_removals:
            first, _, lines = site.message.partition("\n")
            yield Condition(f"held:{name}", name, f"{name} is held as it runs: {first}", lines, first)
        yield from _drift(name, site)


def _waiting(plan: Plan, desired: Desired) -> Iterator[Condition]:
    """What waits for a person."""
    if plan.held_removals:
        names = sorted(plan.held_removals)
        text = plan.sites[names[0]].message if names[0] in plan.sites else ""
        yield Condition("removals", "", "a removal waits for approval", text, ",".join(names), "warning")
    for notice in desired.notices:
        yield Condition(f"history:{notice}", "", notice, kind="warning")
    yield from _foreign(plan)
    if plan.proxy == "restart needed":
        yield Condition("traefik", "", RESTART, kind="warning")


def _foreign(plan: Plan) -> Iterator[Condition]:
    """By what is claimed: whoever starts a container anew again and again gives it another name each time."""
    found: dict[str, list[str]] = {}
    for claim in plan.foreign:
        found.setdefault(f"foreign:{claim.site}:{claim.kind}:{claim.host or claim.name}", []).append(str(claim))
    for key, (first, *more) in found.items():
        yield Condition(key, "", first, f"and {len(more)} more" if more else "", kind="warning")


def _drift(name: str, site: SitePlan) -> Iterator[Condition]:
    for row in site.drift:
        where = row.container or row.service
        yield Condition(f"drift:{name}:{where}:{row.field}", name, f"{name}: {row}", kind="drift")
