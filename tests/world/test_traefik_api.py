"""Traefik's API where something else answers in its place, or asks for a password."""

import base64
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lab.ports import Ports

from reconciler.errors import SettingsError, TraefikError
from reconciler.world.traefik_api import TraefikApi


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[int, list[str]]]:
    """A server that gives this answer to all; its port, and the credentials that came."""
    logins: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logins.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], logins
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (502, b"<h1>Bad Gateway</h1>", "it answers 502."),
        (302, b"", "it answers 302."),
        (401, b"401 Unauthorized", "it answers 401."),
        (200, b"<h1>It works!</h1>", "Expecting value"),
        (404, b"404 page not found", "its API does not know /api/overview. Switch it on: [api] insecure = true."),
    ],
)
def test_what_is_no_traefik_is_said_and_nothing_is_believed_of_it(status: int, body: bytes, why: str) -> None:
    with answering(status, body) as (port, _), closing(TraefikApi(f"http://127.0.0.1:{port}/", "one")) as api:
        with pytest.raises(TraefikError, match="cannot ask Traefik") as told:
            api.overview()
        assert why in str(told.value)
        assert not api.view({"shop"}).reachable


def test_nobody_answers() -> None:
    with closing(Ports()) as ports:
        port = ports.take()
    with closing(TraefikApi(f"http://127.0.0.1:{port}", "one")) as api:
        with pytest.raises(
            TraefikError, match=f"cannot ask Traefik at http://127.0.0.1:{port}: Failed to establish .* Start Traefik, or correct"
        ):
            api.version()
        assert not api.view({"shop"}).reachable


def test_its_password_is_sent_and_never_told() -> None:
    with answering(500, b"") as (port, logins), closing(TraefikApi(f"http://me:p%2Fss€@127.0.0.1:{port}", "one")) as api:
        with pytest.raises(TraefikError) as told:
            api.version()
        assert base64.b64decode(logins[0].removeprefix("Basic ")) == "me:p/ss€".encode()
        assert str(told.value).startswith(f"cannot ask Traefik at http://127.0.0.1:{port}: it answers 500.")


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(SettingsError, match=r"^cannot use \[traefik\] api: .* Write http://HOST:PORT\.$"):
        TraefikApi("http://[::1", "one")
