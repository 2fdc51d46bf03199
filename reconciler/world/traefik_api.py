"""Traefik's API: what it routes just now. It is believed, not the clock."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from reconciler.errors import SettingsError, TraefikError
from reconciler.planning.observed import TraefikView
from reconciler.planning.pin_file import HEADER, read_pins, sentinel_name

FEW = 4
"""Up to so many sites are asked for one by one; beyond that one listing is cheaper."""
PAGE = 1000


class TraefikApi:
    """`url` as http://127.0.0.1:8080, or with NAME:PASSWORD@ before the host; `timeout` in seconds."""

    def __init__(self, url: str, instance: str, timeout: float = 3.0) -> None:
        self._instance = instance
        try:
            parts = urlsplit(url.rstrip("/"))
        except ValueError as error:
            raise SettingsError(f"cannot use [traefik] api: {error}. Write http://HOST:PORT.") from None
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        headers = urllib3.make_headers(basic_auth=login.encode().decode("latin-1") or None)  # it takes one character for one byte
        self._pool = urllib3.PoolManager(headers=headers, timeout=timeout, retries=False)

    def view(self, moving: Collection[str]) -> TraefikView:
        """What Traefik holds of the sites in `moving`. Never raises."""
        try:
            rows = list(self._rows("routers", moving))
            services = {row["name"]: row for row in self._rows("services", moving) if row.get("status") == "enabled"}
        except TraefikError:
            return TraefikView(reachable=False)
        routers = {row["name"]: row for row in rows if row.get("status") == "enabled"}
        refused = {row["name"]: str((row.get("error") or ["no reason given"])[0]) for row in rows if row.get("status") == "disabled"}
        counts = {
            name.removesuffix("@docker"): len((row.get("loadBalancer") or {}).get("servers") or ())
            for name, row in services.items()
            if name.endswith("@docker")
        }
        pins = read_pins(self._instance, _of_file(routers), _of_file(services))
        labelled = frozenset(name.removesuffix("@docker") for name in routers if name.endswith("@docker"))
        return TraefikView(reachable=True, pins=pins, services=counts, refused=refused, routers=labelled)

    def overview(self) -> dict[str, Any]:
        """`/api/overview`: counts, errors and providers. Raises TraefikError."""
        found = self._get("/api/overview")
        if found is None:
            raise TraefikError("cannot ask Traefik: its API does not know /api/overview. Switch it on: [api] insecure = true.")
        return dict(found)

    def version(self) -> str:
        """Traefik's own version. Raises TraefikError."""
        return str((self._get("/api/version") or {}).get("Version", "unknown"))

    def started_at(self) -> float:
        """When Traefik started (wall clock seconds). Raises TraefikError."""
        text = str((self._get("/api/version") or {}).get("startDate", ""))
        try:
            return dt.datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise TraefikError(f"cannot read when Traefik started: it says {text!r}. Shipstone knows Traefik 3.") from None

    def sentinel(self) -> bool:
        """Whether Traefik reads the folder with the pins. Raises TraefikError."""
        return self._get(f"/api/http/middlewares/{sentinel_name(self._instance)}@file") is not None

    def pins_digest(self) -> str:
        """The digest of the pins that Traefik holds; empty when it holds none. Raises TraefikError."""
        found = self._get(f"/api/http/middlewares/{sentinel_name(self._instance)}@file") or {}
        return str(((found.get("headers") or {}).get("customResponseHeaders") or {}).get(HEADER, ""))

    def close(self) -> None:
        self._pool.clear()

    def _rows(self, kind: str, sites: Collection[str]) -> Iterator[dict[str, Any]]:
        """Routers or services whose names begin with one of the sites'."""
        starts = [f"{self._instance}-{site}-" for site in sorted(sites)]
        for search in starts if len(starts) <= FEW else [f"{self._instance}-"]:
            page = 1
            while page:
                rows, page = self._page(kind, search, page)
                yield from (row for row in rows if row["name"].startswith(tuple(starts)))

    def _page(self, kind: str, search: str, page: int) -> tuple[list[dict[str, Any]], int]:
        """One page, and the number of the next one; 0 after the last."""
        rows, headers = self._ask(f"/api/http/{kind}", {"search": search, "per_page": str(PAGE), "page": str(page)})
        following = int(headers.get("X-Next-Page", "1"))
        return list(rows), following if following > page else 0

    def _get(self, path: str) -> Any:
        """The answer, or None where Traefik knows no such thing."""
        return self._ask(path, {}, missing_is_fine=True)[0]

    def _ask(self, path: str, query: Mapping[str, str], *, missing_is_fine: bool = False) -> tuple[Any, Mapping[str, str]]:
        """What it answers, and its headers; None for what Traefik does not know, where `missing_is_fine`. Raises TraefikError."""
        try:
            answer = self._pool.request("GET", self._url + path, fields=dict(query))
            if answer.status == 200:
                return answer.json(), answer.headers
            if missing_is_fine and answer.status == 404:
                return None, answer.headers
            why = f"it answers {answer.status}"
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            why = re.sub(r"^HTTPS?Connection\(.*?\): ", "", str(error)) or type(error).__name__
        raise TraefikError(f"cannot ask Traefik at {self._url}: {why}. Start Traefik, or correct [traefik] api.")


def _of_file(rows: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name.removesuffix("@file"): row for name, row in rows.items() if name.endswith("@file")}
