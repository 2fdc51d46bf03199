"""What is answered over HTTP: alive, ready, status."""

import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.planning.describe import SitePlan
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.web.app import STALE, STUCK, build_app
from reconciler.web.latest import Latest
from reconciler.web.mishaps import QUIET
from tests.web.asked import asking

DESIRED = Desired("abc123", {})
BLOG = SitePlan("blog", "synced", "healthy", "0011223344", "abc123", ("blog.example.org",), 2, 2)


def a_pass(*sites: SitePlan, at: float = 1000.0, busy: frozenset[str] = frozenset()) -> Pass:
    return Pass(Plan({site.name: site for site in sites}, Memory(), network=True, busy=busy), DESIRED, at, 0.01)


def test_it_is_ready_after_the_first_pass_and_not_while_passes_fail() -> None:
    latest = Latest()
    with asking(build_app(latest, wall=lambda: 1001.0)) as client:
        assert (client.get("/readyz").status_code, client.get("/healthz").status_code) == (503, 200)
        latest.passed(a_pass(BLOG))
        assert client.get("/readyz").text == "ready\n"
        latest.not_passed("cannot list the containers: no route")
        assert client.get("/readyz").text == "cannot list the containers: no route\n"
        latest.passed(a_pass(BLOG))
        assert client.get("/readyz").status_code == 200


def test_it_is_not_alive_when_passes_come_to_no_end() -> None:
    now = [1000.0]
    latest = Latest()
    latest.passed(a_pass(BLOG))
    with asking(build_app(latest, wall=lambda: now[0])) as client:
        assert client.get("/healthz").status_code == 200
        now[0] += STALE
        assert [(row.status_code, row.text) for row in map(client.get, ("/healthz", "/readyz"))] == [(503, f"{STUCK}\n")] * 2


@pytest.mark.parametrize("kept", [False, True])
def test_before_the_first_pass_it_is_alive_as_long_as_there_is_none_to_do(kept: bool) -> None:
    """From then on it has its time; fetching once more does not begin it anew."""
    now = [1000.0]
    latest = Latest(lambda: now[0])
    revision = Revision("abc123", {}, lambda _: b"", kept=kept)
    with asking(build_app(latest, wall=lambda: now[0])) as client:

        def healthz(after: float) -> int:
            now[0] += after
            return client.get("/healthz").status_code

        latest.not_fetched("no route")
        assert healthz(10 * STALE) == 200
        latest.fetched(revision, DESIRED)
        assert healthz(STALE - 1) == 200
        latest.fetched(replace(revision, kept=False), DESIRED)
        assert healthz(1) == 503
        latest.passed(a_pass(BLOG, at=now[0]))
        assert healthz(STALE - 1) == 200


def test_passes_that_fail_from_the_start_on_are_no_life() -> None:
    """As while the engine is away: nothing is taken before it answers."""
    now = [1000.0]
    latest = Latest(lambda: now[0])
    latest.not_passed("cannot list the containers: no route")
    with asking(build_app(latest, wall=lambda: now[0])) as client:
        assert client.get("/healthz").status_code == 200
        now[0] += STALE
        assert client.get("/healthz").status_code == 503
        now[0] += 1
        assert client.get("/healthz").status_code == 200, "the engine is back, and there is nothing to do a pass for yet"


def test_a_busy_site_is_shown_as_it_was_seen_last() -> None:
    latest = Latest()
    latest.passed(a_pass(BLOG))
    latest.passed(a_pass(busy=frozenset({"blog"})))
    with asking(build_app(latest)) as client:
        assert client.get("/api/status").json()["sites"]["blog"]["replicas"] == {"ready": 2, "desired": 2}
        latest.passed(a_pass())
        assert client.get("/api/status").json()["sites"] == {}


def test_a_revision_that_is_only_fetched_is_not_told_as_that_of_the_sites() -> None:
    latest = Latest()
    latest.passed(a_pass(BLOG))
    latest.fetched(Revision("def456", {}, lambda _: b""), Desired("def456", {}))
    with asking(build_app(latest)) as client:
        assert client.get("/api/status").json()["revision"] == "abc123"


def test_whoever_waits_is_woken_by_a_change() -> None:
    latest = Latest()
    before = latest.now
    thread = threading.Thread(target=lambda: latest.fetched(Revision("abc123", {}, lambda _: b""), DESIRED))
    thread.start()
    assert latest.wait(before.number, 10.0).revision is not None
    thread.join()


def test_what_nobody_foresaw_is_answered_in_plain_words_and_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]

    def broken(_: Request) -> Response:
        raise KeyError("pass\nword")

    with capture_logs() as logs, asking(build_app(Latest(), [Route("/x{rest}", broken)], clock=lambda: now[0])) as client:
        for _ in range(3):
            answer = client.get("/x%0Ay")
            assert (answer.status_code, answer.text) == (500, "Shipstone could not answer this. Its log says why.\n")
        now[0] += QUIET
        client.get("/x2")
        assert client.get("/healthz").status_code == 200
    assert [(row["log_level"], row["event"], row["path"], row["unsaid_before"]) for row in logs] == [
        ("error", "request failed", '"/x\\ny"', 0),
        ("error", "request failed", "/x2", 2),
    ]
    assert logs[0]["error"] == r"KeyError: 'pass\nword'"
    assert "test_app.py:" in logs[0]["at"]
    assert not [row for row in caplog.records if row.exc_info], "a traceback of the server"


def test_an_answer_that_breaks_off_is_no_second_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("in the middle")

    with capture_logs() as logs, asking(build_app(Latest(), [Route("/", lambda _: StreamingResponse(half()))])) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/")
        assert client.get("/healthz").status_code == 200
    assert [row["error"] for row in logs] == ["ValueError: in the middle"]
    assert not [row for row in caplog.records if row.exc_info], "a traceback of the server"
