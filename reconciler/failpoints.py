"""Places where a test ends this process at once, as a power cut would: SHIPSTONE_FAILPOINT="stop", or "start:2" for the second time."""

import functools
import itertools
import os
import signal

_passed = itertools.count(1)


def failpoint(name: str) -> None:
    """SIGKILL for this process, if a test asked for it here."""
    wanted, number = _asked()
    if name == wanted and next(_passed) == number:
        os.kill(os.getpid(), signal.SIGKILL)


@functools.cache
def _asked() -> tuple[str, int]:
    name, _, number = os.environ.get("SHIPSTONE_FAILPOINT", "").partition(":")
    return name, int(number or 1)
