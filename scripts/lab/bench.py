"""scripts/bench: which measurement, and how it is told. Ends with 0 when every bar is met, 2 when one is not, 1 when it cannot measure."""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from lab import bench_cold, bench_drift, bench_hooks, bench_merge, bench_neighbours, bench_page, bench_pin, bench_rollout, bench_undo
from lab.bench_row import Row, show
from lab.engine import LabError, an_engine, need
from lab.modern_engine import a_modern_engine

ENGINES = {"here": an_engine, "26.1": a_modern_engine}


def main() -> int:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        need("git")
        with tempfile.TemporaryDirectory(prefix="shipstone-bench-", dir="/var/tmp") as folder:
            if chosen.what == "rollout":
                return rollout(chosen, Path(folder))
            if chosen.what == "page":
                return tell(chosen, list(bench_page.measure(Path(folder), chosen.rounds)))
            with an_engine() as engine:
                if chosen.what == "neighbours":
                    return tell(chosen, list(bench_neighbours.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "hooks":
                    return tell(chosen, list(bench_hooks.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "merge":
                    return merge(chosen, engine.socket, Path(folder))
                if chosen.what == "drift":
                    return tell(chosen, list(bench_drift.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "undo":
                    return tell(chosen, list(bench_undo.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "pin":
                    return tell(chosen, list(bench_pin.measure(engine.socket, Path(folder), chosen.rounds)))
                return tell(chosen, list(bench_cold.measure(engine.socket, Path(folder), chosen.sites)))
    except (LabError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Ratios within one run. Without a word: cold start, idle pass, memory."
    )
    parser.add_argument("--json", action="store_true", help="numbers for scripts")
    parser.add_argument("--sites", type=int, default=100, help="one-container sites (100)")
    others = parser.add_subparsers(dest="what", metavar="rollout | neighbours | hooks | merge | page | drift | undo | pin")

    def measurement(name: str, what: str, description: str) -> argparse.ArgumentParser:
        found = others.add_parser(name, help=what, description=description)
        found.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="numbers for scripts")
        return found

    def in_rounds(name: str, what: str, description: str, rounds: int, of: str) -> argparse.ArgumentParser:
        found = measurement(name, what, description)
        found.add_argument("--rounds", type=int, default=rounds, help=f"how many {of} ({rounds})")
        return found

    rollouts = measurement(
        "rollout", "requests lost by redeploys, beside Docker Compose", "Requests lost by redeploys, beside Docker Compose."
    )
    rollouts.add_argument("--redeploys", type=int, default=20, help="how many for each tool (20)")
    rollouts.add_argument("--engine", choices=ENGINES, default="here", help="which Docker: the one that is here, or 26.1 beside it (here)")
    in_rounds(
        "neighbours",
        "whether a slow site and a dead registry hold up another site",
        "A commit's way to being live, alone and beside a site in a start of 60 s and one whose registry hangs.",
        7,
        "of each",
    )
    in_rounds(
        "hooks",
        "what a flood of requests to the webhooks costs",
        "1,000 unsigned or oversized requests a second for 10 s: memory, lost requests of a site, a deploy beside it.",
        3,
        "floods",
    )
    merges = in_rounds(
        "merge",
        "from a push with a webhook to the switch, part by part",
        "From a push with a webhook to the switch, part by part; what is ours of it.",
        9,
        "merges",
    )
    merges.add_argument("--beside", type=int, default=10, help="how many sites stay as they are (10)")
    in_rounds(
        "page",
        "how soon a browser paints the page of 200 sites",
        "The page of 200 sites in Chromium, asked from loopback with nothing cached: the first paint.",
        9,
        "loads",
    )
    in_rounds(
        "drift",
        "how soon a container that was removed is replaced",
        "From `docker rm -f` until another one runs in its place, against nothing but create and start.",
        7,
        "of each",
    )
    in_rounds(
        "undo",
        "what a release that ends after the switch costs",
        "A release that ends by itself once it serves: requests lost, and seconds until the old one serves again.",
        5,
        "such releases",
    )
    in_rounds(
        "pin",
        "how soon Traefik takes a changed pin",
        "From a write of the pin file until Traefik's API tells of it: with a default certificate, and without one.",
        25,
        "of each",
    )
    return parser.parse_args()


def tell(chosen: argparse.Namespace, rows: list[Row]) -> int:
    if chosen.json:
        print(json.dumps([{**asdict(row), "good": row.good} for row in rows], indent=2))
    else:
        show(("", "measured", "bar", ""), (row.cells() for row in rows))
    return 0 if all(row.good for row in rows) else 2


def merge(chosen: argparse.Namespace, socket: str, folder: Path) -> int:
    found = bench_merge.measure(socket, folder, chosen.rounds, chosen.beside)
    if not chosen.json:
        show(bench_merge.COLUMNS, bench_merge.table(found))
    return tell(chosen, [bench_merge.row(found, chosen.beside)])


def rollout(chosen: argparse.Namespace, folder: Path) -> int:
    with ENGINES[chosen.engine]() as engine:
        found = list(bench_rollout.measure(engine.socket, folder, chosen.redeploys))
    if chosen.json:
        print(json.dumps([{**asdict(row), "good": row.good} for row in found], indent=2))
    else:
        print(bench_rollout.setting(found))
        show(bench_rollout.COLUMNS, (row.cells() for row in found))
        print(*(line for row in found for line in row.said()), sep="\n")
    return 0 if all(row.good for row in found) else 2


if __name__ == "__main__":
    sys.exit(main())
