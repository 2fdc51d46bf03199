"""What an installation sets up on a host, piece by piece: each piece says what is to be done for it, and does it."""

import contextlib
import grp
import os
import pwd
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.world.files import HostsFile, write_if_changed
from reconciler.world.host_command import changing, run


class Piece(Protocol):
    """`kind` and `target` are for people."""

    @property
    def kind(self) -> str: ...

    @property
    def target(self) -> str: ...

    def due(self) -> str:
        """What is to be done, in some words; empty when it is so already. Changes nothing."""

    def do(self) -> None:
        """Do it. Raises ShipstoneError."""


@dataclass(frozen=True)
class AtPath:
    """A piece that is told by its path."""

    path: Path

    @property
    def target(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class User:
    """A system user without a shell, in one more group."""

    target: str
    group: str
    home: Path
    kind: str = "user"

    def due(self) -> str:
        if not _user_exists(self.target):
            return f"a system user without a login, in the group {self.group}"
        return "" if self.target in grp.getgrnam(self.group).gr_mem else f"into the group {self.group}"

    def do(self) -> None:
        if not _user_exists(self.target):
            shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin") or "/bin/false"
            kind = ("--system", "--user-group", "--no-create-home")
            run("useradd", *kind, "--home-dir", str(self.home), "--shell", shell, "--comment", "Shipstone", self.target)
        run("usermod", "--append", "--groups", self.group, self.target)


@dataclass(frozen=True)
class NotInGroup:
    """The user stays, because files belong to it; what it may do goes."""

    target: str
    group: str
    kind: str = "user"

    def due(self) -> str:
        there = _user_exists(self.target) and self.target in grp.getgrnam(self.group).gr_mem
        return f"out of the group {self.group}" if there else ""

    def do(self) -> None:
        run("gpasswd", "--delete", self.target, self.group)


@dataclass(frozen=True)
class Folder(AtPath):
    """A folder with this owner, group and mode; with `deep` all that is in it has the owner and group too."""

    owner: str
    group: str
    mode: int
    deep: bool = False
    kind: str = "folder"

    def due(self) -> str:
        wanted = f"{self.owner}:{self.group} {self.mode:04o}"
        if not self.path.is_dir():
            return wanted
        if _owned(self.path) != (self.owner, self.group) or self.path.stat().st_mode & 0o7777 != self.mode:
            return f"{wanted}, now {':'.join(_owned(self.path))} {self.path.stat().st_mode & 0o7777:04o}"
        strange = sum(1 for path in self._inside() if _owned(path) != (self.owner, self.group))
        return f"{strange} files in it to {self.owner}:{self.group}" if strange else ""

    def do(self) -> None:
        with changing(self.path):
            for above in reversed(self.path.parents):
                if not above.is_dir():
                    above.mkdir()
                    above.chmod(0o755)  # whatever root's umask is: who may use the folder has to get there
            self.path.mkdir(exist_ok=True)
            for path in (self.path, *self._inside()):
                os.chown(path, pwd.getpwnam(self.owner).pw_uid, grp.getgrnam(self.group).gr_gid, follow_symlinks=False)
            self.path.chmod(self.mode)

    def _inside(self) -> Collection[Path]:
        return list(self.path.rglob("*")) if self.deep else ()


@dataclass(frozen=True)
class FirstSettings(AtPath):
    """A first settings file that its group can read. One that is there is never written; its rights are mended only where the group
    cannot read it."""

    text: str
    group: str
    kind: str = "settings"

    def due(self) -> str:
        if not self.path.exists():
            return f"a first one, root:{self.group} 0640"
        mode = self.path.stat().st_mode
        readable = mode & 0o004 or (mode & 0o040 and _owned(self.path)[1] == self.group)
        return "" if readable else f"root:{self.group} 0640"

    def do(self) -> None:
        if not self.path.exists():
            write_if_changed(self.path, self.text, 0o640)
        with changing(self.path):
            shutil.chown(self.path, "root", self.group)
            self.path.chmod(0o640)


@dataclass(frozen=True)
class Link(AtPath):
    """A symlink, where nothing else is."""

    to: Path
    kind: str = "link"

    def due(self) -> str:
        if self.path.is_symlink():
            return "" if os.readlink(self.path) == str(self.to) else f"→ {self.to}"
        return "" if self.path.exists() else f"→ {self.to}"

    def do(self) -> None:
        with changing(self.path):
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(self.to)


@dataclass(frozen=True)
class NoLink(AtPath):
    """A symlink to that place is taken away; another one, or a file, stays."""

    to: Path
    kind: str = "link"

    def due(self) -> str:
        return "removed" if self.path.is_symlink() and os.readlink(self.path) == str(self.to) else ""

    def do(self) -> None:
        with changing(self.path):
            self.path.unlink()


@dataclass(frozen=True)
class NoUser:
    """A user that is taken away; its files are not looked for."""

    target: str
    kind: str = "user"

    def due(self) -> str:
        return "removed" if _user_exists(self.target) else ""

    def do(self) -> None:
        run("userdel", self.target)


@dataclass(frozen=True)
class NoPath(AtPath):
    """A file, or a folder with all that is in it, that is taken away."""

    kind: str = "data"

    def due(self) -> str:
        return "removed" if os.path.lexists(self.path) else ""

    def do(self) -> None:
        with changing(self.path):
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()


@dataclass(frozen=True)
class NoFolder(AtPath):
    """A folder that goes where nothing is in it but `but`, which goes before; and the empty ones that it is in."""

    but: Collection[Path]
    kind: str = "folder"

    def due(self) -> str:
        return "removed" if self.path.is_dir() and all(path in self.but for path in self.path.iterdir()) else ""

    def do(self) -> None:
        with changing(self.path):
            os.removedirs(self.path)


@dataclass(frozen=True)
class NoHosts(AtPath):
    """The marked block of a hosts file is taken away; the rest of the file stays."""

    instance: str
    kind: str = "hosts"

    def due(self) -> str:
        return "block removed" if HostsFile(self.path, self.instance).block() else ""

    def do(self) -> None:
        HostsFile(self.path, self.instance).sync("")


def group_exists(name: str) -> bool:
    return any(row.gr_name == name for row in grp.getgrall())


def _user_exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        return True
    return False


def _owned(path: Path) -> tuple[str, str]:
    """(owner, group) by name, or by number where that has none."""
    status = path.lstat()
    owner, group = str(status.st_uid), str(status.st_gid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(status.st_uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return owner, group
