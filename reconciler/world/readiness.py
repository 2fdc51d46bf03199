"""Ready or not: Docker's health where there is a check; otherwise the port answers, asked from the host at the container's address.

An application may well give an error on /, before a login say; one that still starts gives errors too. The time it has run tells which.
"""

import http.client
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from reconciler.failpoints import failpoint
from reconciler.planning.observed import Container

Ask = Callable[[str, int, bool], bool]
WARM_UP = 10.0
"""Seconds in which an error status means that an application still starts; after that it is how this one answers on /."""


def answers(address: str, port: int, errors_too: bool, timeout: float = 1.0) -> bool:
    """Whether something answers there in HTTP, be it with an error status if `errors_too`, or accepts the connection and speaks
    something else."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"User-Agent": "shipstone-ready", "Connection": "close"})
        return connection.getresponse().status < 500 or errors_too
    except http.client.HTTPException:
        return True
    except OSError:
        return False
    finally:
        connection.close()


class Readiness:
    """Remembers who answered once: a running container that answered is not asked again until it was started anew."""

    def __init__(self, ask: Ask = answers, parallel: int = 16) -> None:
        self._ask = ask
        self._parallel = parallel
        self._answered: dict[str, tuple[int, float]] = {}
        """Id → restarts, and for how long it had run (0: not known)."""
        self._lock = threading.Lock()

    def ready(self, containers: Iterable[Container], port_of: Callable[[Container], int]) -> frozenset[str]:
        """Ids of those that may take requests now."""
        ready: set[str] = set()
        unknown: list[Container] = []
        known: dict[str, tuple[int, float]] = {}
        for c in containers:
            if c.state != "running" or c.address is None:
                continue
            if c.health != "none":
                if c.health == "healthy":
                    ready.add(c.id)
            elif c.id in self._answered and c.restarts == self._answered[c.id][0] and not 0 < c.up < self._answered[c.id][1]:
                known[c.id] = c.restarts, max(c.up, self._answered[c.id][1])
            else:
                unknown.append(c)
        for c, yes in zip(unknown, self._ask_all(unknown, port_of), strict=True):
            if yes:
                known[c.id] = c.restarts, c.up
                failpoint("ready")
        with self._lock:
            self._answered = known
        return frozenset(ready | known.keys())

    def _ask_all(self, unknown: list[Container], port_of: Callable[[Container], int]) -> list[bool]:
        if not unknown:
            return []
        with ThreadPoolExecutor(min(self._parallel, len(unknown)), "ready") as pool:
            return list(pool.map(lambda c: self._ask(c.address or "", port_of(c), c.up >= WARM_UP), unknown))
