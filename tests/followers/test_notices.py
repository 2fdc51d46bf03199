"""What is said and when: decided with `now` as an argument, on plans as passes give them."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired.desired import Desired, DesiredSite
from reconciler.desired.spec import Route
from reconciler.followers import notices
from reconciler.followers.notice_state import State, as_text, from_text
from reconciler.followers.notice_text import SHOWN, WIDE, lasted
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.failed import FailedRelease
from reconciler.planning.foreign import Claim
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Wait
from reconciler.world.notify import Notice

HOUR = 3600.0
BY_COMMIT = Difference("web", "", "image", "app:2", "app:1", "commit")
BY_HAND = Difference("web", "c1", "mem_limit", "", "64", "drift")


def rests(name: str, **changes: object) -> SitePlan:
    return replace(SitePlan(name, "synced", "healthy", "aaaa", "c1", (), 1, 1, asked="aaaa"), **changes)  # type: ignore[arg-type]


def moves(name: str, **changes: object) -> SitePlan:
    return rests(name, sync="out-of-sync", health="progressing", steps=(Wait("ready", name),), **changes)


class People:
    """Who is told, by a clock that only this test moves."""

    def __init__(self, *names: str, revision: str = "c1") -> None:
        self.now = 1_000_000.0
        self.state = State()
        self.heard: list[Notice] = []
        self.heard_at: list[float] = []
        self.desired = self.wants(revision, dict.fromkeys(names, "aaaa"))
        self.fetch(self.desired)

    @staticmethod
    def wants(revision: str, releases: dict[str, str], **more: object) -> Desired:
        sites = {name: DesiredSite(name, release, Route((f"{name}.test",)), (), commit=revision) for name, release in releases.items()}
        return replace(Desired(revision, sites), **more)  # type: ignore[arg-type]

    def fetch(self, desired: Desired, author: str = "Ada") -> None:
        self.desired = desired
        self.state = notices.fetched(self.state, desired, author, "a change", self.now)

    def merge(self, revision: str, *names: str, gone: tuple[str, ...] = ()) -> None:
        """A commit with other content for these sites."""
        releases = {name: site.release for name, site in self.desired.sites.items() if name not in gone}
        self.fetch(self.wants(revision, releases | dict.fromkeys(names, f"{revision}-release")))

    def look(self, *sites: SitePlan, after: float = 1.0, failed: dict[str, FailedRelease] | None = None, **more: object) -> None:
        """A pass that sees this, so many seconds later."""
        self.wait(after)
        plan = Plan({site.name: site for site in sites}, Memory(failed=failed or {}), network=True, **more)  # type: ignore[arg-type]
        self.state = notices.passed(self.state, plan, self.desired, self.now)
        self._say()

    def wait(self, seconds: float) -> None:
        """Time goes by, and what is due meanwhile is said when it is."""
        end = self.now + seconds
        while (at := notices.due(self.state)) is not None and at <= end:
            self.now = max(self.now, at)
            self._say()
        self.now = end

    def _say(self) -> None:
        self.state, notice = notices.say(self.state, self.now)
        if notice:
            self.heard.append(notice)
            self.heard_at.append(self.now)
            assert notices.due(self.state) is None or notices.due(self.state) > self.now  # type: ignore[operator]

    def restart(self) -> None:
        self.state = from_text(as_text(self.state))
        self.fetch(self.desired)

    @property
    def last(self) -> Notice:
        return self.heard[-1]


def at_rest(*names: str) -> People:
    people = People(*names)
    people.look(*map(rests, names))
    return people


def failed(name: str = "shop", release: str = "bbbb", at: float = 5.0) -> dict[str, FailedRelease]:
    return {name: FailedRelease(name, release, "exited with 1\nlast line", at)}


def fell_back(name: str = "shop") -> SitePlan:
    """It runs what it ran before the release that failed."""
    message = "release bbbb failed: exited with 1\nlast line"
    return rests(name, sync="out-of-sync", asked="bbbb", differences=(BY_COMMIT,), message=message)


def test_what_is_as_it_should_be_at_the_start_is_no_news() -> None:
    people = at_rest("shop", "blog")
    people.look(rests("shop"), rests("blog"), after=HOUR)
    assert people.heard == []


def test_a_merge_is_one_message_when_all_of_its_sites_are_at_rest() -> None:
    """Not one for each site, and none before."""
    people = at_rest("shop", "blog", "wiki")
    people.merge("c2", "shop", "blog")
    people.look(moves("shop"), moves("blog"), rests("wiki"))
    people.look(rests("shop"), rests("wiki"), busy=frozenset({"blog"}), after=10)
    assert people.heard == []
    people.look(rests("shop"), rests("blog"), rests("wiki"), after=1)
    assert people.heard == [Notice("2 sites as c2 by Ada, 12 s", "a change\nblog, shop", "success")]
    people.look(rests("shop"), rests("blog"), rests("wiki"), after=HOUR)
    assert len(people.heard) == 1


def test_a_commit_that_changes_no_site_says_nothing() -> None:
    people = at_rest("shop")
    people.merge("c2")
    people.look(rests("shop"))
    people.wait(HOUR)
    assert people.heard == []


def test_a_commit_before_the_last_one_is_at_rest_goes_on_with_its_sites() -> None:
    people = at_rest("shop", "blog")
    people.merge("c2", "shop")
    people.look(moves("shop"), rests("blog"))
    people.merge("c3", "blog")
    people.look(moves("shop"), moves("blog"))
    people.look(rests("shop"), rests("blog"))
    assert [notice.title for notice in people.heard] == ["2 sites as c3 by Ada, 3.0 s"]


def test_a_site_that_was_removed_is_said_so() -> None:
    people = at_rest("shop", "blog")
    people.merge("c2", gone=("blog",))
    people.look(rests("shop"), moves("blog"))
    people.look(rests("shop"))
    assert people.last == Notice("1 site as c2 by Ada, 2.0 s", "a change\nremoved: blog", "success")


def test_what_fails_with_a_merge_is_part_of_its_message() -> None:
    """With the reason and the last lines of the log, while another site still comes up; later only that it lasts."""
    people = at_rest("shop", "blog")
    people.merge("c2", "shop", "blog")
    people.look(moves("shop"), moves("blog"))
    people.look(fell_back(), moves("blog"), failed=failed())
    people.look(fell_back(), moves("blog"), failed=failed(), after=30)
    assert people.heard == []
    people.look(fell_back(), rests("blog"), failed=failed())
    title = "1 of 2 sites as c2 by Ada, 33 s; shop: release bbbb failed: exited with 1"
    assert people.heard == [Notice(title, "a change\nblog\nlast line", "failure")]
    people.look(fell_back(), rests("blog"), failed=failed(), after=HOUR - 1)
    assert len(people.heard) == 1
    people.look(fell_back(), rests("blog"), failed=failed(), after=1)
    assert people.last.title == "shop: release bbbb failed: exited with 1, for 61 min"


def test_what_fails_is_not_kept_back_for_long() -> None:
    """A merge that does not come to rest is said to be so, with what it waits for."""
    people = at_rest("shop", "blog")
    people.merge("c2", "shop", "blog")
    waits = moves("blog", message="there is no room for it")
    people.look(fell_back(), waits, failed=failed())
    people.look(fell_back(), waits, failed=failed(), after=notices.PATIENCE)
    assert [notice.title for notice in people.heard] == ["shop: release bbbb failed: exited with 1"]
    people.look(fell_back(), waits, failed=failed(), after=notices.UNFINISHED - notices.PATIENCE)
    assert people.last.title == "2 sites not yet as c2 says"
    assert "blog: there is no room for it" in people.last.body
    people.look(fell_back(), rests("blog"), failed=failed())
    assert people.last.title.startswith("1 of 2 sites as c2 by Ada, 10 min; 2 sites not yet as c2 says: over after ")


def test_a_release_that_fails_without_a_commit_is_said_at_once() -> None:
    people = at_rest("shop")
    people.look(rests("shop", message="release bbbb failed", asked="bbbb"), failed=failed())
    people.wait(notices.GATHER)
    assert people.heard == [Notice("shop: release bbbb failed: exited with 1", "last line", "failure")]


def test_a_failure_that_was_tried_again_is_news_and_its_end_too() -> None:
    people = at_rest("shop")
    people.look(fell_back(), failed=failed())
    people.wait(10)
    people.look(moves("shop"))
    people.wait(10)
    assert len(people.heard) == 1
    people.look(fell_back(), failed=failed(at=30.0))
    people.wait(10)
    assert len(people.heard) == 2
    people.look(moves("shop"))
    people.look(rests("shop"))
    people.wait(10)
    assert people.heard[2:] == [Notice("shop: release bbbb failed: exited with 1: over after 12 s", "", "success")]


def test_what_lasts_is_said_ever_more_seldom_but_daily() -> None:
    people = at_rest("shop")
    held = rests("shop", sync="held", message="sites/shop.yaml:1:1 broken")
    heard_at = []
    for hour in range(24 * 6):
        before = len(people.heard)
        people.look(held, after=HOUR)
        people.wait(10)
        heard_at += [hour] if len(people.heard) > before else []
    assert heard_at[:6] == [0, 1, 3, 7, 15, 31]
    assert max(b - a for a, b in itertools.pairwise(heard_at)) == 24
    assert people.heard[0].title == "shop is held as it runs: sites/shop.yaml:1:1 broken"
    people.look(rests("shop"))
    people.wait(10)
    assert people.last == Notice("shop is held as it runs: sites/shop.yaml:1:1 broken: over after 6 days", "", "success")


def test_a_generated_file_that_was_edited_is_drift_of_this_host() -> None:
    people = at_rest("shop")
    edited = Difference("", "", "/etc/traefik/traefik.toml", "as generated", "another content", "drift")
    people.look(rests("shop"), host=(edited,))
    people.look(rests("shop"))
    people.wait(10)
    (notice,) = people.heard
    assert notice.title == f"this host: {edited}: put right after 1.0 s"


def test_drift_of_many_sites_is_one_message() -> None:
    """Found by several passes within some seconds."""
    people = at_rest("a", "b", "c")
    drifts = {name: rests(name, sync="out-of-sync", differences=(BY_HAND,)) for name in ("a", "b", "c")}
    people.look(drifts["a"], rests("b"), rests("c"))
    people.look(drifts["a"], drifts["b"], drifts["c"])
    people.wait(10)
    (notice,) = people.heard
    assert (notice.title, notice.kind) == ("drift in 3 places", "warning")
    assert notice.body.splitlines()[0] == "a: c1 mem_limit: 64, should be nothing (drift)"


def test_drift_that_is_healed_at_once_is_said_once_with_how_long_it_took() -> None:
    people = at_rest("shop")
    people.look(moves("shop", differences=(BY_HAND,)))
    people.look(busy=frozenset({"shop"}))
    people.look(rests("shop"))
    people.wait(10)
    assert people.heard == [Notice("shop: c1 mem_limit: 64, should be nothing (drift): put right after 2.0 s", "", "info")]


def test_differences_on_the_way_are_no_drift() -> None:
    """A replica that is not there yet, of a site that a commit or a person's word set in motion."""
    people = at_rest("shop", "blog")
    people.merge("c2", "shop")
    missing = Difference("web", "", "replicas", "3", "1", "drift")
    people.look(moves("shop", differences=(missing,)), moves("blog"))
    people.look(moves("shop", differences=(missing,)), moves("blog", differences=(missing,)))
    people.look(rests("shop"), rests("blog"))
    people.wait(10)
    assert [notice.title for notice in people.heard] == ["1 site as c2 by Ada, 3.0 s"]
    people.look(rests("shop", differences=(missing,)), rests("blog"))
    people.wait(10)
    assert people.last.kind == "warning"


def test_a_removal_that_is_held_is_one_message_for_all_of_it() -> None:
    people = at_rest("a", "b", "c")
    people.merge("c2", gone=("a", "b"))
    held = [rests(name, sync="held", message="its removal waits: 2 of 3 sites would go (a, b).") for name in ("a", "b")]
    people.look(*held, rests("c"), held_removals=frozenset({"a", "b"}))
    people.wait(10)
    (notice,) = people.heard[:1]
    assert notice.title == "0 of 2 sites as c2 by Ada, 1.0 s; a removal waits for approval"
    assert "its removal waits: 2 of 3 sites would go (a, b)." in notice.body
    assert len(people.heard) == 1


def test_what_waits_for_a_person_is_said() -> None:
    """A history that was replaced, a container of others that claims a host name."""
    people = at_rest("shop")
    people.fetch(people.wants("c1", {"shop": "aaaa"}, notices=("the history of main was replaced",)))
    claim = Claim("other", "r", "Host(`shop.test`)", "shop.test", "shop")
    people.look(rests("shop"), foreign=(claim,))
    people.wait(10)
    assert people.last.title == "2 warnings"
    assert "the history of main was replaced" in people.last.body
    assert "other is not Shipstone's and claims shop.test" in people.last.body


def test_a_source_and_an_engine_that_are_away_for_a_moment_are_no_news() -> None:
    people = at_rest("shop")
    for job in (notices.not_fetched, notices.not_passed):
        people.state = job(people.state, "no route", people.now)
    people.wait(30)
    people.fetch(people.desired)
    people.look(rests("shop"))
    people.wait(HOUR)
    assert people.heard == []


def test_a_source_that_stays_away_is_said_with_the_reason_and_when_it_is_back() -> None:
    people = at_rest("shop")
    for _ in range(20):
        people.state = notices.not_fetched(people.state, "no route", people.now)
        people.look(rests("shop"), after=60)
    assert people.heard == [Notice("cannot fetch; what runs goes on running", "no route", "failure")]
    people.fetch(people.desired)
    people.wait(10)
    assert people.last == Notice("cannot fetch; what runs goes on running: over after 20 min", "", "success")


def test_passes_that_fail_are_said_after_a_minute() -> None:
    people = at_rest("shop")
    people.state = notices.not_passed(people.state, "the Docker Engine does not answer", people.now)
    people.wait(59)
    assert people.heard == []
    people.wait(2)
    assert people.last == Notice("passes fail: nothing is deployed or healed", "the Docker Engine does not answer", "failure")


def test_a_restart_says_nothing_again_and_still_knows_what_is_over() -> None:
    people = at_rest("shop", "blog")
    people.look(fell_back(), rests("blog"), failed=failed())
    people.wait(10)
    for _ in range(3):
        people.restart()
        people.look(fell_back(), rests("blog"), failed=failed())
        people.wait(60)
    assert len(people.heard) == 1
    people.restart()
    people.look(rests("shop"), rests("blog"))
    people.wait(10)
    assert people.last.title == "shop: release bbbb failed: exited with 1: over after 3 min"


def test_a_commit_that_came_while_nobody_looked_is_a_merge() -> None:
    people = People("shop", "blog", revision="c7")
    people.look(moves("shop", differences=(BY_COMMIT,)), rests("blog"))
    people.look(rests("shop"), rests("blog"))
    assert people.heard == [Notice("1 site as c7 by Ada, 1.0 s", "a change\nshop", "success")]


def test_a_merge_is_said_although_the_process_was_ended_in_the_midst_of_it() -> None:
    """Also when its sites were as it says by then, and when another commit came meanwhile."""
    people = at_rest("shop", "blog", "wiki")
    people.merge("c2", "shop")
    people.look(moves("shop"), rests("blog"), rests("wiki"))
    people.restart()
    people.look(rests("shop"), rests("blog"), rests("wiki"))
    assert people.heard == [Notice("1 site as c2 by Ada, 2.0 s", "a change\nshop", "success")]
    people.merge("c3", "shop")
    people.state = from_text(as_text(people.state))
    people.merge("c4", "blog")
    people.look(rests("shop"), moves("blog", differences=(BY_COMMIT,)), rests("wiki"))
    people.look(rests("shop"), rests("blog"), rests("wiki"))
    assert people.last == Notice("2 sites as c4 by Ada, 2.0 s", "a change\nblog, shop", "success")
    people.restart()
    people.look(rests("shop"), rests("blog"), rests("wiki"), after=HOUR)
    assert len(people.heard) == 2


def test_a_store_that_holds_something_else_is_an_empty_one() -> None:
    for text in ("", "null", "[]", "{", '{"open": [{}], "recent": {}}', '{"open": [], "recent": {"a": 1}}'):
        assert from_text(text) == State()


def test_a_message_has_a_bound_and_no_control_characters() -> None:
    """A thousand sites with a broken defaults file, and a log that clears the screen."""
    names = [f"s{n:04}" for n in range(1000)]
    people = at_rest(*names)
    people.look(*(rests(name, sync="held", message="shipstone.yaml:1:1 broken\x1b[2J" + "x" * 500) for name in names))
    people.wait(10)
    (notice,) = people.heard
    assert notice.title == "1000 failures"
    assert len(notice.body.splitlines()) == SHOWN + 1
    assert max(map(len, notice.body.splitlines())) <= WIDE
    assert "\x1b" not in notice.body
    assert notice.body.endswith("and 985 more")


def held(why: str) -> SitePlan:
    return rests("shop", sync="held", message=f"sites/shop.yaml:1:1 {why}")


def test_reasons_that_alternate_are_said_once_an_hour_each_and_a_new_one_at_once() -> None:
    """Also by the next process; and none of them lasts as long as news are gathered at first."""
    people = at_rest("shop")
    for why in ("one", "two") * 3:
        people.look(held(why), after=notices.GATHER / 2)
    assert len(people.heard) == 1
    for why in ("one", "two") * 2:
        people.look(held(why), after=600)
        people.restart()
    assert len(people.heard) == 2
    people.look(held("three"))
    people.wait(notices.GATHER)
    assert sorted(notice.title.rpartition(" ")[2] for notice in people.heard[:2]) == ["one", "two"]
    assert people.last.title == "shop is held as it runs: sites/shop.yaml:1:1 three"
    people.look(held("one"))
    people.restart()
    people.look(rests("shop"))
    people.wait(10)
    assert [notice.title.count("over after") for notice in people.heard] == [0, 0, 0, 1]


def test_an_end_is_said_by_the_next_process_too_where_another_reason_was_never_said() -> None:
    people = at_rest("shop")
    people.look(held("one"))
    people.wait(notices.GATHER)
    people.look(held("two"))
    people.restart()
    people.look(rests("shop"))
    people.wait(10)
    assert people.last.title.startswith("shop is held as it runs: sites/shop.yaml:1:1 two: over after")


def test_whoever_claims_a_host_name_again_and_again_is_said_once_an_hour() -> None:
    """By a container with another name each time; what another one claims besides is news."""
    people = at_rest("shop")
    claim = Claim("", "r", "Host(`shop.test`)", "shop.test", "shop")
    for number in range(100):
        people.look(rests("shop"), foreign=(replace(claim, container=f"random_{number}"),), after=10)
        people.look(rests("shop"), foreign=() if number % 3 else (replace(claim, container=f"next_{number}"),), after=10)
    first, over = (notice.title for notice in people.heard)
    assert first.startswith("random_0 is not Shipstone's and claims shop.test of site shop")
    assert ": over after " in over
    both = (replace(claim, container="a"), replace(claim, container="b"), replace(claim, container="b", host="www.shop.test"))
    people = at_rest("shop")
    people.look(rests("shop"), foreign=both)
    people.wait(10)
    (notice,) = people.heard
    assert notice.title == "2 warnings"
    assert notice.body.splitlines()[1] == "  and 1 more"


WHAT = {"drift": "(drift)", "failed": "failed:", "one": "1:1 one", "two": "1:1 two"}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*WHAT, "rest"]), st.floats(1, 1200)), max_size=60))
def test_what_comes_and_goes_is_said_at_most_once_an_hour(history: list[tuple[str, float]]) -> None:
    """And that it is over no more often than that it is there, whatever its reason is by then."""
    people = at_rest("shop")
    sites = {"drift": rests("shop", differences=(BY_HAND,)), "failed": fell_back(), "one": held("one"), "two": held("two")}
    for what, after in history:
        people.look(sites.get(what, rests("shop")), after=after, failed=failed() if what == "failed" else {})
    for words in (["drift"], ["failed"], ["one", "two"]):
        said_at: dict[str, float] = {}
        owed = False
        for notice, at in zip(people.heard, people.heard_at, strict=True):
            for line in (notice.title, *notice.body.splitlines()):
                for word in (word for word in words if WHAT[word] in line):
                    healed = ": put right after" in line  # which may be all that is said of it
                    if ": over after" in line or (healed and owed):
                        assert owed, "its end was said already"
                        owed = False
                    else:
                        assert at - said_at.get(word, -HOUR) >= HOUR
                        said_at[word], owed = at, not healed


def test_times_are_said_as_people_do() -> None:
    assert [lasted(s) for s in (0.44, 9.9, 12, 119, 120, 7199, 7200, 172800)] == [
        "0.4 s",
        "9.9 s",
        "12 s",
        "119 s",
        "2 min",
        "120 min",
        "2 h",
        "2 days",
    ]
