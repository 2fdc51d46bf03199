"""Ready or not: Docker's health where there is a check; otherwise the port answers, asked from the host at the container's address.

An application may well give an error on /, before a login say; one that still starts gives errors too. The time it has run tells which.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial

from reconciler.failpoints import failpoint
from reconciler.planning.observed import Container
from reconciler.workers import Workers

Ask = Callable[[str, int, bool], bool]
WARM_UP = 10.0
"""Seconds in which an error status means that an application still starts; after that it is how this one answers on /."""
PATIENCE, ANSWER_SECONDS = 1.0, 10.0
"""Seconds that a pass waits for whom it asks for the first time, and that one question may take in all: some are slow on /."""
REQUEST = b"GET / HTTP/1.1\r\nHost: %b\r\nUser-Agent: shipstone-ready\r\nAccept: */*\r\nConnection: close\r\n\r\n"
STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})\b")


def answers(address: str, port: int, errors_too: bool, timeout: float = ANSWER_SECONDS) -> bool:
    """Whether something answers there in HTTP, be it with an error status if `errors_too`, or accepts the connection and speaks
    something else, or ends it."""
    deadline = time.monotonic() + timeout
    host = f"[{address}]" if ":" in address else address
    said = b""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.sendall(REQUEST % host.encode())
            while b"\n" not in said and len(said) < 256:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))  # of all, not of each byte: a site's author chooses those
                if not (more := connection.recv(256)):
                    break
                said += more
    except OSError:
        return False
    status = STATUS.match(said)
    return status is None or int(status[1]) < 500 or errors_too


class Readiness:
    """Remembers who answered once: a running container that answered is not asked again until it was started anew.

    Who does not answer in time holds up one pass, no more: from then on it is asked beside the passes.
    """

    def __init__(self, ask: Ask = answers, parallel: int = 64, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._ask = ask
        self._workers = Workers(parallel, "ready")
        self._answered: dict[str, tuple[int, float]] = {}
        """Id → restarts, and for how long it had run (0: not known)."""
        self._asking: dict[tuple[str, str, int], Future[bool]] = {}
        """Id, address and restarts → its answer, once it comes."""
        self._late: set[str] = set()
        """Ids of those that did not answer in time, and have not answered since."""
        self._heard: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def watch(self, heard: Callable[[], None]) -> None:
        """`heard` is called when someone is ready who did not answer in time; from another thread."""
        self._heard = heard

    def ready(self, containers: Iterable[Container], port_of: Callable[[Container], int]) -> frozenset[str]:
        """Ids of those that may take requests now."""
        ready: set[str] = set()
        unknown: list[Container] = []
        known: dict[str, tuple[int, float]] = {}
        with self._lock:
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
            for c in self._who_answers(unknown, port_of):
                known[c.id] = c.restarts, c.up
                failpoint("ready")
            self._answered = known
        return frozenset(ready | known.keys())

    def _who_answers(self, unknown: list[Container], port_of: Callable[[Container], int]) -> list[Container]:
        asked = {(c.id, c.address or "", c.restarts): c for c in unknown}
        for key, c in asked.items():
            if key not in self._asking:
                self._asking[key] = Future()
                self._workers.submit(partial(self._put, self._asking[key], key[1], port_of(c), c.up >= WARM_UP))
                if c.id in self._late:
                    self._asking[key].add_done_callback(self._hear)
        wait([self._asking[key] for key, c in asked.items() if c.id not in self._late], self.patience)
        ended = {key: self._asking[key].result() for key in asked if self._asking[key].done()}
        self._asking = {key: self._asking[key] for key in asked if key not in ended}
        self._late &= {c.id for key, c in asked.items() if not ended.get(key)}
        for key in self._asking:
            if key[0] not in self._late:
                self._late.add(key[0])
                self._asking[key].add_done_callback(self._hear)
        return [c for key, c in asked.items() if ended.get(key)]

    def _put(self, answer: Future[bool], address: str, port: int, errors_too: bool) -> None:
        try:
            answer.set_result(self._ask(address, port, errors_too))
        except Exception as error:  # noqa: BLE001  whoever waits for it hears of it
            answer.set_exception(error)

    def _hear(self, answer: Future[bool]) -> None:
        if answer.exception() is None and answer.result():
            self._heard()
