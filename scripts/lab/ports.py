"""Ports that stay free until whoever took them uses them, however many tests run side by side."""

import random
import socket

from lab.engine import LabError

RANGE = range(12_000, 32_000)
"""Below those that Linux gives to outgoing connections."""
TRIES = 1000


class Ports:
    """Each port taken here is given to nobody else who asks here, in whatever process, until close() or the end of this one."""

    def __init__(self) -> None:
        self._kept: list[socket.socket] = []

    def take(self) -> int:
        """A port that nothing listens on."""
        for _ in range(TRIES):
            port = random.choice(RANGE)  # noqa: S311  no secret
            kept = socket.socket(socket.AF_UNIX)
            try:
                kept.bind(f"\0shipstone-lab-port-{port}")  # a name without a file: it ends with the process
                with socket.socket() as probe:
                    probe.bind(("", port))
            except OSError:
                kept.close()
                continue
            self._kept.append(kept)
            return port
        raise LabError(f"cannot find a free port between {RANGE.start} and {RANGE.stop}.")

    def close(self) -> None:
        while self._kept:
            self._kept.pop().close()
