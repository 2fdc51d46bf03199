"""The probe counts what it should: against a server that loses, cuts, swaps and spoils answers on purpose."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lab.host import until
from lab.load import Load, Lost, echo_of
from lab.timeline import Moment, moments_of, place, tell_lost


class Server(ThreadingHTTPServer):
    """Answers "one" and the echo of a body; request number `at` is `spoilt` instead. `seen`: (method, path, connection kept) of each."""

    daemon_threads = True

    def __init__(self, spoilt: "Spoil", at: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spoilt, self.at = spoilt, at
        self.seen: list[tuple[str, str, bool]] = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.seen.append((self.command, self.path, self.headers.get("Connection") != "close"))
            turn = len(self.server.seen) == self.server.at
        if turn:
            self.server.spoilt(self, body)
        else:
            self.answer(echo=echo_of(body))

    do_POST = do_GET  # noqa: N815  the parent's word

    def answer(self, status: int = 200, text: str = "one", echo: str = "", length: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(text)))
        self.send_header("X-Body", echo)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the parent's word
        pass


Spoil = Callable[[Handler, bytes], None]


def hang_up(handler: Handler, _: bytes) -> None:
    handler.close_connection = True


def fail(handler: Handler, body: bytes) -> None:
    handler.answer(status=502, echo=echo_of(body))


def cut(handler: Handler, body: bytes) -> None:
    handler.answer(echo=echo_of(body), length=100)
    handler.close_connection = True


def swap(handler: Handler, body: bytes) -> None:
    handler.answer(text="other", echo=echo_of(body))


def lose_a_byte(handler: Handler, body: bytes) -> None:
    handler.answer(echo=echo_of(body[:-1]))


def change_a_byte(handler: Handler, body: bytes) -> None:
    handler.answer(echo=echo_of(body[:-1] + b"y"))


def forget_the_body(handler: Handler, _: bytes) -> None:
    handler.answer()


def refuse(handler: Handler, body: bytes) -> None:
    handler.answer(status=405, echo=echo_of(body))


@contextmanager
def served(spoilt: Spoil = fail, at: int = 0) -> Iterator[Server]:
    server = Server(spoilt, at)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("spoilt", "method", "why"),
    [
        (hang_up, "GET", "RemoteDisconnected"),
        (hang_up, "POST", "RemoteDisconnected"),
        (fail, "GET", "status 502"),
        (fail, "POST", "status 502"),
        (cut, "GET", "IncompleteRead"),
        (swap, "GET", "the answer of another: 'other'"),
        (swap, "POST", "the answer of another: 'other'"),
        (lose_a_byte, "POST", "the server got (ff|4e1f)-"),
        (change_a_byte, "POST", "the server got (100|4e20)-"),
        (forget_the_body, "POST", "the server got no body"),
        (refuse, "GET", "status 405"),
        (refuse, "POST", "status 405"),
    ],
)
def test_the_one_bad_answer_of_many_is_counted_with_its_reason(spoilt: Spoil, method: str, why: str) -> None:
    with served(spoilt, at=10) as server:
        with Load(server.server_port, "shop.test", clients=4, pause=0.001, method=method, expect=["one"]) as load:
            until(lambda: load.seen.sent >= 40, "enough requests")
        (lost,) = load.seen.lost
        assert re.match(why, lost.why)
        assert lost.request.split()[0] == method
        assert load.seen.sent == len(server.seen)


def test_of_right_answers_none_is_lost_and_every_kind_of_client_asks() -> None:
    with served() as server:
        with Load(server.server_port, "shop.test", clients=4, slow=4, pause=0.001, expect=["one"]) as load:
            until(lambda: load.seen.sent >= 80 and len(set(server.seen)) == 8, "enough requests of each kind")
        assert load.seen.lost == []
        assert set(server.seen) == {
            (method, path, kept) for method in ("GET", "POST") for path in ("/", "/?ms=500") for kept in (True, False)
        }
        assert load.seen.answers.keys() == {(200, "one")}


def test_a_post_may_be_refused_where_no_answer_is_expected() -> None:
    """As nginx does with a page."""
    with served(refuse, at=10) as server:
        with Load(server.server_port, "shop.test", clients=2, pause=0.001, method="POST") as load:
            until(lambda: load.seen.sent >= 20, "enough requests")
        assert load.seen.lost == []
        assert load.seen.answers[405, "one"] == 1


def test_when_each_answer_came_first_and_was_last_asked_for_is_kept() -> None:
    with served(swap, at=10) as server:
        with Load(server.server_port, "shop.test", clients=1) as load:
            until(lambda: load.seen.sent >= 20, "enough requests")
        seen = load.seen
        assert seen.first["one"] < seen.last["other"] < seen.first["other"] < seen.last["one"]


LOG = [
    {"timestamp": f"2026-01-01T00:00:{second:09.6f}Z", "event": event, "site": site, "reason": reason, "message": message}
    for second, event, site, reason, message in (
        (1.0, "unpin", "shop", "labels route again", ""),
        (10.4, "fetched", "", "", ""),
        (11.0, "start", "shop", "", ""),
        (11.2, "start", "shop", "", ""),
        (11.3, "start", "other", "", ""),
        (11.8, "pin", "shop", "the switch: requests to abc", ""),
        (11.9, "site", "shop", "", "abc serves; the rest is drained"),
        (13.5, "stop", "shop", "", ""),
        (13.7, "unpin", "shop", "labels route again", ""),
    )
]
ZERO = 1767225610.0
"""2026-01-01 00:00:10 UTC."""


def test_what_was_lost_is_placed_in_the_rollout() -> None:
    moments = moments_of(LOG, "shop", ZERO, "0123456789abcdef")
    assert [(moment.name, round(moment.at - ZERO, 3)) for moment in moments] == [
        ("pushed", 0.0),
        ("fetched", 0.4),
        ("started", 1.2),
        ("ready", 1.8),
        ("switched", 1.9),
        ("drained", 3.5),
        ("at rest", 3.7),
    ]
    lost = Lost(ZERO + 1.93, "status 502", "POST on a new connection", 0.02)
    assert tell_lost([lost], moments) == ["1.93 s, between switched and drained: POST on a new connection, status 502 after 0.02 s"]
    assert place(ZERO - 1, moments) == "-1.00 s, before pushed"
    assert place(ZERO + 4, moments) == "4.00 s, after at rest"


def test_a_rollout_that_has_not_come_far_is_placed_by_what_there_was() -> None:
    assert place(ZERO + 2, moments_of([], "shop", ZERO)) == "2.00 s, after pushed"
    assert place(ZERO, [Moment("switched", 0.0)]) == "at an unknown time"
