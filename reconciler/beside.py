"""What may take longer than a pass: done in a thread of its own, one thing at a time."""

import threading
from collections.abc import Callable


class Beside:
    """Its thread is called `name`, and never holds up the exit. Used by one thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread = threading.Thread()
        self._error: Exception | None = None

    @property
    def busy(self) -> bool:
        return self._thread.is_alive()

    def begin(self, job: Callable[[], object]) -> None:
        """Nothing happens where the last one is still being done. Raises what that one ended with, and does not begin then."""
        if self.busy:
            return
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._thread = threading.Thread(target=self._do, args=(job,), name=self._name, daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what is being done."""
        if self.busy:
            self._thread.join(timeout)

    def _do(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  whoever begins the next one hears of it
            self._error = error
