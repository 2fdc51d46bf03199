"""Engines of the tests' own, one for each worker: a Traefik looks at every container of its engine whenever one of them changes."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lab.engine import DEFAULT, LabError, an_engine, answers, need, started
from lab.network import a_bridge, beside

ENGINES = "LAB_ENGINES"
"""The variable that holds their URLs, for the tests."""


@contextlib.contextmanager
def engines(count: int) -> Iterator[list[str]]:
    """The URLs of `count` engines; of the one that was asked for by DOCKER_HOST, or that answers where no other can be started."""
    there = bool(os.environ.get("DOCKER_HOST")) or (answers(DEFAULT) and not (os.geteuid() == 0 and shutil.which("dockerd")))
    with contextlib.ExitStack() as stack:
        if there:
            yield [stack.enter_context(an_engine()).socket]
            return
        need("dockerd", "iptables", "ip")
        try:
            made = start(stack, count)
        except LabError:
            if not answers(DEFAULT):
                raise
            made = [DEFAULT]
        yield made


def start(stack: contextlib.ExitStack, count: int) -> list[str]:
    """`count` engines at the same time, which `stack` stops; their URLs."""
    with ThreadPoolExecutor(count) as threads:
        bridges = [stack.enter_context(a_bridge()) for _ in range(count)]
        begun = [started(options=beside(pool, bridge)) for bridge, pool in bridges]
        return [engine.socket for engine in threads.map(stack.enter_context, begun)]


def urls() -> list[str]:
    """Of the engines that scripts/test started; none where it did not."""
    return os.environ.get(ENGINES, "").split()


def engine_of(worker: str) -> str | None:
    """The URL for one worker of pytest-xdist, as gw3, or for the only process; None where none was started."""
    there = urls()
    return there[int(worker.removeprefix("gw") or 0) % len(there)] if there else None
