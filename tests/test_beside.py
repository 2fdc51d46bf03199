"""What is done beside the passes: one thing at a time, and what it ended with is heard by who begins the next."""

import threading

import pytest

from reconciler.beside import Beside


def test_one_thing_at_a_time() -> None:
    """A call while the last one is being done changes nothing, and does not wait."""
    beside, go, done = Beside("one"), threading.Event(), []

    def slow() -> None:
        go.wait(10)
        done.append("slow")

    beside.begin(slow)
    assert beside.busy
    beside.begin(lambda: done.append("never"))
    go.set()
    beside.close(10)
    assert (done, beside.busy) == (["slow"], False)
    beside.begin(lambda: done.append("next"))
    beside.close(10)
    assert done == ["slow", "next"]


def test_an_error_is_heard_once_and_then_it_is_tried_again() -> None:
    beside, done = Beside("one"), []

    def fails() -> None:
        raise ValueError("no such image")

    beside.begin(fails)
    beside.close(10)
    with pytest.raises(ValueError, match="no such image"):
        beside.begin(lambda: done.append("too soon"))
    beside.begin(lambda: done.append("again"))
    beside.close(10)
    assert done == ["again"]


def test_the_exit_does_not_wait() -> None:
    beside, go = Beside("one"), threading.Event()
    beside.begin(lambda: go.wait(10) and None)
    beside.close(0.01)
    assert beside.busy
    go.set()
    beside.close(10)
