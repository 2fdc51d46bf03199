"""A socket in front of the engine's: calls come late, are refused, or lose their answer, as a test says. Nothing of the engine changes."""

import http.client
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

CALLS = {
    "list": r"GET \S*/containers/json",
    "inspect": r"GET \S*/containers/\w+/json",
    "create": r"POST \S*/containers/create",
    "start": r"POST \S*/containers/\w+/start",
    "stop": r"POST \S*/containers/\w+/stop",
    "remove": r"DELETE \S*/containers/\w+",
    "events": r"GET \S*/events",
}
"""What a call is called here → how its request begins."""
IN_THE_WAY = b'{"message": "the test stands in the way"}'
SILENCE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Kept:
    """An answer on its way: the engine has `given` it, and it arrives once it may `go`."""

    given: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Harm:
    """What one call gets: it is passed on `late` seconds later; or is answered `status`, after it was `done` or without; or its answer is
    `kept`."""

    status: int = 0
    done: bool = False
    late: float = 0.0
    kept: Kept | None = None


class EngineRelay:
    """`late`: seconds that every call waits. `harms`: what the next calls of each kind get, one after the other; `refused`: kinds of calls
    that are all answered 500. `deaf`: who asks for events is answered, and nothing comes; `asked`: how often that was."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path, self.late, self.deaf, self.asked = path, 0.0, False, 0
        self.harms: dict[str, list[Harm]] = defaultdict(list)
        self.refused: set[str] = set()
        self._engine = engine.removeprefix("unix://")
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.open()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def open(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """What is open breaks off."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def close(self) -> None:
        """Nothing is there any more."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.path.unlink()
        self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with suppress(OSError), near, self._engines() as far, near.makefile("rb") as requests:
            self._ends += [near, far]
            threading.Thread(target=pass_on, args=(far, near), daemon=True).start()
            while request := read_request(requests):
                call = call_of(request)
                if call == "events" and self.deaf:
                    self.asked += 1
                    near.sendall(SILENCE)
                    continue
                harm = self._harm(call)
                time.sleep(harm.late)
                if harm.kept:
                    answer = self._do(request)
                    harm.kept.given.set()
                    harm.kept.go.wait()
                    near.sendall(answer_of(200, answer))
                elif harm.status:
                    if harm.done:
                        self._do(request)
                    near.sendall(answer_of(harm.status, IN_THE_WAY))
                else:
                    far.sendall(request)

    def _harm(self, call: str) -> Harm:
        with self._lock:
            if call in self.refused:
                return Harm(500)
            return self.harms[call].pop(0) if self.harms[call] else Harm(late=self.late)

    def _do(self, request: bytes) -> bytes:
        with self._engines() as far:
            far.sendall(request)
            answer = http.client.HTTPResponse(far)
            answer.begin()
            return answer.read()

    def _engines(self) -> socket.socket:
        far = socket.socket(socket.AF_UNIX)
        far.connect(self._engine)
        return far


def read_request(stream: BinaryIO) -> bytes:
    """One request with its body, as the Docker SDK sends it; empty at the end."""
    head = b""
    while line := stream.readline():
        head += line
        if line == b"\r\n":
            length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
            return head + stream.read(int(length[1]) if length else 0)
    return b""


def call_of(request: bytes) -> str:
    return next((name for name, begins in CALLS.items() if re.match(begins + r"[ ?]", request.decode("latin-1"))), "")


def answer_of(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Harm\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(path: Path, engine: str) -> Iterator[EngineRelay]:
    relay = EngineRelay(path, engine)
    try:
        yield relay
    finally:
        relay.close()
