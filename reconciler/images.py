"""Images: a name as written becomes the exact image that runs."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.errors import EngineError, ShipstoneError
from reconciler.failpoints import failpoint
from reconciler.world.engine import Engine

FRESH = 1.0
"""Seconds for which an answer holds: long enough for all sites of one commit."""


@dataclass
class _Asked:
    turn: threading.Lock = field(default_factory=threading.Lock)
    until: float = -math.inf
    answer: str | ShipstoneError = ""


class Images:
    """Sites that want the same image at the same time share one look, one pull, and one error. `timeout`: seconds that a pull may say
    nothing."""

    def __init__(self, engine: Engine, clock: Callable[[], float], timeout: float) -> None:
        self._engine, self._clock, self._timeout = engine, clock, timeout
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked] = {}

    def present(self, image: str) -> bool:
        """Whether it can be resolved without a pull; waits for nobody. False, too, when the engine cannot say."""
        asked = self._asked.get(image)
        if asked is not None and isinstance(asked.answer, str) and self._clock() <= asked.until:
            return True
        try:
            return self._engine.present(image) is not None
        except EngineError:
            return False

    def resolve(self, image: str) -> str:
        """The exact image, pulled when it is absent. One whose own labels would route or name the container otherwise is refused."""
        with self._lock:
            asked = self._asked.setdefault(image, _Asked())
        with asked.turn:
            if self._clock() > asked.until:
                try:
                    asked.answer = self._look(image)
                except ShipstoneError as error:
                    asked.answer = error
                asked.until = self._clock() + FRESH
            if isinstance(asked.answer, ShipstoneError):
                raise asked.answer
            return asked.answer

    def _look(self, image: str) -> str:
        reference = self._engine.resolve(image, timeout=self._timeout)
        failpoint("pull")
        # Traefik does not look at case.
        reserved = sorted(key for key in self._engine.image_labels(reference) if key.casefold().startswith(("traefik.", "shipstone.")))
        if reserved:
            raise EngineError(
                f"cannot run {image}: the image itself has the label {reserved[0]}. Build it without traefik.* and shipstone.*."
            )
        return reference
