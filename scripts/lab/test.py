"""scripts/test: pytest, several tests side by side, with an engine for each of its workers. Arguments are pytest's."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.engine import LabError, need
from lab.engines import ENGINES, engines
from lab.fuzz import soak

TESTS = Path(__file__).parents[2] / "tests"
WORKERS = 5
"""They mostly wait: five keep two cores busy. Tests with one fixture between them are marked as one group, and run in one place."""
LAVISH = {"GOGC": "off", "GOMEMLIMIT": "256MiB"}
"""Engines and Traefik look for garbage less often: a fifth of what a start costs the processor was that."""


def main() -> int:
    os.environ.update(LAVISH)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it in the background has it ignored, and so has pytest
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    try:
        need("git", "openssl", "ps")
        count = workers(sys.argv[1:])
        if count > 1 and not (TESTS / "__pycache__").exists():
            compile_tests()
        with engines(count) as urls:
            code = pytest(sys.argv[1:], urls)
        return code or (soak([]) if long_fuzz(sys.argv[1:]) else 0)
    except LabError as error:
        print(f"test: {error}", file=sys.stderr)
        return 1


def long_fuzz(arguments: list[str]) -> bool:
    """Asked for, and not for other tests alone."""
    paths = [each for each in arguments if not each.startswith("-")]
    return "--soak" in arguments and (not paths or any("fuzz" in path for path in paths))


def workers(arguments: list[str]) -> int:
    """How many processes pytest is to run tests in; one by one is one, too."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("-n", "--numprocesses", default=str(WORKERS))
    said = str(given.parse_known_args(arguments)[0].numprocesses)
    return max(1, int(said)) if said.isdecimal() else os.cpu_count() or 1


def compile_tests() -> None:
    """Once, in a new checkout: else each worker does the same at the same time."""
    subprocess.run([sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-qq", str(TESTS)], capture_output=True)


def pytest(arguments: list[str], urls: list[str]) -> int:
    """Its exit code. Interrupted or terminated, it ends its tests first: only then may their engines be stopped."""
    command = [sys.executable, "-m", "pytest", "-n", str(WORKERS), "--dist", "loadgroup", *arguments]
    process = subprocess.Popen(command, env={**os.environ, ENGINES: " ".join(urls), "LAB_WARM": "1"})
    signal.signal(signal.SIGTERM, lambda *_: interrupt(process.pid))
    try:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the terminal told pytest too
                return process.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is left to do is to stop the engines


def interrupt(pid: int) -> None:
    """As a terminal does it: pytest, and the workers that it started, which take away what their tests made."""
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (*map(int, workers), pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
