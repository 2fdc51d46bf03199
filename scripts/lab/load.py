"""Requests that never stop: every one is counted, and so is every one that is lost or answered wrongly."""

import collections
import http.client
import threading
import time
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

SLOW_MS = 500
"""How long tests/servers/abrupt.c takes for a slow request."""
SIZES = (256, 256, 256, 20_000)
"""Bytes of a POST's body, in turns: what fits into one packet and what does not."""
TIMEOUT = 15
"""Seconds after which an answer is given up, beside those that it is asked to take."""


class Lost(NamedTuple):
    """A request without the right answer. `at`: when that showed, seconds since the epoch; `took` seconds after it was sent."""

    at: float
    why: str
    request: str = ""
    took: float = 0.0


@dataclass
class Seen:
    """`answers`: (status, body) → how many; of right ones: `first`: body → when the first answer came, `last`: body → when the last request
    that got it was sent (both in seconds since the epoch)."""

    sent: int = 0
    answers: collections.Counter[tuple[int, str]] = field(default_factory=collections.Counter)
    lost: list[Lost] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    """Seconds of each right answer."""


@dataclass(frozen=True)
class Client:
    """How one thread asks: `fresh` opens a connection for each request."""

    method: str
    fresh: bool
    path: str = "/"

    def __str__(self) -> str:
        return f"{'slow ' if self.path != '/' else ''}{self.method}{' on a new connection' if self.fresh else ''}"


class Load:
    """`clients` threads that ask `host` through port `port`, each with the cookie that it got: GET and POST in turns (or `method`), two by
    two over a connection that stays open and over new ones; `slow` more whose answers take `slow_ms`; `pause` seconds between two requests
    of one. An answer is right with status 200, all of its body, one of the `expect`ed bodies where there are any, and to a POST the length
    and checksum of what was sent, as tests/servers/abrupt.c says them. Where nothing is expected a POST may also be refused by 405."""

    def __init__(
        self,
        port: int,
        host: str,
        *,
        clients: int = 8,
        pause: float = 0.0,
        method: str = "",
        slow: int = 0,
        slow_ms: int = SLOW_MS,
        expect: Collection[str] = (),
    ) -> None:
        self._port, self._host, self._pause, self._expect = port, host, pause, expect
        self._timeout = TIMEOUT + slow_ms / 1000
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.seen = Seen()
        methods = [method] if method else ["GET", "POST"]
        kinds = [Client(methods[n % len(methods)], n % 4 > 1) for n in range(clients)]
        kinds += [Client(methods[n % len(methods)], n % 4 > 1, f"/?ms={slow_ms}") for n in range(slow)]
        self._threads = [threading.Thread(target=self._ask, args=(n, client), daemon=True) for n, client in enumerate(kinds)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(self._timeout + 5)

    def _ask(self, number: int, client: Client) -> None:
        connection: http.client.HTTPConnection | None = None
        headers = {"Host": self._host} | ({"Connection": "close"} if client.fresh else {})
        count = 0
        while not self._stop.is_set():
            body = body_of(number, count) if client.method == "POST" else None
            count += 1
            answer, why, begun = (0, ""), "", time.time()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
                connection.request(client.method, client.path, body=body, headers=headers)
                response = connection.getresponse()
                answer = (response.status, response.read().decode("utf-8", "replace"))
                if cookie := response.getheader("Set-Cookie"):
                    headers["Cookie"] = cookie.split(";")[0]
                why = wrong(answer, body, response.getheader("X-Body", ""), self._expect)
                keep = not client.fresh and not response.will_close
            except (OSError, http.client.HTTPException) as error:
                why, keep = type(error).__name__, False
            if connection is not None and not keep:
                connection.close()
                connection = None
            self._count(client, answer, why, begun)
            if self._pause:
                self._stop.wait(self._pause)

    def _count(self, client: Client, answer: tuple[int, str], why: str, begun: float) -> None:
        now = time.time()
        with self._lock:
            self.seen.sent += 1
            self.seen.answers[answer] += 1
            if why:
                self.seen.lost.append(Lost(now, why, str(client), now - begun))
            elif answer[0] == 200:
                self.seen.took.append(now - begun)
                self.seen.first.setdefault(answer[1], now)
                self.seen.last[answer[1]] = max(begun, self.seen.last.get(answer[1], begun))


def body_of(number: int, count: int) -> bytes:
    """What client `number` posts the `count`th time: no two are the same, so one's answer is not another's."""
    return f"{number}/{count} ".encode().ljust(SIZES[count % len(SIZES)], b"x")


def echo_of(body: bytes) -> str:
    """What the server says of a body that it got whole."""
    return f"{len(body):x}-{zlib.adler32(body):08x}"


def wrong(answer: tuple[int, str], body: bytes | None, echo: str, expect: Collection[str]) -> str:
    """What is wrong with an answer that came whole; nothing if it is right."""
    status, text = answer
    if status == 405 and body is not None and not expect:
        return ""
    if status != 200:
        return f"status {status}"
    if expect and text not in expect:
        return f"the answer of another: {text[:40]!r}"
    if body is not None and echo != echo_of(body):
        return f"the server got {echo or 'no body'} instead of {echo_of(body)}"
    return ""
