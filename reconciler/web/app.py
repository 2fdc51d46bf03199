"""The routes. Each part of the page and its API is a file of its own beside this one."""

import time
from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from reconciler.reports import findings as report
from reconciler.web.latest import Latest
from reconciler.web.mishaps import Mishaps

STALE = 120.0
"""Seconds without a pass, after which Shipstone is not called alive any more: it passes at least every half minute."""
STUCK = "no pass came to its end for two minutes"


def build_app(
    latest: Latest,
    more: Iterable[BaseRoute] = (),
    wall: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """`more`: what the files beside this one add."""

    def alive() -> bool:
        """Before there is anything to do a pass for, as while the git server does not answer, none is missed."""
        now = latest.now
        if now.done is None and now.revision is None and wall() - now.failed_at > STALE:
            return True
        return wall() - (now.done.at if now.done else now.due_since) < STALE

    def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n") if alive() else PlainTextResponse(f"{STUCK}\n", 503)

    def readyz(_: Request) -> Response:
        now = latest.now
        if now.done is None or now.failing or not alive():
            return PlainTextResponse(f"{now.failing or (STUCK if now.done else 'the first pass has not ended yet')}\n", 503)
        return PlainTextResponse("ready\n")

    def status(_: Request) -> Response:
        now = latest.now
        if now.done is None or now.desired is None:
            return JSONResponse({"revision": "", "observed_at": None, "sites": {}, "notices": []})
        return JSONResponse(report.status_json(now.sites, now.desired, now.done.at, report.notices(now.done.plan, now.desired)))

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/api/status", status), *more]
    return Starlette(routes=routes, middleware=[Middleware(Mishaps, clock=clock)])
