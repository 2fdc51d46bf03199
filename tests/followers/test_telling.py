"""The followers that tell people: a real receiver, a real store, and a time of day that the test sets."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lab.host import until
from structlog.testing import capture_logs

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.telling import BEAT, Heartbeat, Schedule, Summary, Teller
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

    def start(schedule: Schedule | None = None, summary: Summary = drift_summary) -> Teller:
        while made:
            made.pop().close()
        outbox = Outbox(Services([receiver.url]), pause=0.02)
        made.append(Teller(outbox, Store(tmp_path / "shipstone.db"), "web-1", schedule, summary, lambda: now[0], pause=0.02))
        made[0].fetched(Revision("c1", {}, lambda _: b""), Desired("c1", {}))
        return made[0]

    yield start
    for one in made:
        one.close()


def a_pass(*sites: SitePlan, at: float, busy: str = "") -> Pass:
    plan = Plan({site.name: site for site in sites}, Memory(), network=True, busy=frozenset({busy} - {""}))
    return Pass(plan, Desired("c1", {}), at, 0.01)


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


def test_the_report_counts_sites_that_are_worked_on_as_they_were_seen_last(start: Make, receiver: Receiver, now: list[float]) -> None:
    teller = start(Schedule("daily", 8, 0))
    shop = replace(BLOG, name="shop")
    teller.passed(a_pass(DRIFTED, replace(shop, health="degraded"), at=now[0]))
    teller.passed(a_pass(shop, at=now[0], busy="blog"))
    now[0] += 6
    teller.passed(a_pass(shop, at=now[0], busy="blog"))
    receiver.until(1)
    now[0] += 3600
    teller.passed(a_pass(shop, at=now[0], busy="blog"))
    until(lambda: "web-1: daily report" in receiver.titles(), "the report", 20)
    text = receiver.messages[receiver.titles().index("web-1: daily report")]["message"]
    assert "2 sites: 2 synced; 2 healthy" in text
    assert "1 difference on 1 site" in text


def test_a_report_that_cannot_be_made_is_not_lost(start: Make, receiver: Receiver, now: list[float]) -> None:
    """It comes when it can be, and once; what else is due comes too."""
    broken = [True] * 3

    def summary(plan: Plan, desired: Desired) -> str:
        if broken:
            broken.pop()
            raise ValueError("what nobody thought of")
        return drift_summary(plan, desired)

    teller = start(Schedule("daily", 8, 0), summary)
    now[0] += 3600
    with capture_logs() as said:
        teller.passed(a_pass(BLOG, at=now[0]))
        receiver.until(1)
    assert [row["error"] for row in said] == ["ValueError: what nobody thought of"] * 3
    for _ in range(2):
        start(Schedule("daily", 8, 0), summary).passed(a_pass(BLOG, at=now[0]))
    start().close()
    assert receiver.titles() == ["web-1: daily report"]


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


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[dt.tzinfo]:
    """This host's time is that of Berlin, whose clocks change in the night to the last Sunday of March and of October."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("minute", [0, 30])
@pytest.mark.parametrize("hour", [0, 2, 8])
@pytest.mark.parametrize("every", ["daily", "weekly"])
@pytest.mark.parametrize("changed", [dt.date(2026, 3, 29), dt.date(2026, 10, 25)])
def test_clocks_that_change_bring_no_report_twice(berlin: dt.tzinfo, changed: dt.date, every: str, hour: int, minute: int) -> None:
    """One a day or a week, at its time by the clock on the wall; at the change itself too, where it is asked every ten minutes."""
    begin = dt.datetime.combine(changed, dt.time(12), berlin) - dt.timedelta(days=9)
    schedule, reported, due = Schedule(every, hour, minute), begin.timestamp(), []  # type: ignore[arg-type]
    for now in range(int(reported), int(reported) + 18 * int(DAY), 600):
        if now >= schedule.after(reported):
            due.append(dt.datetime.fromtimestamp(now, berlin))
            reported = now
    days = [changed + dt.timedelta(days=n) for n in range(-8, 10)]
    if every == "weekly":
        days = [day for day in days if day.weekday() == 0]
    assert [at.date() for at in due] == days
    skipped = (changed, 2) if changed.month == 3 else None  # that hour is not there
    assert [(at.hour, at.minute) for at in due] == [((3 if (day, hour) == skipped else hour), minute) for day in days]


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
