"""Requests lost by redeploys: Shipstone, `docker compose up -d` and `docker rollout`, one after the other under the same load."""

import collections
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker

from lab.bench_tools import BOOT_MS, DRAIN, HOST, MIN_HEALTHY, REPLICAS, WORK_MS, Compose, Rollout, Shipstone, Tool, rollout_plugin
from lab.compose import compose_binary
from lab.host import Host, a_host, until
from lab.images import ABRUPT, make_abrupt, provide
from lab.load import SLOW_MS, Load, Seen

POLL = "1s"
CLIENTS, SLOW, PAUSE = 16, 4, 0.01
ENOUGH = 1000
"""Requests sent per redeploy, so that "none lost" says something."""
CALM = 1.0
"""Seconds of nothing but right answers of the new version before the next redeploy."""
COLUMNS = ("", "requests", "lost", "first new", "all new", "done", "bar")


@dataclass(frozen=True)
class Measured:
    """`first_new`, `all_new`, `done`: medians in seconds from the push or the command until the first answer of the new version came, until
    the last request was sent that it did not answer, and until the tool was done. `lost`: why → how many; `places`: where in its rollout
    each fell. `bar`: how many may be lost; None: it is measured, not judged."""

    tool: str
    on: str
    redeploys: int
    sent: int
    lost: dict[str, int]
    first_new: float
    all_new: float
    done: float
    bar: int | None = None
    places: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.bar is None or (sum(self.lost.values()) <= self.bar and self.sent >= ENOUGH * self.redeploys)

    def cells(self) -> tuple[str, ...]:
        lost = sum(self.lost.values())
        sign = "green" if not lost else "red"
        bar = "" if self.bar is None else f"{self.bar} of {ENOUGH * self.redeploys}"
        seconds = (f"{value:.1f} s" for value in (self.first_new, self.all_new, self.done))
        return self.tool, str(self.sent), f"[{sign}]{lost}[/]", *seconds, bar

    def said(self) -> list[str]:
        """What was lost, and where that is known."""
        why = ", ".join(f"{count} × {why}" for why, count in sorted(self.lost.items(), key=lambda row: -row[1]))
        return [f"{self.tool} lost {why}", *self.places] if self.lost else []


def measure(engine: str, folder: Path, redeploys: int) -> Iterator[Measured]:
    """Each tool with a network and a Traefik of its own."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, ABRUPT, make_abrupt)
    version = str(api.version()["Version"])
    api.close()
    compose_binary()
    tools: list[Callable[[Host], Tool]] = [Shipstone, Compose, *([Rollout] if rollout_plugin() else [])]
    for n, make in enumerate(tools):
        with a_host(folder / str(n), engine, f"bench{os.getpid()}-{n}", poll=POLL) as host:
            host.repository.commit({"shipstone.yaml": "domain: bench.local\n"}, "begin")
            host.start_traefik(alone=False)  # Compose's containers carry no label of ours
            tool = make(host)
            try:
                yield redeployed(tool, host, f"Docker {version}, Traefik {host.traefik('version')['Version']}", redeploys)
            finally:
                tool.close()


def redeployed(tool: Tool, host: Host, on: str, redeploys: int) -> Measured:
    tool.deploy("v0")
    until(lambda: host.get(HOST) == (200, "v0"), "the first version answers")
    places: list[str] = []
    times: list[tuple[float, float, float]] = []
    versions = [f"v{n}" for n in range(redeploys + 1)]
    with Load(host.web, HOST, clients=CLIENTS, slow=SLOW, pause=PAUSE, expect=frozenset(versions)) as load:
        until(lambda: load.seen.sent > 10 * (CLIENTS + SLOW), "requests run")
        for old, new in itertools.pairwise(versions):
            begun = time.time()
            tool.deploy(new)
            took = time.time() - begun
            until(lambda: calm(load.seen, new), f"{new} alone answers", 60)  # noqa: B023  waited for in this round
            lost = [row.at - row.took for row in load.seen.lost if row.at > begun]
            times.append((load.seen.first[new] - begun, max([load.seen.last[old], *lost]) - begun, took))
            places += [f"{new}: {place}" for place in tool.places(load.seen, begun)]
    why = dict(collections.Counter(row.why for row in load.seen.lost))
    first_new, all_new, done = (statistics.median(seconds) for seconds in zip(*times, strict=True))
    return Measured(tool.name, on, redeploys, load.seen.sent, why, first_new, all_new, done, 0 if tool.judged else None, places)


def calm(seen: Seen, version: str) -> bool:
    """Nothing was lost, and no other version answered, for a while: longer than the slowest answer takes, which is known only then."""
    since = time.time() - CALM - SLOW_MS / 1000
    others = [at for body, at in seen.last.copy().items() if body != version]
    return seen.first.get(version, time.time()) < since and max([0.0, *others]) < since and (not seen.lost or seen.lost[-1].at < since)


def setting(found: list[Measured]) -> str:
    """What is the same for all, in a few lines."""
    on, redeploys = found[0].on, found[0].redeploys
    lines = [
        f"{on}, from the generated traefik.toml.",
        f"{redeploys} redeploys of {REPLICAS} replicas of a rude server: {BOOT_MS} ms until it listens, no healthcheck, exits at SIGTERM.",
        f"{CLIENTS} clients, GET and POST, kept and new connections, {WORK_MS} ms a request; {SLOW} more with requests of {SLOW_MS} ms.",
        f"Shipstone: poll {POLL}, min_healthy {MIN_HEALTHY}, drain {DRAIN}. Times are medians, from the push or the command.",
    ]
    if rollout_plugin() is None:
        lines.append("docker rollout: not measured, it is not installed here and no package archive carries it.")
    return "\n".join(lines) + "\n"
