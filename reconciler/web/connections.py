"""One connection of the HTTP server, with the deadlines that uvicorn lacks: whoever is slow, or only holds it, keeps nobody out."""

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0
"""Seconds from the connection, or from the end of the last answer, in which a whole request head must be there."""
LINGER = 2.0
"""Seconds in which what is still sent is read and dropped after the answer: a client that is cut off would not see it."""


class Connection(H11Protocol):
    """Where all places are taken, the oldest connection that has no request under way gives up its own to a new one."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency - 1:
            idle = (one for one in self.connections if isinstance(one, Connection) and not one.at_work)
            if (oldest := min(idle, key=lambda one: one.since, default=None)) is not None:
                oldest.drop()
        super().connection_made(transport)
        self.since = self.loop.time()
        self._within(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.at_work:
            self._within(None)
        elif self._deadline is None:  # of a request whose head comes byte by byte after an answer
            self._within(HEAD)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and not self.at_work and self._sending:
            self._within(LINGER)

    @property
    def at_work(self) -> bool:
        """A request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def drop(self) -> None:
        """Ends it at once, whatever is still to be sent."""
        self.connections.discard(self)
        self.transport.abort()

    @property
    def _sending(self) -> bool:
        """The body of a request that has its answer is not at its end."""
        import h11

        return cast(object, self.conn.their_state) is h11.SEND_BODY

    def _within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.drop)
