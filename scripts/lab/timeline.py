"""Where in a rollout's time something fell: its moments, from the daemon's own log."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.load import Lost


@dataclass(frozen=True)
class Moment:
    """`at`: seconds since the epoch; 0 where it never came."""

    name: str
    at: float
    text: str = ""


def moments_of(log: Iterable[dict[str, Any]], site: str, pushed: float, commit: str = "") -> list[Moment]:
    """The rollout of `site` that began with a push, in order."""
    rows = [entry for entry in log if when(entry) >= pushed]
    return [
        Moment("pushed", pushed, commit[:12]),
        Moment("fetched", first(rows, event="fetched"), "the commit is read"),
        Moment("started", last(rows, event="start", site=site), "the new release runs beside the old one"),
        Moment("ready", first(rows, event="pin", site=site, reason="the switch"), "all of it answers, and Traefik lists it"),
        Moment("switched", serves(rows, site), "Traefik confirms: new requests go to the new release"),
        Moment("drained", last(rows, event="stop", site=site), "the old one had time to finish, and was stopped"),
        Moment("at rest", first(rows, event="unpin", site=site), "labels alone route again"),
    ]


def place(at: float, moments: Sequence[Moment]) -> str:
    """As in "1.93 s, between switched and drained", counted from the first moment that came."""
    known = sorted((moment for moment in moments if moment.at), key=lambda moment: moment.at)
    if not known:
        return "at an unknown time"
    before = [moment.name for moment in known if moment.at <= at]
    after = [moment.name for moment in known if moment.at > at]
    if not before:
        where = f"before {after[0]}"
    elif not after:
        where = f"after {before[-1]}"
    else:
        where = f"between {before[-1]} and {after[0]}"
    return f"{at - known[0].at:.2f} s, {where}"


def tell_lost(lost: Iterable[Lost], moments: Sequence[Moment]) -> list[str]:
    """A line for each: "1.93 s, between switched and drained: POST, status 502 after 0.02 s"."""
    return [f"{place(row.at, moments)}: {row.request}, {row.why} after {row.took:.2f} s" for row in lost]


def when(entry: dict[str, Any]) -> float:
    return dt.datetime.fromisoformat(entry["timestamp"]).timestamp()


def matching(rows: Iterable[dict[str, Any]], wanted: dict[str, str]) -> list[dict[str, Any]]:
    return [entry for entry in rows if all(str(entry.get(key, "")).startswith(value) for key, value in wanted.items())]


def first(rows: Iterable[dict[str, Any]], **wanted: str) -> float:
    found = matching(rows, wanted)
    return when(found[0]) if found else 0.0


def last(rows: Iterable[dict[str, Any]], **wanted: str) -> float:
    found = matching(rows, wanted)
    return when(found[-1]) if found else 0.0


def serves(rows: Iterable[dict[str, Any]], site: str) -> float:
    """When the daemon first said of the site that its new release serves."""
    return next((when(entry) for entry in rows if entry.get("site") == site and " serves; " in str(entry.get("message"))), 0.0)
