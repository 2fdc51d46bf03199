"""Docker Engine 26.1, as Debian 13 has it, beside the machine's own: unpacked into a cache, run in a network of its own, gone again."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.engine import Engine, LabError, lab_lock, need, started
from lab.network import a_network, beside, run

SUITE = "trixie"
PACKAGES = ("docker.io", "containerd", "runc", "iptables")
CACHE = Path.home() / ".cache/shipstone-lab"
MARK = "usr/sbin/dockerd"


@contextlib.contextmanager
def a_modern_engine() -> Iterator[Engine]:
    """It shares nothing with the engine that is there: two in one network would fight over docker0 and the firewall.

    Its programs and their libraries take the place of /usr, for it alone; everything else of the host it sees as it is.
    """
    if os.geteuid() != 0:
        raise LabError("cannot start a second Docker Engine: not root.")
    usr = modern_root() / "usr"
    with a_network() as (namespace, pool, _):
        inside = f'mount --bind {usr} /usr && exec dockerd "$@"'
        command = ["nsenter", f"--net=/run/netns/{namespace}", "unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh"]
        with started(command, beside(pool)) as engine:
            yield engine


def modern_root() -> Path:
    """A folder with the engine's packages and what they need, unpacked; made once."""
    need("unshare")
    root = CACHE / f"engine-{SUITE}"
    if not (root / MARK).exists():
        need("mmdebstrap")
    with lab_lock():
        if (root / MARK).exists():
            return root
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{SUITE}-", dir=CACHE) as fresh:
            try:
                run("mmdebstrap", "--variant=extract", f"--include={','.join(PACKAGES)}", SUITE, fresh)
            except LabError as error:
                raise LabError(f"cannot get Docker Engine 26.1 from Debian's mirror: {error}. Is it reachable?") from error
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            Path(fresh, "usr").rename(root / "usr")
    return root
