"""Releases that ran whole, kept so that a site can go back to one: what their labels said, as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.release import content_of
from reconciler.errors import ShipstoneError
from reconciler.planning.labels import applied_in
from reconciler.planning.observed import Container


@dataclass(frozen=True)
class PastRelease:
    """`site` as it was made, each service with its exact image; `at` is the time of day in seconds since 1970 when it was first whole."""

    site: DesiredSite
    at: float


def past_text(containers: Iterable[Container]) -> str:
    """JSON of one release's containers."""
    services: dict[str, dict[str, object]] = {}
    commit = ""
    for c in containers:
        row = services.setdefault(
            c.service, {"applied": c.labels.get("shipstone.spec", ""), "digest": c.labels.get("shipstone.digest", ""), "replicas": 0}
        )
        row["replicas"] = int(str(row["replicas"])) + 1
        commit = c.labels.get("shipstone.commit", "")
    return json.dumps({"commit": commit, "services": services}, sort_keys=True)


def past_release(name: str, release: str, text: str, at: float) -> PastRelease | None:
    """The inverse of past_text(); None for text that it did not make."""
    try:
        data = json.loads(text)
        rows = {service: (applied_in(row["applied"]), row) for service, row in sorted(data["services"].items())}
        services = tuple(
            DesiredService(service, applied.spec, int(row["replicas"]), str(row["digest"])) for service, (applied, row) in rows.items()
        )
        first, _ = next(iter(rows.values()))
        return PastRelease(DesiredSite(name, release, first.route, services, first.timing, first.heal, str(data["commit"])), at)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None


def earlier(site: str, past: Iterable[PastRelease], now: str, wanted: str | None = None) -> PastRelease:
    """The release that was named, by all of its name or by a beginning that no other has; else the newest of `past` (newest first) that
    is not of the present content. Raises ShipstoneError."""
    past = tuple(past)
    others = other_content(past, now)
    if wanted == "":
        raise ShipstoneError(f"cannot roll back {site}: the name of the release is empty.")
    if wanted is not None:
        named = [old for old in past if old.site.release == wanted] or [old for old in others if old.site.release.startswith(wanted)]
        if len(named) > 1:
            fits = ", ".join(old.site.release for old in named)
            raise ShipstoneError(f"cannot roll back {site}: {wanted} fits more than one release: {fits}. Name one of them whole.")
        others = [old for old in named if old in others]
    if not others:
        kept = ", ".join(old.site.release for old in past) or "none"
        present = wanted and content_of(wanted)[0] == content_of(now)[0]
        what = f"{wanted} is {'what runs' if present else 'not kept'}" if wanted else "no earlier release is kept"
        raise ShipstoneError(f"cannot roll back {site}: {what}. Kept: {kept}.")
    return others[0]


def other_content(past: Iterable[PastRelease], now: str) -> list[PastRelease]:
    """What there is to go back to from the release `now`: a restart of the same content is no way back."""
    return [old for old in past if content_of(old.site.release)[0] != content_of(now)[0]]


def counts_of(past: Mapping[str, tuple[PastRelease, ...]]) -> dict[tuple[str, str], dict[str, int]]:
    """By site and release, how many replicas each service had."""
    rows = ((name, old.site) for name, found in past.items() for old in found)
    return {(name, site.release): {service.name: service.replicas for service in site.services} for name, site in rows}


def digests_of(past: Mapping[str, tuple[PastRelease, ...]]) -> dict[tuple[str, str], dict[str, str]]:
    """By site and release, what each image as written was."""
    rows = ((name, old.site) for name, found in past.items() for old in found)
    return {(name, site.release): {s.spec.image: s.digest for s in site.services if s.digest} for name, site in rows}
