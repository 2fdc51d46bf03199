"""What stands before a registry when many ask: it answers 429, or slowly, as a test says; and logs in for whoever pulls."""

import base64
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab.registry import Registry

BUSY = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'
PASSED_ON = ("Accept", "Range")
"""Headers of a request that the registry needs to see."""


class BusyRegistry(ThreadingHTTPServer):
    """`busy`: everybody gets 429; `refused`: how many did. `rate`: bytes per second of an answer, if not 0; `answering`: under way."""

    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = registry
        self.busy, self.refused = False, 0
        self.rate, self.answering = 0, 0

    def handle_error(self, *_: object) -> None:
        """Whoever pulls may hang up."""

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: BusyRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.server.busy:
            self.server.refused += 1
            self._answer(429, {"Content-Type": "application/json", "Content-Length": str(len(BUSY))}, BUSY)
            return
        registry = self.server.behind
        login = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
        headers = {key: value for key in PASSED_ON if (value := self.headers.get(key))}
        connection = http.client.HTTPConnection(registry.name, timeout=30)
        connection.request(self.command, self.path, headers={"Authorization": f"Basic {login}", **headers})
        answer = connection.getresponse()
        self._answer(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()

    do_HEAD = do_GET  # noqa: N815  as the base class calls it

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.server.answering += 1
        size = max(1, self.server.rate // 10) if self.server.rate else max(1, len(body))
        for n in range(0, len(body), size):
            self.wfile.write(body[n : n + size])
            rate = self.server.rate
            time.sleep(size / rate if rate else 0)
        self.server.answering -= 1

    def log_message(self, format: str, *_: object) -> None: ...  # noqa: A002  the parent's word


@contextmanager
def a_busy_registry(registry: Registry) -> Iterator[BusyRegistry]:
    with BusyRegistry(registry) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()
