"""What one example may cost, whatever machine it runs on: time of this process on a processor, and memory."""

import contextlib
import functools
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

MOST_SECONDS = 1.0
"""Of the processor, not of the clock: others use this machine too. On a slower one than most, as many more as it is slower."""
MILLION = 0.06
"""Seconds of the processor in which most machines of today count to a million."""
MOST_MEMORY = 128 * 2**10
"""KiB that one example may add."""
PROCESS = Path("/proc/self")


def bounded(target: Callable[[bytes], None], seconds: float = MOST_SECONDS) -> Callable[[bytes], None]:
    """The same, failing where it costs more: also where it would never end."""

    seconds *= slowness()

    @functools.wraps(target)
    def run(data: bytes) -> None:
        memory, began = _fresh_peak(), time.process_time()
        with _ended_after(began + 1.1 * seconds, f"it does not end within {seconds:g} s of the processor"):
            target(data)
        grown = _peak() - memory
        assert time.process_time() - began < seconds, f"it took more than {seconds:g} s of the processor"
        assert grown < MOST_MEMORY, f"it took {grown >> 10} MiB more"

    return run


@functools.cache
def slowness() -> float:
    """How many times slower this machine is than most; never under 1."""
    began, count = time.process_time(), 0
    while count < 1_000_000:
        count += 1
    return max(1.0, (time.process_time() - began) / MILLION)


@contextlib.contextmanager
def _ended_after(end: float, why: str) -> Iterator[None]:
    """`end`: of the process's time on a processor. The timer counts whole ticks, and may come early: it is asked again."""

    def late(_number: int, _frame: FrameType | None) -> None:
        if time.process_time() >= end:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            raise AssertionError(why)

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, end - time.process_time(), 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _fresh_peak() -> int:
    """The most memory that this process has had is forgotten; KiB that it has now."""
    (PROCESS / "clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    found = re.search(r"^VmHWM:\s*(\d+) kB$", (PROCESS / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
