"""What it costs when a release ends by itself after the switch, while the old one is kept: requests lost, and seconds until it serves."""

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import docker

from lab.bench_row import Row
from lab.host import a_host, until
from lab.images import FAULTY, make_faulty, provide
from lab.load import Load

CLIENTS, PAUSE = 8, 0.02
LASTS_MS = 3000
"""So long the new release runs: it serves by then, and is still within min_healthy."""
ROLLOUT = "rollout: {min_healthy: 20s, drain: 1s, deadline: 1m}"


def measure(engine: str, folder: Path, rounds: int) -> Iterator[Row]:
    """A site of two replicas, each time brought to a version of which both end at once."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, FAULTY, make_faulty)
    api.close()
    with a_host(folder / "host", engine, f"bench{os.getpid()}", poll="300ms") as host:
        name = f"shop.{host.domain}"
        host.repository.commit({"shipstone.yaml": f"domain: {host.domain}\n", "sites/shop.yaml": site("old")}, "the old version")
        host.start_traefik()
        host.start_daemon()
        until(host.converged, "the old version runs", 60)
        lost, seconds, outside, sent = [], [], 0, 0
        for n in range(rounds):
            with Load(host.web, name, clients=CLIENTS, pause=PAUSE) as load:
                host.repository.commit(
                    {"sites/shop.yaml": site(f"v{n}", f"command: [/faulty, lasts, '{LASTS_MS}', /srv]\n")}, "it will end"
                )
                began = until(lambda: load.seen.first.get(f"v{n}"), "the new version serves", 60)  # noqa: B023  waited for in this round
                until(lambda: host.get(name) == (200, "old"), "the old version serves again", 60)
                again = time.time()
                until(lambda: len(host.containers()) == 2, "the new version is taken away", 60)
            there = [row for row in load.seen.lost if row.at >= began and row.at - row.took <= again]
            lost.append(len(there))
            seconds.append(again - min((row.at for row in there), default=again))
            outside += len(load.seen.lost) - len(there)
            sent += load.seen.sent
        detail = (
            f"of {sent} sent; in the moment itself {statistics.median(lost):g} ({min(lost)}-{max(lost)}) with {CLIENTS} clients, "
            f"and the old one answered {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f}) after the first; "
            f"medians of {rounds}"
        )
        yield Row("lost beside a release that ended after the switch", outside, 0, "", detail)


def site(version: str, extra: str = "") -> str:
    environment = f"environment: {{V: '{version}', BOOT_MS: '150', WORK_MS: '5'}}\n"
    return f"image: {FAULTY}\nport: 80\nreplicas: 2\nstop_grace_period: 1s\n{ROLLOUT}\n{environment}{extra}"
