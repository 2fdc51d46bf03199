"""What people said: suspend, restart, rollback, approve, retry. The store keeps it; lose it and only that is forgotten."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.release import content_of, counted
from reconciler.planning.observed import Container
from reconciler.planning.past import PastRelease

Kind = Literal["suspend", "restart", "rollback", "approve", "retry", "history"]
ALL = "*"
"""Stands for every site."""


@dataclass(frozen=True)
class Said:
    """One thing that a person said of one site. `value` is JSON: of a restart and a rollback see their writers below.

    `history` is for the source: the commit that is `value` may take the branch's place, though it shares no history with it.
    """

    kind: Kind
    site: str
    value: str = ""


@dataclass(frozen=True)
class Rollback:
    """The site goes back to a past release for as long as the repository says `content` (a fingerprint) of it."""

    content: str
    to: DesiredSite


@dataclass(frozen=True)
class Intents:
    """By site. `suspended` may hold ALL. `restarts`: content → counter that a restart of it asked for. `approved`: whose removal is."""

    suspended: frozenset[str] = frozenset()
    restarts: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    rollbacks: Mapping[str, Rollback] = field(default_factory=dict, hash=False)
    approved: frozenset[str] = frozenset()
    retried: frozenset[str] = frozenset()

    def is_suspended(self, site: str) -> bool:
        return site in self.suspended or ALL in self.suspended


def restart(site: str, release: str) -> Said:
    """The content of `release` once more, under the next counter."""
    content, counter = content_of(release)
    return Said("restart", site, json.dumps({"content": content, "counter": counter + 1}))


def rollback(site: str, content: str, release: str) -> Said:
    """Back to `release` until the repository says something else than `content`."""
    return Said("rollback", site, json.dumps({"content": content, "release": release}))


def intents_of(rows: Iterable[Said], past: Mapping[str, tuple[PastRelease, ...]]) -> Intents:
    """What rows of the store mean; one that cannot be read, or names a release that is not kept any more, says nothing."""
    suspended, approved, retried = set[str](), set[str](), set[str]()
    restarts: dict[str, Mapping[str, int]] = {}
    rollbacks: dict[str, Rollback] = {}
    for row in rows:
        try:
            match row.kind:
                case "suspend":
                    suspended.add(row.site)
                case "approve":
                    approved.add(row.site)
                case "retry":
                    retried.add(row.site)
                case "restart":
                    value = json.loads(row.value)
                    restarts[row.site] = {str(value["content"]): int(value["counter"])}
                case "rollback":
                    value = json.loads(row.value)
                    rollbacks[row.site] = Rollback(str(value["content"]), _kept(past.get(row.site, ()), str(value["release"])))
        except (ValueError, KeyError, TypeError, StopIteration):
            continue
    return Intents(frozenset(suspended), restarts, rollbacks, frozenset(approved), frozenset(retried))


def _kept(past: Iterable[PastRelease], release: str) -> DesiredSite:
    """That release; restarts may have pushed it out, then the newest of them, which is the same content. Raises StopIteration."""
    rows = [old.site for old in past if content_of(old.site.release)[0] == content_of(release)[0]]
    return next((site for site in rows if site.release == release), None) or next(iter(rows))


def as_asked(site: DesiredSite, intents: Intents, containers: Iterable[Container]) -> DesiredSite:
    """The site as people want it: gone back to a past release, and under the counter of its last restart.

    A counter that runs counts too: without the store a restarted site stays as it is.
    """
    back = intents.rollbacks.get(site.name)
    if back is not None and back.content == site.release:
        site = gone_back(site, back.to)
    content, own = content_of(site.release)
    running = [n for c in containers for name, n in [content_of(c.release)] if name == content]
    counter = max([own, intents.restarts.get(site.name, {}).get(content, 0), *running])
    return site if counter == own else replace(site, release=counted(content, counter))


def gone_back(site: DesiredSite, to: DesiredSite) -> DesiredSite:
    """The past release `to`; what makes no other release is as the file of `site` says it now. Of a service that there is none of now, or
    that has ports of the host, there are as many as there were."""
    counts = {service.name: service.replicas for service in site.services if service.replicas}

    def counted_now(service: DesiredService) -> DesiredService:
        return service if service.spec.ports else replace(service, replicas=counts.get(service.name, service.replicas))

    return replace(to, services=tuple(map(counted_now, to.services)), suspend=site.suspend, timing=site.timing, heal=site.heal)
