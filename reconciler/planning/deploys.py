"""A site's motions as the history tells them: pushed → fetched → started → ready → switched → drained → at rest. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.desired.release import content_of
from reconciler.planning.events import Event

Cause = Literal["deploy", "restart", "put right", "asked", "removal"]
End = Literal["at rest", "failed", "superseded", ""]
STAGES = ("pushed", "asked", "fetched", "started", "ready", "switched", "drained", "at rest")


@dataclass(frozen=True)
class Deploy:
    """One motion to `release`. `moments`: stage → when it was reached, in seconds since 1970, those that came. `end` is empty while it is
    under way; `reason` says why it failed and `log` its last lines, `by` who asked for it."""

    release: str
    commit: str
    cause: Cause
    begun: float
    moments: Mapping[str, float]
    end: End = ""
    ended: float = 0.0
    subject: str = ""
    author: str = ""
    by: str = ""
    reason: str = ""
    log: tuple[str, ...] = ()
    pinned: bool = False


def deploys(events: Iterable[Event], revisions: Mapping[str, Event]) -> tuple[Deploy, ...]:
    """From a site's events (in any order), the newest motion first. `revisions`: commit → what the history says of it."""
    found: list[Deploy] = []
    now: Deploy | None = None
    before, said = "", None
    for event in sorted(events, key=lambda row: row.at):
        match event.kind:
            case "said":
                said = event
            case "plan" | "phase":
                if now is None or now.release != event.release:
                    if now is not None:
                        found.append(replace(now, end="superseded", ended=event.at))
                    now, said = _begun(event, before, revisions, said), None
                now = _planned(now, event)
            case "step" if now is not None:
                now = _stepped(now, event)
            case "failed" if now is not None:
                found.append(replace(now, end="failed", ended=event.at, reason=event.what, log=tuple(event.more.get("log", ()))))
                now = None
            case "rest" if now is not None:
                found.append(_rested(now, event))
                before, now = now.release, None
    return tuple(reversed([*found, now] if now is not None else found))


def _begun(event: Event, before: str, revisions: Mapping[str, Event], said: Event | None) -> Deploy:
    revision = revisions.get(event.commit)
    if said is not None and (revision is None or said.at > revision.at):
        by = str(said.more.get("by", ""))
        return Deploy(event.release, event.commit, "asked", event.at, {"asked": said.at}, by=by, subject=str(said.more.get("said", "")))
    if not event.release:
        cause: Cause = "removal"
    elif event.release == before:
        cause = "put right"
    else:
        cause = "restart" if before and content_of(event.release)[0] == content_of(before)[0] else "deploy"
    if cause not in ("deploy", "removal") or revision is None:
        return Deploy(event.release, event.commit, cause, event.at, {})
    pushed = float(revision.more.get("committed_at") or 0.0)
    moments = {"pushed": pushed, "fetched": revision.at} if 0 < pushed <= revision.at else {"fetched": revision.at}
    author = str(revision.more.get("author", ""))
    return Deploy(event.release, event.commit, cause, event.at, moments, subject=revision.what, author=author)


def _planned(now: Deploy, event: Event) -> Deploy:
    """The first plan after the switch that no longer waits for Traefik: it confirmed. Without pins what drains was switched."""
    first = str(next(iter(event.more.get("steps", ())), ""))
    if "switched" in now.moments:
        return now
    if "ready" in now.moments and not first.startswith(("pin ", "wait Traefik")):
        return _with(now, "switched", event.at)
    if first == "wait drain" and "started" in now.moments and not now.pinned:
        return _with(_with(now, "ready", event.at), "switched", event.at)
    return now


def _stepped(now: Deploy, event: Event) -> Deploy:
    ended = event.at + event.seconds
    match event.more.get("step"):
        case "start" | "restart" if "ready" not in now.moments:
            return _with(now, "started", ended)
        case "pin" if str(event.more.get("reason", "")).startswith("the switch"):
            return _with(replace(now, pinned=True), "ready", event.at)
        case "pin":
            return replace(now, pinned=True)
        case "stop":
            return _with(_confirmed(now, event.at), "drained", ended)
        case "unpin":
            return _confirmed(_with(now, "ready", event.at, first=True), ended) if "started" in now.moments else now
    return now


def _confirmed(now: Deploy, at: float) -> Deploy:
    return _with(now, "switched", at, first=True) if "started" in now.moments else now


def _rested(now: Deploy, event: Event) -> Deploy:
    if "started" in now.moments:
        now = _with(_with(now, "ready", event.at, first=True), "switched", event.at, first=True)
    return replace(_with(now, "at rest", event.at), end="at rest", ended=event.at)


def _with(now: Deploy, stage: str, at: float, *, first: bool = False) -> Deploy:
    """With the moment of a stage; `first` keeps an earlier one."""
    return now if first and stage in now.moments else replace(now, moments={**now.moments, stage: at})
