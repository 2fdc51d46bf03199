"""What this host has left: memory and disk, where the engine runs on it."""

import contextlib
import os
import re
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


def room_of(socket: str, total_memory: int, data: str, meminfo: Path = MEMINFO) -> tuple[int | None, int | None]:
    """(bytes of available memory, free bytes of the disk with the engine's `data`); None where that cannot be known.

    The engine is on this host if its socket is a file and it counts as much memory as this kernel does: a virtual machine does not.
    """
    found = _meminfo(meminfo)
    if not socket.startswith("unix://") or found.get("MemTotal") != total_memory:
        return None, None
    disk = None
    with contextlib.suppress(OSError):
        seen = os.statvfs(data)
        disk = seen.f_bavail * seen.f_frsize
    return found.get("MemAvailable"), disk


def _meminfo(path: Path) -> dict[str, int]:
    try:
        text = path.read_text()
    except OSError:
        return {}
    return {name: int(kilobytes) * 1024 for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
