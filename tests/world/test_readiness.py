"""Who may take requests, asked of real servers."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from lab.host import until

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
    return bool(Readiness(patience=30).ready([container], lambda _: port))


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
    readiness = Readiness(patience=30)
    with serving(200) as port:
        assert readiness.ready([ONE], lambda _: port) == {"1"}
    assert readiness.ready([ONE], lambda _: port) == {"1"}
    assert readiness.ready([replace(ONE, up=9.0)], lambda _: port) == {"1"}
    assert readiness.ready([replace(ONE, up=0.0)], lambda _: port) == {"1"}, "it was not inspected"
    assert readiness.ready([replace(ONE, up=8.0)], lambda _: port) == frozenset(), "a restart of the engine is not counted"
    with serving(200) as again:
        assert readiness.ready([ONE], lambda _: again) == {"1"}
    assert readiness.ready([replace(ONE, restarts=1)], lambda _: port) == frozenset()


def test_who_drips_has_no_more_time_than_others() -> None:
    """Each byte comes in time, the answer does not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            client, _ = server.accept()
            with suppress(OSError):
                while not over.wait(0.1):
                    client.sendall(b"H")
            client.close()

        threading.Thread(target=drip, daemon=True).start()
        assert not answers("127.0.0.1", server.getsockname()[1], errors_too=True, timeout=0.5)
        over.set()


def test_who_hangs_holds_up_one_pass_and_is_heard_when_it_answers() -> None:
    """The first question was waited for; from then on nobody waits, whoever else is asked."""
    answer, heard, asked = threading.Event(), threading.Event(), []

    def ask(address: str, _port: int, _errors_too: bool) -> bool:
        asked.append(address)
        return address == "quick" or answer.wait(60)

    hangs, quick = replace(ONE, id="hangs", address="slow"), [replace(ONE, id=f"quick{n}", address="quick") for n in range(3)]
    readiness = Readiness(ask, patience=2.0)
    readiness.watch(heard.set)
    begun = time.monotonic()
    for n in range(3):
        assert readiness.ready([hangs, *quick[: n + 1]], lambda _: 80) == {c.id for c in quick[: n + 1]}
        readiness.patience = 60
    assert time.monotonic() - begun < 50
    assert asked.count("slow") == 1
    answer.set()
    assert heard.wait(30)
    assert readiness.ready([hangs], lambda _: 80) == {"hangs"}
    assert asked.count("slow") == 1


def test_who_did_not_answer_in_time_is_asked_again_beside_the_passes() -> None:
    """Its answer was no: a late yes is heard all the same."""
    answers_of, heard, release = iter([False, False, True]), threading.Event(), threading.Semaphore(0)

    def ask(*_: object) -> bool:
        assert release.acquire(timeout=60)
        return next(answers_of)

    readiness = Readiness(ask, patience=2.0)
    readiness.watch(heard.set)
    assert readiness.ready([ONE], lambda _: 80) == frozenset()
    release.release(3)
    until(lambda: readiness.ready([ONE], lambda _: 80) or heard.is_set(), "the third answer", 30)
    assert heard.wait(30)
    until(lambda: readiness.ready([ONE], lambda _: 80) == {ONE.id}, "it is ready", 30)
    assert next(answers_of, None) is None


def test_a_late_answer_counts_for_the_container_that_was_asked() -> None:
    """Not for what has its id after another start."""
    answer, heard, asked = threading.Event(), threading.Event(), []

    def ask(address: str, _port: int, _errors_too: bool) -> bool:
        asked.append(address)
        return answer.wait(60) and address == "before"

    readiness = Readiness(ask, patience=2.0)
    readiness.watch(heard.set)
    readiness.ready([replace(ONE, address="before")], lambda _: 80)
    answer.set()
    assert heard.wait(30)
    again = replace(ONE, address="after", restarts=1)
    until(lambda: asked.count("after") or readiness.ready([again], lambda _: 80), "it is asked", 30)
    assert readiness.ready([again], lambda _: 80) == frozenset()
