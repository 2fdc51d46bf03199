"""Whose turn it is: sites that are at work, and those that wait before the next try after an error."""

import math
import threading
from collections.abc import Callable, Collection, Iterable

MAX_BACKOFF = 60.0
"""Seconds between two tries of a site at the most."""


class Turns:
    """Safe to use from several threads. `clock` is monotonic; `chance` gives numbers from 0 to 1: sites that failed together do not knock
    together again."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._clock, self._chance = clock, chance
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._retry: dict[str, tuple[int, float]] = {}

    @property
    def busy(self) -> frozenset[str]:
        """At work, or waiting."""
        with self._lock:
            return frozenset(self._at_work) | frozenset(self._waiting())

    @property
    def at_work(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._at_work)

    @property
    def backing_off(self) -> int:
        with self._lock:
            return len(self._waiting())

    def next_try(self) -> float | None:
        """When the earliest that waits is tried again (monotonic seconds)."""
        with self._lock:
            return min(self._waiting().values(), default=None)

    def begin(self, sites: Collection[str], *, waiting: bool = True) -> bool:
        """All of them are at work from now on; False where one is already, or waits and `waiting` ones do not begin."""
        with self._lock:
            if not self._at_work.isdisjoint(sites) or (not waiting and not self._waiting().keys().isdisjoint(sites)):
                return False
            self._at_work |= set(sites)
            return True

    def end(self, site: str, others: Iterable[str] = (), *, failed: bool) -> None:
        """They are free again; with `failed` the site waits, each time longer."""
        with self._lock:
            tries = self._retry.pop(site, (0, 0.0))[0]
            if failed:
                pause = min(2.0 ** min(tries, 10), MAX_BACKOFF) * (0.5 + self._chance() / 2)
                self._retry[site] = (tries + 1, self._clock() + pause)
            self._at_work -= {site, *others}

    def all_at_once(self) -> None:
        """Nobody waits any longer; how often each failed is still known."""
        with self._lock:
            self._retry = {site: (tries, -math.inf) for site, (tries, _) in self._retry.items()}

    def forgive(self, sites: Iterable[str]) -> None:
        """These have not failed."""
        with self._lock:
            for site in sites:
                self._retry.pop(site, None)

    def _waiting(self) -> dict[str, float]:
        now = self._clock()
        return {site: at for site, (_, at) in self._retry.items() if at > now}
