"""Around the routes: what none of them foresaw is answered in plain words, and said in the log so seldom that nobody can fill it."""

import time
import traceback
from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.desired.refusal import show
from reconciler.log import log

QUIET = 60.0
"""Seconds in which one line is said."""
ANSWER = "Shipstone could not answer this. Its log says why.\n"


class Mishaps:
    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._said, self._more = -QUIET, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noticed)
        except Exception as error:  # noqa: BLE001  whatever it is, a client gets no traceback
            self._say(error, scope.get("path", ""))
            if not begun:
                await PlainTextResponse(ANSWER, 500)(scope, receive, send)

    def _say(self, error: Exception, path: str) -> None:
        if self._clock() - self._said < QUIET:
            self._more += 1
            return
        frame = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{frame.filename}:{frame.lineno}"
        log.error("request failed", path=show(path), error=show(f"{type(error).__name__}: {error}", 200), at=at, unsaid_before=self._more)
        self._said, self._more = self._clock(), 0
