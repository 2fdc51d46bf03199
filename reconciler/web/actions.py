"""What people may ask for on the page and its API: the same words as on the command line, written into the store."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Literal, get_args
from urllib.parse import parse_qsl

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from reconciler.asking import take_back, write_down
from reconciler.errors import ShipstoneError
from reconciler.planning import intents
from reconciler.planning.intents import ALL, Said
from reconciler.planning.past import earlier
from reconciler.web.bodies import read_body
from reconciler.web.latest import Latest
from reconciler.web.sessions import Sessions
from reconciler.web.signatures import RefusedError
from reconciler.world.store import Store

Verb = Literal["retry", "restart", "suspend", "resume", "rollback", "approve"]
FIELDS = {"rollback": ("release",), "": ("removals", "history")}
"""What a body may say, by the word; without one all that waits is approved. With other words it says nothing."""
MAX_BODY = 65_536
PATIENCE = 10.0
"""Seconds in which a body must be there."""


class Actions:
    """`look` wakes the daemon. `open_store` opens it anew: the daemon notices what another connection wrote."""

    def __init__(
        self,
        latest: Latest,
        sessions: Sessions,
        open_store: Callable[[], Store],
        look: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._latest, self._sessions, self._open, self._look, self._wall = latest, sessions, open_store, look, wall

    def routes(self) -> list[Route]:
        """None without a token: what is not there cannot be attacked."""
        if not self._sessions.open:
            return []
        asked = Route("/api/sites/{name}/{verb}", self._answer, methods=["POST"])
        return [asked, Route("/api/approve", self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        site, verb = request.path_params.get("name"), request.path_params.get("verb", "")
        form = await body_of(request)
        if form is None:
            return JSONResponse({"error": f"cannot read the body: send a JSON object of texts, or a form, up to {MAX_BODY} bytes."}, 400)
        bearer = self._sessions.bearer(request)
        if not (bearer or self._sessions.sent_by_own_form(request, form.get("csrf", ""))):
            return JSONResponse({"error": "Send the token: Authorization: Bearer TOKEN"}, 401, {"WWW-Authenticate": "Bearer"})
        if unknown := sorted(form.keys() - {"csrf"} - set(FIELDS.get(verb, ()))):
            takes = " and ".join(FIELDS.get(verb, ())) or "nothing"
            return JSONResponse({"error": f"cannot {verb or 'approve'}: there is no field {json.dumps(unknown[0])}. Send {takes}."}, 400)
        try:
            by = "the API" if bearer else "the page"
            text = await anyio.to_thread.run_sync(lambda: self._do(site, verb, form, by))
        except ShipstoneError as error:
            return JSONResponse({"error": str(error)}, 409)
        if bearer:
            return JSONResponse({"site": site or ALL, "said": text}, 202)
        return RedirectResponse(f"/sites/{site}" if site else "/", 303)

    def _do(self, site: str | None, verb: str, form: Mapping[str, str], by: str) -> str:
        """To everything that waits where no `site` is named. Raises ShipstoneError where it makes no sense now."""
        with contextlib.closing(self._open()) as store:
            if site is None:
                text = self._approve_all(store, form, by)
            elif site not in self._latest.now.sites:
                raise ShipstoneError(f"cannot find the site {site}.")
            elif verb == "resume":
                text = (
                    "the repository counts again" if take_back(store, site, by, self._wall()) else "was neither suspended nor rolled back"
                )
            else:
                said, text = self._word(store, site, verb, form.get("release"))
                write_down(store, said, by, self._wall())
        self._look()
        return text

    def _word(self, store: Store, site: str, verb: str, release: str | None) -> tuple[Said, str]:
        now = self._latest.now
        found = now.sites[site]
        match verb:
            case "suspend":
                return Said("suspend", site), "suspended"
            case "retry":
                return Said("retry", site), "is tried again"
            case "restart" if found.release:
                return intents.restart(site, found.asked or found.release), "is restarted"
            case "rollback" if now.desired and site in now.desired.sites:
                to = earlier(site, store.releases().get(site, ()), found.release, release)
                return intents.rollback(site, now.desired.sites[site].release, to.site.release), f"goes back to {to.site.release}"
            case "approve" if now.done and site in now.done.plan.held_removals:
                return Said("approve", site), "its removal is approved"
        if verb in get_args(Verb):
            raise ShipstoneError(f"cannot {verb} {site}: there is nothing to {verb} now.")
        raise ShipstoneError(f"cannot {verb} {site}: there is no such word. Use one of {', '.join(get_args(Verb))}.")

    def _approve_all(self, store: Store, form: Mapping[str, str], by: str) -> str:
        """Exactly what waits now; where it is said what was listed, and the page says it always, only if that is the same."""
        now = self._latest.now
        removed = sorted(now.done.plan.held_removals) if now.done else []
        waits = now.revision.waits if now.revision else ""
        listed = sorted(form.get("removals", "").split()), form.get("history", "")
        if listed != (removed, waits) and (by == "the page" or not form.keys().isdisjoint(FIELDS[""])):
            raise ShipstoneError("cannot approve: what waits is not what was listed any more. Nothing is approved; look at what waits now.")
        for one in [*(Said("approve", name) for name in removed), *([Said("history", ALL, waits)] if waits else [])]:
            write_down(store, one, by, self._wall())
        return ", ".join([*removed, *([f"the history of {waits[:12]}"] if waits else [])]) or "nothing waits for an approval"


async def body_of(request: Request) -> dict[str, str] | None:
    """The fields of a form, or of a JSON object, by whatever content type: `curl --data` calls both a form. None where it is neither, holds
    what is no text, is too long, or does not come."""
    try:
        text = (await read_body(request, MAX_BODY, PATIENCE)).decode()
        if not text.strip():
            return {}
        if not text.lstrip().startswith("{") and not request.headers.get("content-type", "").startswith("application/json"):
            return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=20))
        fields = json.loads(text)
        if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
            return None
        "".join(itertools.chain(*fields.items())).encode()  # JSON can say half a character, which is no text
        return fields
    except (RefusedError, ValueError, RecursionError):
        return None
