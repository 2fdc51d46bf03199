"""One instance by lock."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import ShipstoneError
from reconciler.world.lock import InstanceLock

HOLD = """
import sys; from pathlib import Path; from reconciler.world.lock import InstanceLock
with InstanceLock(Path(sys.argv[1]), "ship"):
    print("held", flush=True); sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lock"
    with InstanceLock(path, "ship"), pytest.raises(ShipstoneError, match=f"instance ship is already run by process {os.getpid()} "):
        InstanceLock(path, "ship").__enter__()
    with InstanceLock(path, "ship"):
        pass


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    """Whatever ends the process frees it; the file that stays behind means nothing."""
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ShipstoneError, match=f"process {holder.pid} "):
            InstanceLock(path, "ship").__enter__()
        holder.kill()
        holder.wait()
    assert path.exists()
    with InstanceLock(path, "ship"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_state_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShipstoneError, match=r"cannot lock .*Make the state folder writable, or set .state. dir"):
        InstanceLock(tmp_path / "file" / "lock", "ship").__enter__()


def test_on_a_full_disk_it_is_held_without_a_name(tmp_path: Path) -> None:
    path, limits = tmp_path / "lock", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.touch()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with InstanceLock(path, "ship"), pytest.raises(ShipstoneError, match="already run by process unknown "):
            InstanceLock(path, "ship").__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
