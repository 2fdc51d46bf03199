"""What is said of a commit: what it is from a plan, and that it gets there whatever the forge does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab.forge import TOKEN, TestForge, a_forge
from lab.host import until
from structlog.testing import capture_logs

from reconciler import wiring
from reconciler.desired.desired import Desired
from reconciler.desired.problem import Problem
from reconciler.desired.revision import Revision
from reconciler.errors import SettingsError
from reconciler.followers.commit_status import KEPT, CommitStatus, Verdict, verdict
from reconciler.followers.follower import Pass
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.failed import FailedRelease
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Wait
from reconciler.settings import load_settings
from reconciler.world.forge import Forge, ForgePlace
from reconciler.world.store import Store

ONE, TWO = "1" * 40, "2" * 40
BLOG = SitePlan("blog", "synced", "healthy", "aaaa", ONE, ("blog.example.org",), 1, 1, asked="aaaa")
SHOP = replace(BLOG, name="shop", release="bbbb", asked="bbbb")
COMING = replace(SHOP, sync="out-of-sync", steps=(Wait("bbbb", "until every replica is ready"),))
NOT_FOUND = "cannot pull nginx:9: not found."
COMMIT = Difference("web", "", "image", "two", "one", "commit")
DRIFT = replace(COMMIT, cause="drift")
DESIRED = Desired(ONE, {"blog": None, "shop": None})  # type: ignore[dict-item]  only their number counts here


def plan(*sites: SitePlan, busy: tuple[str, ...] = (), failed: tuple[FailedRelease, ...] = (), trouble: str = "") -> Plan:
    """`trouble`: what stopped the last steps of shop."""
    memory = Memory(failed={row.site: row for row in failed}, troubles={"shop": ("bbbb", trouble)} if trouble else {})
    return Plan({site.name: site for site in sites}, memory, network=True, busy=frozenset(busy))


FAILED = FailedRelease("shop", "bbbb", "not ready within 20 s: bind: address in use\nline", 0.0)
PROBLEM = Problem("sites/shop.yaml", 7, 3, "ports[0]", "SS-Y03", "YAML read 22:22 as 1342.")


@pytest.mark.parametrize(
    ("found", "desired", "said"),
    [
        (plan(BLOG, SHOP), DESIRED, Verdict("success", "2 sites are live")),
        (plan(BLOG, COMING), DESIRED, Verdict("pending", "being deployed: shop")),
        (plan(BLOG, busy=("shop",)), DESIRED, Verdict("pending", "being deployed: shop")),
        (replace(plan(), network=False), replace(DESIRED, sites={}), Verdict("pending", "being deployed")),
        (
            plan(BLOG, replace(SHOP, sync="suspended", message="suspended", differences=(COMMIT,))),
            DESIRED,
            Verdict("success", "2 sites are live; suspended: shop"),
        ),
        (plan(BLOG, replace(SHOP, sync="out-of-sync", differences=(DRIFT,))), DESIRED, Verdict("success", "2 sites are live")),
        (
            plan(BLOG, replace(SHOP, sync="out-of-sync", differences=(COMMIT,), message="rolled back to cccc")),
            DESIRED,
            Verdict("failure", "shop: rolled back to cccc"),
        ),
        (
            plan(BLOG, COMING, failed=(FAILED,)),
            DESIRED,
            Verdict("failure", "shop: release bbbb failed: not ready within 20 s: bind: address in use"),
        ),
        (plan(BLOG, COMING, failed=(replace(FAILED, release="before"),)), DESIRED, Verdict("pending", "being deployed: shop")),
        (
            plan(BLOG, COMING, busy=("shop",), trouble=NOT_FOUND),
            DESIRED,
            Verdict("failure", f"shop: {NOT_FOUND}"),
        ),
        (plan(BLOG, SHOP, trouble=NOT_FOUND), DESIRED, Verdict("success", "2 sites are live")),
        (plan(BLOG, replace(COMING, asked="cccc"), trouble=NOT_FOUND), DESIRED, Verdict("pending", "being deployed: shop")),
        (
            plan(BLOG, replace(SHOP, sync="held", message="its removal waits: 2 of 3 sites would go")),
            DESIRED,
            Verdict("failure", "shop: its removal waits: 2 of 3 sites would go"),
        ),
        (
            plan(BLOG, COMING),
            replace(DESIRED, problems=(PROBLEM, replace(PROBLEM, line=9), replace(PROBLEM, severity="warning"))),
            Verdict("failure", "sites/shop.yaml:7:3 ports[0]: YAML read 22:22 as 1342. (1 more)"),
        ),
    ],
)
def test_what_is_said(found: Plan, desired: Desired, said: Verdict) -> None:
    assert verdict(found, desired) == said


@pytest.fixture
def there() -> Iterator[TestForge]:
    with a_forge("gitea") as forge:
        yield forge


@pytest.fixture
def teller(there: TestForge) -> Iterator[CommitStatus]:
    forge = Forge(ForgePlace("gitea", there.url, "team/desired-state", "main", "shipstone", TOKEN))
    told = CommitStatus(forge, "https://shipstone.example.com/", settle=0.5, pause=0.02)
    yield told
    told.close()


def fetch(teller: CommitStatus, commit: str) -> None:
    teller.fetched(Revision(commit, {}, lambda _: b""), replace(DESIRED, revision=commit))


def passes(teller: CommitStatus, found: Plan, commit: str = ONE) -> None:
    teller.passed(Pass(found, replace(DESIRED, revision=commit), 0.0, 0.0))


def test_pending_then_live(teller: CommitStatus, there: TestForge) -> None:
    fetch(teller, ONE)
    until(lambda: there.states() == ["pending"], "pending is said", 10)
    for _ in range(3):
        passes(teller, plan(BLOG, COMING))
        fetch(teller, ONE)
    passes(teller, plan(BLOG, SHOP))
    passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states() == ["pending", "success"], "success is said", 10)
    teller.close()
    assert (there.wrong, there.states()) == ([], ["pending", "success"])


def test_an_error_is_said_and_taken_back(teller: CommitStatus, there: TestForge) -> None:
    fetch(teller, ONE)
    passes(teller, plan(BLOG, COMING))
    passes(teller, plan(BLOG, busy=("shop",), trouble=NOT_FOUND))
    until(lambda: there.states()[-1:] == ["failure"], "failure is said", 10)
    assert there.taken[-1][1]["description"] == f"shop: {NOT_FOUND}"
    passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states()[-1:] == ["success"], "success is said", 10)


HEALED = replace(SHOP, sync="out-of-sync", differences=(DRIFT,), steps=COMING.steps)
RESTARTED = replace(COMING, release="bbbbr1", asked="bbbbr1")
RETRIED = replace(COMING, differences=(COMMIT,))


@pytest.mark.parametrize("moved", [HEALED, RESTARTED])
def test_a_site_that_the_commit_does_not_move_is_no_news(teller: CommitStatus, there: TestForge, moved: SitePlan) -> None:
    """However often it is healed or restarted after the last word about its commit, and although its network is made again."""
    fetch(teller, ONE)
    passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states()[-1:] == ["success"], "success is said", 10)
    said = there.states()
    for _ in range(3):
        for found in (plan(BLOG, moved), plan(BLOG, busy=("shop",)), plan(BLOG, moved), replace(plan(BLOG, SHOP), network=False)):
            passes(teller, found)
        passes(teller, plan(BLOG, SHOP))
    teller.close()
    assert there.states() == said


def test_a_failure_after_success_is_said_and_so_is_the_retry(teller: CommitStatus, there: TestForge) -> None:
    """A healing of another site between them is not."""
    fetch(teller, ONE)
    passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states()[-1:] == ["success"], "success is said", 10)
    passes(teller, plan(BLOG, HEALED))
    passes(teller, plan(BLOG, busy=("shop",), trouble=NOT_FOUND))
    until(lambda: there.states()[-1:] == ["failure"], "a healing that cannot be done is said", 10)
    said = there.states()
    fell_back = replace(SHOP, sync="out-of-sync", differences=(COMMIT,))
    passes(teller, plan(BLOG, fell_back, failed=(FAILED,)))
    until(lambda: len(there.states()) == len(said) + 1, "that a release failed is said", 10)
    healing = replace(HEALED, name="blog", asked="aaaa")
    passes(teller, plan(healing, fell_back, failed=(FAILED,)))
    passes(teller, plan(BLOG, RETRIED))
    until(lambda: there.states()[-1:] == ["pending"], "it is tried again", 10)
    passes(teller, plan(BLOG, busy=("shop",)))
    passes(teller, plan(BLOG, COMING))
    passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states()[-1:] == ["success"], "it is live", 10)
    assert there.states() == [*said, "failure", "pending", "success"]


def test_what_is_live_at_once_is_said_once(there: TestForge) -> None:
    """As after a restart of the daemon."""
    forge = Forge(ForgePlace("gitea", there.url, "team/desired-state", "main", "shipstone", TOKEN))
    told = CommitStatus(forge, settle=30)
    fetch(told, ONE)
    passes(told, plan(BLOG, SHOP))
    told.close()
    assert there.states() == ["success"]


def test_a_commit_that_another_one_overtakes_is_not_left_pending(teller: CommitStatus, there: TestForge) -> None:
    fetch(teller, ONE)
    until(lambda: there.states() == ["pending"], "pending is said", 10)
    fetch(teller, TWO)
    passes(teller, plan(BLOG, SHOP), ONE)
    passes(teller, plan(BLOG, SHOP), TWO)
    until(lambda: there.states(TWO) == ["success"], "the newer one is live", 10)
    assert there.states(ONE) == ["pending", "error"]
    (said,) = [body["description"] for commit, body in there.taken if (commit, body["state"]) == (ONE, "error")]
    assert said == f"superseded by {TWO[:12]}"


@pytest.mark.parametrize("stopped", [{"waits": TWO}, {"unsigned": TWO}])
def test_a_commit_that_is_not_taken_is_told_why(teller: CommitStatus, there: TestForge, stopped: dict[str, str]) -> None:
    """The one that goes on keeps its own status."""
    why = "it is not signed, or no fast-forward"
    taken = Revision(ONE, {}, lambda _: b"", notice=why, **stopped)  # type: ignore[arg-type]
    for _ in range(3):
        teller.fetched(taken, replace(DESIRED, notices=(why,)))
        passes(teller, plan(BLOG, SHOP))
    until(lambda: there.states(TWO) == ["failure"] and there.states(ONE)[-1:] == ["success"], "both are told", 10)
    teller.close()
    assert [body["description"] for commit, body in there.taken if commit == TWO] == [why]


def test_the_newest_state_wins_while_the_forge_is_away(teller: CommitStatus, there: TestForge) -> None:
    there.answers = [(503, "")] * 1_000_000
    with capture_logs() as said:
        fetch(teller, ONE)
        until(lambda: there.asked > 1, "it is tried again", 10)
        passes(teller, plan(BLOG, SHOP))
        there.answers = []
        until(lambda: there.states() == ["success"], "it is told what is so by now", 10)
    assert [row["event"] for row in said if "cannot tell gitea" in row["event"]] == [
        f"cannot tell gitea of commit {ONE[:12]}: {there.url} says 503. It is tried again."
    ]


def test_a_refusal_is_said_once_and_not_repeated(teller: CommitStatus, there: TestForge) -> None:
    there.answers = [(401, '{"message": "bad token"}')] * 3
    with capture_logs() as said:
        for commit in (ONE, TWO, ONE):
            fetch(teller, commit)
            passes(teller, plan(BLOG, SHOP), commit)
            until(lambda: not teller._waiting, "it was sent", 10)
        until(lambda: there.asked >= 3, "all were tried", 10)
    assert there.asked == 3
    refused = [row["event"] for row in said if "401" in row["event"]]
    assert len(refused) == 2, "once for each commit"
    assert TOKEN not in str(refused)


def test_a_plain_folder_has_no_commit(teller: CommitStatus, there: TestForge) -> None:
    fetch(teller, "folder:0123456789ab")
    passes(teller, plan(BLOG, SHOP), "folder:0123456789ab")
    teller.close()
    assert there.asked == 0


def test_a_forge_that_never_answers_holds_nothing_up() -> None:
    class Hangs:
        def send(self, status: Any) -> None:
            until(lambda: False, f"never: {status}", 600)

        def close(self) -> None: ...

    told = CommitStatus(Hangs(), settle=0)
    for n in range(100):
        fetch(told, f"{n:040x}")
        passes(told, plan(BLOG, SHOP), f"{n:040x}")
    assert len(told._waiting) <= KEPT


def test_the_settings_say_where_and_never_show_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[source]\nurl = "git@github.com:team/state.git"\n[forge]\nkind = "github"\n')
    with pytest.raises(SettingsError, match="kind needs a token that may write commit statuses"):
        load_settings(config)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("SHIPSTONE_FORGE__TOKEN_FILE", str(tmp_path / "token"))
    settings = load_settings(config)
    assert TOKEN not in f"{settings} {settings!r}"
    store = Store(tmp_path / "store.db")
    (told,) = wiring.tellers_of(settings, store, lambda *_: "")
    assert isinstance(told, CommitStatus)
    told.close()
    store.close()
