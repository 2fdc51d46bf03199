"""Webhooks: a git server says that there is a new commit. What it says is only a hint: the fetch that follows finds out itself.

All of it runs on the server's event loop: no lock, and no thread that a slow client could hold.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import get_args

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.log import log
from reconciler.settings import Settings
from reconciler.web.bodies import read_body, too_long
from reconciler.web.payloads import Hint, hint_of
from reconciler.web.signatures import Claim, Provider, RefusedError, claim_of, verify

MAX_BODY = 1024 * 1024
PATIENCE = 10.0
"""Seconds in which a body must be there."""
EVERY = 1.0
"""Seconds between two fetches that webhooks cause."""
AT_ONCE = 16
"""Bodies that are read at the same time, and so the memory that they take: 16 MiB if all are as large as they may be."""
REMEMBERED = 1024
"""Deliveries that are known again."""
QUIET = 60.0
"""Seconds in which a reason for refusing is said once in the log."""
SAID = {400: "bad request", 401: "unauthorized", 408: "request timeout", 413: "content too large", 503: "busy"}


def hook_routes(settings: Settings, fetch: Callable[[], None]) -> list[Route]:
    """None without a secret, or without a git repository: what is not there cannot be attacked."""
    secret, source = settings.webhooks.secret.get_secret_value(), settings.source
    if not secret or not source.url or source.directory:
        return []
    return Hooks(secret, lambda hint: hint.concerns(source.url, source.branch, tags=source.verify == "tag"), fetch).routes()


class Hooks:
    """`fetch` is called at most once in EVERY seconds, however many pushes there are, and always after the last of them."""

    def __init__(
        self,
        secret: str,
        concerns: Callable[[Hint], bool],
        fetch: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self._secret, self._concerns, self._fetch = secret.encode(), concerns, fetch
        self._clock, self._wall, self._patience = clock, wall, patience
        self._reading = 0
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._next = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._refusals = Refusals(clock)

    def routes(self) -> list[Route]:
        return [Route(f"/hooks/{name}", partial(self._answer, name), methods=["POST"], name=name) for name in get_args(Provider)]

    async def _answer(self, provider: Provider, request: Request) -> Response:
        try:
            taken = await self._take(provider, request)
        except RefusedError as refused:
            self._refusals.say(provider, refused)
            close = {"Connection": "close"} if refused.status in (408, 503) else {}
            return PlainTextResponse(f"{SAID[refused.status]}\n", refused.status, close)
        return PlainTextResponse("accepted\n" if taken else "ignored\n", 202)

    async def _take(self, provider: Provider, request: Request) -> bool:
        """Whether a fetch follows. Raises RefusedError."""
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY:
            raise RefusedError(413, too_long(MAX_BODY))
        claim = claim_of(provider, request.headers.raw)
        body = await self._body(request)
        verify(claim, self._secret, body, self._wall())
        if not self._concerns(hint_of(body)):
            log.info("webhook ignored: another repository, branch or tag", provider=provider)
            return False
        if self._known(provider, claim, body):
            log.info("webhook ignored: the same delivery again", provider=provider)
            return False
        log.info("webhook", provider=provider)
        self._ask()
        return True

    async def _body(self, request: Request) -> bytearray:
        if self._reading >= AT_ONCE:
            raise RefusedError(503, f"{AT_ONCE} others are being read")
        self._reading += 1
        try:
            return await read_body(request, MAX_BODY, self._patience)
        finally:
            self._reading -= 1

    def _known(self, provider: Provider, claim: Claim, body: bytearray) -> bool:
        """Whether this very delivery was taken before: the same name and the same body."""
        key = hashlib.sha256(b"\0".join([provider.encode(), claim.delivery, body])).digest()
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def _ask(self) -> None:
        if self._later is not None:
            return
        if (wait := self._next - self._clock()) > 0:
            self._later = asyncio.get_running_loop().call_later(wait, self._now)
        else:
            self._now()

    def _now(self) -> None:
        self._later = None
        self._next = self._clock() + EVERY
        self._fetch()


class Refusals:
    """Says why requests were refused: each reason at once, then how often in each QUIET seconds. A flood must not fill the log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def say(self, provider: str, refused: RefusedError) -> None:
        key = provider, refused.status
        at, more = self._said.get(key, (-QUIET, 0))
        if self._clock() - at < QUIET:
            self._said[key] = at, more + 1
            return
        self._said[key] = self._clock(), 0
        log.warning("webhook refused", provider=provider, status=refused.status, reason=refused.why, unsaid_before=more)
