"""What scripts may ask: the same JSON as the commands print."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.planning.events import newest_first
from reconciler.reports import findings as report
from reconciler.web.latest import Latest
from reconciler.world.store import Store

MOST = 1000
"""Rows of one answer."""


def data_routes(latest: Latest, store: Store) -> list[Route]:
    """GET /api/drift and GET /api/history?site=&limit=."""

    def drift(_: Request) -> Response:
        now = latest.now
        if now.done is None or now.desired is None:
            return JSONResponse({"revision": "", "sites": {}, "problems": [], "foreign": [], "notices": []})
        plan = replace(now.done.plan, sites=now.sites)
        return JSONResponse(report.plan_json(plan, now.desired, causes=frozenset({"drift"})))

    def events(request: Request) -> Response:
        site, text = request.query_params.get("site"), request.query_params.get("limit", "100")
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= MOST):
            return JSONResponse({"error": f"limit: use a number from 1 to {MOST}"}, 400)
        limit = int(text)
        store.changed()  # its file may be another one by now
        rows = newest_first(store.history.events(site, limit), store.history.drifts(site, limit), limit)
        return JSONResponse({"events": [row.as_json() for row in rows]})

    return [Route("/api/drift", drift), Route("/api/history", events)]
