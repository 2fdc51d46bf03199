"""Units of systemd, as pieces of an installation."""

import contextlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from reconciler.world.files import write_if_changed
from reconciler.world.host_command import changing, run, says
from reconciler.world.host_setup import AtPath


@dataclass(frozen=True)
class Unit(AtPath):
    """A file for systemd, as this version of Shipstone has it."""

    text: str
    kind: str = "unit"

    def due(self) -> str:
        if not self.path.exists():
            return "written"
        return "" if self.path.read_text(encoding="utf-8", errors="replace") == self.text else "written anew"

    def do(self) -> None:
        write_if_changed(self.path, self.text)
        reload_systemd()


@dataclass(frozen=True)
class NoUnit(AtPath):
    """A unit's file that is taken away."""

    kind: str = "unit"

    def due(self) -> str:
        return "removed" if self.path.exists() else ""

    def do(self) -> None:
        with changing(self.path):
            self.path.unlink()
        reload_systemd()


@dataclass(frozen=True)
class Enabled:
    """A unit that starts with the host; `now`: it is started at once too."""

    target: str
    now: bool
    kind: str = "boot"

    def due(self) -> str:
        enabled = says("systemctl", "is-enabled", "--quiet", self.target)
        running = not self.now or not systemd_runs() or says("systemctl", "is-active", "--quiet", self.target)
        if enabled and running:
            return ""
        return "starts with the host" + (", and now" if self.now and systemd_runs() else "")

    def do(self) -> None:
        run("systemctl", "--quiet", "enable", *(["--now"] if self.now and systemd_runs() else []), self.target)


@dataclass(frozen=True)
class Disabled:
    """A unit that is stopped, and starts no more."""

    target: str
    kind: str = "boot"

    def due(self) -> str:
        running = systemd_runs() and says("systemctl", "is-active", "--quiet", self.target)
        return "stopped, and starts no more" if running or says("systemctl", "is-enabled", "--quiet", self.target) else ""

    def do(self) -> None:
        run("systemctl", "--quiet", "disable", *(["--now"] if systemd_runs() else []), self.target)


def systemd_version() -> int:
    """Of what is installed; 0 where it is not, or says nothing of it."""
    with contextlib.suppress(OSError):
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True).stdout
        if found := re.match(r"systemd ([0-9]+)", said):
            return int(found[1])
    return 0


def systemd_runs() -> bool:
    """Whether systemd is what runs this host, and not only there as files."""
    return Path("/run/systemd/system").is_dir()


def reload_systemd() -> None:
    if systemd_runs():
        run("systemctl", "daemon-reload")
