"""The fuzzer's targets, shortly: its corpus, and what Hypothesis makes of it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS, seeds

NAMES = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_takes_its_corpus(name: str) -> None:
    assert seeds(name), f"tests/fuzz/corpus/{name} has no file"
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(data=st.data())
def test_no_bytes_make_a_target_fail(name: str, data: st.DataObject) -> None:
    """Anything, and seeds with parts replaced, repeated or taken out."""
    seed = data.draw(st.sampled_from(seeds(name)))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    middle = data.draw(st.binary(max_size=40) | st.just(seed[start:end] * 3))
    TARGETS[name](data.draw(st.sampled_from([seed[:start] + middle + seed[end:], middle])))


def test_the_corpus_is_small() -> None:
    """It is read in every run."""
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 64 * 1024


def test_a_target_that_fails_is_seen() -> None:
    """The check itself: problems have known codes."""
    with pytest.raises(AssertionError):
        TARGETS["signature"].__globals__["_check"](None, (), random.Random(1).randbytes(8))  # noqa: S311  no secret
