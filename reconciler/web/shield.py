"""Around all routes: headers that keep a browser from doing more than the page needs, and a look at the name that was asked for."""

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ANY_NAME = ("/hooks/", "/healthz", "/readyz")
"""Asked from elsewhere, perhaps through a proxy. All that is told there is whether it is alive, and why passes fail."""


class Shield:
    """Where only this host is meant to ask, a name that is not its own is refused: a foreign page could have had it point here."""

    def __init__(self, app: ASGIApp, listen: str, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._looks = bool(hosts) or is_loopback(listen)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        name = Headers(scope=scope).get("host", "")
        if self._looks and not scope["path"].startswith(ANY_NAME) and not self._knows(name):
            text = "This page is not asked for by that name. Add it to [http] hosts in the settings of the host.\n"
            return await PlainTextResponse(text, 421)(scope, receive, guarded)
        return await self._app(scope, receive, guarded)

    def _knows(self, name: str) -> bool:
        """An address cannot be made to point elsewhere; of names only those that are known."""
        host = host_of(name)
        return host == "localhost" or host in self._hosts or is_address(host)


def host_of(name: str) -> str:
    """Without the port, and without the brackets of an IPv6 address."""
    if name.startswith("["):
        return name[1:].partition("]")[0].lower()
    return name.partition(":")[0].lower()


def is_loopback(listen: str) -> bool:
    host = host_of(listen)
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
