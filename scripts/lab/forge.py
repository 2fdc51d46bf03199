"""A forge that takes commit statuses, and checks each request against what the API of its kind documents."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "t0k3n"  # noqa: S105  of this forge
LOGIN = {
    "github": {
        "authorization": f"Bearer {TOKEN}",
        "accept": "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
    },
    "gitlab": {"private-token": TOKEN},
    "gitea": {"authorization": f"token {TOKEN}"},
    "forgejo": {"authorization": f"token {TOKEN}"},
}
STATES = {
    "github": {"error", "failure", "pending", "success"},
    "gitlab": {"pending", "running", "success", "failed", "canceled", "skipped"},
    "gitea": {"pending", "success", "error", "failure", "warning"},
    "forgejo": {"pending", "success", "error", "failure", "warning"},
}
KEYS = {
    "github": {"state", "target_url", "description", "context"},
    "gitlab": {"state", "ref", "name", "context", "target_url", "description", "coverage", "pipeline_id"},
    "gitea": {"state", "target_url", "description", "context"},
    "forgejo": {"state", "target_url", "description", "context"},
}
LONGEST = {"github": 140, "gitlab": 255, "gitea": 255, "forgejo": 255}
PATHS = {
    "github": "/repos/team/desired-state/statuses/",
    "gitlab": "/projects/team%2Fdesired-state/statuses/",
    "gitea": "/repos/team/desired-state/statuses/",
    "forgejo": "/repos/team/desired-state/statuses/",
}


@dataclass
class TestForge:
    """`taken`: (commit, body) of what was right; `wrong`: what was not. `answers` are given first, one a request: (status, body)."""

    __test__ = False

    kind: str
    url: str = ""
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    asked: int = 0

    def states(self, commit: str = "") -> list[str]:
        return [body["state"] for at, body in self.taken if commit in ("", at)]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        found = [f"header {name}: {headers.get(name)!r}" for name, value in LOGIN[self.kind].items() if headers.get(name) != value]
        if not headers.get("user-agent"):
            found.append("no user-agent")
        if headers.get("content-type") != "application/json":
            found.append("content-type")
        start, _, commit = path.rpartition("/")
        if f"{start}/" != PATHS[self.kind] or len(commit) != 40:
            found.append(f"path {path}")
        data = json.loads(body)
        if data.keys() - KEYS[self.kind] or data.get("state") not in STATES[self.kind]:
            found.append(f"body {data}")
        if len(data.get("description", "")) > LONGEST[self.kind]:
            found.append("description is too long")
        if not all(isinstance(value, str) for value in data.values()):
            found.append("a value is no text")
        if self.kind == "gitlab" and data["state"] == "pending" and self.states(commit)[-1:] == ["pending"]:
            return 400, json.dumps({"message": "Cannot transition status via :enqueue from :pending"})
        if found:
            self.wrong += found
            return 422, json.dumps({"message": "; ".join(found)})
        self.taken.append((commit, data))
        return 201, "{}"


@contextmanager
def a_forge(kind: str) -> Iterator[TestForge]:
    """It answers at `url` while the block runs."""
    forge = TestForge(kind)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, text = forge.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        forge.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
