"""Whether neighbours hold up a deploy: one site starts for a minute, another's registry never answers, a third one gets a commit."""

import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from lab.bench_row import Row
from lab.host import Host, a_host, until
from lab.images import ABRUPT, make_abrupt, provide

DOMAIN = "bench.local"
START_MS = 60_000
"""So long the slow neighbour takes until it listens."""
BAR = 1.2
PATIENCE = 120.0
"""Seconds that a busy machine may take for one of the steps here."""


def measure(engine: str, folder: Path, rounds: int) -> Iterator[Row]:
    """Alone and beside such neighbours, in turns, `rounds` of each."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, ABRUPT, make_abrupt)
    api.close()
    with a_host(folder / "host", engine, f"bench{os.getpid()}", poll="600s") as host:
        host.repository.commit({"shipstone.yaml": f"domain: {DOMAIN}\n", "sites/shop.yaml": site("shop"), **at_rest(0)}, "three sites")
        host.start_traefik()
        daemon = host.start_daemon()
        until(host.converged, "three sites run", PATIENCE)
        alone, beside = [], []
        for n in range(rounds):
            alone.append(seconds_to_live(host, daemon, f"alone{n}"))
            with neighbours(host, daemon, n):
                beside.append(seconds_to_live(host, daemon, f"beside{n}"))
        a, b = statistics.median(alone), statistics.median(beside)
        yield Row("a commit's way, beside / alone", b / a, BAR, "×", f"{b:.2f} s ({spread(beside)}); alone {a:.2f} s ({spread(alone)})")


def seconds_to_live(host: Host, daemon: "subprocess.Popen[bytes]", version: str) -> float:
    """From the push until Traefik answers with the new version; then waits until the old one is gone."""
    before = unpinned(host)
    host.repository.commit({"sites/shop.yaml": site(version)}, version)
    begun = time.perf_counter()
    daemon.send_signal(signal.SIGHUP)
    until(lambda: host.get(f"shop.{DOMAIN}") == (200, version), f"{version} is live", PATIENCE)
    took = time.perf_counter() - begun
    until(lambda: unpinned(host) > before, f"{version} is at rest", PATIENCE)
    return took


def unpinned(host: Host) -> int:
    return sum(row.get("event") == "unpin" and row.get("site") == "shop" for row in host.log())


@contextmanager
def neighbours(host: Host, daemon: "subprocess.Popen[bytes]", n: int) -> Iterator[None]:
    """Both are in their trouble inside, and back at rest after it."""
    with socket.create_server(("127.0.0.1", 0)) as registry:
        image = f"127.0.0.1:{registry.getsockname()[1]}/x:1"
        troubled = {"sites/slow.yaml": site(f"slow{n}", boot=START_MS), "sites/hangs.yaml": site("hangs", image=image)}
        host.repository.commit(troubled, "trouble")
        daemon.send_signal(signal.SIGHUP)
        registry.settimeout(PATIENCE)
        asked, _ = registry.accept()
        with asked:
            until(lambda: len(host.containers("slow", running=True)) > 1, "the slow one was started beside the old one", PATIENCE)
            until(lambda: known(host, "slow") > 1, "and Traefik, too, knows both", PATIENCE)
            yield
    commit = host.repository.commit(at_rest(n + 1), "no trouble")
    daemon.send_signal(signal.SIGHUP)
    until(lambda: host.converged(commit), "the neighbours are at rest again", PATIENCE)


def known(host: Host, site: str) -> int:
    """How many replicas of a site Traefik has heard of."""
    names = [str(row["name"]) for row in host.traefik("http/services") or ()]
    return sum(f"-{site}-" in name and name.endswith("-1@docker") for name in names)


def at_rest(n: int) -> dict[str, str]:
    return {f"sites/{name}.yaml": site(f"{name}{n}") for name in ("slow", "hangs")}


def site(version: str, *, boot: int = 0, image: str = ABRUPT) -> str:
    rollout = "rollout: {min_healthy: 500ms, drain: 500ms, deadline: 5m}"
    return f"image: {image}\nport: 80\n{rollout}\nenvironment: {{V: '{version}', BOOT_MS: '{boot}', WORK_MS: '0'}}\n"


def spread(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"
