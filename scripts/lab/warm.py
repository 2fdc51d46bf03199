"""Shipstone's command, started quickly: a process that has its modules loaded forks one for each start. Tests start it a thousand times,
and most of what a start costs is loading. Whoever shows or measures the command starts it in full."""

import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from lab.engine import LabError

MODULES = ("reconciler.cli", "reconciler.wiring", "reconciler.service", "reconciler.converge", "reconciler.console", "git", "uvicorn")
"""What most of its commands load; each loads what else it needs."""
MOST = 1 << 18
"""Bytes of a request."""


class Started:
    """One that runs, with what tests need of subprocess.Popen."""

    def __init__(self, connection: socket.socket, arguments: Sequence[str]) -> None:
        self._connection, self.args, self._lock = connection, list(arguments), threading.Lock()
        try:
            self.pid = int(connection.recv(16))
        except (ValueError, OSError):
            why = "the process that has its modules loaded has ended. Start the tests again."
            raise LabError(f"cannot start {' '.join(arguments)}: {why}") from None
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
                self.returncode = int(self._connection.recv(16))
                self._connection.close()
            return self.returncode


class Warm:
    """The process that has them loaded; it ends with the one that has this."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "lab.warm", str(theirs.fileno())]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            quiet, end = subprocess.DEVNULL, theirs.fileno()
            self.process = subprocess.Popen(command, env=environment, pass_fds=[end], stdin=quiet, stdout=quiet, start_new_session=True)
        self._lock = threading.Lock()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], out: int, errors: int, folder: Path | None = None) -> Started:
        """`out` and `errors` are open files of this process. It leads a session of its own, in `folder` (else in this process's). Raises
        LabError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"arguments": list(arguments), "environment": dict(environment), "folder": str(folder or Path.cwd())}).encode()
        with theirs, self._lock, contextlib.suppress(BrokenPipeError):  # whoever waits for the answer finds that there is none
            socket.send_fds(self._ours, [request], [theirs.fileno(), out, errors])
        return Started(ours, arguments)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        with contextlib.ExitStack() as stack:
            out, errors = (os.memfd_create("said") for _ in range(2))
            stack.callback(os.close, out)
            stack.callback(os.close, errors)
            started = self.start(arguments, environment, out, errors, folder)
            try:
                code = started.wait(timeout)
            finally:
                started.kill()
            return subprocess.CompletedProcess(list(arguments), code, _text(out), _text(errors))


@functools.cache
def warm() -> Warm:
    """The one of this process, begun when it is first needed."""
    return Warm()


def _text(number: int) -> str:
    os.lseek(number, 0, os.SEEK_SET)
    with open(number, encoding="utf-8", closefd=False) as file:
        return file.read()


def serve(requests: socket.socket) -> None:
    """Until nobody can ask any more: then it exits. It returns in each forked process, which is to run the command then."""
    running: dict[int, socket.socket] = {}
    awake, wake = socket.socketpair()
    for end in (awake, wake):
        end.settimeout(0.0)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake.fileno())
    while True:
        ready, _, _ = select.select([requests, awake], [], [])
        if awake in ready:
            awake.recv(MOST)
            _bury(running)
        if requests in ready:
            text, ends, _, _ = socket.recv_fds(requests, MOST, 3)
            if not text:
                sys.exit(0)
            connection = socket.socket(fileno=ends[0])
            if (pid := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(json.loads(text), ends[1], ends[2])
                connection.send(str(os.getpid()).encode())
                for end in (requests, awake, wake, connection, *running.values()):
                    end.close()
                return
            running[pid] = connection
            os.close(ends[1])
            os.close(ends[2])


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """So that the signal is told at the socket."""


def _bury(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as connection, contextlib.suppress(OSError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: Mapping[str, Any], out: int, errors: int) -> None:
    """What a fresh process of this command would be: its files, folder, environment and arguments."""
    os.setsid()
    for number, target in ((out, 1), (errors, 2)):
        os.dup2(number, target)
        os.close(number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    sys.modules["__main__"].__package__ = None  # its name in what it says is that of the command


def main() -> None:
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    importlib.import_module("reconciler.cli").main()


if __name__ == "__main__":
    main()
