"""The fuzzer with Atheris: some seconds in every test run, long with scripts/test --soak, or `python -m lab.fuzz [--seconds N] [TARGET…]`.

No traceback, no input that costs more than tests/fuzz/bounds.py allows. Atheris is not among what scripts/install installs, because it
has wheels for few systems: it lies in a folder of its own.
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from lab.engine import LabError, lab_lock
from lab.modern_engine import CACHE

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
LOCK = ROOT / "requirements-fuzz.lock"
SECONDS = 30
INSTRUMENTED = 3.0
"""Seconds of the processor that an example may take where every line is counted."""
LIMITS = ("-timeout=60", "-rss_limit_mb=1024", "-max_len=70000", "-print_final_stats=0", "-verbosity=0")
"""The last resort, by the clock."""
SIDE_BY_SIDE = 2

__all__ = ["LabError", "atheris_folder", "run", "soak"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--here", action="store_true", help="Atheris is in this very process")
    given = parser.parse_args()
    if given.here:
        here(given.targets, given.seconds)
        return 0
    return soak(given.targets, given.seconds)


def soak(names: list[str], seconds: int = SECONDS) -> int:
    """1 where an input was found that a target fails on; it is printed."""
    try:
        folder = atheris_folder()
    except LabError as error:
        print(f"fuzz: only what Hypothesis did: {error}", file=sys.stderr)
        return 0
    failed = 0
    for name in names or sorted(path.name for path in CORPUS.iterdir()):
        found = run([name], seconds, folder)
        print(f"fuzz: {name}: {'FAILED within' if found else 'nothing in'} {seconds} s", flush=True)
        for said in found.values():
            failed = 1
            print(said)
    return failed


def run(names: Sequence[str], seconds: int, folder: Path) -> Mapping[str, str]:
    """What was said of each target that failed within so many seconds; `folder` has Atheris."""
    command = [sys.executable, "-m", "lab.fuzz", "--here", "--seconds", str(seconds), *names]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "scripts", ROOT, folder)))}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode:
        raise LabError(f"the fuzzer does not run: {done.stderr}")
    return dict(json.loads(done.stdout))


def atheris_folder() -> Path:
    """A folder with Atheris for this Python, fetched once. Raises LabError where there is none, or the index cannot be asked."""
    here = f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])} on {sys.platform} {platform.machine()}"
    key = hashlib.sha256(LOCK.read_bytes() + here.encode()).hexdigest()[:12]
    folder = CACHE / f"atheris-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with lab_lock(CACHE):
        if folder.exists():
            return folder
        with tempfile.TemporaryDirectory(prefix="atheris-", dir=CACHE) as fresh:
            exact = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", "--no-deps"]
            command = [sys.executable, "-m", "pip", "install", *exact, "--target", f"{fresh}/a", "--requirement", str(LOCK)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode or not Path(fresh, "a/atheris").is_dir():
                raise LabError(f"Atheris has no wheel for {here}, or the package index cannot be asked")
            Path(fresh, "a").rename(folder)
    return folder


def here(names: Sequence[str], seconds: int) -> None:
    """Prints what was said of those that failed. A name may be MODULE:FUNCTION.

    Imports take seconds where every line is counted: they are done once, and each target is a fork.
    """
    import atheris

    with atheris.instrument_imports(include=["reconciler"]):
        from tests.fuzz.targets import TARGETS
    chosen = {name: TARGETS[name] if name in TARGETS else _named(name) for name in names}
    folder = Path(tempfile.mkdtemp())  # no context manager: it would end in each fork too
    queue, running, failed = list(chosen), dict[int, str](), dict[str, str]()
    while queue or running:
        while queue and len(running) < SIDE_BY_SIDE:
            name = queue.pop(0)
            if not (child := os.fork()):
                _ended_by(lambda name=name: _fuzz(name, chosen[name], seconds, folder))
            running[child] = name
        child, status = os.wait()
        name = running.pop(child)
        if status:
            failed[name] = Path(folder, name).read_text(errors="replace")
    shutil.rmtree(folder)
    print(json.dumps(failed))


def _ended_by(work: Callable[[], None]) -> NoReturn:
    """A fork does its work, and nothing of what its parent would still do."""
    code = 0
    try:
        work()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001  whatever it is, the fork ends here
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _named(name: str) -> Callable[[bytes], None]:
    module, _, function = name.partition(":")
    target: Callable[[bytes], None] = getattr(importlib.import_module(module), function)
    return target


def _fuzz(name: str, target: Callable[[bytes], None], seconds: int, folder: Path) -> None:
    """libFuzzer ends the process, with another code than 0 where it found something. What it says is in a file."""
    import atheris

    from tests.fuzz.bounds import bounded

    said = os.open(folder / name, os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    own = folder / f"{name}.corpus"
    own.mkdir()
    given = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    limits = (f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", *LIMITS)
    atheris.Setup([sys.argv[0], str(own), *given, *limits], bounded(target, INSTRUMENTED))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
