"""What is answered over HTTP: alive, ready, status."""

import threading

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.planning.describe import SitePlan
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.web.app import STALE, build_app
from reconciler.web.latest import Latest
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
        assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (503, 503)


def test_a_busy_site_is_shown_as_it_was_seen_last() -> None:
    latest = Latest()
    latest.passed(a_pass(BLOG))
    latest.passed(a_pass(busy=frozenset({"blog"})))
    with asking(build_app(latest)) as client:
        assert client.get("/api/status").json()["sites"]["blog"]["replicas"] == {"ready": 2, "desired": 2}
        latest.passed(a_pass())
        assert client.get("/api/status").json()["sites"] == {}


def test_whoever_waits_is_woken_by_a_change() -> None:
    latest = Latest()
    before = latest.now
    thread = threading.Thread(target=lambda: latest.fetched(Revision("abc123", {}, lambda _: b""), DESIRED))
    thread.start()
    assert latest.wait(before.number, 10.0).revision is not None
    thread.join()
