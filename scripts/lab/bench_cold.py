"""Shipstone against the raw engine and Docker Compose, in one run on one machine: only ratios say anything."""

import datetime as dt
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from lab.bench_row import Row, timed
from lab.compose import COMPOSE, Project, compose_binary
from lab.engine import LabError
from lab.host import SHIPSTONE, Host, a_host, at_rest, take_away, until
from lab.images import ABRUPT, make_abrupt, provide
from reconciler.desired.spec import NewContainer
from reconciler.planning.steps import Start
from reconciler.world.docker_config import container_config

SITE = "image: {image}\nport: 80\nenvironment: {{V: '{name}', BOOT_MS: '0', WORK_MS: '0'}}\n"

ROUNDS = 5
"""Of each of the three, in turns: an engine's own speed changes from minute to minute."""


def measure(engine: str, folder: Path, count: int) -> Iterator[Row]:
    api = docker.APIClient(base_url=engine, version="auto", timeout=120)
    provide(api, ABRUPT, make_abrupt)
    yield from helped()
    with a_host(folder / "host", engine, "bench", poll="600s") as host:
        host.repository.commit({"shipstone.yaml": "domain: bench.local\n"}, "begin")
        host.start_traefik(alone=False)  # it looks at every container that starts, whoever starts it: so it runs beside all three
        containers = same_containers(host, count)
        found = {n: raw_seconds(api, host, containers, n) for n in (4, 8, 16, 32)}
        best = min(found, key=lambda n: found[n])
        rounds = []
        for _ in range(ROUNDS):
            start_afresh(api, host)
            pair = raw_seconds(api, host, containers, best), compose_seconds(folder, host, containers)
            applied = cold_seconds(host)
            start_afresh(api, host)
            rounds.append((*pair, applied, by_daemon_seconds(host, count)))
        raw, composed, cold, told = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
        beside = f"raw calls {raw:.1f} s, {best} at once"
        yield Row(f"cold, {count} sites / raw create + start", cold / raw, 1.1, "×", f"{cold:.1f} s; {beside}")
        yield Row(f"cold by the daemon, {count} sites / raw create + start", told / raw, 1.1, "×", f"{told:.1f} s; {beside}")
        beside = f"Compose {COMPOSE} {composed:.1f} s"
        yield Row(f"cold, {count} sites / compose up -d", cold / composed, 1.1, "×", f"{cold:.1f} s; {beside}")
        yield Row(f"cold by the daemon, {count} sites / compose up -d", told / composed, 1.1, "×", f"{told:.1f} s; {beside}")
        yield idle(host, api, count)
        yield memory(host, count)
    api.close()


def helped() -> Iterator[Row]:
    """The median of nine."""
    times = [timed(lambda: subprocess.run([SHIPSTONE, "--help"], check=True, capture_output=True)) for _ in range(9)]
    yield Row("shipstone --help", statistics.median(times), 0.25, "s", "median of 9")


def files_of(count: int) -> dict[str, str]:
    return {f"sites/s{n}.yaml": SITE.format(image=ABRUPT, name=f"s{n}") for n in range(count)}


def start_afresh(api: docker.APIClient, host: Host) -> None:
    """Nothing runs, and nothing is known."""
    take_away(api, host.instance, host.network)
    shutil.rmtree(host.state, ignore_errors=True)


def same_containers(host: Host, count: int) -> list[NewContainer]:
    """What Shipstone would start: the raw calls and Compose start the same, with the same labels."""
    from reconciler import wiring
    from reconciler.settings import load_settings

    host.repository.commit(files_of(count), f"{count} sites")
    settings = load_settings(host.config)
    reconciler = wiring.reconciler_of(settings)
    reconciler.take(wiring.source_of(settings).fetch())
    plan = reconciler.plan()
    reconciler.close(5)
    return [step.new for site in plan.sites.values() for step in site.steps if isinstance(step, Start)]


def raw_seconds(api: docker.APIClient, host: Host, containers: list[NewContainer], parallel: int) -> float:
    """Nothing but create and start, from `parallel` threads."""
    api.create_network(host.network, labels={"shipstone.network": host.instance})
    clients = [docker.APIClient(base_url=host.engine, version=api.api_version, timeout=120) for _ in range(parallel)]

    def one(n: int) -> None:
        made = clients[n % parallel].create_container_from_config(container_config(containers[n], str), containers[n].name)
        clients[n % parallel].start(made["Id"])

    try:
        with ThreadPoolExecutor(parallel) as pool:
            return timed(lambda: list(pool.map(one, range(len(containers)))))
    finally:
        take_away(api, host.instance, host.network)


def cold_seconds(host: Host) -> float:
    """From nothing, git mirror and all."""
    return timed(lambda: host.shipstone("apply", check=True))


def by_daemon_seconds(host: Host, count: int) -> float:
    """One that runs, and has no sites: from the moment when it is told of a commit with all of them until it says that the last is at
    rest."""
    none = host.repository.commit(dict.fromkeys(files_of(count)), "no sites")
    host.log_file.unlink(missing_ok=True)
    host.start_daemon()
    until(lambda: (found := host.page_status()) is not None and found["revision"] == none, "the daemon has looked", 60)
    every = host.repository.commit(files_of(count), f"{count} sites")
    begun = time.time()
    host.signal_daemon(signal.SIGHUP)
    until(lambda: (found := host.page_status()) is not None and at_rest(found, every), "all of them run", 600)
    host.stop_daemon()
    said = [row["timestamp"] for row in host.log() if row.get("event") == "site" and row["sync"] == "synced"]
    return dt.datetime.fromisoformat(max(said)).timestamp() - begun


def compose_seconds(folder: Path, host: Host, containers: list[NewContainer]) -> float:
    """`up -d` of the same containers, one service each, on the network that their labels name, so that Traefik has the same to do."""
    project = Project(folder / "compose", host.engine, f"bench-compose-{os.getpid()}", host.network)
    project.write(
        {
            f"s{n}": {
                "image": new.image,
                "restart": new.spec.restart,
                "environment": dict(new.spec.environment),
                "labels": {key: value.replace("$", "$$") for key, value in new.labels if not key.startswith("shipstone.instance")},
            }
            for n, new in enumerate(containers)
        }
    )
    compose_binary()
    try:
        return timed(lambda: project.run("up", "-d"))
    finally:
        project.down()


def idle(host: Host, api: docker.APIClient, count: int) -> Row:
    """One warm pass in this process, against one list call of the same engine."""
    from reconciler import wiring
    from reconciler.settings import load_settings

    settings = load_settings(host.config)
    reconciler = wiring.reconciler_of(settings)
    reconciler.take(wiring.source_of(settings).fetch())
    for _ in range(3):
        if not reconciler.once().quiet:
            raise LabError("the idle pass has something to do")
    pairs = [(timed(reconciler.once), timed(lambda: api.containers(all=True))) for _ in range(51)]
    passes, listed = (statistics.median(times) for times in zip(*pairs, strict=True))
    reconciler.close(5)
    return Row(
        f"idle pass, {count} sites / one list call", passes / listed, 3.0, "×", f"{passes * 1000:.1f} ms; list {listed * 1000:.1f} ms"
    )


def memory(host: Host, count: int) -> Row:
    host.log_file.unlink(missing_ok=True)
    daemon = host.start_daemon()
    until(lambda: any(entry.get("event") == "fetched" for entry in host.log()), "the daemon has fetched")
    until(lambda: sum(entry.get("event") == "site" for entry in host.log()) >= count, "the daemon has looked at every site")
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
    return Row(f"daemon's memory, {count} sites", peak, 100, "MiB", "highest resident size")
