"""What the page says of each state, and the pictures as numbers."""

import re
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from lab.page import C1, Served, a_page, fleet, healthy, motion, remember, tell

from reconciler.desired.desired import DesiredSite
from reconciler.desired.revision import Revision
from reconciler.desired.spec import Route
from reconciler.planning.deploys import Deploy, deploys
from reconciler.planning.diff import Difference
from reconciler.planning.events import DriftPeriod, Event
from reconciler.planning.foreign import Claim
from reconciler.planning.intents import ALL, Said
from reconciler.web.picture import LEAST, WIDTH, bar_of, drift_bars, lasting
from reconciler.web.view import Ports, chosen, group_of, links_of, overview, problems_of, site_row

TOKEN = "correct horse battery staple"  # noqa: S105  of these tests


def test_a_site_wants_attention_moves_or_rests() -> None:
    groups = {site.name: group_of(site) for site in fleet(10)}
    wanting = {name for name, group in groups.items() if group == "attention"}
    assert wanting == {"wiki", "docs", "mail"}
    assert {name for name, group in groups.items() if group == "moving"} == {"shop"}


def test_what_others_claim_of_a_site_is_on_its_page_with_since_when(tmp_path: Path) -> None:
    site = healthy(1)
    claim = Claim("other", "r1", "Host(`x`)", site.hosts[0], site.name, since="2026-01-01T10:00:00+00:00")
    with a_page(tmp_path) as served:
        tell(served.latest, (site, healthy(2)))
        done = served.latest.now.done
        assert done is not None
        served.latest.passed(replace(done, plan=replace(done.plan, foreign=(claim,))))
        text = httpx.get(f"{served.url}/sites/{site.name}").text
        assert "claim.host" in text
        assert 'since <time datetime="2026-01-01T10:00:00+00:00">' in text
        assert "left: remove that container" in text
        assert "claim.host" not in httpx.get(f"{served.url}/sites/{healthy(2).name}").text
        assert "drift 1" in httpx.get(served.url).text


def test_a_host_name_is_a_link_as_the_host_serves_it() -> None:
    site = healthy(1)
    route = Route(site.hosts, "/app", tls=True)
    written = DesiredSite(site.name, "aa", route, ())
    assert [link.url for link in links_of(site, None, Ports())] == ["http://docs.example.org/"]
    assert [link.url for link in links_of(site, None, Ports(8080))] == ["http://docs.example.org:8080/"]
    assert [(link.text, link.url) for link in links_of(site, written, Ports(80, 8443))] == [
        ("docs.example.org/app", "https://docs.example.org:8443/app")
    ]
    assert [link.url for link in links_of(site, written, Ports(80, 443))] == ["https://docs.example.org/app"]


def test_the_filter_wants_every_word() -> None:
    rows = [site_row(site, None, {C1: Event(0, "revision", commit=C1, more={"author": "Ada"})}, Ports()) for site in fleet(10)]
    assert [row.name for row in chosen(rows, "held", "")] == ["wiki"]
    assert [row.name for row in chosen(rows, "DRIFT docs.", "attention")] == ["docs"]
    assert chosen(rows, "drift", "moving") == ()
    assert {row.author for row in chosen(rows, "ada", "")} == {"Ada"}


def test_a_bar_is_as_wide_as_the_times_and_every_stage_is_seen() -> None:
    (deploy,) = deploys(motion("shop", "aa", 100.3, C1), {C1: Event(100.0, "revision", commit=C1, more={"committed_at": 40.0})})
    bar = bar_of(deploy, 0.0)
    assert [stage.name for stage in bar.stages] == ["fetched", "started", "ready", "switched", "drained", "at rest"]
    assert sum(stage.width for stage in bar.stages) == pytest.approx(WIDTH, abs=1)
    assert bar.stages[0].seconds == 60.0
    assert bar.stages[0].width < WIDTH * 0.21, "a commit that is older than its push does not push the rest aside"
    assert min(stage.width for stage in bar.stages) > LEAST * 0.7
    assert bar.stages[4].width > bar.stages[1].width
    assert bar.text.startswith("fetched after 1 min, started after 2.2 s, ready after ")


def test_a_bar_of_what_failed_or_goes_on_says_so() -> None:
    begun = Deploy("aa", C1, "put right", 10.0, {"started": 12.0})
    assert [(stage.name, stage.seconds) for stage in bar_of(begun, 20.0).stages] == [("started", 2.0), ("until now", 8.0)]
    failed = replace(begun, end="failed", ended=15.0)
    assert [(stage.name, stage.seconds) for stage in bar_of(failed, 20.0).stages] == [("started", 2.0), ("failed", 3.0)]
    nothing = Deploy("aa", C1, "put right", 10.0, {}, "at rest")
    assert bar_of(nothing, 20.0).stages == ()


def test_drift_is_on_one_axis() -> None:
    old, new = DriftPeriod("a", "web", "c", "f", "1", "2", 0.0, 50.0), DriftPeriod("a", "web", "c", "g", "1", "2", 75.0)
    bars = drift_bars([new, old], 100.0)
    assert [(bar.x, bar.width, bar.seconds) for bar in bars] == [(750.0, 250.0, 25.0), (0.0, 500.0, 50.0)]
    assert drift_bars([], 100.0) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (60, "1 min"), (185, "3 min 5 s"), (7440, "2 h 4 min"), (262_800, "3 d 1 h")],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_what_fails_waits_or_is_gone_is_said(tmp_path: Path) -> None:
    with a_page(tmp_path, TOKEN) as page, httpx.Client(base_url=page.url) as client:
        remember(page.store, time.time())
        assert "The first pass has not come to its end yet." in client.get("/").text
        tell(page.latest, fleet(3))
        page.latest.not_passed("cannot list the containers: no route")
        page.latest.not_fetched("cannot reach git.example.com")
        text = client.get("/").text
        assert "cannot list the containers: no route" in text
        assert "cannot reach git.example.com" in text
        done = page.latest.now.done
        assert done
        edited = Difference("", "/etc/hosts", "content", "as it was written", "edited", "drift", action="is written again")
        drifted = replace(healthy(1), differences=(replace(edited, container="docs-1", field="mem_limit", action="is replaced"),))
        page.latest.passed(replace(done, plan=replace(done.plan, host=(edited,), sites={"docs": drifted})))
        assert "<b>Changed by hand:</b> /etc/hosts" in client.get("/").text
        assert "is written again" in client.get("/").text
        assert "is replaced" in client.get("/sites/docs").text
        gone = client.get("/sites/mail")
        assert gone.status_code == 200
        assert "neither written nor runs any more" in gone.text
        assert client.get("/sites/nobody").status_code == 404
        assert client.get("/sites/%3Cb%3E").status_code == 404


def test_a_site_names_its_author_however_many_revisions_came_since(tmp_path: Path) -> None:
    with a_page(tmp_path, TOKEN) as page, httpx.Client(base_url=page.url) as client:
        old = Event(1.0, "revision", commit="0ld", what="The first docs", more={"author": "Barbara Liskov"})
        page.store.history.record([old, *(Event(2.0, "revision", commit=f"c{n}", more={"author": "Ada"}) for n in range(400))])
        tell(page.latest, [replace(healthy(1), commit="0ld")])
        for path in ("/", "/sites/docs"):
            text = client.get(path).text
            assert "Barbara Liskov" in text
            assert "The first docs" in text


def test_removals_and_a_history_that_wait_are_approved_as_they_are_listed(tmp_path: Path) -> None:
    with a_page(tmp_path, TOKEN) as page, httpx.Client(base_url=page.url) as client:
        sites = fleet(3)
        tell(page.latest, sites)
        done, desired = page.latest.now.done, page.latest.now.desired
        assert done
        assert desired
        page.latest.fetched(Revision(C1, {}, lambda _: b"", waits="f" * 40, notice="it waits"), desired)
        page.latest.passed(replace(done, plan=replace(done.plan, held_removals=frozenset({"blog", "docs"}))))
        client.post("/login", data={"token": TOKEN})
        text = client.get("/").text
        assert "Something waits for an approval: blog, docs, the history of ffffffffff" in text
        assert "Approve its removal" in client.get("/sites/blog").text
        answer = client.post("/api/sites/*/suspend", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.json()) == (409, {"error": "cannot find the site *."})
        assert page.store.said() == (), "one site is never all of them"
        answer = client.post("/api/approve", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.json() == {"site": "*", "said": "blog, docs, the history of ffffffffffff"}
        assert {(row.kind, row.site, row.value) for row in page.store.said()} == {
            ("approve", "blog", ""),
            ("approve", "docs", ""),
            ("history", "*", "f" * 40),
        }


def test_what_waits_since_the_page_was_made_is_not_approved_with_it(tmp_path: Path) -> None:
    """Nor what waits no longer, nor another commit; a script that says what it saw is told the same."""
    listed = frozenset({"blog", "docs"}), "f" * 40
    others = [(listed[0] | {"shop"}, listed[1]), (listed[0] - {"docs"}, listed[1]), (listed[0], "f" * 39 + "e"), (listed[0], ""), ((), "")]
    with a_page(tmp_path, TOKEN) as page, httpx.Client(base_url=page.url) as client:
        client.post("/login", data={"token": TOKEN})
        it_waits(page, *listed)
        fields = dict(re.findall(r'name="(csrf|removals|history)" value="([^"]*)"', client.get("/").text))
        script = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "json": {"removals": "docs blog", "history": "f" * 40}}
        for removals, waits in others:
            it_waits(page, removals, waits)
            for answer in (client.post("/api/approve", data=fields), client.post("/api/approve", **script)):  # type: ignore[arg-type]
                assert (answer.status_code, answer.json()["error"].partition(": ")[0]) == (409, "cannot approve")
        it_waits(page, *listed)
        assert client.post("/api/approve", data={"csrf": fields["csrf"]}).status_code == 409, "it does not say what it listed"
        assert (page.store.said(), page.looked) == ((), [])
        assert client.post("/api/approve", data=fields).status_code == 303
        assert client.post("/api/approve", **script).status_code == 202  # type: ignore[arg-type]
        assert {(row.kind, row.site) for row in page.store.said()} == {("approve", "blog"), ("approve", "docs"), ("history", "*")}


def it_waits(page: Served, removals: Collection[str], waits: str) -> None:
    tell(page.latest, fleet(10))
    done = page.latest.now.done
    assert done
    page.latest.fetched(Revision(C1, {}, lambda _: b"", waits=waits, notice="it waits"), done.desired)
    page.latest.passed(replace(done, plan=replace(done.plan, held_removals=frozenset(removals))))


def test_where_all_sites_are_suspended_a_single_one_cannot_be(tmp_path: Path) -> None:
    """Nor resumed: its message says the command."""
    with a_page(tmp_path, TOKEN) as page, httpx.Client(base_url=page.url) as client:
        tell(page.latest, fleet(3))
        client.post("/login", data={"token": TOKEN})
        assert "/api/sites/blog/suspend" in client.get("/sites/blog").text
        page.store.say(Said("suspend", ALL), 1.0)
        text = client.get("/sites/blog").text
        assert "/api/sites/blog/restart" in text
        assert "/api/sites/blog/suspend" not in text
        assert "/api/sites/blog/resume" not in text


def test_problems_are_those_of_the_sites_own_file(tmp_path: Path) -> None:
    with a_page(tmp_path) as page:
        tell(page.latest, fleet(5), problems=True)
        seen = overview(page.latest.now, {}, Ports())
        assert [problem.code for problem in problems_of("wiki", seen.problems)] == ["SS-Y03"]
        assert problems_of("wik", seen.problems) == ()
