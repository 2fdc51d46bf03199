"""What the program says of itself. structlog is loaded when something is said first: that is a sixth of the start of a command."""

import logging
import threading
from collections.abc import Callable
from typing import Any


class Log:
    """What is said below `level`, as logging numbers them, is not said; `prepare` is called once before the first that is."""

    def __init__(self) -> None:
        self._level, self._lock = logging.NOTSET, threading.Lock()
        self._prepare: Callable[[], None] | None = None

    def configure(self, level: int, prepare: Callable[[], None]) -> None:
        self._level, self._prepare = level, prepare

    def bind(self, **fields: object) -> Any:
        """A logger of structlog that says these, too."""
        return self._logger().bind(**fields)

    def debug(self, event: str, **fields: object) -> None:
        self._say(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._say(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._say(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._say(logging.ERROR, event, fields)

    def _say(self, level: int, event: str, fields: dict[str, object]) -> None:
        if level >= self._level:
            self._logger().log(level, event, **fields)

    def _logger(self) -> Any:
        import structlog

        with self._lock:
            if self._prepare is not None:
                self._prepare()
            self._prepare = None
        return structlog.get_logger()


log = Log()
