"""What this host has left is only told where it is the engine's."""

from pathlib import Path

from reconciler.world.host_room import room_of

SOCKET = "unix:///var/run/docker.sock"


def test_memory_and_disk_of_an_engine_on_this_host(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:        4000 kB\nMemFree:          100 kB\nMemAvailable:    2500 kB\nHugePages_Total:       0\n")
    memory, disk = room_of(SOCKET, 4000 * 1024, str(tmp_path), meminfo)
    assert memory == 2500 * 1024
    assert disk
    assert room_of(SOCKET, 4000 * 1024, str(tmp_path / "hidden"), meminfo) == (2500 * 1024, None)
    assert room_of(SOCKET, 3000 * 1024, str(tmp_path), meminfo) == (None, None), "in a virtual machine"
    assert room_of("ssh://host", 4000 * 1024, str(tmp_path), meminfo) == (None, None)
    assert room_of(SOCKET, 4000 * 1024, str(tmp_path), tmp_path / "none") == (None, None), "/proc is hidden"
