"""A site's motions, from nothing but rows of history."""

from collections.abc import Mapping
from typing import Any

from reconciler.planning.deploys import Deploy, deploys
from reconciler.planning.events import Event

REVISIONS = {
    "c1": Event(10.0, "revision", commit="c1", what="create", more={"author": "Ada", "committed_at": 8.0}),
    "c2": Event(100.0, "revision", commit="c2", what="a new page", more={"author": "Ada", "committed_at": 95.0}),
}


def plan(at: float, release: str, *steps: str, commit: str = "c2") -> Event:
    return Event(at, "plan", "shop", commit, release, more={"steps": list(steps)})


def step(at: float, word: str, seconds: float = 1.0, reason: str = "") -> Event:
    return Event(at, "step", "shop", seconds=seconds, more={"step": word, "target": "x", "reason": reason})


def rest(at: float, release: str) -> Event:
    return Event(at, "rest", "shop", "c2", release)


FIRST = (plan(10.5, "aa", "pin shop", commit="c1"), step(11, "start"), step(14, "unpin"), rest(16, "aa"))
SECOND = (
    plan(100.5, "bb", "pin shop", "wait Traefik"),
    step(100.6, "pin", 0.1, "requests only to aa while bb starts"),
    step(101, "start"),
    plan(103, "bb", "pin shop", "wait Traefik", "stop shop-1"),
    step(103.1, "pin", 0.1, "the switch: requests to bb"),
    plan(103.3, "bb", "wait Traefik", "wait drain"),
    plan(103.6, "bb", "wait drain", "stop shop-1"),
    step(110, "stop", 2.0),
    step(113, "unpin", 0.1),
    rest(114, "bb"),
)


def told(*events: Event, revisions: Mapping[str, Event] = REVISIONS) -> tuple[Deploy, ...]:
    return deploys(events[::-1], revisions)  # as the store gives them: the newest first


def moments(deploy: Deploy) -> dict[str, Any]:
    return dict(deploy.moments)


def test_a_deploy_has_every_moment_from_the_push_to_the_rest() -> None:
    second, first = told(*FIRST, *SECOND)
    assert (second.release, second.commit, second.cause, second.end) == ("bb", "c2", "deploy", "at rest")
    assert (second.subject, second.author) == ("a new page", "Ada")
    expected = {"pushed": 95, "fetched": 100, "started": 102, "ready": 103.1, "switched": 103.6, "drained": 112, "at rest": 114}
    assert moments(second) == expected
    assert moments(first) == {"pushed": 8, "fetched": 10, "started": 12, "ready": 14, "switched": 15, "at rest": 16}


def test_a_motion_to_the_same_release_is_no_deploy_and_has_no_push() -> None:
    heal, *_ = told(*FIRST, plan(50, "aa", "pin shop", commit="c1"), step(51, "start"), step(55, "unpin"), rest(56, "aa"))
    assert heal.cause == "put right"
    assert moments(heal) == {"started": 52, "ready": 55, "switched": 56, "at rest": 56}


def test_the_same_content_under_a_counter_is_a_restart_and_a_persons_word_is_told() -> None:
    """The word counts only for the motion that follows it, and not where a newer commit was fetched since."""
    word = Event(120.0, "said", "shop", more={"said": "restart", "by": "root"})
    restart = (plan(121, "bbr1", "pin shop"), step(122, "start"), rest(130, "bbr1"))
    assert told(*FIRST, *SECOND, *restart)[0].cause == "restart"
    asked, *_ = told(*FIRST, *SECOND, word, *restart)
    assert (asked.cause, asked.subject, asked.by, moments(asked)["asked"]) == ("asked", "restart", "root", 120.0)
    early = Event(90.0, "said", "shop", more={"said": "retry", "by": "root"})
    assert told(*FIRST, early, *SECOND)[0].cause == "deploy"


def test_what_fails_or_is_overtaken_says_so_and_what_goes_on_has_no_end() -> None:
    failed = Event(105.0, "failed", "shop", "c2", "bb", "not ready within 2 s")
    back = (plan(106, "aa", "unpin shop"), step(107, "unpin"), rest(108, "aa"))
    cleared, broken, _ = told(*FIRST, *SECOND[:3], failed, *back)
    assert (broken.end, broken.reason, broken.ended) == ("failed", "not ready within 2 s", 105.0)
    assert (cleared.release, cleared.cause, moments(cleared)) == ("aa", "put right", {"at rest": 108.0})
    newer, overtaken, _ = told(*FIRST, *SECOND[:3], plan(102.5, "cc", "pull x"))
    assert (overtaken.end, newer.end, newer.release) == ("superseded", "", "cc")


def test_without_pins_what_drains_was_switched() -> None:
    quiet = (plan(100.5, "bb", "start x"), step(101, "start"), plan(105, "bb", "wait drain", "stop y"), step(110, "stop"), rest(112, "bb"))
    found = told(*FIRST, *quiet)[0]
    assert moments(found) == {"pushed": 95, "fetched": 100, "started": 102, "ready": 105, "switched": 105, "drained": 111, "at rest": 112}


def test_a_removal_ends_with_nothing() -> None:
    gone = (plan(100.5, "", "pin shop"), step(101, "pin", 0.1, "the switch: requests to nobody"), step(110, "stop"), rest(112, ""))
    assert (found := told(*FIRST, *gone)[0]).cause == "removal"
    assert found.end == "at rest"
