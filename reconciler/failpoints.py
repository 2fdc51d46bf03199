"""Places where a test ends this process at once, as a power cut would: SHIPSTONE_FAILPOINT="stop", or "start:2" for the second time."""

import itertools
import os
import signal

_name, _, _time = os.environ.get("SHIPSTONE_FAILPOINT", "").partition(":")
_passed = itertools.count(1)


def failpoint(name: str) -> None:
    """SIGKILL for this process, if a test asked for it here."""
    if name == _name and next(_passed) == int(_time or 1):
        os.kill(os.getpid(), signal.SIGKILL)
