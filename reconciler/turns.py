"""Whose turn it is: who is at work, and who waits before the next try after an error."""

import math
import threading
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar

MAX_BACKOFF = 60.0
"""Seconds between two tries of one at the most."""
Who = TypeVar("Who", bound=Hashable)
"""A site, or a site and its release."""


class Turns(Generic[Who]):
    """Safe to use from several threads. `clock` is monotonic; `chance` gives numbers from 0 to 1: who failed together does not knock
    together again."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._clock, self._chance = clock, chance
        self._lock = threading.Lock()
        self._at_work: set[Who] = set()
        self._retry: dict[Who, tuple[int, float]] = {}

    @property
    def busy(self) -> frozenset[Who]:
        """At work, or waiting."""
        with self._lock:
            return frozenset(self._at_work) | frozenset(self._waiting())

    @property
    def at_work(self) -> frozenset[Who]:
        with self._lock:
            return frozenset(self._at_work)

    @property
    def backing_off(self) -> frozenset[Who]:
        with self._lock:
            return frozenset(self._waiting())

    def next_try(self) -> float | None:
        """When the earliest that waits is tried again (monotonic seconds)."""
        with self._lock:
            return min(self._waiting().values(), default=None)

    def begin(self, some: Collection[Who], *, waiting: bool = True) -> bool:
        """All of them are at work from now on; False where one is already, or waits and `waiting` ones do not begin."""
        with self._lock:
            if not self._at_work.isdisjoint(some) or (not waiting and not self._waiting().keys().isdisjoint(some)):
                return False
            self._at_work |= set(some)
            return True

    def end(self, one: Who, others: Iterable[Who] = (), *, failed: bool) -> None:
        """They are free again; with `failed` the one waits, each time longer."""
        with self._lock:
            tries = self._retry.pop(one, (0, 0.0))[0]
            if failed:
                pause = min(2.0 ** min(tries, 10), MAX_BACKOFF) * (0.5 + self._chance() / 2)
                self._retry[one] = (tries + 1, self._clock() + pause)
            self._at_work -= {one, *others}

    def all_at_once(self) -> None:
        """Nobody waits any longer; how often each failed is still known."""
        with self._lock:
            self._retry = {one: (tries, -math.inf) for one, (tries, _) in self._retry.items()}

    def forgive(self, some: Iterable[Who]) -> None:
        """These have not failed."""
        with self._lock:
            for one in some:
                self._retry.pop(one, None)

    def _waiting(self) -> dict[Who, float]:
        now = self._clock()
        return {one: at for one, (_, at) in self._retry.items() if at > now}
