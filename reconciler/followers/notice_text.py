"""How it is said: the words of a message about a merge, about what goes wrong and what is over. Pure."""

from collections.abc import Collection, Iterator, Sequence

from reconciler.errors import printable
from reconciler.followers.conditions import Condition
from reconciler.followers.notice_state import Merge, Open, Over
from reconciler.planning.plan import Plan
from reconciler.world.notify import Notice

SHOWN = 15
"""So many rows a message lists of one sort."""
WIDE = 300
"""Characters of a line."""
UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"))


def notice_of(merge: Merge | None, rows: Sequence[Open], over: Sequence[Over], now: float) -> Notice:
    """One message of all of it. `merge` is at rest; `rows` that were said before are still there."""
    titles: list[str] = []
    body: list[str] = []
    rows = sorted(rows, key=lambda row: (row.times > 0, row.condition.key))
    if merge is not None:
        told = {row.condition.site for row in rows if row.condition.kind != "drift"}
        titles.append(_merge_title(merge))
        body += _merge_lines(merge, told)
    lines = [(row.condition, f", for {lasted(now - row.since)}" if row.times else "") for row in rows]
    lines += [
        (gone.condition, f": {'put right' if gone.condition.kind == 'drift' else 'over'} after {lasted(gone.seconds)}") for gone in over
    ]
    if len(lines) == 1:
        condition, more = lines[0]
        titles.append(condition.title + more)
        body += [] if over else condition.text.split("\n")
    elif lines:
        titles.append(", ".join(_counted(rows, over)))
        body += some([_block(*line) for line in lines])
    kinds = {row.condition.kind for row in rows}
    if "failure" in kinds or (merge and merge.left):
        return Notice(_line("; ".join(titles)), _text(body), "failure")
    good = merge is not None or all(gone.condition.kind != "drift" for gone in over)
    return Notice(_line("; ".join(titles)), _text(body), "warning" if kinds else "success" if good else "info")


def unfinished_text(merge: Merge, sites: Collection[str], plan: Plan) -> tuple[str, str]:
    """Title and text for a merge that does not come to rest; `sites` are those that are late."""
    why = {name: plan.sites[name].message or plan.sites[name].health for name in sites if name in plan.sites}
    rows = [f"{name}: {why.get(name, 'its steps are being done')}".split("\n")[0] for name in sorted(sites)]
    return f"{_sites(len(sites))} not yet as {merge.commit[:12]} says", "\n".join(some(rows))


def lasted(seconds: float) -> str:
    """As a person says it: 0.4 s, 12 s, 5 min, 3 h, 2 days."""
    for least, size, unit in UNITS:
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def some(rows: Sequence[str]) -> list[str]:
    return [*rows[:SHOWN], *([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])]


def _merge_title(merge: Merge) -> str:
    right = len(merge.right) + len(merge.gone)
    total = _sites(right + len(merge.left))
    by = f" by {merge.author}" if merge.author else ""
    return f"{f'{right} of {total}' if merge.left else total} as {merge.commit[:12]}{by}, {lasted(merge.rested_at - merge.since)}"


def _merge_lines(merge: Merge, told: Collection[str]) -> Iterator[str]:
    """`told`: sites about which something follows anyway."""
    if merge.subject:
        yield merge.subject
    if merge.right:
        yield ", ".join(some(merge.right))
    if merge.gone:
        yield f"removed: {', '.join(some(merge.gone))}"
    yield from some([f"{name}: {why}" for name, why in merge.left if name not in told])


def _block(condition: Condition, more: str) -> str:
    text = "" if more else condition.text
    return "\n  ".join([condition.title + more, *(line for line in text.split("\n") if line)])


def _counted(rows: Sequence[Open], over: Sequence[Over]) -> Iterator[str]:
    words = (("failure", "1 failure", "{} failures"), ("warning", "1 warning", "{} warnings"), ("drift", "1 drift", "drift in {} places"))
    for kind, one, many in words:
        if count := sum(row.condition.kind == kind and not row.times for row in rows):
            yield one if count == 1 else many.format(count)
    if still := sum(row.times > 0 for row in rows):
        yield f"{still} as before"
    if over:
        yield f"{len(over)} over"


def _sites(count: int) -> str:
    return "1 site" if count == 1 else f"{count} sites"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(_line(line) for block in lines for line in block.split("\n")).strip("\n")


def _line(text: str) -> str:
    """No control characters: what a commit or a container says ends up in front of people."""
    clean = printable(text).replace("\n", " ")
    return clean if len(clean) <= WIDE else clean[: WIDE - 1] + "…"
