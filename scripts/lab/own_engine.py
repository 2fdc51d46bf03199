"""An engine of a test's own, beside the one that answers: to be stopped, killed and started as the test likes."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.engine import LabError, answers, need
from lab.host import until
from lab.network import Network, a_network, beside


class OwnEngine:
    """A dockerd whose every file lies in `folder`, in a network namespace: without a default bridge it would take away that of the engine
    that is there. Containers are reached from this host, and reach nothing. It pulls from `registry`, HOST:PORT, without TLS."""

    def __init__(self, folder: Path, network: Network) -> None:
        self._folder, self._network = folder, network
        self.outside, self.registry = network.outside, ""
        self.socket = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, live_restore: bool) -> None:
        """Until it answers. With `live_restore` containers run on while it is stopped."""
        at = self._folder
        places = ["--data-root", f"{at}/data", "--exec-root", f"{at}/exec", "--pidfile", f"{at}/pid", "-H", self.socket]
        command = ["nsenter", f"--net=/run/netns/{self._network.namespace}", "dockerd", *places, *beside(self._network.pool)]
        command += ["--insecure-registry", self.registry] if self.registry else []
        with (at / "log").open("ab") as log:
            command.append(f"--live-restore={str(live_restore).lower()}")
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: answers(self.socket), "an engine of the test's own answers", 60)
        except TimeoutError:
            raise LabError(f"cannot start an engine: {(at / 'log').read_text()[-500:]}") from None

    @property
    def data(self) -> Path:
        """Where its images and containers are."""
        return self._folder / "data"

    def stop(self, number: int = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(60)
            # Its containerd ends with it, but may be taken for alive as long as nobody has reaped it.
            (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)


@contextlib.contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """In a folder with a short name, because a socket's path may not be long; stopped at the end, and nothing left."""
    need("dockerd", "iptables", "nsenter")
    folder = Path(tempfile.mkdtemp(prefix="shipstone-own-", dir="/var/tmp"))
    with a_network() as network:
        engine = OwnEngine(folder, network)
        try:
            yield engine
        finally:
            engine.stop()
            subprocess.run(["umount", str(engine.data)], capture_output=True)  # with live_restore it leaves this mounted
            shutil.rmtree(folder, ignore_errors=True)
