"""A TCP relay in front of a port: cut, nobody gets through; silent, nobody gets an answer; or slow. What is behind it goes on."""

import socket
import threading
import time
from contextlib import suppress

from lab.ports import Ports


class Relay:
    """Listens on a port of 127.0.0.1 that stays the same, and passes on to `target`, another port there, while it is open.

    `silent`: it accepts and passes nothing on. `rate`: bytes per second each way at the most, if not 0.
    """

    def __init__(self) -> None:
        self.target = 0
        self.silent = False
        self.rate = 0
        self.passed = 0
        """Bytes so far, both ways."""
        self._pairs: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._ports = Ports()
        self.port = self._ports.take()
        self.open()

    def cut(self) -> None:
        """Nothing listens any more, and what was open is closed."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._listener = None
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                if self.silent:
                    self._pairs.append(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(self.rate or 65536):
                sink.sendall(data)
                self.passed += len(data)
                if self.rate:
                    time.sleep(len(data) / self.rate)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
