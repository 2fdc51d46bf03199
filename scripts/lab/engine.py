"""A Docker Engine: the one that answers, else one that is installed (docker.io) and started, and stopped again."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker

DEFAULT = "unix:///var/run/docker.sock"
LOCK = Path("/var/tmp")  # noqa: S108  the folder itself is locked, so nothing is left behind
START_SECONDS = 60
ANSWER_SECONDS = 20
"""So long a busy engine may take to say its version."""
PACKAGES = {
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "git": "git",
    "htpasswd": "apache2-utils",
    "gpg": "gnupg",
    "gpgv": "gpgv",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "ps": "procps",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
"""Which package of Debian brings a program."""


class LabError(Exception):
    """The lab cannot be set up; one line for a person."""


@contextlib.contextmanager
def lab_lock() -> Iterator[None]:
    """One at a time: two processes that install packages or make the same image would trip over each other."""
    folder = os.open(LOCK, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@dataclass
class Engine:
    """`socket` is its URL. What was started here (`folder`) is stopped at the end, unless `keep` was set meanwhile."""

    socket: str
    folder: Path | None = None
    keep: bool = False


@contextlib.contextmanager
def an_engine() -> Iterator[Engine]:
    """An engine that answered before is left alone."""
    socket = os.environ.get("DOCKER_HOST") or DEFAULT
    if answers(socket):
        yield Engine(socket)
        return
    if need("dockerd", "iptables") and _wait(socket, seconds=5):
        yield Engine(socket)
        return
    with started() as own:
        yield own


def answers(socket: str) -> bool:
    try:
        client = docker.APIClient(base_url=socket, version="auto", timeout=ANSWER_SECONDS)
        client.close()
    except docker.errors.DockerException:
        return False
    return True


def need(*programs: str) -> bool:
    """Install what is not there of these, one process at a time; whether something was. Not for a holder of the lab's lock."""
    if all(shutil.which(program) for program in programs):
        return False
    with lab_lock():
        missing = {PACKAGES[program] for program in programs if not shutil.which(program)}
        if missing:
            install(*sorted(missing))
    return True


def install(*packages: str) -> None:
    """From the distribution, without what is only recommended."""
    if not shutil.which("apt-get"):
        raise LabError(f"cannot install {' '.join(packages)}: this is not Debian or Ubuntu. Install them by hand and run again.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise LabError(f"cannot install {' '.join(packages)}: {said[0]}. Run as root, with the package archive reachable.")


@contextlib.contextmanager
def started(command: Sequence[str] = ("dockerd",), options: Sequence[str] = ()) -> Iterator[Engine]:
    """An engine of our own in a new folder; `command` becomes dockerd without another process between."""
    if os.geteuid() != 0:
        raise LabError("cannot start a Docker Engine: not root. Run as root, or start one yourself.")
    folder = Path(tempfile.mkdtemp(prefix="shipstone-engine-", dir="/var/tmp"))
    socket = f"unix://{folder}/docker.sock"
    places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, *places, *options, "-H", socket], stdout=log, stderr=log, start_new_session=True)
    kept = False
    try:
        if not _wait(socket, START_SECONDS, process):
            last = (folder / "log").read_text().strip().splitlines()[-1:] or ["it said nothing"]
            raise LabError(f"cannot start a Docker Engine: {last[0]}.")
        engine = Engine(socket, folder)
        yield engine
        kept = engine.keep
    finally:
        if not kept:
            stop_engine(folder)
            process.poll()


def stop_engine(folder: Path) -> None:
    """Stop the engine that was started in `folder`, and take the folder away."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and _state(pid) != "Z" and time.monotonic() < deadline:
            time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def _state(pid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return "Z"


def _wait(socket: str, seconds: float, process: subprocess.Popen[bytes] | None = None) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answers(socket):
            return True
        if process is not None and process.poll() is not None:
            return False
        time.sleep(0.2)
    return False
