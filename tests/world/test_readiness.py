"""Who may take requests, asked of real servers."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from reconciler.planning.observed import Container
from reconciler.world.readiness import WARM_UP, Readiness, answers

ONE = Container("1", "one", "running", "none", {}, "127.0.0.1", up=1.0)


@contextmanager
def serving(status: int) -> Iterator[int]:
    """A server that answers everything with `status`; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def ready(port: int, container: Container) -> bool:
    return bool(Readiness().ready([container], lambda _: port))


@pytest.mark.parametrize("status", [200, 302, 401, 404])
def test_whoever_answers_is_ready(status: int) -> None:
    with serving(status) as port:
        assert ready(port, ONE)


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_on_the_first_page_only_delays(status: int) -> None:
    """It may still be starting; but one that gives errors before a login can be deployed."""
    with serving(status) as port:
        assert not ready(port, ONE)
        assert ready(port, replace(ONE, up=WARM_UP))


def test_something_that_is_not_http_is_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hello() -> None:
            client, _ = server.accept()
            client.recv(1000)
            client.sendall(b"220 mail ready\r\n")
            client.close()

        threading.Thread(target=hello, daemon=True).start()
        assert ready(server.getsockname()[1], ONE)


def test_nobody_there_is_not_ready() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert not answers("127.0.0.1", probe.getsockname()[1], errors_too=True)


def test_a_check_decides_alone() -> None:
    with serving(200) as port:
        assert not ready(port, replace(ONE, health="starting"))
        assert ready(0, replace(ONE, health="healthy"))
        assert not ready(port, replace(ONE, state="paused"))


def test_it_is_asked_again_only_after_a_restart() -> None:
    readiness = Readiness()
    with serving(200) as port:
        assert readiness.ready([ONE], lambda _: port) == {"1"}
    assert readiness.ready([ONE], lambda _: port) == {"1"}
    assert readiness.ready([replace(ONE, up=9.0)], lambda _: port) == {"1"}
    assert readiness.ready([replace(ONE, up=0.0)], lambda _: port) == {"1"}, "it was not inspected"
    assert readiness.ready([replace(ONE, up=8.0)], lambda _: port) == frozenset(), "a restart of the engine is not counted"
    with serving(200) as again:
        assert readiness.ready([ONE], lambda _: again) == {"1"}
    assert readiness.ready([replace(ONE, restarts=1)], lambda _: port) == frozenset()
