"""The main job, shown: both sites answer, a merged change goes live under load, a container removed by hand is healed."""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import docker
from rich.console import Console

from lab.engine import Engine, LabError, an_engine, need, stop_engine
from lab.host import Host, take_away, until
from lab.images import NGINX, TRAEFIK, make_nginx, make_traefik, provide
from lab.load import Load
from lab.timeline import matching, moments_of, tell_lost, when

ROOT = Path(__file__).parents[2]
INSTANCE = "shipstone-demo"
KEPT = Path("/var/tmp/shipstone-demo.json")  # noqa: S108  says what --keep left; written by root
REQUESTS = 1500
say = Console(highlight=False, soft_wrap=True)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/demo", description="Shows Shipstone's main job on this machine.")
    arguments.add_argument("--keep", action="store_true", help="leave it running, and say where to look")
    arguments.add_argument("--stop", action="store_true", help="remove what an earlier --keep left")
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if chosen.stop:
            return stop()
        if KEPT.exists():
            raise LabError("cannot begin: an earlier demo was kept. Remove it with scripts/demo --stop.")
        need("git")
        with an_engine() as engine:
            return show(engine, keep=chosen.keep)
    except (LabError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def show(engine: Engine, *, keep: bool) -> int:
    begun = time.monotonic()
    api = docker.APIClient(base_url=engine.socket, version="auto", timeout=60)
    title("A Docker host")
    version = api.version()
    row("engine", f"Docker {version['Version']} at {engine.socket}" + (", started for this demo" if engine.folder else ""))
    made = []
    for image, make in ((NGINX, make_nginx), (TRAEFIK, make_traefik)):
        how = provide(api, image, make)
        made += [image] if how != "present" else []
        row("image", f"{image}, {how}")
    folder = Path(tempfile.mkdtemp(prefix="shipstone-demo-", dir="/var/tmp"))
    network = free_network(api)
    host = Host(folder, engine.socket, INSTANCE, network, manage=True, poll="2s")
    kept = False
    try:
        tell(host)
        kept = keep
    except (LabError, TimeoutError):
        print("the daemon's last words:", *host.log_file.read_text().splitlines()[-8:], sep="\n", file=sys.stderr)
        raise
    finally:
        if kept:
            engine.keep = True
            KEPT.write_text(json.dumps(left(engine, folder, network, made, host.detach())))
            where_to_look(host)
        else:
            host.close()
            clean(engine.socket, folder, made)
    say.print(f"\n[bold green]done[/] in {time.monotonic() - begun:.0f} s")
    return 0


def tell(host: Host) -> None:
    title("A repository becomes two sites")
    shutil.copytree(ROOT / "desired-state", host.repository.tree, dirs_exist_ok=True)
    first = host.repository.push("web1 and web2")
    row("pushed", f"{first[:12]}  shipstone.yaml  sites/web1.yaml  sites/web2.yaml")
    begun = time.monotonic()
    host.start_daemon()
    until(lambda: host.converged(first), "both sites run", 90)
    row("converged", f"{time.monotonic() - begun:.1f} s after the daemon's start; network {host.network} is there")
    overview = host.traefik("overview") or {}
    errors = sum(overview["http"][kind]["errors"] for kind in ("routers", "services", "middlewares"))
    version = (host.traefik("version") or {}).get("Version")
    row(
        "traefik",
        f"{version} from the generated traefik.toml, providers {', '.join(overview['providers'])}, {errors} errors",
    )
    for site, weights in (("web1", "10:5"), ("web2", "1:1")):
        split = count(host, f"{site}.shipstone.local")
        row(site, f"{REQUESTS} requests, weights {weights}: " + ", ".join(f"backend {name} {n}" for name, n in sorted(split.items())))
    row("hosts", f"{sum('shipstone.local' in line for line in host.hosts.read_text().splitlines())} entries in {host.hosts}")
    merge(host)
    hand(host)


def count(host: Host, name: str) -> Counter[str]:
    """Which backend's page came back, of REQUESTS requests."""
    split: Counter[str] = Counter()
    for _ in range(REQUESTS):
        status, body = host.get(name)
        found = re.search(r"<h1>Backend (.)</h1>", body)
        split[found[1] if status == 200 and found else f"status {status}"] += 1
    return split


def merge(host: Host) -> None:
    title("A merged change, while requests run")
    page = host.repository.tree / "front/1/A/index.html"
    page.write_text(page.read_text().replace("Ten of fifteen requests come here.", "This page was merged a moment ago."))
    with Load(host.web, "web1.shipstone.local", clients=8, pause=0.004) as load:
        until(lambda: load.seen.sent > 200, "requests run")
        pushed = time.time()
        commit = host.repository.push("a new page for web1")
        until(lambda: host.converged(commit), "the change is live", 90)
    moments = moments_of(host.log(), "web1", pushed, commit)
    for moment in moments:
        row(moment.name, f"{moment.at - pushed:6.2f} s  {moment.text}" if moment.at else f"     ?    {moment.text}")
    sent, lost = load.seen.sent, len(load.seen.lost)
    say.print(f"  [bold]{'requests':<12}[/]{sent} sent, [bold {'green' if not lost else 'red'}]{lost} lost[/]")
    if lost:
        raise LabError("\n".join([f"{lost} of {sent} requests were lost", *tell_lost(load.seen.lost[:5], moments)]))


def hand(host: Host) -> None:
    title("A container removed by hand")
    victim = host.containers("web2")[0]
    begun, at = time.monotonic(), time.time()
    host.api.remove_container(victim["Id"], force=True)
    row("removed", victim["Names"][0].lstrip("/"))
    entry = until(
        lambda: matching([e for e in host.log() if when(e) >= at], {"event": "drift", "site": "web2"}), "the daemon reports drift", 15
    )[0]
    row("drift", f"{entry['difference']}")
    until(lambda: len(host.containers("web2", running=True)) == 2 and host.converged(), "healed", 30)
    row("healed", f"{time.monotonic() - begun:.1f} s after it was removed")


def free_network(api: docker.APIClient) -> str:
    """shipstone_net, unless a real installation has it."""
    return "shipstone_net_demo" if any(net["Name"] == "shipstone_net" for net in api.networks(names=["shipstone_net"])) else "shipstone_net"


def where_to_look(host: Host) -> None:
    title("Kept")
    row("sites", f"curl -H 'Host: web1.shipstone.local' http://127.0.0.1:{host.web}/")
    row("console", f"http://127.0.0.1:{host.console}/dashboard/")
    row("status", f".venv/bin/shipstone status --config {host.config}")
    row("repository", f"{host.repository.tree}  (commit, then git push origin HEAD:main)")
    row("log", str(host.log_file))
    row("remove", "scripts/demo --stop")


def left(engine: Engine, folder: Path, network: str, images: list[str], daemon: int) -> dict[str, object]:
    """What --stop must know."""
    started = str(engine.folder) if engine.folder else ""
    paths = {"folder": str(folder), "engine": engine.socket, "engine_folder": started}
    return {**paths, "network": network, "images": images, "daemon": daemon}


def clean(engine: str, folder: Path, images: list[str], network: str = "") -> None:
    """Only what the demo made."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    try:
        if network:
            take_away(api, INSTANCE, network)
    finally:
        for image in images:
            with contextlib.suppress(docker.errors.APIError):
                api.remove_image(image)
        api.close()
        shutil.rmtree(folder, ignore_errors=True)


def stop() -> int:
    if not KEPT.exists():
        print("nothing was kept")
        return 0
    kept = json.loads(KEPT.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(kept["daemon"], signal.SIGTERM)
        until(lambda: not Path(f"/proc/{kept['daemon']}").exists(), "the daemon ends", 40)
    clean(kept["engine"], Path(kept["folder"]), kept["images"], kept["network"])
    if kept["engine_folder"]:
        stop_engine(Path(kept["engine_folder"]))
    KEPT.unlink()
    print("removed")
    return 0


def title(text: str) -> None:
    say.print(f"\n[bold]{text}[/]")


def row(name: str, text: str) -> None:
    say.print(f"  {name:<12}{text}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
