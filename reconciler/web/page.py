"""The page: all sites, one site, and signing in. It is the same HTML without JavaScript, only not live."""

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

import anyio
import anyio.to_thread
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from reconciler.planning.deploys import deploys
from reconciler.planning.events import newest_first
from reconciler.planning.intents import ALL
from reconciler.planning.past import other_content
from reconciler.reports import findings as report
from reconciler.web.actions import body_of
from reconciler.web.latest import Latest
from reconciler.web.picture import WIDTH, bar_of, drift_bars, lasting
from reconciler.web.sessions import Sessions, is_own
from reconciler.web.stream import Streams
from reconciler.web.view import SHORT, TONES, Ports, chosen, commits, overview, problems_of
from reconciler.world.store import Store

ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
DEPLOYS, EVENTS, DRIFTS, MOTIONS = 12, 60, 12, 2000
"""Rows of a site's page; and events that its deploys are read from."""
AT_ONCE = 4
"""Pages that are made at the same time, each in a thread."""
WRONG = 1.0
"""Seconds that a wrong token waits for its answer."""
Value = Mapping[str, Any]


class Page:
    """`store` is only read. `instance` is the installation's name."""

    def __init__(
        self, latest: Latest, store: Store, sessions: Sessions, instance: str, ports: Ports, wall: Callable[[], float] = time.time
    ) -> None:
        self._latest, self._store, self._sessions = latest, store, sessions
        self._ports, self._wall = ports, wall
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._assets = {name: files("reconciler.web").joinpath("assets", name).read_bytes() for name in ASSETS}
        self._version = hashlib.sha256(b"".join(self._assets.values())).hexdigest()[:12]
        self._html = Environment(
            loader=PackageLoader("reconciler.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._html.globals |= {"instance": instance, "assets": f"/assets/{self._version}", "tones": TONES, "width": WIDTH, "short": SHORT}
        self._html.filters |= {"time": _time, "lasting": lasting}

    def routes(self) -> list[Route]:
        every = [
            Route("/", self._overview),
            Route("/sites/{name}", self._site),
            Route("/events", Streams(self._latest).answer),
            Route("/assets/{version}/{name}", self._asset),
        ]
        if self._sessions.open:
            every += [Route("/login", self._login, methods=["GET", "POST"]), Route("/logout", self._logout, methods=["POST"])]
        return every

    async def _overview(self, request: Request) -> Response:
        words, group = request.query_params.get("q", "")[:200], request.query_params.get("show", "")
        return await self._made(request, "overview.html", partial(self._all, words, group if group in ("attention", "moving") else ""))

    async def _site(self, request: Request) -> Response:
        return await self._made(request, "site.html", partial(self._one, request.path_params["name"]))

    async def _made(self, request: Request, template: str, value: Callable[[], Value | None]) -> Response:
        """In a thread of a few; the same page again is only named."""

        def made() -> tuple[str, int]:
            found = value()
            known = {"csrf": self._sessions.csrf(request), "may_sign_in": self._sessions.open, "path": request.url.path}
            if found is None:
                return self._html.get_template("nothing.html").render(known), 404
            return self._html.get_template(template).render({**known, **found}), 200

        text, status = await anyio.to_thread.run_sync(made, limiter=self._threads)
        body = text.encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie"}
        if status == 200 and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(body, status, headers)

    def _all(self, words: str, group: str) -> Value:
        self._store.changed()  # its file may be another one by now
        now = self._latest.now
        notices = report.notices(now.done.plan, now.desired) if now.done and now.desired else ()
        seen = overview(now, self._store.history.revisions(commits(now)), self._ports, notices)
        waits = sorted(now.done.plan.held_removals) if now.done else []
        return {
            "seen": seen,
            "rows": chosen(seen.sites, words, group),
            "words": words,
            "group": group,
            "removals": waits,
            "drifts": drift_bars(self._store.history.drifts("", DRIFTS), self._wall()),
        }

    def _one(self, name: str) -> Value | None:
        self._store.changed()
        now = self._latest.now
        history = self._store.history
        events = history.events(name, MOTIONS, phases=True)
        revisions = history.revisions(commits(now) | {event.commit for event in events})
        seen = overview(now, revisions, self._ports)
        row = next((site for site in seen.sites if site.name == name), None)
        if row is None and not events:
            return None
        at, drifts, failed = self._wall(), history.drifts(name, EVENTS), self._store.failed().get(name)
        said = self._store.said()
        return {
            "name": name,
            "site": row,
            "seen": seen,
            "file_problems": problems_of(name, seen.problems),
            "deploys": [(deploy, bar_of(deploy, at)) for deploy in deploys(events, revisions)[:DEPLOYS]],
            "drifts": drift_bars(drifts[:DRIFTS], at),
            "history": newest_first(history.events(name, EVENTS), drifts, EVENTS),
            "failed": failed,
            "said": {one.kind for one in said if one.site == name},
            "all_suspended": any((one.kind, one.site) == ("suspend", ALL) for one in said),
            "earlier": other_content(self._store.releases().get(name, ()), row.release) if row else [],
            "removal": bool(now.done and name in now.done.plan.held_removals),
        }

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS or request.path_params["version"] != self._version:
            return PlainTextResponse("there is no such file\n", 404)
        return Response(self._assets[name], media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=31536000, immutable"})

    async def _login(self, request: Request) -> Response:
        wrong = False
        if request.method == "POST":
            form = await body_of(request) or {}
            if is_own(request) and self._sessions.knows(form.get("token", "")):
                response = RedirectResponse("/", 303)
                self._sessions.sign_in(request, response)
                return response
            wrong = True
            await asyncio.sleep(WRONG)
        text = self._html.get_template("login.html").render(wrong=wrong, csrf="", may_sign_in=True, path="/login")
        return HTMLResponse(text, 403 if wrong else 200, {"Cache-Control": "no-store"})

    async def _logout(self, request: Request) -> Response:
        response = RedirectResponse("/", 303)
        form = await body_of(request) or {}
        if self._sessions.sent_by_own_form(request, form.get("csrf", "")):
            self._sessions.sign_out(response)
        return response


def _time(at: float, form: str = "") -> str:
    """UTC: for people, or for a machine where `form` is "iso"."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    return moment.isoformat(timespec="milliseconds") if form == "iso" else moment.strftime("%Y-%m-%d %H:%M:%S UTC")
