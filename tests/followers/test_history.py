"""The history: what a follower hears becomes rows; nothing new, nothing written; bounded; a full disk costs only rows."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.history import TIDY, History
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.events import Event, newest_first
from reconciler.planning.failed import FailedRelease
from reconciler.planning.foreign import Claim
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Pull, SetPin, Stop, Wait
from reconciler.world.history_store import DAY, LONGEST, MOST, HistoryStore
from reconciler.world.store import Store
from reconciler.world.store_file import VERSION

DESIRED = Desired("c1", {})
REST = SitePlan("shop", "synced", "healthy", "aa", "c1", ("shop.test",), 1, 1)
MOVING = replace(
    REST, health="progressing", steps=(Pull("app:2", "for shop", "r"), Wait("images", "until here")), message="aa is coming up"
)
DRIFT = Difference("web", "t-shop-web-aa-1", "mem_limit", "64", "128", "drift")


def a_pass(*sites: SitePlan, at: float = 1000.0, busy: frozenset[str] = frozenset()) -> Pass:
    return Pass(Plan({site.name: site for site in sites}, Memory(), network=True, busy=busy), DESIRED, at, 0.5)


def kinds(store: Store) -> list[str]:
    return [event.kind for event in store.history.events()][::-1]


def a_history(store: Store, now: float = 1000.0) -> History:
    return History(store.history, 90.0, 1000, wall=lambda: now)


def test_a_revision_is_written_once_also_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    revision = Revision("c1", {}, lambda _: b"", "Ada", "create", 900.0)
    for _ in range(2):
        history = a_history(store)
        history.fetched(revision, DESIRED)
        history.fetched(revision, DESIRED)
    (row,) = store.history.events()
    assert (row.kind, row.commit, row.what, row.more["author"], row.more["committed_at"]) == ("revision", "c1", "create", "Ada", 900.0)
    a_history(store).fetched(replace(revision, id="c2"), replace(DESIRED, revision="c2"))
    assert list(store.history.revisions({"c1", "c2", "c3"})) == ["c1", "c2"]


def test_a_commit_that_is_not_taken_is_written_once_with_its_reason(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    taken = Revision("c1", {}, lambda _: b"", "Ada", "create", 900.0)
    bare = replace(taken, unsigned="c2", notice="commit c2 is not taken: it is not signed.")
    waits = replace(taken, waits="c3", notice="the branch main was rewritten")
    for revision in (taken, bare, bare, waits, taken):
        a_history(store).fetched(revision, DESIRED)
    assert kinds(store) == ["revision", "waits", "waits"]
    assert [(row.commit, row.what) for row in store.history.events(kinds=("waits",))] == [("c3", waits.notice), ("c2", bare.notice)]


def test_a_plan_is_written_when_it_changes_and_the_rest_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    history = a_history(store)
    other = replace(MOVING, release="bb")
    for one in (REST, MOVING, MOVING, replace(MOVING, steps=MOVING.steps[1:]), other, other, REST, REST):
        history.passed(a_pass(one))
    assert kinds(store) == ["plan", "plan", "rest"]
    every = [event.kind for event in store.history.events(phases=True)][::-1]
    assert every == ["plan", "phase", "plan", "rest"], "the rest of a plan is how far it is"
    first = store.history.events()[-1]
    assert (first.at, first.release, first.what, first.more["steps"]) == (999.5, "aa", "aa is coming up", ["pull app:2", "wait images"])
    history.passed(a_pass(MOVING))
    history.passed(a_pass(busy=frozenset({"shop"})))
    assert kinds(store)[3:] == ["plan"], "a busy site is neither at rest nor gone"
    a_history(store).passed(a_pass(REST))
    assert kinds(store)[3:] == ["plan", "rest"], "a restart in mid-motion does not leave it open"
    history = a_history(store)
    history.passed(a_pass(MOVING))
    history.passed(a_pass())
    assert store.history.events()[0].what == "it is gone"


def test_steps_have_the_time_at_which_they_began(tmp_path: Path) -> None:
    """One after the other until now; stops beside each other began together."""
    store = Store(tmp_path / "s.db")
    stops = [Stop(name, name, 5.0, "replaced") for name in ("a", "b")]
    done = ((Pull("app:2", "for shop", "r"), 4.0), (stops[0], 2.0), (stops[1], 3.0), (SetPin("shop", None, "labels route again"), 1.0))
    a_history(store).did(Outcome("shop", done))
    rows = {row.what: (row.at, row.seconds) for row in store.history.events("shop")}
    assert rows == {"pull app:2": (992.0, 4.0), "stop a": (996.0, 2.0), "stop b": (996.0, 3.0), "unpin shop": (999.0, 1.0)}


def test_what_stopped_the_steps_has_its_step_and_seconds(tmp_path: Path) -> None:
    """What was done before ended before it began."""
    store = Store(tmp_path / "s.db")
    stopped = (Stop("b", "b", 5.0, "replaced"), 3.0)
    a_history(store).did(Outcome("shop", ((Pull("app:2", "for shop", "r"), 4.0),), "cannot stop b", stopped=stopped))
    rows = {row.kind: row for row in store.history.events("shop")}
    assert (rows["step"].at, rows["step"].seconds) == (993.0, 4.0)
    error = rows["error"].as_json()
    assert (rows["error"].at, error["seconds"], error["what"]) == (997.0, 3.0, "cannot stop b")
    assert (error["step"], error["target"], error["reason"]) == ("stop", "b", "replaced")


def test_a_failure_keeps_the_last_words_and_the_same_error_is_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    history = a_history(store)
    history.did(Outcome("shop", failed=FailedRelease("shop", "bb", "exited with 1: no db\nline 1\nno db", 5.0)))
    (row,) = store.history.events("shop")
    assert (row.kind, row.release, row.what, row.more["log"]) == ("failed", "bb", "exited with 1: no db", ["line 1", "no db"])
    for error in ("cannot pull", "cannot pull", "", "cannot pull"):
        history.did(Outcome("shop", error=error))
    assert kinds(store) == ["failed", "error", "error"]


def test_drift_is_opened_and_closed_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    history = a_history(store)
    wrong = replace(REST, differences=(DRIFT, replace(DRIFT, field="image", cause="commit")))
    history.passed(a_pass(wrong, at=1000.0))
    history.passed(a_pass(wrong, at=1001.0))
    history.passed(a_pass(busy=frozenset({"shop"}), at=1002.0))
    history = a_history(store)
    waits = replace(REST, differences=(replace(DRIFT, action="waits for drain: requests end"),))
    for action in (replace(DRIFT, action="healed"), *waits.differences, DRIFT):
        history.passed(a_pass(replace(REST, differences=(action,)), at=1003.0))
    history.passed(a_pass(REST, at=1010.0))
    history.passed(a_pass(REST, at=1011.0))
    (row,) = store.history.drifts("shop")
    assert (row.field, row.desired, row.actual, row.opened, row.closed) == ("mem_limit", "64", "128", 1000.0, 1010.0)
    assert row.action == "healed", "what was done, not that it was waited for meanwhile"
    healed = newest_first((), store.history.drifts(), 1)[0]
    assert healed.what == "t-shop-web-aa-1 mem_limit: as it should be again (healed)"
    assert healed.as_json()["action"] == "healed"
    told = [(event.kind, event.at) for event in newest_first((), store.history.drifts(), 10)]
    assert told == [("healed", 1010.0), ("drift", 1000.0)]


def test_a_late_healing_of_an_early_drift_is_among_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    long = DRIFT.key("shop")
    store.history.record_drift({long: ""}, {}, 1000.0)
    for n in range(20):
        short = replace(DRIFT, field=f"labels.{n}").key("shop")
        store.history.record_drift({short: ""}, {}, 2000.0 + n)
        store.history.record_drift({}, {short: "healed"}, 2000.5 + n)
    store.history.record_drift({}, {long: "healed"}, 3000.0)
    for site in ("shop", None):
        newest = newest_first((), store.history.drifts(site, 3), 3)
        assert [(row.kind, row.at, row.more["field"]) for row in newest] == [
            ("healed", 3000.0, "mem_limit"),
            ("healed", 2019.5, "labels.19"),
            ("drift", 2019.0, "labels.19"),
        ]
    assert store.history.drifts("other") == ()


def test_what_others_claim_is_opened_and_closed(tmp_path: Path) -> None:
    """Also while its site is worked on, and over a restart."""
    store = Store(tmp_path / "s.db")
    claim = Claim("other", "r1", "Host(`shop.test`)", "shop.test", "shop")
    done = a_pass(REST, at=1000.0)
    claimed = replace(done, plan=replace(done.plan, foreign=(claim,)))
    a_history(store).passed(claimed)
    a_history(store).passed(replace(claimed, plan=replace(claimed.plan, sites={}, busy=frozenset({"shop"})), at=1001.0))
    a_history(store).passed(a_pass(REST, at=1010.0))
    (row,) = store.history.drifts("shop")
    assert (row.container, row.field, row.actual, row.opened, row.closed) == (
        "other",
        "claim.host",
        "shop.test by router r1",
        1000.0,
        1010.0,
    )


def test_what_was_changed_around_the_sites_is_drift_of_no_site(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    done = a_pass(REST)
    a_history(store).passed(replace(done, plan=replace(done.plan, host=(replace(DRIFT, container="/etc/hosts", field="content"),))))
    (row,) = store.history.drifts()
    assert (row.site, row.container, row.field, row.closed) == ("", "/etc/hosts", "content", None)


def test_a_pass_of_chosen_sites_says_nothing_of_the_others(tmp_path: Path) -> None:
    """`apply --site`, after a daemon that was stopped in the midst: what it was about is neither healed nor gone."""
    store = Store(tmp_path / "s.db")
    wrong = tuple(replace(MOVING, name=name, differences=(DRIFT,)) for name in ("blog", "shop", "wiki"))
    done = a_pass(*wrong, at=1000.0)
    a_history(store).passed(replace(done, plan=replace(done.plan, host=(replace(DRIFT, container="/etc/hosts"),))))
    chosen = a_history(store)
    chosen.passed(replace(a_pass(replace(REST, name="blog"), at=1001.0), whole=False))
    assert {row.site: row.closed for row in store.history.drifts()} == {"": 1001.0, "blog": 1001.0, "shop": None, "wiki": None}
    assert [row.site for row in store.history.events(kinds=("rest",))] == ["blog"]
    a_history(store).passed(a_pass(REST, at=1002.0))
    assert store.history.open_drift() == {}
    assert {row.site: row.what for row in store.history.events(kinds=("rest",))} == {
        "blog": "as it should be",
        "shop": "as it should be",
        "wiki": "it is gone",
    }


def test_it_is_bounded_by_age_and_by_rows(tmp_path: Path) -> None:
    """What is open stays, however old."""
    store = Store(tmp_path / "s.db")
    history = History(store.history, keep_days=1.0, keep_rows=100)
    start = 1_000_000.0
    for n in range(150):
        history.did(Outcome(f"s{n}", error="x"))
    history.passed(a_pass(replace(REST, differences=(DRIFT,)), at=start))
    assert len(store.history.events(limit=1000)) == 100
    history.passed(a_pass(replace(MOVING, differences=(DRIFT,)), at=start + TIDY + 1))
    later = start + 2 * DAY
    history.passed(a_pass(replace(REST, differences=(DRIFT,)), at=later))
    assert {row.kind for row in store.history.events(limit=1000)} <= {"error", "rest"}
    assert len(store.history.open_drift()) == 1


def test_revisions_that_sites_run_and_the_newest_are_kept_however_old(tmp_path: Path) -> None:
    """By age and by rows; while its site is worked on, too. A pass of chosen sites does not know what the others run."""
    store = Store(tmp_path / "s.db")
    history = History(store.history, keep_days=1.0, keep_rows=5, wall=lambda: 1000.0)
    commits = {"c0", "c1", "c2"}
    for commit in sorted(commits):
        history.fetched(Revision(commit, {}, lambda _: b"", "Ada", "create"), Desired(commit, {}))
    history.passed(replace(a_pass(at=1000.0 + 2 * DAY), whole=False))
    assert store.history.revisions(commits).keys() == commits
    for n in range(10):
        history.did(Outcome(f"s{n}", error="x"))
    history.passed(a_pass(replace(REST, commit="c0"), at=1000.0 + 2 * DAY))
    history.passed(a_pass(busy=frozenset({"shop"}), at=1000.0 + 3 * DAY))
    assert store.history.revisions(commits).keys() == {"c0", "c1"}
    history.passed(a_pass(at=1000.0 + 4 * DAY))
    assert store.history.revisions(commits).keys() == {"c1"}


def test_one_row_is_bounded_however_much_it_has_to_tell(tmp_path: Path) -> None:
    """What was said first is kept; numbers are."""
    store = Store(tmp_path / "s.db")
    for more in ({"log": ["x" * 5000] * 100}, {"steps": [""] * 50_000}, {"author": "y" * 50_000, "committed_at": 900.0}):
        store.history.record([Event(1.0, "failed", "shop", what="z" * 50_000, more=more)])
    author, steps, log = store.history.events()
    assert all(len(row.what) + len(str(list(row.more.values()))) < 5 * LONGEST + 60 for row in (author, log))
    assert (log.more["log"][0], author.more["committed_at"]) == ("x" * 5000, 900.0)
    assert len(steps.more["steps"]) == MOST


def test_a_full_disk_costs_rows_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    history = a_history(store)
    history.did(Outcome("before", error="x"))
    with sqlite3.connect(tmp_path / "s.db") as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    store.history._db.execute(f"PRAGMA max_page_count = {pages}")  # a disk that is full
    for n in range(200):
        history.did(Outcome("shop", error=f"{n} " + "x" * 3000))
        history.passed(a_pass(replace(MOVING, message=str(n))))
    kept = len(store.history.events("shop", limit=1000))
    assert kept < 50
    assert store.history.events("before")
    assert store.failed() == {}


def test_a_database_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE history (id INTEGER PRIMARY KEY, at REAL, site TEXT, revision TEXT, what TEXT)")
        db.execute("CREATE INDEX history_by_site ON history (site, id)")
        db.execute("INSERT INTO history (at, site, revision, what) VALUES (5.0, 'shop', 'c0', 'pull    app:1   for shop')")
        db.execute("PRAGMA user_version = 1")
    db.close()
    for _ in range(2):
        store = Store(path)
        (row,) = store.history.events("shop")
        assert (row.at, row.kind, row.commit, row.what) == (5.0, "step", "c0", "pull    app:1   for shop")
        assert store.history._db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        store.close()


def test_a_database_of_the_second_version_keeps_its_drift(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = Store(path)
    history = a_history(store)
    history.passed(a_pass(replace(REST, differences=(replace(DRIFT, action="healed"),))))
    store.history._db.execute("ALTER TABLE drift DROP COLUMN action")
    store.history._db.execute("PRAGMA user_version = 2")
    store.close()
    for _ in range(2):
        store = Store(path)
        (row,) = store.history.drifts()
        assert (row.field, row.opened, row.closed, row.action) == ("mem_limit", 1000.0, None, "")
        store.close()


def test_a_closed_store_is_no_trouble(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    history = a_history(store)
    store.close()
    history.did(Outcome("shop", error="x"))
    assert isinstance(store.history, HistoryStore)
    assert store.history.events() == ()
