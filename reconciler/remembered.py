"""What is known between passes: planning's memory, what people said, past releases, since when differences are there.

The store keeps what should outlive the process. Lose it and only that is forgotten.
"""

import datetime as dt
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.outcome import Outcome
from reconciler.planning.first_seen import FirstSeen, dated, first_seen
from reconciler.planning.images import Digests, Ran, ran, surplus
from reconciler.planning.intents import Intents, intents_of
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container
from reconciler.planning.past import PastRelease, counts_of, digests_of, past_release, past_text
from reconciler.planning.plan import Plan
from reconciler.world.store import RELEASES, Store


class Remembered:
    """`outcome` is called by workers, all else by the thread of the passes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.memory = Memory()
        self.intents = Intents()
        self.past: Mapping[str, tuple[PastRelease, ...]] = {}
        self._last: Mapping[str, str] = {}
        self._first_seen: FirstSeen = store.differences()
        self._words: dict[tuple[str, ...], str] = {}
        """What a person said → at which commit it came and fitted nothing yet; empty: it has fitted."""

    def hear(self) -> None:
        """What other processes wrote into the store since the last call, commands of people among it."""
        if not self._store.changed():
            return
        self.past, self._last = self._store.releases(), self._store.last()
        self.intents = intents_of(self._store.said(), self.past)
        with self._lock:
            failed, troubles = self._store.failed(), self._store.troubles()
            self.memory = replace(self.memory, failed=failed, troubles=troubles)
        self._heed_past()

    def _heed_past(self) -> None:
        rows = ((name, old.site) for name, found in self.past.items() for old in found)
        last = {name: site for name, site in rows if self._last.get(name) == site.release}
        with self._lock:
            self.memory = replace(self.memory, whole=counts_of(self.past), digests=digests_of(self.past), last=last)

    def planned(self, plan: Plan, busy: Collection[str]) -> None:
        """Planning's memory after a plan. Of sites in `busy` it was not planned, so what their workers tell meanwhile stays."""
        with self._lock:
            images = {**plan.memory.images, **{name: rows for name, rows in self.memory.images.items() if name in busy}}
            asked = {**plan.memory.asked, **{name: row for name, row in self.memory.asked.items() if name in busy}}
            kept = self.memory
            self.memory = replace(plan.memory, images=images, asked=asked, troubles=kept.troubles, failed=kept.failed, lost=kept.lost)

    def outcome(self, outcome: Outcome) -> None:
        """What a site's steps brought: images resolved, a release given up."""
        with self._lock:
            memory = self.memory
            if outcome.missed:  # what was resolved may be gone: look again
                images = {name: rows for name, rows in memory.images.items() if name != outcome.site}
                digests = {key: rows for key, rows in memory.digests.items() if key[0] != outcome.site}
                memory = replace(memory, images=images, digests=digests, lost={**memory.lost, outcome.site: outcome.release})
            if outcome.images:
                known = memory.images.get(outcome.site, {})
                memory = replace(memory, images={**memory.images, outcome.site: {**known, **outcome.images}})
            if outcome.asked is not None:
                memory = replace(memory, asked={**memory.asked, outcome.site: outcome.asked})
            if outcome.failed is not None:
                asked = {name: row for name, row in memory.asked.items() if name != outcome.site}
                memory = replace(memory, failed={**memory.failed, outcome.site: outcome.failed}, asked=asked)
            before = memory.troubles.get(outcome.site)
            over = before is not None and before[0] == outcome.release  # what serves may be healed while what is wanted has trouble
            troubles = {name: row for name, row in memory.troubles.items() if name != outcome.site or not over}
            if outcome.error:
                troubles[outcome.site] = outcome.release, outcome.error
            self.memory = replace(memory, troubles=troubles)
        if (now := troubles.get(outcome.site)) != before:
            self._remember_trouble(outcome.site, now)
        if outcome.failed is not None:
            self._store.remember_failed(outcome.failed)
            had = memory.images.get(outcome.site, {}).items()
            self._store.remember_images(Ran(outcome.site, release, image, digest, 0.0) for (release, image), digest in had)

    def take_retries(self) -> frozenset[str]:
        """Sites that a person wants tried again: that they failed, and how often, is forgotten."""
        retried = self.intents.retried
        if not retried:
            return retried
        for name in retried:
            self._store.forget_said("retry", name)
        self.intents = replace(self.intents, retried=frozenset())
        self._forget_failed(retried)
        with self._lock:
            sites = {name: replace(site, tries=0) if name in retried else site for name, site in self.memory.sites.items()}
            self.memory = replace(self.memory, sites=sites)
        return retried

    def forget(self, plan: Plan, desired: Desired, containers: Collection[Container]) -> None:
        """What is over: the failure of a release that is not wanted any more, an approved removal that is done,
        a rollback of a site of which the repository says something else now."""
        settled = self.memory.failed.keys() - desired.held.keys() - plan.busy
        self._forget_failed({name for name in settled if _asked(plan, name) != self.memory.failed[name].release})
        leaving = {c.site for c in containers} - desired.sites.keys()
        done = {name for name in self.intents.approved if self._is_over(("approve", name), name in leaving, desired.revision)}
        for name in done:
            self._store.forget_said("approve", name)
        rollbacks = {name: back.content for name, back in self.intents.rollbacks.items() if name not in desired.held}
        self._forget_sites(plan, desired.sites.keys() | desired.held.keys() | {c.site for c in containers})
        over = {
            name
            for name, content in rollbacks.items()
            if self._is_over(("rollback", name, content), _written(desired, name) == content, desired.revision)
        }
        for name in over:
            self._store.forget_said("rollback", name)
        if over or done:
            left = {name: back for name, back in self.intents.rollbacks.items() if name not in over}
            self.intents = replace(self.intents, approved=self.intents.approved - done, rollbacks=left)

    def _is_over(self, word: tuple[str, ...], fits: bool, commit: str) -> bool:
        """It has fitted, and does not any more. Until it fits it may be about a commit that is only just being fetched."""
        if fits:
            self._words[word] = ""
            return False
        if self._words.setdefault(word, commit) == commit:
            return False
        del self._words[word]
        return True

    def _forget_sites(self, plan: Plan, there: Collection[str]) -> None:
        """What a removed site ran last is not to come back with another site of its name; nor does trouble outlast what had it."""
        gone = self._last.keys() - there
        for name in gone:
            self._store.forget_last(name)
        if gone:
            self._last = {name: release for name, release in self._last.items() if name not in gone}
            self._heed_past()
        with self._lock:
            rows = self.memory.troubles
            over = {name for name, site in plan.sites.items() if name in rows and rows[name][0] not in (site.asked, site.release)}
            self.memory = replace(self.memory, troubles={name: row for name, row in rows.items() if name not in over})
        for name in over:
            self._store.forget_trouble(name)

    def remember_releases(self, plan: Plan, containers: Collection[Container]) -> bool:
        """What runs whole, so that its site can go back to it; whether there was something new."""
        before, whole = self.past, dict[str, str]()
        for name, site in plan.sites.items():
            rows = self.past.get(name, ())
            known = rows[0] if rows and rows[0].site.release == site.release else None
            if site.steps or site.health != "healthy" or not site.release:
                continue
            if known and _count(known) == site.wanted:
                whole[name] = site.release
                continue
            text = past_text(c for c in containers if c.site == name and c.release == site.release)
            if now := past_release(name, site.release, text, known.at if known else time.time()):
                self._store.remember_release(name, site.release, text, now.at)
                self._store.remember_images(ran([now]))
                older = (old for old in rows if old.site.release != site.release)
                self.past = {**self.past, name: (now, *older)[:RELEASES]}
                whole[name] = site.release
        last = {name: release for name, release in whole.items() if self._last.get(name) != release}
        for name, release in last.items():
            self._store.remember_last(name, release)
        if last or self.past is not before:
            self._last = {**self._last, **last}
            self._heed_past()
        return self.past is not before

    def old_images(self, keep: int, wanted: Collection[str]) -> Digests:
        """Images that have had their time, where the newest `keep` releases of each site keep theirs."""
        known = ran(old for rows in self.past.values() for old in rows)
        return surplus({*self._store.images(), *known}, keep, wanted)

    def wanted_images(self, desired: Desired, containers: Collection[Container]) -> frozenset[str]:
        """Names and digests that a site has, wants, or is to go back to."""
        back = [rollback.to for rollback in self.intents.rollbacks.values()]
        services = [service for site in (*desired.sites.values(), *back) for service in site.services]
        labels = (c.labels.get("shipstone.digest", "") for c in containers)
        with self._lock:
            moving = [digest for rows in self.memory.images.values() for digest in rows.values()]
        return frozenset({*(s.spec.image for s in services), *(s.digest for s in services), *labels, *moving} - {""})

    def past_sites(self) -> Iterator[DesiredSite]:
        """Every past release that can be gone back to."""
        return (old.site for rows in self.past.values() for old in rows)

    def dated(self, plan: Plan) -> Plan:
        """The plan with the time at which each difference was first seen, where that is known."""
        return dated(plan, self._first_seen)

    def remember_differences(self, plan: Plan) -> Plan:
        """Since when each is there: kept in the store, for commands that look later."""
        seen = first_seen(plan, self._first_seen, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
        if seen == self._first_seen:
            return plan
        self._first_seen = seen
        self._store.remember_differences(seen)
        return dated(plan, seen)

    def _remember_trouble(self, site: str, trouble: tuple[str, str] | None) -> None:
        """For commands that look meanwhile."""
        if trouble is None:
            self._store.forget_trouble(site)
        else:
            self._store.remember_trouble(site, *trouble)

    def _forget_failed(self, sites: Collection[str]) -> None:
        if not sites:
            return
        with self._lock:
            self.memory = replace(self.memory, failed={name: row for name, row in self.memory.failed.items() if name not in sites})
        for name in sites:
            self._store.forget_failed(name)


def _count(old: PastRelease) -> int:
    return sum(service.replicas for service in old.site.services)


def _asked(plan: Plan, site: str) -> str:
    return plan.sites[site].asked if site in plan.sites else ""


def _written(desired: Desired, site: str) -> str:
    return desired.sites[site].release if site in desired.sites else ""
