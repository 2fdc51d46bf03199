"""The fuzzer's targets: its corpus, what Hypothesis makes of it, and what Atheris finds in some seconds."""

import contextlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab.fuzz import LabError, atheris_folder, run

from tests.fuzz.bounds import bounded
from tests.fuzz.targets import CORPUS, TARGETS, seeds

NAMES = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_takes_its_corpus(name: str) -> None:
    assert seeds(name), f"tests/fuzz/corpus/{name} has no file"
    for seed in seeds(name):
        bounded(TARGETS[name])(seed)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(data=st.data())
def test_no_bytes_make_a_target_fail(name: str, data: st.DataObject) -> None:
    """Anything, and seeds with parts replaced, repeated or taken out."""
    seed = data.draw(st.sampled_from(seeds(name)))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    middle = data.draw(st.binary(max_size=40) | st.just(seed[start:end] * 3))
    bounded(TARGETS[name])(data.draw(st.sampled_from([seed[:start] + middle + seed[end:], middle])))


def test_the_corpus_is_small() -> None:
    """It is read in every run."""
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 64 * 1024


def test_a_target_that_fails_is_seen() -> None:
    """The check itself: problems have known codes."""
    with pytest.raises(AssertionError):
        TARGETS["signature"].__globals__["_check"](None, (), random.Random(1).randbytes(8))  # noqa: S311  no secret


def too_long(data: bytes) -> None:
    assert len(data) < 3, "three bytes"


def never_ends(_: bytes) -> None:
    for _each in itertools.count():
        pass


def swallows_its_end(_: bytes) -> None:
    with contextlib.suppress(AssertionError):
        never_ends(b"")


def takes_much(_: bytes) -> None:
    assert b"x" * (160 << 20)


@pytest.mark.parametrize(
    ("target", "seconds", "why"),
    [(never_ends, 0.3, "does not end"), (swallows_its_end, 0.3, "took more than [0-9.]+ s"), (takes_much, 10.0, "MiB more")],
)
def test_what_costs_too_much_is_seen(target: Callable[[bytes], None], seconds: float, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        bounded(target, seconds)(b"")


@pytest.fixture(scope="module")
def atheris() -> Path:
    """Where it is; it has wheels for some systems only."""
    try:
        return atheris_folder()
    except LabError as error:
        pytest.skip(str(error))


def test_atheris_finds_nothing_in_some_seconds(atheris: Path) -> None:
    """Guided by which lines are reached, it comes further than chance. The last one here must be found. For long behind --soak."""
    ((name, said),) = run([*NAMES, "tests.fuzz.test_targets:too_long"], 1, atheris).items()
    assert name.endswith("too_long"), said
    assert "three bytes" in said
