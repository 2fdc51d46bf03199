"""The engine's events wake the loop; a stream that breaks is opened again, and everything looked at anew."""

import random
import threading
from collections.abc import Callable

from reconciler.errors import said
from reconciler.log import log
from reconciler.world.engine import Engine

SOON = 5.0
"""Seconds after which an engine that was away is asked again, at the latest."""


def listen(engine: Engine, wake: Callable[[], None], stopping: threading.Event) -> None:
    """Until `stopping`; meant for a daemon thread, because the stream itself blocks."""
    failures = 0
    while not stopping.is_set():
        try:
            for event in engine.events():
                if stopping.is_set():
                    return
                failures = 0
                log.debug("event", kind=event.kind, action=event.action, id=event.id[:12], site=event.site)
                wake()
        except Exception as error:  # noqa: BLE001  whatever it was, who hears nothing heals late
            failures += 1
            if not stopping.is_set():
                log.warning("the engine's events broke off; looking at everything anew", error=said(error))
        engine.resync()
        wake()
        stopping.wait(min(backoff(failures), SOON))


def backoff(failures: int) -> float:
    """Seconds: doubling up to a minute, with jitter, so that many do not knock at once."""
    return float(min(2.0 ** min(failures, 6), 60.0) * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret


def breath(cpu_seconds: float, moving: int, starting: int) -> float:
    """Seconds to the next pass, after one that took so much CPU with `moving` sites in motion, `starting` of them worked on.

    Passes leave half of one core to the rest. With many sites in motion the pins of several change together, because each
    change costs Traefik a whole new configuration. With many worked on, a pass has little to decide before their steps end;
    who is only being stopped does not count, for it may take its whole grace.
    """
    return min(max(0.01, cpu_seconds, 0.001 * moving, 0.002 * starting**2), 2.0)
