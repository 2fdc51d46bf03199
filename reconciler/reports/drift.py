"""What a hand changed, for people: as text, as Markdown for a message, and as one HTML page that needs nothing else."""

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.desired.desired import Desired
from reconciler.errors import in_one_line
from reconciler.planning.diff import Difference
from reconciler.planning.plan import Plan
from reconciler.reports.findings import notices

BYTES = ("mem_limit", "memswap_limit", "mem_reservation")
HOST = "this host"
"""Instead of a site, where a difference is no site's."""
SUMMED = 20
"""Differences that a summary names one by one."""


@dataclass(frozen=True)
class Row:
    """One difference as it is shown: `where` is a container, a service or a file; `since` and `age` for people; `action` what is done."""

    site: str
    where: str
    field: str
    desired: str
    actual: str
    since: str
    age: str
    action: str


@dataclass(frozen=True)
class DriftReport:
    """`revision` is shortened, `at` the time for people; `notices` and `problems` are sentences."""

    revision: str
    at: str
    rows: tuple[Row, ...]
    notices: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def title(self) -> str:
        if not self.rows:
            return "no drift"
        sites = len({row.site for row in self.rows} - {HOST})
        what = "1 difference" if len(self.rows) == 1 else f"{len(self.rows)} differences"
        return what + (f" on {sites} site{'s' * (sites != 1)}" if sites else " on this host")

    @property
    def said(self) -> tuple[str, ...]:
        """What is to be said besides the differences."""
        return (*self.notices, *self.problems)


def drift_report(plan: Plan, desired: Desired, now: float) -> DriftReport:
    """`now` in seconds since 1970."""
    wall = dt.datetime.fromtimestamp(now, dt.UTC)
    rows = [_row(name or HOST, difference, wall) for name, difference in plan.drift]
    claims = [str(claim) for claim in plan.foreign]  # they are among the rows
    others = tuple(notice for notice in notices(plan, desired) if notice not in claims)
    said = [tuple(in_one_line(text) for text in texts) for texts in (others, map(str, desired.problems))]
    return DriftReport(desired.revision[:12], f"{wall:%Y-%m-%d %H:%M} UTC", tuple(rows), *said)


def drift_summary(plan: Plan, desired: Desired) -> str:
    """A few lines of Markdown for a message: how the sites stand, what hands changed, and what is done about it."""
    now = dt.datetime.now(dt.UTC).timestamp()
    report = drift_report(plan, desired, now)
    lines = [_standing(plan), "", f"**{report.title}** at `{report.revision}`"]
    lines += [f"- {_escaped(f'{row.site}: {row.where} {_says(row)}')}{_also(row)}" for row in report.rows[:SUMMED]]
    lines += [f"- and {len(report.rows) - SUMMED} more"] if len(report.rows) > SUMMED else []
    return "\n".join([*lines, *(f"- {_escaped(text)}" for text in report.said)])


def as_text(report: DriftReport) -> list[str]:
    """Lines: for each container its fields, one below the other."""
    if not report.rows:
        return list(report.said) or ["no drift"]
    lines = [f"{report.title} at {report.revision}", ""]
    field = max(len(row.field) for row in report.rows)
    says = min(60, max(len(_values(row)) for row in report.rows))
    since = max(len(_since(row)) for row in report.rows)
    for (site, where), rows in itertools.groupby(report.rows, key=lambda row: (row.site, row.where)):
        lines.append(f"{site}  {where}")
        lines += [f"  {row.field:<{field}}  {_values(row):<{says}}  {_since(row):<{since}}  {row.action}".rstrip() for row in rows]
    return [*lines, *([""] if report.said else []), *report.said]


def as_markdown(report: DriftReport) -> str:
    """A heading, a table, and what else there is to say."""
    lines = [f"### Drift: {report.title}", "", f"`{report.revision}`, {report.at}"]
    if report.rows:
        lines += ["", "| site | where | field | is | should be | since | what is done |", "|---|---|---|---|---|---|---|"]
        for row in report.rows:
            cells = (row.site, row.where, row.field, row.actual or "nothing", row.desired or "nothing", _since(row), row.action)
            lines.append(f"| {' | '.join(_escaped(cell) for cell in cells)} |")
    return "\n".join([*lines, *([""] if report.said else []), *(f"- {_escaped(text)}" for text in report.said)]) + "\n"


def as_html(report: DriftReport) -> str:
    """One page without scripts or anything from elsewhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reconciler.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("drift.html").render(report=report)


def _standing(plan: Plan) -> str:
    """How many sites stand how; of one that is worked on and was not seen before nothing more is known."""
    sites, unseen = plan.sites.values(), len(plan.busy - plan.sites.keys())
    total = len(sites) + unseen
    parts = [_counts([site.sync for site in sites]), _counts([site.health for site in sites]), f"{unseen} worked on" if unseen else ""]
    said = "; ".join(part for part in parts if part)
    return f"{total} site{'s' * (total != 1)}" + (f": {said}" if said else "")


def _counts(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(Counter(words).items()))


def _row(site: str, row: Difference, now: dt.datetime) -> Row:
    since = dt.datetime.fromisoformat(row.since) if row.since else now
    shown = f"{since:%Y-%m-%d %H:%M} UTC"
    desired, actual = (in_one_line(_sized(row.field, text)) for text in (row.desired, row.actual))
    return Row(
        site,
        in_one_line(row.container or row.service),
        in_one_line(row.field),
        desired,
        actual,
        shown,
        _age((now - since).total_seconds()),
        row.action,
    )


def _sized(field: str, text: str) -> str:
    """Bytes as people say them, where that is exact."""
    if field not in BYTES or not text.isdigit() or int(text) % 2**20:
        return text
    return f"{int(text) >> 20} MiB"


def _age(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _values(row: Row) -> str:
    return f"{row.actual or 'nothing'}, should be {row.desired or 'nothing'}"


def _says(row: Row) -> str:
    return f"{row.field} is {_values(row)}"


def _since(row: Row) -> str:
    return f"since {row.since} ({row.age})"


def _also(row: Row) -> str:
    return f" ({_escaped(row.action)}; {row.age})" if row.action else f" ({row.age})"


def _escaped(text: str) -> str:
    """So that Markdown shows it as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))
