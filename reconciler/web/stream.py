"""GET /events: tells a browser that there is something new; it asks for the page again. No thread waits for anyone."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from reconciler.web.latest import Latest

MOST = 64
"""Streams at the same time; a browser that gets none asks every few seconds instead."""
LOOK = 0.25
"""Seconds between two looks for something new."""
EVERY = 1.0
"""Seconds between two messages of one stream at the least."""
BEAT = 15.0
"""Seconds after which a comment is sent, so that a connection that is gone is noticed."""


class Streams:
    """Counts those that are open."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest
        self.count = 0

    async def answer(self, _: Request) -> Response:
        if self.count >= MOST:
            return PlainTextResponse("too many streams\n", 503, {"Retry-After": "30"})
        self.count += 1
        return _Counted(self._events(), self)

    async def _events(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        told, beat = -1, 0.0
        yield "retry: 3000\n\n"
        while not self._latest.closed:
            number = self._latest.now.number
            if number != told:
                told, beat = number, loop.time() + BEAT
                yield f"data: {number}\n\n"
                await asyncio.sleep(EVERY)
            elif loop.time() > beat:
                beat = loop.time() + BEAT
                yield ": beat\n\n"
            else:
                await asyncio.sleep(LOOK)


class _Counted(StreamingResponse):
    """Gives its place back however it ends."""

    def __init__(self, events: AsyncIterator[str], streams: Streams) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.count -= 1
