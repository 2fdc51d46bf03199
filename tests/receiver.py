"""A real HTTP server that keeps what it is sent."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.host import until


class Receiver:
    """`messages` are JSON bodies, `calls` the paths of GETs; `answers` are the statuses of the next answers, 200 when none is left."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        """As Apprise takes it, with a token."""
        return f"json://127.0.0.1:{self.port}/secret-token"

    @property
    def heartbeat(self) -> str:
        return f"http://127.0.0.1:{self.port}/ping/secret-uuid"

    def titles(self) -> list[str]:
        return [str(message["title"] or message["message"]) for message in self.messages]

    def until(self, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        """So many messages, at least."""
        until(lambda: len(self.messages) >= count, f"{count} messages, of which came {self.titles()}", seconds)
        return self.messages


@contextlib.contextmanager
def a_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(lambda: receiver.messages.append(body))

        def do_GET(self) -> None:
            receiver.calls.append(self.path)
            self._answer(lambda: None)

        def _answer(self, taken: Callable[[], None]) -> None:
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == 200:
                taken()  # before the answer: whoever sent it may look at once
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
