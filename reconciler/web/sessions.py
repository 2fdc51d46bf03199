"""Who may change something: a bearer of the token, or a browser that was given it once and has a cookie since."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "shipstone_session"
LASTS = 12 * 3600
"""Seconds that a browser stays signed in."""


class Sessions:
    """`token` is the secret; empty: nobody may. A cookie holds until when it is good, signed with the token: nothing is kept here."""

    def __init__(self, token: str, wall: Callable[[], float] = time.time) -> None:
        self._token, self._wall = token.encode(), wall

    @property
    def open(self) -> bool:
        """There is a token, so that somebody may."""
        return bool(self._token)

    def knows(self, token: str) -> bool:
        """In a time that does not depend on how much of it is right."""
        return self.open and hmac.compare_digest(token.encode(), self._token)

    def bearer(self, request: Request) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.knows(token.strip())

    def signed_in(self, request: Request) -> bool:
        until, _, rest = request.cookies.get(COOKIE, "").partition(".")
        nonce, _, mark = rest.partition(".")
        if not self.open or not (until.isascii() and until.isdigit() and len(until) < 12):
            return False
        return int(until) > self._wall() and self._is(mark, f"{until}.{nonce}")

    def csrf(self, request: Request) -> str:
        """What a form of this browser must carry; empty where nobody is signed in."""
        return self._mark(f"form {request.cookies[COOKIE]}") if self.signed_in(request) else ""

    def sent_by_own_form(self, request: Request, csrf: str) -> bool:
        return self.signed_in(request) and is_own(request) and hmac.compare_digest(csrf.encode(), self.csrf(request).encode())

    def sign_in(self, request: Request, response: Response) -> None:
        value = f"{int(self._wall()) + LASTS}.{secrets.token_urlsafe(16)}"
        cookie = f"{value}.{self._mark(value)}"
        response.set_cookie(COOKIE, cookie, max_age=LASTS, httponly=True, samesite="strict", secure=request.url.scheme == "https")

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def _mark(self, text: str) -> str:
        return hmac.new(self._token, text.encode(), hashlib.sha256).hexdigest()

    def _is(self, mark: str, text: str) -> bool:
        return hmac.compare_digest(mark.encode(), self._mark(text).encode())


def is_own(request: Request) -> bool:
    """The form was on this very page, as far as the browser says."""
    if site := request.headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
