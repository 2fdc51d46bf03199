"""From a push to the switch, told by a webhook: where the time goes. What is not the engine's, the application's or Traefik's is ours."""

import contextlib
import http.client
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab.bench_row import Row
from lab.host import Host, a_host, until
from lab.images import ABRUPT, make_abrupt, provide
from lab.push import tell
from lab.timeline import first, last, when
from reconciler.planning.pin_file import parse_pins
from reconciler.world.traefik_api import TraefikApi

DOMAIN, SECRET = "bench.local", "scripts-bench"
BAR = 150.0
LOOK = 0.005
"""Seconds between two looks of an observer: so exactly each moment is known."""
BOOT_MS = 200
PARTS = ("received", "fetched", "compiled", "pinned", "started", "ready", "known to Traefik", "the switch is written", "switched")
COLUMNS = ("", "from the push", "of it ours", "")


@dataclass(frozen=True)
class Merge:
    """One of them. Times are seconds since 1970; `others` are spans in which only the engine, the application or Traefik worked."""

    pushed: float
    at: dict[str, float]
    others: tuple[tuple[float, float], ...]

    def total(self, part: str) -> float:
        return self.at[part] - self.pushed

    def ours(self, part: str) -> float:
        """Seconds from the part before it that nobody else had."""
        names = ("pushed", *PARTS)
        begun = max(self.at.get(name, self.pushed) for name in names[: names.index(part)])
        return max(0.0, self.at[part] - begun) - covered(self.others, begun, self.at[part])

    def all_ours(self) -> float:
        return self.total("switched") - covered(self.others, self.pushed, self.at["switched"])


def covered(spans: Iterable[tuple[float, float]], begin: float, end: float) -> float:
    """Seconds between `begin` and `end` that at least one span covers."""
    found, at = 0.0, begin
    for start, stop in sorted(spans):
        start, stop = max(start, at), min(stop, end)
        if stop > start:
            found, at = found + stop - start, stop
    return found


def measure(engine: str, folder: Path, rounds: int, sites: int) -> list[Merge]:
    """`rounds` merges of one site, among `sites` others that stay as they are."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, ABRUPT, make_abrupt)
    api.close()
    with a_host(folder / "host", engine, f"bench{os.getpid()}", poll="600s") as host:
        rest = {f"sites/rest{n}.yaml": site("rest") for n in range(sites)}
        host.repository.commit({"shipstone.yaml": f"domain: {DOMAIN}\n", "sites/shop.yaml": site("v0"), **rest}, "begin")
        host.start_traefik()
        host.start_daemon(SHIPSTONE_WEBHOOKS__SECRET=SECRET, SHIPSTONE_DEBUG="1")
        until(host.converged, "every site runs", 120)
        return [merged(host, f"v{n + 1}") for n in range(rounds)]


def merged(host: Host, version: str) -> Merge:
    before = {row["Id"] for row in host.containers("shop")}
    unpinned = sum(row.get("event") == "unpin" and row.get("site") == "shop" for row in host.log())
    with Observer(host, before, version) as seen:
        commit = host.repository.commit({"sites/shop.yaml": site(version)}, version)
        pushed = time.time()
        tell(host, SECRET)
        until(lambda: seen.at.get("switched"), f"{version} answers", 60)
    until(lambda: sum(row.get("event") == "unpin" and row.get("site") == "shop" for row in host.log()) > unpinned, "at rest", 60)
    rows = [row for row in host.log() if when(row) >= pushed]
    pins = [row for row in rows if row.get("event") == "pin" and row.get("site") == "shop"]
    started = last(rows, event="start", site="shop")
    pinned, switch = when(pins[0]), first(rows, event="pin", site="shop", reason="the switch")
    at = {
        "received": first(rows, event="webhook"),
        "fetched": first(rows, event="read", commit=commit),
        "compiled": first(rows, event="fetched", commit=commit),
        "pinned": pinned,
        "started": started,
        "ready": seen.at["ready"],
        "known to Traefik": seen.at["known"],
        "the switch is written": switch,
        "switched": seen.at["switched"],
    }
    engine = [(when(row) - float(row["seconds"]), when(row)) for row in rows if row.get("event") in ("pull", "create", "start")]
    taken = seen.taken_after(pinned)
    others = (*engine, (pinned, taken), (started, max(at["ready"], at["known to Traefik"])), (switch, at["switched"]))
    return Merge(pushed, at, others)


class Observer:
    """Looks on from outside, each moment by a thread of its own: what others do is not asked of the one who is measured."""

    def __init__(self, host: Host, before: set[str], version: str) -> None:
        self._host, self._before, self._version = host, before, version
        self.at: dict[str, float] = {}
        self._taken: list[tuple[float, str]] = []
        self._written: list[tuple[float, str]] = []
        self._done = threading.Event()
        self._api = TraefikApi(f"http://127.0.0.1:{host.console}", host.instance)
        jobs = (self._pins, self._answers, self._known, self._served)
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]

    def __enter__(self) -> "Observer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(5)
        self._api.close()

    def taken_after(self, written: float) -> float:
        """When Traefik had the first pin that was written at that time."""
        content = next((digest for at, digest in self._written if at >= written - 0.1), "")
        return next((at for at, digest in self._taken if digest == content and at >= written - 0.1), written)

    def _look(self, job: Callable[[], bool]) -> None:
        """Until it says that it is done, or all is."""
        while not self._done.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, StopIteration):
                if job():
                    return
            time.sleep(LOOK)

    def _pins(self) -> None:
        """What is written, and what Traefik has of it."""
        path = self._host.dynamic / f"{self._host.instance}.toml"

        def look() -> bool:
            for rows, digest in (
                (self._written, parse_pins(self._host.instance, path.read_text())[1]),
                (self._taken, self._api.pins_digest()),
            ):
                if not rows or rows[-1][1] != digest:
                    rows.append((time.time(), digest))
            return False

        self._look(look)

    def _answers(self) -> None:
        """The new container by itself."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            if not found:
                found.extend(row for row in self._host.containers("shop", running=True) if row["Id"] not in self._before)
                return False
            address = next(iter(found[0]["NetworkSettings"]["Networks"].values()))["IPAddress"]
            return self._ask(address, 80, "x") == self._version and self._note("ready")

        self._look(look)

    def _known(self) -> None:
        """Traefik lists services of two releases."""

        def look() -> bool:
            names = {name.rpartition("-web-")[0] or name for name in self._api.view(["shop"]).services}
            return len(names) > 1 and self._note("known")

        self._look(look)

    def _served(self) -> None:
        self._look(lambda: self._ask("127.0.0.1", self._host.web, f"shop.{DOMAIN}") == self._version and self._note("switched"))

    def _ask(self, address: str, port: int, host: str) -> str:
        connection = http.client.HTTPConnection(address, port, timeout=2)
        try:
            connection.request("GET", "/", headers={"Host": host})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _note(self, name: str) -> bool:
        self.at[name] = time.time()
        return True


def site(version: str) -> str:
    rollout = "rollout: {min_healthy: 200ms, drain: 200ms, deadline: 1m}"
    return f"image: {ABRUPT}\nport: 80\n{rollout}\nenvironment: {{V: '{version}', BOOT_MS: '{BOOT_MS}', WORK_MS: '0'}}\n"


def table(found: list[Merge]) -> Iterator[tuple[str, ...]]:
    """Medians."""
    for part in PARTS:
        total, ours = (statistics.median(read(one) for one in found) * 1000 for read in (lambda m: m.total(part), lambda m: m.ours(part)))  # noqa: B023
        yield part, f"{total:.0f} ms", f"{ours:.0f} ms", ""


def row(found: list[Merge], sites: int) -> Row:
    ours = sorted(one.all_ours() * 1000 for one in found)
    total = statistics.median(one.total("switched") for one in found)
    told = f"{ours[0]:.0f} to {ours[-1]:.0f}, of {total:.2f} s in all; {len(found)} merges beside {sites} other sites"
    return Row("from push to switch, ours", statistics.median(ours), BAR, "ms", told)
