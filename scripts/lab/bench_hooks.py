"""What a flood of requests that no webhook lets in costs: the daemon's memory, the sites' requests, a deploy that runs beside it."""

import os
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker

from lab.bench_neighbours import DOMAIN, seconds_to_live, site, spread
from lab.bench_row import Row
from lab.flood import flooding
from lab.host import a_host, until
from lab.images import ABRUPT, make_abrupt, provide
from lab.load import Load

RATE, SECONDS = 1000, 10.0
SECRET = "scripts-bench"  # noqa: S105  of this measurement
MEMORY, BESIDE, REACHED, SLOWER = 20.0, 1.5, 950.0, 2.0


def measure(engine: str, folder: Path, rounds: int) -> Iterator[Row]:
    """`rounds` deploys alone, and as many beside a flood each, in turns."""
    api = docker.APIClient(base_url=engine, version="auto", timeout=60)
    provide(api, ABRUPT, make_abrupt)
    api.close()
    with a_host(folder / "host", engine, f"bench{os.getpid()}", poll="600s") as host:
        host.repository.commit({"shipstone.yaml": f"domain: {DOMAIN}\n", "sites/shop.yaml": site("shop")}, "a site")
        host.start_traefik()
        daemon = host.start_daemon(SHIPSTONE_WEBHOOKS__SECRET=SECRET)
        until(host.converged, "the site runs", 60)
        alone, beside, usual, slow, rates = [], [], [], [], []
        before, answers, sent, lost = 0.0, 0, 0, 0
        for n in range(rounds):
            with Load(host.web, f"shop.{DOMAIN}", clients=4, pause=0.02) as quiet:
                alone.append(seconds_to_live(host, daemon, f"alone{n}"))
            before = before or resident(daemon)
            with Load(host.web, f"shop.{DOMAIN}", clients=4, pause=0.02) as load, flooding(host.page, RATE, SECONDS) as flooded:
                beside.append(seconds_to_live(host, daemon, f"beside{n}"))
            if flooded.answers.keys() - {"401", "413"}:
                yield Row("other answers to the flood", sum(flooded.answers.values()), 0, "", str(dict(flooded.answers)))
            refused = flooded.answers["401"] + flooded.answers["413"]
            answers, rates = answers + refused, [*rates, refused / flooded.seconds]
            sent, lost = sent + load.seen.sent, lost + len(load.seen.lost)
            usual += quiet.seen.took
            slow += load.seen.took
        more = resident(daemon, "VmHWM") - before
        yield Row("flood: refused a second", min(rates), REACHED, "", f"of {RATE} asked for; the lowest of {rounds} floods", at_least=True)
        yield Row("flood: the daemon's memory", more, MEMORY, "MiB", f"{answers} requests refused")
        yield Row("flood: requests to the site lost", lost, 0, "", f"of {sent}")
        a, b = 1000 * p95(usual), 1000 * p95(slow)
        yield Row("flood: the site's p95, beside / alone", b / a, SLOWER, "×", f"{b:.1f} ms; alone {a:.1f} ms")
        a, b = statistics.median(alone), statistics.median(beside)
        yield Row(
            "flood: a commit's way, beside / alone", b / a, BESIDE, "×", f"{b:.2f} s ({spread(beside)}); alone {a:.2f} s ({spread(alone)})"
        )


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def resident(process: "subprocess.Popen[bytes]", row: str = "VmRSS") -> float:
    """MiB; VmHWM: the most that it ever was."""
    rows = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in rows if line.startswith(f"{row}:")) / 1024
