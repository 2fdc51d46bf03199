"""Patterns of host names: what Traefik would take, and that none can hold up a pass."""

import re
import time

import pytest

from reconciler.planning.host_pattern import fitting

HOSTS = ("shop.test", "www.shop.test", "blog.example.org", "a-1.test", "x", "")
GOOD = [
    *(r"^.+\.shop\.test$", "shop", r"^(shop|blog)\.", r"^[a-z0-9-]+\.test$", "(?i)SHOP", "SHOP", r"^([a-z]+\.)+test$", r"^[a-z]{4}\.test$"),
    *(r"\d", "", "^$", r"^(?P<x>www|shop)\.shop", "{sub}", "^(?:a|a-)1?", "[^a-z.]", "^.{1,3}$", "^(.*?)$", "o{2,}|l{1}", "^w{3}[.]"),
    *("(^|x)", "]", r"[\w]\-"),
]


@pytest.mark.parametrize("pattern", GOOD)
def test_it_fits_what_a_regular_expression_fits(pattern: str) -> None:
    assert fitting(pattern, HOSTS) == tuple(host for host in HOSTS if re.search(pattern, host))


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "*", "(|+)", "[z-a]", r"\pL", r"\bshop", "[[:alpha:]]", "[a", "\\", "x{1001}", "(?=s)", "a" * 251, "(" * 250]
)
def test_what_cannot_be_read_fits_nothing(pattern: str) -> None:
    assert fitting(pattern, HOSTS) == ()


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$x",
        "(a|a)" * 40 + "x",
        ".*" * 100 + "x",
        "((a?){1000}){1000}x",
        "((){1000}){1000}x",
        "(" * 80 + "^" + ")*" * 80 + "x",
        "(" * 80 + "a" + ")*" * 80 + "x",
    ],
)
def test_a_slow_pattern_holds_nobody_up(pattern: str) -> None:
    """Some of these would keep `re` busy for years."""
    hosts = tuple(f"{'a' * 60}.{'a' * 60}.{n}.test" for n in range(500))
    begun = time.process_time()
    assert fitting(pattern, hosts) == ()
    assert time.process_time() - begun < 5


def test_a_usual_pattern_is_within_its_bound_for_a_thousand_sites() -> None:
    assert len(fitting(r"^[a-z0-9-]+\.example\.org$", tuple(f"site-{n}.example.org" for n in range(1000)))) == 1000
