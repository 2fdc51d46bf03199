"""A socket in front of the engine's that passes everything on but the request for events: that one is answered, and nothing comes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class Deaf:
    """`asked` counts the requests for events."""

    def __init__(self, path: Path, engine: str) -> None:
        self.socket, self.asked = f"unix://{path}", 0
        self._engine = engine.removeprefix("unix://")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._ends += [near, far]
                for source, sink, asks in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pass_on, args=(source, sink), kwargs={"asks": asks}, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, *, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and b"/events" in data.split(b"\r\n")[0]:
                    self.asked += 1
                    source.sendall(ANSWER)
                else:
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def deaf(path: Path, engine: str) -> Iterator[Deaf]:
    relay = Deaf(path, engine)
    try:
        yield relay
    finally:
        relay.close()
