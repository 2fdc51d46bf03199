"""Telling others: each hears of everything, and one that fails stops nobody."""

from reconciler.followers.follower import Follower, Followers
from reconciler.outcome import Outcome


class Deaf(Follower):
    def did(self, outcome: Outcome) -> None:
        raise OSError(f"cannot hear of {outcome.site}")


class Hears(Follower):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def did(self, outcome: Outcome) -> None:
        self.heard.append(outcome.site)

    def not_fetched(self, why: str) -> None:
        self.heard.append(why)


def test_one_that_fails_keeps_nobody_else_from_hearing() -> None:
    hears = Hears()
    followers = Followers([Deaf(), hears, Deaf()])
    followers.did(Outcome("blog"))
    followers.not_fetched("no route")
    assert hears.heard == ["blog", "no route"]
