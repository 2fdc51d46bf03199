"""A bounded pool of threads."""

import threading

import pytest
from lab.host import until

from reconciler.workers import Workers


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_closed_it_ends_what_is_begun_skips_the_rest_and_leaves_no_thread() -> None:
    workers, free, done = Workers(2, "pool-of-two"), threading.Event(), []
    for number in range(4):
        workers.submit(lambda number=number: done.append(number) if free.wait(10) else None)  # type: ignore[misc]
    until(lambda: workers.waiting == 2, "two are begun")
    assert len(named("pool-of-two")) == 2
    assert not workers.close(0)
    free.set()
    assert workers.close(10)
    workers.submit(lambda: done.append(9))
    until(lambda: not named("pool-of-two"), "no thread is left")
    assert sorted(done) == [0, 1]
    assert workers.close(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [SystemExit(1), OSError("the pipe is gone")])
def test_a_job_that_raises_ends_itself_and_not_its_thread(error: BaseException) -> None:
    """The only one: what comes after it would wait for ever."""
    workers, done = Workers(1, "pool-of-one"), threading.Event()

    def fail() -> None:
        raise error

    workers.submit(fail)
    workers.submit(done.set)
    assert done.wait(10)
    assert workers.close(10)
