"""When a measured rollout meets its bar, and what is said of one that does not."""

from dataclasses import replace

from lab.bench_rollout import Measured

GOOD = Measured("Shipstone", "Docker 26.1.5", redeploys=2, sent=2000, lost={}, first_new=1.0, all_new=1.0, done=3.0, bar=0)


def test_nothing_lost_of_enough_requests_meets_the_bar() -> None:
    assert GOOD.good
    assert GOOD.said() == []


def test_one_lost_request_misses_the_bar_and_is_said_with_its_place() -> None:
    place = "v1: 1.93 s, between switched and drained: POST, status 502 after 0.02 s"
    bad = replace(GOOD, lost={"status 502": 1}, places=[place])
    assert not bad.good
    assert bad.said() == ["Shipstone lost 1 × status 502", place]


def test_too_few_requests_miss_the_bar() -> None:
    assert not replace(GOOD, sent=1999).good


def test_a_tool_to_compare_with_has_no_bar() -> None:
    assert replace(GOOD, tool="docker compose", lost={"status 502": 900}, bar=None).good
