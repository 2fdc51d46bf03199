"""Files that Shipstone writes: whole or not at all, and not at all when nothing changed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from reconciler.desired.hosts_file import block_in, with_block
from reconciler.errors import ShipstoneError


def stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """Another one when the file is another one, or may be; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def write_if_changed(path: Path, text: str, mode: int = 0o644, *, durable: bool = True, aside: bool = False) -> bool:
    """Write `text` (atomically, folder made if missing); False when the file holds it already. An existing file keeps its mode.

    `durable`: it must survive a power cut, which costs milliseconds of waiting for the disk. `aside`: it is prepared in a folder below,
    so that who watches the file's own hears of nothing but the rename.
    """
    data = text.encode()
    try:
        if path.exists():
            if path.read_bytes() == data:
                return False
            mode = path.stat().st_mode & 0o777
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, mode, _aside(path) if aside else path.parent, durable=durable)
    except OSError as error:
        raise ShipstoneError(f"cannot write {path}: {error.strerror}. Make its folder writable for Shipstone.") from None
    return True


def text_of(path: Path) -> str:
    """Empty where there is no such file. Raises ShipstoneError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ShipstoneError(f"cannot read {path}: {error.strerror}. Make it readable for Shipstone.") from None


def aside_of(path: Path) -> Path:
    """Where a file is prepared that is written with `aside`."""
    return path.parent / f".{path.name}.new"


def _aside(path: Path) -> Path:
    """A folder below that of `path`, which whoever reads the latter may read too: Traefik looks into it and finds nothing. Where it is
    another user's, that of `path` itself."""
    folder = aside_of(path)
    folder.mkdir(exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return path.parent
    if found.st_mode & 0o777 != 0o755:
        folder.chmod(0o755)
    return folder


def _replace(path: Path, data: bytes, mode: int, folder: Path, *, durable: bool = True) -> None:
    """A file in `folder` with another ending, so that nobody who watches reads it half written; then one rename."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


class HostsFile:
    """The hosts file, of which only this instance's marked block is ours."""

    def __init__(self, path: Path, instance: str) -> None:
        self._path, self._instance = path, instance

    def sync(self, block: str) -> bool:
        """Put `block` in place of the present one; True if the file changed. Raises ShipstoneError when the markers are broken."""
        text = self._text()
        fresh = with_block(text, self._instance, block)
        if fresh == text:
            return False
        try:
            mode = self._path.stat().st_mode & 0o777 if self._path.exists() else 0o644
            # A file that is mounted by itself (as in a container) cannot be replaced by a rename.
            if os.path.ismount(self._path):
                with self._path.open("r+b") as mounted:
                    mounted.write(fresh.encode("utf-8", "surrogateescape"))
                    mounted.truncate()
            else:
                where = self._path.resolve()
                _replace(where, fresh.encode("utf-8", "surrogateescape"), mode, where.parent)
        except OSError as error:
            raise ShipstoneError(
                f"cannot write {self._path}: {error.strerror}. As a service: set it to /var/lib/shipstone/hosts. Else run as root."
            ) from None
        return True

    def block(self) -> str:
        """The present one, for people: what is no text is marked as that; empty where there is none. Raises ShipstoneError when the markers
        are broken."""
        return block_in(self._text(), self._instance).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def _text(self) -> str:
        try:
            with self._path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ShipstoneError(f"cannot read {self._path}: {error.strerror}. Correct [files] hosts.") from None


class FileStore:
    """Files of the repository that containers mount, kept by the digest of their content with modes that any user can read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, digest: str) -> Path:
        return self._root / digest

    def present(self, digest: str) -> bool:
        return self.path(digest).exists()

    def keep(self, digests: Collection[str]) -> tuple[str, ...]:
        """Take away all other content, and what was left half written; what was taken away."""
        gone = sorted(path.name for path in self._root.iterdir() if path.name not in digests) if self._root.is_dir() else []
        for name in gone:
            path = self._root / name
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return tuple(gone)

    def put_file(self, digest: str, data: bytes, executable: bool) -> None:
        self._put(digest, {"": (data, executable)})

    def put_tree(self, digest: str, files: Mapping[str, tuple[bytes, bool]]) -> None:
        """`files`: path inside the folder → (bytes, executable)."""
        self._put(digest, files)

    def _put(self, digest: str, files: Mapping[str, tuple[bytes, bool]]) -> None:
        """Written beside its place and renamed once it is on the disk, so that what is there is whole, also after a power cut."""
        if self.present(digest):
            return
        fresh = self._root / f".new-{digest}-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            for inside, (data, executable) in files.items():
                if {"..", "."} & set(inside.split("/")) or inside.startswith("/"):
                    raise ShipstoneError(f"cannot write {inside!r} below {self._root}: it leads elsewhere. Rename it in the repository.")
                target = fresh / inside if inside else fresh
                _make_folders(target.parent, self._root)
                target.write_bytes(data)
                target.chmod(0o755 if executable else 0o644)
            for path in (fresh, *fresh.rglob("*")):
                _to_disk(path)
            fresh.rename(self.path(digest))
        except OSError as error:
            if self.present(digest):  # another site was quicker
                return
            raise ShipstoneError(f"cannot write below {self._root}: {error.strerror}. Look for a full disk or missing rights.") from None
        finally:
            if fresh.is_dir():
                shutil.rmtree(fresh, ignore_errors=True)
            else:
                fresh.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """A file, or a folder's names."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _make_folders(folder: Path, top: Path) -> None:
    """Readable for any user, whatever the umask."""
    missing = []
    while folder != top and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir()
        path.chmod(0o755)
