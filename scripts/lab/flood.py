"""Requests that no webhook should let in, so many a second, from processes of their own."""

import collections
import multiprocessing
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

START = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
UNSIGNED = START + b"Content-Length: 2\r\n\r\n{}"
OVERSIZED = START + b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nContent-Length: 10485760\r\n\r\n"
PROCESSES = 8
"""So many, because each waits for an answer before it asks again."""


@dataclass
class Flooded:
    """`answers`: status → how many, and "no answer"; `seconds` it took the slowest process."""

    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: float = 0.0


def flood(port: int, rate: int, seconds: float) -> Flooded:
    """Unsigned and oversized in turns, each on a connection of its own, `rate` a second."""
    answers: collections.Counter[str] = collections.Counter()
    begun = time.monotonic()
    for n in range(round(rate * seconds)):
        time.sleep(max(0.0, begun + n / rate - time.monotonic()))
        answers[_ask(port, (UNSIGNED, OVERSIZED)[n % 2])] += 1
    return Flooded(answers, time.monotonic() - begun)


def _ask(port: int, request: bytes) -> str:
    try:
        with socket.socket() as connection:  # create_connection would look the address up each time
            connection.settimeout(60)
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
            return connection.recv(4096)[9:12].decode() or "no answer"
    except OSError:
        return "no answer"


@contextmanager
def flooding(port: int, rate: int, seconds: float) -> Iterator[Flooded]:
    """While the block runs; waits for its end, and then knows what was answered."""
    found = Flooded()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(abs, range(PROCESSES)))  # they are there
        parts = [pool.submit(flood, port, rate // PROCESSES, seconds) for _ in range(PROCESSES)]
        yield found
        for part in parts:
            found.answers += part.result().answers
            found.seconds = max(found.seconds, part.result().seconds)
