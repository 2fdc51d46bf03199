"""The long run of the fuzzer, with Atheris: scripts/test --soak, or `python -m lab.fuzz [--seconds N] [TARGET…]`.

No traceback, no input that takes over a second, no more than 1 GiB of memory. Atheris is no locked dependency: it has wheels for Linux
only, so it is installed when this is asked for.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
ATHERIS = "atheris>=3,<4"
SECONDS = 30
LIMITS = ("-timeout=1", "-rss_limit_mb=1024", "-max_len=70000", "-print_final_stats=0", "-verbosity=0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--one", action="store_true", help="the target in this very process")
    given = parser.parse_args()
    if given.one:
        one(given.targets[0], given.seconds)
    return soak(given.targets, given.seconds)


def soak(names: list[str], seconds: int = SECONDS) -> int:
    """1 where an input was found that a target fails on; it is printed."""
    if not installed():
        print("fuzz: no Atheris for this Python and system: only what Hypothesis did", file=sys.stderr)
        return 0
    failed = 0
    for name in names or sorted(path.name for path in CORPUS.iterdir()):
        command = [sys.executable, "-m", "lab.fuzz", "--one", "--seconds", str(seconds), name]
        done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, errors="replace")
        print(f"fuzz: {name}: {'nothing in' if done.returncode == 0 else 'FAILED within'} {seconds} s", flush=True)
        if done.returncode != 0:
            failed = 1
            print(done.stdout + done.stderr)
    return failed


def installed() -> bool:
    if importlib.util.find_spec("atheris"):
        return True
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", ATHERIS]
    return subprocess.run(command, capture_output=True).returncode == 0


def one(name: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process, with another code than 0 where it found something."""
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["reconciler"]):
        from tests.fuzz.targets import TARGETS
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup(
            [sys.argv[0], folder, str(CORPUS / name), f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", *LIMITS], TARGETS[name]
        )
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
