"""scripts/bench: which measurement, and how it is told. Ends with 0 when every bar is met, 2 when one is not, 1 when it cannot measure."""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from lab import bench_cold, bench_drift, bench_hooks, bench_neighbours, bench_rollout
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
            with an_engine() as engine:
                if chosen.what == "neighbours":
                    return tell(chosen, list(bench_neighbours.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "hooks":
                    return tell(chosen, list(bench_hooks.measure(engine.socket, Path(folder), chosen.rounds)))
                if chosen.what == "drift":
                    return tell(chosen, list(bench_drift.measure(engine.socket, Path(folder), chosen.rounds)))
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
    others = parser.add_subparsers(dest="what", metavar="rollout | neighbours | hooks | drift")
    rollouts = others.add_parser(
        "rollout",
        help="requests lost by redeploys, beside Docker Compose",
        description="Requests lost by redeploys, beside Docker Compose.",
    )
    rollouts.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="numbers for scripts")
    rollouts.add_argument("--redeploys", type=int, default=20, help="how many for each tool (20)")
    rollouts.add_argument("--engine", choices=ENGINES, default="here", help="which Docker: the one that is here, or 26.1 beside it (here)")
    beside = others.add_parser(
        "neighbours",
        help="whether a slow site and a dead registry hold up another site",
        description="A commit's way to being live, alone and beside a site in a start of 60 s and one whose registry hangs.",
    )
    beside.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="numbers for scripts")
    beside.add_argument("--rounds", type=int, default=7, help="how many of each (7)")
    hooks = others.add_parser(
        "hooks",
        help="what a flood of requests to the webhooks costs",
        description="1,000 unsigned or oversized requests a second for 10 s: memory, lost requests of a site, a deploy beside it.",
    )
    hooks.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="numbers for scripts")
    hooks.add_argument("--rounds", type=int, default=3, help="how many floods (3)")
    healed = others.add_parser(
        "drift",
        help="how soon a container that was removed is replaced",
        description="From `docker rm -f` until another one runs in its place, against nothing but create and start.",
    )
    healed.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="numbers for scripts")
    healed.add_argument("--rounds", type=int, default=7, help="how many of each (7)")
    return parser.parse_args()


def tell(chosen: argparse.Namespace, rows: list[Row]) -> int:
    if chosen.json:
        print(json.dumps([{**asdict(row), "good": row.good} for row in rows], indent=2))
    else:
        show(("", "measured", "bar", ""), (row.cells() for row in rows))
    return 0 if all(row.good for row in rows) else 2


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
