"""What is said to people, and when: one message for a merge, one for what goes wrong, one when it is over. Pure; `now` is an argument,
the time of day in seconds since 1970."""

from collections.abc import Collection
from dataclasses import replace

from reconciler.desired.desired import Desired
from reconciler.followers.conditions import Condition, conditions
from reconciler.followers.notice_state import Merge, Open, Over, State
from reconciler.followers.notice_text import notice_of, unfinished_text
from reconciler.planning.plan import Plan
from reconciler.planning.rest import behind, by_commit, changed, moving
from reconciler.world.notify import Notice

GATHER = 5.0
"""Seconds that what is new waits for what comes with it: both are one message."""
PATIENCE = 300.0
"""Seconds after which a merge that has not come to rest no longer keeps back what went wrong with it."""
UNFINISHED = 600.0
"""Seconds after which it is said that it has not come to rest, or that the source does not answer."""
HOUR, DAY = 3600.0, 86400.0


def fetched(state: State, desired: Desired, author: str, subject: str, now: float, *, answered: bool = True) -> State:
    """A revision that changes sites is a merge. One that comes before the last one is at rest goes on with its sites.
    `answered`: it came from the source, which is there again."""
    state = _closed(state, {"fetch"}, now) if answered else state
    before = state.desired
    state = replace(state, desired=desired, who=(author, subject))
    if before is None and state.merge is not None:  # a merge was under way when the process ended
        return replace(state, merge=replace(state.merge, commit=desired.revision, author=author, subject=subject))
    if before is None or before.revision == desired.revision:
        return state
    sites, since = changed(before, desired), now
    if state.merge is not None and state.merge.coming:
        sites, since = sites | state.merge.sites, state.merge.since
    return replace(state, merge=Merge(desired.revision, author, subject, since, sites)) if sites else state


def not_fetched(state: State, why: str, now: float) -> State:
    return _opened(state, Condition("fetch", "", "cannot fetch; what runs goes on running", why, grace=UNFINISHED), now)


def not_passed(state: State, why: str, now: float) -> State:
    return _opened(state, Condition("pass", "", "passes fail: nothing is deployed or healed", why, grace=60.0), now)


def passed(state: State, plan: Plan, desired: Desired, now: float) -> State:
    """What a pass saw. What is known of a site in motion stays: whether it is over shows when it is at rest."""
    in_motion = moving(plan)
    merge = state.merge
    if not state.looked and (sites := by_commit(plan) & in_motion):  # what came while nobody looked
        merge = replace(merge, sites=merge.sites | sites) if merge else Merge(desired.revision, *state.who, now, sites)
    if merge is not None and merge.coming and desired.revision == merge.commit and not merge.sites & in_motion:
        merge = _rested(merge, plan, desired, now)
    found = {c.key: c for c in conditions(plan, desired) if c.kind != "drift" or _by_hand(c, state, merge)}
    if merge is not None and merge.coming:
        late = merge.coming & (in_motion | behind(plan))
        found["unfinished"] = Condition("unfinished", "", *unfinished_text(merge, late, plan), merge.commit, grace=UNFINISHED)
    stay = {key for key, row in state.open.items() if row.condition.site and row.condition.site in in_motion}
    state = replace(state, merge=merge, moving=in_motion, looked=True)
    state = _closed(state, state.open.keys() - found.keys() - stay - {"fetch"}, now)
    for condition in found.values():
        state = _opened(state, condition, now)
    return state


def due(state: State) -> float | None:
    """When there is something to say, if nothing else happens before."""
    times = [row.at + GATHER for row in state.over]
    times += [_due(row, state.merge) for row in state.open.values()]
    if state.merge is not None and state.merge.rested_at:
        times.append(state.merge.rested_at)
    return min(times, default=None)


def say(state: State, now: float) -> tuple[State, Notice | None]:
    """What is due now, with all that is new, in one message."""
    at = due(state)
    if at is None or now < at:
        return state, None
    merge = state.merge if state.merge is not None and state.merge.rested_at else None
    rows = {key: row for key, row in state.open.items() if _due(row, state.merge) - (0.0 if row.times else GATHER) <= now}
    rows = {key: row for key, row in rows.items() if row.times or now >= row.since + row.condition.grace}
    said = {key: replace(row, said_at=now, times=row.times + 1, owed=True) for key, row in rows.items()}
    recent = {key: row for key, row in state.recent.items() if now < row[0] + again(row[1])}
    recent |= {over.condition.news: (now, 1) for over in state.over if over.condition.news not in recent}
    after = replace(state, open={**state.open, **said}, recent=recent, over=(), merge=None if merge else state.merge)
    return after, notice_of(merge, tuple(rows.values()), state.over, now)


def again(times: int) -> float:
    """Seconds until what was said so often is said again: an hour, then ever longer, a day at the most."""
    return min(HOUR * 2.0 ** min(times - 1, 10), DAY)


def _due(row: Open, merge: Merge | None) -> float:
    """What goes wrong with a merge is part of the one message about it."""
    if row.times:
        return row.said_at + again(row.times)
    at = row.since + max(row.condition.grace, GATHER)
    return max(at, merge.since + PATIENCE) if merge is not None and row.condition.site in merge.coming else at


def _by_hand(drift: Condition, state: State, merge: Merge | None) -> bool:
    """Of a site in motion not every difference is a hand's doing: what is new there is looked at when it is at rest."""
    return drift.key in state.open or (drift.site not in state.moving and (merge is None or drift.site not in merge.coming))


def _opened(state: State, condition: Condition, now: float) -> State:
    """New, or the same as before, or the same with something else to say of it: that is new too."""
    row = state.open.get(condition.key)
    if row is not None and row.condition == condition:
        return state
    if row is None:
        ended = [gone for gone in state.over if gone.condition.key == condition.key]  # and nobody heard of its end
        since = ended[0].at - ended[0].seconds if ended else now
        row = _begun(state, Open(condition, since, owed=bool(ended)), now)
        state = replace(state, over=tuple(gone for gone in state.over if gone not in ended))
    elif row.condition.about != condition.about:
        state = replace(state, recent={**state.recent, **_said([row])})
        row = _begun(state, Open(condition, now if row.times else row.since, owed=row.owed), now)
    else:
        row = replace(row, condition=condition)
    return replace(state, open={**state.open, condition.key: row})


def _begun(state: State, row: Open, now: float) -> Open:
    """With what was said of it lately."""
    said_at, times = state.recent.get(row.condition.news, (0.0, 0))
    return replace(row, said_at=said_at, times=times) if times and now < said_at + again(times) else row


def _said(rows: Collection[Open]) -> dict[str, tuple[float, int]]:
    return {row.condition.news: (row.said_at, row.times) for row in rows if row.times}


def _closed(state: State, keys: Collection[str], now: float) -> State:
    """They are over. Of what was never said only drift is worth a word: somebody did it."""
    rows = [row for key, row in state.open.items() if key in keys]
    if not rows:
        return state
    over = [Over(row.condition, now - row.since, now) for row in rows if row.owed or (row.condition.kind == "drift" and not row.times)]
    left = {key: row for key, row in state.open.items() if key not in keys}
    return replace(state, open=left, over=(*state.over, *over), recent={**state.recent, **_said(rows)})


def _rested(merge: Merge, plan: Plan, desired: Desired, now: float) -> Merge:
    late = behind(plan)
    left, right, gone = [], [], []
    for name in sorted(merge.sites):
        site = plan.sites.get(name)
        if site is not None and (name in late or site.sync == "suspended"):
            left.append((name, (site.message or site.sync).split("\n")[0]))
        elif name in desired.sites or name in desired.held:
            right.append(name)
        else:
            gone.append(name)
    return replace(merge, rested_at=now, right=tuple(right), left=tuple(left), gone=tuple(gone))
