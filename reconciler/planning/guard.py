"""The guard: a commit that takes many sites away waits until a person approves it. Pure."""

import math
from collections.abc import Collection
from dataclasses import dataclass

SHOWN = 10
"""So many names a message lists."""


@dataclass(frozen=True)
class Guard:
    """So many sites may go at once: `count`, or `share` of all of them (0 to 1) where that is more."""

    count: int = 1
    share: float = 0.2

    def limit(self, total: int) -> int:
        return max(self.count, math.floor(self.share * total))


@dataclass(frozen=True)
class Removals:
    """`going`: sites that may be taken away. `held`: those that wait for a person, and `reason` says so."""

    going: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    reason: str = ""


def removals(
    unwanted: Collection[str],
    total: int,
    guard: Guard,
    *,
    approved: Collection[str],
    going: Collection[str],
    unread: Collection[str] = (),
) -> Removals:
    """Of the sites that run and are not desired any more: which may go.

    `total` counts all that run or are desired. What was `approved`, or let go before (`going`), goes; of the rest all wait, or none.
    With nothing left that is desired every one waits: a wrong branch or an empty folder looks just like that. So does every one while
    there are sites whose files were never read without errors (`unread`): one may be what it was renamed to.
    """
    free = frozenset(unwanted) & (frozenset(approved) | frozenset(going))
    fresh = frozenset(unwanted) - free
    if fresh and unread:
        why = f"its removal waits: it may have been renamed to {min(unread)}, whose file has errors. Correct that file"
        return Removals(free, fresh, f"{why}, or `shipstone approve` lets it go.")
    if not fresh or (len(fresh) <= guard.limit(total) and len(unwanted) < total):
        return Removals(free | fresh)
    names = sorted(fresh)
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    what = f"{len(names)} of {total} sites" if len(names) < total else "every site"
    return Removals(free, fresh, f"its removal waits: {what} would go ({shown}). `shipstone approve` lets them; nothing is removed before.")
