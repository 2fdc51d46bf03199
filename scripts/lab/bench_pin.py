"""How soon Traefik has taken a changed pin: with a default certificate, and without one, when it makes a new key at each change."""

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from lab.bench_row import Row, timed
from lab.engine import LabError
from lab.host import a_host, give_certificate
from reconciler.planning.observed import Pin
from reconciler.world.pins import PinFile
from reconciler.world.traefik_api import TraefikApi

THROTTLE = 0.3
"""Seconds in which Traefik has taken up what came before, and takes the next change at once."""
PATIENCE = 30.0


def measure(engine: str, folder: Path, rounds: int) -> Iterator[Row]:
    """In turns, from the write until Traefik's API tells of it."""
    with a_host(folder / "host", engine, f"bench{os.getpid()}") as host:
        host.repository.commit({"shipstone.yaml": f"domain: {host.domain}\n"}, "begin")
        host.start_traefik()
        pins = PinFile(host.dynamic, host.instance, ("web",))
        api = TraefikApi(f"http://127.0.0.1:{host.console}", host.instance)
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * rounds):
            given = bool(number % 2)
            if given:
                give_certificate(host.dynamic)
            else:
                (host.dynamic / "default.toml").unlink(missing_ok=True)
            take(pins, api, 2 * number)  # takes up the certificate, too
            taken[given].append(take(pins, api, 2 * number + 1))
        api.close()
    with_one, without = (statistics.median(taken[given]) for given in (True, False))
    detail = f"{with_one * 1000:.0f} ms; without {without * 1000:.0f} ms ({min(taken[False]) * 1000:.0f} to {max(taken[False]) * 1000:.0f})"
    yield Row("pin taken, with a default certificate / without", with_one / without, 0.5, "×", detail)


def take(pins: PinFile, api: TraefikApi, number: int) -> float:
    """Seconds until Traefik has a pin that it did not have before."""
    time.sleep(THROTTLE)
    rule = f"Host(`s{number}.test`)"

    def change() -> None:
        pins.set({"shop": Pin(((rule, ()),), ((rule, 2 * len(rule) + 1),))})
        deadline = time.monotonic() + PATIENCE
        while api.pins_digest() != pins.digest():
            if time.monotonic() > deadline:
                raise LabError(f"Traefik did not take a pin within {PATIENCE:g} s")
            time.sleep(0.002)

    return timed(change)
