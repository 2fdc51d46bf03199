"""A bounded pool of daemon threads: a hung pull never blocks the exit, as it would with concurrent.futures."""

import queue
import sys
import threading
import time
from collections.abc import Callable


class Workers:
    """Up to `count` threads, made when they are needed, that do jobs in the order in which they came."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._open = 0
        self._closed = False
        self._idle = threading.Condition()
        self._count, self._name, self._threads = count, name, 0

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job; after close() it is dropped."""
        with self._idle:
            if self._closed:
                return
            self._open += 1
            if self._open > self._threads and self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            self._jobs.put(job)

    @property
    def waiting(self) -> int:
        """Jobs that no thread has begun."""
        return self._jobs.qsize()

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return self._open

    def close(self, timeout: float) -> bool:
        """Take no more jobs, skip those that have not begun, wait up to `timeout` seconds for the others; True if all ended."""
        deadline = time.monotonic() + timeout
        with self._idle:
            if not self._closed:
                self._closed = True
                for _ in range(self._threads):
                    self._jobs.put(None)
            while self._open and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(left)
            return not self._open

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if not self._closed:
                    job()
            except (Exception, SystemExit):  # noqa: BLE001  others wait for this thread; it is said as if it had ended by it
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            finally:
                with self._idle:
                    self._open -= 1
                    self._idle.notify_all()
