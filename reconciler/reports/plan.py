"""What a merge would do, for people who decide on it: as Markdown for a comment. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.desired.desired import Desired
from reconciler.desired.problem import errors
from reconciler.errors import in_one_line
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Remove, Start, Stop, line

What = Literal["created", "replaced", "scaled", "removed", "healed", "held", "waits", "stays", "changed"]
ALONE = "stop-first: "
"""How the reason of a stop begins that comes before the new release is there."""
SHOWN = 5
"""Differences of one site."""
LONG = 60
"""Characters of a value; longer ones are only said to have changed."""
MOST = 60_000
"""Characters of it all: a comment on GitHub takes 65,536."""


@dataclass(frozen=True)
class Change:
    """One site. `lost`: whether requests to it can be lost by it, and why; empty where none is."""

    name: str
    what: What
    detail: str = ""
    lost: str = ""
    steps: tuple[str, ...] = ()


def changes(plan: Plan, desired: Desired) -> tuple[Change, ...]:
    """Of every site to which something would happen, or that something keeps from it."""
    found = (_change(name, site, plan, desired) for name, site in sorted(plan.sites.items()))
    return tuple(change for change in found if change is not None)


def markdown(plan: Plan, desired: Desired, against: str) -> str:
    """`against`: what it is compared with, in words."""
    rows = changes(plan, desired)
    done = [row for row in rows if row.what not in ("held", "waits", "stays")]
    text = "\n".join(
        [
            "### Shipstone: what a merge would do",
            "",
            f"Compared with {against}.",
            "",
            *_table(done, len(desired.sites.keys() - {row.name for row in rows})),
            *_kept(rows),
            *_problems(desired),
            *(f"\n> {_cell(notice)}" for notice in (*desired.notices, *plan.notices)),
            *_steps(done),
        ]
    )
    return text if len(text) <= MOST else f"{text[:MOST].rpartition(chr(10))[0]}\n\n… and more: it is too long for a comment.\n"


def _table(rows: list[Change], rest: int) -> Iterator[str]:
    """`rest`: how many sites stay as they are."""
    if not rows:
        yield "Nothing that runs is changed."
        return
    yield from ("| site | what happens | requests lost |", "|---|---|---|")
    for row in rows:
        lost = f"**possible**: {_cell(row.lost)}" if row.lost else "none"
        yield f"| {code(row.name)} | **{row.what}**{': ' + row.detail if row.detail else ''} | {lost} |"
    yield ""
    others = "" if not rest else " The other site stays as it is." if rest == 1 else f" The other {rest} sites stay as they are."
    yield ("Requests can be lost, see above." if any(row.lost for row in rows) else "No request is lost.") + others


def _kept(rows: tuple[Change, ...]) -> Iterator[str]:
    heads = {"waits": "Waits for `shipstone approve`", "held": "Held as it runs", "stays": "Stays as it runs"}
    for what, head in heads.items():
        if found := [row for row in rows if row.what == what]:
            yield from ("", f"**{head}**")
            yield from (f"- {code(row.name)}: {row.detail}" for row in found)


def _problems(desired: Desired) -> Iterator[str]:
    wrong = errors(desired.problems)
    for head, found in (("Problems", wrong), ("Warnings", [row for row in desired.problems if row not in wrong])):
        if found:
            yield from ("", f"**{head}**")
            yield from (f"- {code(str(problem))}" for problem in found)


def _steps(rows: list[Change]) -> Iterator[str]:
    if any(row.steps for row in rows):
        yield from ("", "<details><summary>Steps</summary>", "", "```")
        yield from (f"{row.name}: {in_one_line(step)}".replace("```", "'''") for row in rows for step in row.steps)
        yield from ("```", "</details>")


def _change(name: str, site: SitePlan, plan: Plan, desired: Desired) -> Change | None:
    first = site.message.splitlines()[0] if site.message else ""
    if name in plan.held_removals:
        return Change(name, "waits", _cell(first))
    if site.sync == "held":
        return Change(name, "held", code(first))
    if not site.steps and not site.differences and site.sync in ("synced", "suspended"):
        return None
    if site.sync == "suspended" or (not site.steps and first):
        return Change(name, "stays", code(first))
    if name not in desired.sites:
        return Change(name, "removed", "its host names answer no more", steps=_lines(site))
    return Change(name, *_how(site), _lost(name, site, plan), _lines(site))


def _how(site: SitePlan) -> tuple[What, str]:
    content = [row for row in site.differences if row.field != "replicas"]
    replicas = [row for row in site.differences if row.field == "replicas"]
    stops = any(isinstance(step, (Stop, Remove)) for step in site.steps)
    if replicas and not content and not stops and all(row.actual == "0" for row in replicas):
        return "created", ", ".join(code(host) for host in site.hosts)
    if any(row.cause == "commit" for row in content):
        return "replaced", _listed([row for row in content if row.cause == "commit"])
    if replicas and not content:
        return "scaled", _listed(replicas)
    return ("healed", _listed(content)) if content else ("changed", "")


def _lost(name: str, site: SitePlan, plan: Plan) -> str:
    alone = next((step.reason for step in site.steps if isinstance(step, Stop) and step.reason.startswith(ALONE)), "")
    if alone:
        return f"the old release stops before the new one is there: {alone.removeprefix(ALONE)}"
    starts = any(isinstance(step, Start) for step in site.steps)
    if plan.guarantee is not None and name in plan.guarantee.unpromised and starts:
        return "Traefik has no file provider here, and the site has no healthcheck"
    return ""


def _listed(rows: list[Difference]) -> str:
    shown = dict.fromkeys(_difference(row) for row in rows)
    more = len(shown) - SHOWN
    return ", ".join(list(shown)[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _difference(row: Difference) -> str:
    where = f"{row.service} {row.field}" if row.service else row.field
    if row.field.startswith("environment.") or max(len(row.actual), len(row.desired)) > LONG:
        return f"{code(where)} changed"
    return f"{code(where)} {code(row.actual or 'none')} → {code(row.desired or 'none')}"


def _lines(site: SitePlan) -> tuple[str, ...]:
    return tuple(line(step) for step in site.steps)


def code(text: str) -> str:
    """A code span that holds any text, also in a table: nothing in it is Markdown, a link or somebody's name."""
    one = in_one_line(text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", one)), default=0) + 1)
    pad = " " if one.startswith("`") or one.endswith("`") else ""
    return f"{fence}{pad}{one or ' '}{pad}{fence}"


def _cell(text: str) -> str:
    return re.sub(r"([|<>@*_\[\]`\\])", r"\\\1", in_one_line(text))
