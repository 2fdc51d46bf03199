"""The followers that tell people: a real receiver, a real store, and a time of day that the test sets."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.telling import BEAT, Heartbeat, Schedule, Teller
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.reports.drift import drift_summary
from reconciler.world.notify import Outbox, Services
from reconciler.world.store import Store
from tests.receiver import Receiver, a_receiver

BLOG = SitePlan("blog", "synced", "healthy", "aaaa", "c1", (), 1, 1, asked="aaaa")
DRIFTED = replace(BLOG, differences=(Difference("web", "c1", "mem_limit", "", "64", "drift"),))
MONDAY = dt.datetime(2026, 11, 23, 7, 0).astimezone()
DAY = 86400.0

Make = Callable[..., Teller]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


@pytest.fixture
def now() -> list[float]:
    return [MONDAY.timestamp()]


@pytest.fixture
def start(tmp_path: Path, receiver: Receiver, now: list[float]) -> Iterator[Make]:
    """A teller of its own each time, on the same store; the one before is closed."""
    made: list[Teller] = []

    def start(schedule: Schedule | None = None) -> Teller:
        while made:
            made.pop().close()
        outbox = Outbox(Services([receiver.url]), pause=0.01)
        made.append(Teller(outbox, Store(tmp_path / "shipstone.db"), "web-1", schedule, drift_summary, wall=lambda: now[0]))
        made[0].fetched(Revision("c1", {}, lambda _: b""), Desired("c1", {}))
        return made[0]

    yield start
    for one in made:
        one.close()


def a_pass(*sites: SitePlan, at: float) -> Pass:
    return Pass(Plan({site.name: site for site in sites}, Memory(), network=True), Desired("c1", {}), at, 0.01)


def test_drift_is_said_with_the_name_of_the_host(start: Make, receiver: Receiver, now: list[float]) -> None:
    teller = start()
    teller.passed(a_pass(BLOG, at=now[0]))
    teller.passed(a_pass(DRIFTED, at=now[0]))
    now[0] += 6
    teller.passed(a_pass(DRIFTED, at=now[0]))
    (message,) = receiver.until(1)
    assert message["message"] == "web-1: blog: c1 mem_limit: 64, should be nothing (drift)"
    assert message["type"] == "warning"


def test_what_was_said_is_not_said_again_by_the_next_process(start: Make, receiver: Receiver, now: list[float]) -> None:
    for _ in range(3):
        teller = start()
        teller.passed(a_pass(DRIFTED, at=now[0]))
        now[0] += 6
        teller.passed(a_pass(DRIFTED, at=now[0]))
        receiver.until(1)
    now[0] += 3600
    teller.passed(a_pass(DRIFTED, at=now[0]))
    assert [title.partition(", for ")[2] for title in (m["message"] for m in receiver.until(2))] == ["", "60 min"]


def test_a_start_with_what_was_taken_last_does_not_end_the_news_that_git_is_away(start: Make, receiver: Receiver, now: list[float]) -> None:
    teller = start()
    teller.not_fetched("no route")
    teller.fetched(Revision("c1", {}, lambda _: b"", kept=True), Desired("c1", {}))
    now[0] += 601
    teller.passed(a_pass(BLOG, at=now[0]))
    (message,) = receiver.until(1)
    assert (message["title"], message["message"]) == ("web-1: cannot fetch; what runs goes on running", "no route")


def test_a_merge_that_is_under_way_is_kept_by_itself(start: Make, receiver: Receiver, now: list[float]) -> None:
    """A process that is killed writes nothing any more."""
    teller = start()
    teller.passed(a_pass(BLOG, at=now[0]))
    teller.fetched(Revision("c2", {}, lambda _: b"", "Ada", "a change"), Desired("c2", {}, held={"blog": "broken"}))
    start().passed(a_pass(replace(BLOG, sync="held", message="broken"), at=now[0]))
    (message,) = receiver.until(1)
    assert message["message"] == "web-1: 0 of 1 site as c1, 0.0 s; blog is held as it runs: broken"


def test_the_report_comes_at_its_time_once_whatever_starts_again(start: Make, receiver: Receiver, now: list[float]) -> None:
    """And not with the first start; one that was missed comes with the next pass."""
    daily = Schedule("daily", 8, 0)
    for hours in (0.5, 0.4):
        teller = start(daily)
        now[0] += hours * 3600
        teller.passed(a_pass(BLOG, at=now[0]))
    assert receiver.messages == []
    for _ in range(2):
        now[0] += 600
        teller = start(daily)
        teller.passed(a_pass(BLOG, at=now[0]))
    (message,) = receiver.until(1)
    assert message["title"] == "web-1: daily report"
    assert "no drift" in message["message"]
    now[0] += 3 * DAY
    start(daily).passed(a_pass(BLOG, at=now[0]))
    assert len(receiver.until(2)) == 2


@pytest.mark.parametrize(
    ("every", "at", "then"),
    [
        ("daily", (23, 7, 0), (23, 8, 0)),
        ("daily", (23, 8, 0), (24, 8, 0)),
        ("daily", (23, 20, 0), (24, 8, 0)),
        ("weekly", (23, 7, 0), (23, 8, 0)),
        ("weekly", (23, 8, 0), (30, 8, 0)),
        ("weekly", (24, 7, 0), (30, 8, 0)),
        ("weekly", (29, 23, 0), (30, 8, 0)),
    ],
)
def test_a_schedule_is_by_the_hosts_time_and_weekly_on_mondays(every: str, at: tuple[int, int, int], then: tuple[int, int, int]) -> None:
    before, after = (dt.datetime(2026, 11, *row).astimezone().timestamp() for row in (at, then))
    assert Schedule(every, 8, 0).after(before) == after  # type: ignore[arg-type]


def test_the_heartbeat_is_called_after_good_passes_only_and_not_after_each() -> None:
    clock = [100.0]
    rung: list[float] = []
    heartbeat = Heartbeat(lambda: rung.append(clock[0]), lambda: clock[0])
    for _ in range(7):
        heartbeat.passed(a_pass(BLOG, at=0.0))
        heartbeat.not_passed("no engine")
        clock[0] += 10
    assert rung == [100.0, 100.0 + 30, 100.0 + 60]
    clock[0] += 10 * BEAT
    heartbeat.not_passed("no engine")
    assert len(rung) == 3
