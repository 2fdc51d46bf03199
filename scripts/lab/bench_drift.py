"""From `docker rm -f` of a site's container until the one in its place runs, against nothing but create and start of the same container."""

import datetime as dt
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import docker

from lab.bench_row import Row
from lab.host import Host, a_host, until
from lab.images import ABRUPT, make_abrupt, provide

BAR = 1.5
SETTLED = 60.0
"""Seconds that a site has to be at rest again before the next round."""


def measure(engine: str, folder: Path, rounds: int) -> Iterator[Row]:
    """Of a site with one replica and of one with three, `rounds` of each, in turns with the raw calls."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, ABRUPT, make_abrupt)
    api.close()
    with a_host(folder / "host", engine, f"bench{os.getpid()}", poll="600s") as host:
        sites = {f"sites/{name}.yaml": site(count) for name, count in (("one", 1), ("three", 3))}
        host.repository.commit({"shipstone.yaml": "domain: bench.local\n", **sites}, "two sites")
        host.start_traefik()
        host.start_daemon()
        until(host.converged, "both sites run", SETTLED)
        until(lambda: at_rest(host, 4), "both sites are at rest", SETTLED)
        raw: list[float] = []
        healed: dict[str, list[float]] = {"one": [], "three": []}
        for _ in range(rounds):
            for name, times in healed.items():
                raw.append(raw_seconds(host))
                times.append(healed_seconds(host, name))
                until(lambda: at_rest(host, 4), "the site is at rest again", SETTLED)
        for name, times in healed.items():
            a, b = statistics.median(times), statistics.median(raw)
            detail = f"{a:.2f} s ({spread(times)}); create + start {b:.2f} s ({spread(raw)}); medians of {rounds}"
            yield Row(f"rm -f of {name}, until another runs / create + start", a / b, BAR, "×", detail)


def site(replicas: int) -> str:
    rollout = "rollout: {min_healthy: 200ms, drain: 200ms, deadline: 1m}"
    return f"image: {ABRUPT}\nport: 80\nreplicas: {replicas}\n{rollout}\nenvironment: {{V: '1', BOOT_MS: '0', WORK_MS: '0'}}\n"


def at_rest(host: Host, count: int) -> bool:
    """All run, and no pin is left; for longer than the daemon forgets that it had to start something."""
    rows = host.containers(running=True)
    pinned = "-pin-" in (host.dynamic / f"{host.instance}.toml").read_text()
    return len(rows) == count and not pinned and time.time() - max(started(host, row["Id"]) for row in rows) > 11


def raw_seconds(host: Host) -> float:
    """Create and start of a container like the site's, under another name and without labels."""
    found = host.api.inspect_container(host.containers("one")[0]["Id"])
    body = {**found["Config"], "Labels": {}, "HostConfig": found["HostConfig"]}
    body.pop("Hostname")
    begun = time.time()
    made = host.api.create_container_from_config({**body, "NetworkingConfig": {"EndpointsConfig": {host.network: {}}}})["Id"]
    try:
        host.api.start(made)
        return started(host, made) - begun
    finally:
        host.api.remove_container(made, force=True)


def healed_seconds(host: Host, name: str) -> float:
    """From the moment when `rm -f` has returned."""
    before = {row["Id"] for row in host.containers(name)}
    victim = sorted(before)[0]
    host.api.remove_container(victim, force=True)
    begun = time.time()
    until(lambda: replacements(host, name, before), "another one runs in its place", SETTLED)
    (made,) = replacements(host, name, before)
    return started(host, made) - begun


def replacements(host: Host, name: str, before: set[str]) -> set[str]:
    return {row["Id"] for row in host.containers(name, running=True)} - before


def started(host: Host, container: str) -> float:
    """By the engine's own word, in seconds since 1970."""
    return dt.datetime.fromisoformat(host.api.inspect_container(container)["State"]["StartedAt"]).timestamp()


def spread(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"
