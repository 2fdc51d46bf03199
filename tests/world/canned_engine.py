"""An engine behind a real socket that says what a test tells it to: for what no real one does when it is asked."""

import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

VERSION = {"ApiVersion": "1.43", "Version": "24"}
INSPECTED: dict[str, Any] = {
    "Name": "/shop",
    "Image": "sha256:1",
    "State": {"Status": "running", "Running": True, "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": 0},
    "Config": {"Image": "app:1", "Labels": {}},
    "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
    "NetworkSettings": {"Networks": {}},
}
Answer = Callable[["Asked"], None]


class CannedEngine:
    """`answers`: what begins with these words is answered so, the longest first; all else with 404. `asked`: how often what was."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.answers: dict[str, Answer] = {"GET /version": says(VERSION), "GET /_ping": says("OK")}
        self.asked: dict[str, int] = defaultdict(int)
        self.over = threading.Event()

    def has(self, *ids: str, instance: str = "t", state: str = "running", **inspected: object) -> None:
        """Containers of the site shop, and what an inspection says of each."""
        labels = {"shipstone.instance": instance, "shipstone.site": "shop"}
        rows = [{"Id": one, "Names": [f"/{one}"], "State": state, "Status": "", "Labels": labels} for one in ids]
        self.answers["GET /containers/json"] = says(rows)
        self.answers["GET /images/"] = says({"Id": "sha256:1", "Config": {}})
        for one in ids:
            self.answers[f"GET /containers/{one}/json"] = says({**INSPECTED, "Id": one, "Name": f"/{one}", **inspected})


class Asked(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        engine: CannedEngine = self.server.engine  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {re.sub(r'^/v[0-9.]+', '', self.path)}"
        engine.asked[line] += 1
        begins = max((begins for begins in engine.answers if line.startswith(begins)), key=len, default="")
        engine.answers.get(begins, says({"message": "there is no such thing"}, 404))(self)

    do_POST = do_DELETE = do_GET  # noqa: N815  as the library calls them

    def begin(self, *rows: object) -> None:
        """An answer that has no end yet."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for row in rows:
            self.chunk(row)

    def chunk(self, row: object) -> None:
        data = json.dumps(row).encode() + b"\r\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def wait(self) -> None:
        """For the end of the test."""
        self.server.engine.over.wait()  # type: ignore[attr-defined]
        self.close_connection = True

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    engine: CannedEngine


def says(body: object, status: int = 200) -> Answer:
    def answer(asked: Asked) -> None:
        data = json.dumps(body).encode()
        asked.send_response(status)
        asked.send_header("Content-Type", "application/json")
        asked.send_header("Content-Length", str(len(data)))
        asked.end_headers()
        asked.wfile.write(data)

    return answer


@contextmanager
def canned_engine(folder: Path) -> Iterator[CannedEngine]:
    engine = CannedEngine(folder / "engine.sock")
    with _Server(str(folder / "engine.sock"), Asked) as server:
        server.engine = engine
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield engine
        finally:
            engine.over.set()
            server.shutdown()
