"""Messages to people, through Apprise; and an address that is called while all is well. Addresses hold tokens: none is ever printed."""

import queue
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.errors import SettingsError, ShipstoneError
from reconciler.log import log

WAITING = 50
"""So many messages wait for one that cannot be sent; later ones are dropped."""
ANSWER = 10.0
"""Seconds that a heartbeat's address has to answer."""
HIDDEN = 4
"""Parts of an address that are this long, or longer, are left out of what is said about it."""


@dataclass(frozen=True)
class Notice:
    """One message: a line, and more lines, which may be Markdown. `kind` is the colour that it gets where there are colours."""

    title: str
    body: str = ""
    kind: Literal["info", "success", "warning", "failure"] = "info"
    form: Literal["text", "markdown"] = "text"


class NotSentError(ShipstoneError):
    """Some service did not take a message; it may take it later."""


class Services:
    """Those of [notify] urls. Raises SettingsError where Apprise cannot read one of them."""

    def __init__(self, urls: Sequence[str]) -> None:
        import apprise

        self._urls, self._services = tuple(urls), []
        for number, url in enumerate(urls, 1):
            service: Any = apprise.Apprise()
            if not service.add(url):
                raise SettingsError(
                    f"cannot use [notify] urls: number {number} ({_scheme(url)}) is no address that Apprise knows: see its documentation."
                )
            self._services.append(service)

    @property
    def names(self) -> tuple[str, ...]:
        """What can be said of each: its place in the settings, and its kind."""
        return tuple(f"{number} ({_scheme(url)})" for number, url in enumerate(self._urls, 1))

    def send(self, number: int, notice: Notice) -> str:
        """To the service at this place (from 0): empty, or why it did not take it."""
        said: list[str] = []
        try:
            done = self._services[number].notify(
                body=notice.body or notice.title,
                title=notice.title if notice.body else "",
                notify_type=notice.kind,
                body_format=notice.form,
                log_callback=lambda entry, _service: said.append(str(entry.message)),
            )
        except Exception as error:  # noqa: BLE001  each service is a program of its own
            return f"{type(error).__name__}"
        return "" if done else _without(self._urls[number], said[-1] if said else "it gives no reason")


class Outbox:
    """A thread that sends, one message after the other. One that is not taken is tried again ever later, `tries` times in all, the second
    time after `pause` seconds; then it is dropped, with a line in the log."""

    def __init__(self, services: Services, tries: int = 8, pause: float = 1.0) -> None:
        self._services, self._tries, self._pause = services, tries, pause
        self._queue: queue.Queue[Notice | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._sending, name="notices", daemon=True)
        self._thread.start()

    def post(self, notice: Notice) -> None:
        """Returns at once."""
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            log.warning("a notice was dropped: too many wait", notice=notice.title)

    def close(self, timeout: float) -> None:
        """What waits is still sent, as far as `timeout` seconds go."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _sending(self) -> None:
        while (notice := self._queue.get()) is not None:
            try:
                self._send(notice)
            except NotSentError as error:
                log.warning("a notice was dropped", notice=notice.title, error=str(error))
            except Exception as error:  # noqa: BLE001  the next one may go
                log.warning("a notice was dropped", notice=notice.title, error=type(error).__name__)

    def _send(self, notice: Notice) -> None:
        import stamina

        left = dict.fromkeys(range(len(self._services.names)), "")
        again = stamina.retry_context(
            on=NotSentError,
            attempts=self._tries,
            timeout=None,
            wait_initial=self._pause,
            wait_max=60 * self._pause,
            wait_jitter=self._pause,
        )
        for attempt in again:
            with attempt:
                left = {number: why for number in left if (why := self._services.send(number, notice))}
                if left:
                    raise NotSentError("; ".join(f"{self._services.names[number]}: {why}" for number, why in left.items()))


def call(url: str) -> str:
    """GET it: empty, or why that was no success."""
    import httpx

    try:
        answer = httpx.get(url, timeout=ANSWER, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _without(url, f"{type(error).__name__}: {error}")
    return "" if answer.is_success else f"it answers {answer.status_code}"


class Caller:
    """A thread that calls a heartbeat's address when it is told to. Calls that come while one is under way are one."""

    def __init__(self, ring: Callable[[], str]) -> None:
        self._ring, self._due, self._why = ring, threading.Event(), ""
        threading.Thread(target=self._calling, name="heartbeat", daemon=True).start()

    def soon(self) -> None:
        self._due.set()

    def _calling(self) -> None:
        while self._due.wait():
            self._due.clear()
            try:
                why = self._ring()
            except Exception as error:  # noqa: BLE001  the next pass calls again
                why = type(error).__name__
            if why and why != self._why:
                log.warning("cannot call [notify] heartbeat", error=why)
            self._why = why


def _scheme(url: str) -> str:
    found = re.match(r"[a-zA-Z0-9+.-]{1,20}(?=:)", url)
    return found[0] if found else "no scheme"


def _without(url: str, text: str) -> str:
    """The text in one line, no part of the address in it."""
    parts = {part for part in re.split(r"[/:@?&=#]+", url.partition(":")[2]) if len(part) >= HIDDEN}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "…")
    return " ".join(text.split())[:200]
