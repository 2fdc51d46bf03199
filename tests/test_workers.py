"""A bounded pool of threads."""

import threading

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
