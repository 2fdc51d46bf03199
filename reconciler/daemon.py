"""wake → pass → sleep. Everything that may have changed something posts a wake; wakes coalesce; the newest commit wins."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from reconciler.desired.revision import Revision
from reconciler.errors import ShipstoneError, said
from reconciler.listening import SOON, backoff, breath, listen
from reconciler.log import log
from reconciler.planning.plan import Plan
from reconciler.reconcile import Reconciler
from reconciler.world.source import Source
from reconciler.world.systemd import Notifier

RESYNC = 30.0
"""Seconds between two passes at the most: an event that was missed is still found."""
REINSPECT = 600.0
"""Seconds after which nothing that was remembered of the engine is trusted any more."""
WATCH = 1.0
"""Seconds between two looks at generated files: whether a hand changed one."""
PARK = 25.0
"""Seconds that steps under way have at SIGTERM."""


class Daemon:
    """`shipstone run`: a fetching worker, an events worker and the loop of passes."""

    def __init__(
        self,
        reconciler: Reconciler,
        source: Source,
        poll: float,
        wrote: Callable[[Reconciler], None] = lambda _r: None,
        notifier: Notifier | None = None,
        *,
        resync: float = RESYNC,
        reinspect: float = REINSPECT,
    ) -> None:
        self._reconciler, self._source, self._poll, self._wrote = reconciler, source, poll, wrote
        self._notifier = notifier or Notifier()
        self._resync, self._reinspect = resync, reinspect
        self._wake = threading.Event()
        self._fetch = threading.Event()
        self._stop = threading.Event()
        self._fetched: Revision | None = None
        self._hosts: tuple[str, ...] = ()
        """Host names when generated files were written last."""
        self._lock = threading.Lock()

    def wake(self) -> None:
        self._wake.set()

    def look(self) -> None:
        """A person said something, or wants the newest commit now."""
        self._fetch.set()
        self._wake.set()

    def fetch_now(self) -> None:
        """Something says that there is a new commit."""
        self._fetch.set()

    def stop(self) -> None:
        """Park: no new steps; those under way are finished."""
        self._stop.set()
        self._fetch.set()
        self._wake.set()

    def run(self) -> None:
        """Until stop(). The start is over when the engine has answered; a git server that is away does not hold it up."""
        unwatch = self._source.watch(self.fetch_now)
        self._reconciler.watch(lambda _outcome: self.wake())
        self._reconciler.world.readiness.watch(self.wake)
        threading.Thread(target=self._fetching, name="fetch", daemon=True).start()
        threading.Thread(target=self._watching, name="files", daemon=True).start()
        events = (self._reconciler.world.engine, self.wake, self._stop)
        threading.Thread(target=listen, args=events, name="events", daemon=True).start()
        failures, ready = 0, False
        fresh_until = time.monotonic() + self._reinspect
        while not self._stop.is_set():
            self._wake.clear()
            begun = time.thread_time()
            if time.monotonic() > fresh_until:
                self._reconciler.world.engine.resync()
                fresh_until = time.monotonic() + self._reinspect
            try:
                if not ready:
                    self._reconciler.world.engine.containers()
                    self._notifier.ready()
                    ready = True
                self._take()
                pause = self._resync if self._reconciler.desired is None else self._pass()
                failures = 0
            except Exception as error:  # noqa: BLE001  whatever happens in one pass, the next one is tried
                failures += 1
                pause = min(backoff(failures), SOON)
                log.warning("the pass failed", error=said(error), again_in=f"{pause:.1f} s")
                self._reconciler.followers.not_passed(said(error))
            again = time.monotonic() + pause
            self._reconciler.rest(breath(time.thread_time() - begun, self._reconciler.moving, self._reconciler.starting))
            self._sleep(again)
        self._notifier.stopping()
        unwatch()
        if not self._reconciler.close(PARK):
            log.warning("stopped while steps were under way: the next start takes them up")

    def _sleep(self, until: float) -> None:
        """Until a wake or that time (monotonic); the watchdog hears that the loop is there, at its turn and as it sleeps."""
        self._notifier.alive()
        while (left := until - time.monotonic()) > 0 and not self._wake.wait(min(left, self._notifier.every or left)):
            self._notifier.alive()

    def _take(self) -> None:
        with self._lock:
            revision, self._fetched = self._fetched, None
        if revision is None:
            return
        self._reconciler.take(revision)
        self._write()

    def _pass(self) -> float:
        plan = self._reconciler.once()
        if plan.host or self._hosts != self._reconciler.hosts():
            with contextlib.suppress(ShipstoneError):  # what cannot be put right stays among the differences
                self._write()
        return self._pause(plan)

    def _write(self) -> None:
        self._hosts = self._reconciler.hosts()
        self._wrote(self._reconciler)

    def _pause(self, plan: Plan) -> float:
        times = [at for at in (plan.look_at, self._reconciler.next_try()) if at is not None]
        return min([self._resync, *(max(0.0, at - time.monotonic()) for at in times)])

    def _watching(self) -> None:
        """The engine tells of its containers; nobody tells of files."""
        world = self._reconciler.world
        while not self._stop.wait(WATCH):
            if world.generated.touched() or world.pins.touched():
                self.wake()

    def _fetching(self) -> None:
        """A hanging git server must not stop healing: this worker alone waits for it."""
        failures = 0
        while not self._stop.is_set():
            self._fetch.clear()
            try:
                revision = self._source.fetch()
                failures = 0
                log.debug("read", commit=revision.id)
                with self._lock:
                    self._fetched = revision
                self.wake()
                pause = self._poll
            except Exception as error:  # noqa: BLE001  what runs goes on running, whatever a git server does
                failures += 1
                if failures == 1:
                    self._begin_with_the_last()
                pause = max(backoff(failures), min(self._poll, 60.0) if failures > 1 else 0.0)
                log.warning("cannot fetch; what runs goes on running", error=said(error), again_in=f"{pause:.1f} s")
                self._reconciler.followers.not_fetched(said(error))
            self._fetch.wait(pause)

    def _begin_with_the_last(self) -> None:
        """After a start without the git server: what was taken before is still what should run."""
        with self._lock:
            known = self._reconciler.desired is not None or self._fetched is not None
        if not known and (last := self._source.last()) is not None:
            log.info("begun with the commit that was taken last", commit=last.id)
            with self._lock:
                self._fetched = replace(last, kept=True)
            self.wake()


def aside(job: Callable[[], None]) -> Callable[..., None]:
    """A signal handler that does it in a thread: the main thread may hold the very lock that an Event takes."""
    return lambda *_: threading.Thread(target=job, daemon=True).start()
