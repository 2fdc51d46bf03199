"""The folder source on real folders."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lab.host import Repository

from reconciler.errors import SourceError
from reconciler.world import directory
from reconciler.world.directory import DirectorySource
from reconciler.world.git import GitSource


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def test_files_their_ids_and_bytes(tmp_path: Path) -> None:
    """`.git` is left out at any depth; equal content has equal ids."""
    write(tmp_path, {"shipstone.yaml": "a", "sites/web.yaml": "b", "sites/two.yaml": "b", ".git/HEAD": "x", "sub/.git": "x", "sub/f": "c"})
    revision = DirectorySource(tmp_path).fetch()
    assert list(revision.entries) == ["shipstone.yaml", "sites/two.yaml", "sites/web.yaml", "sub/f"]
    assert revision.read("sites/web.yaml") == b"b"
    assert revision.entries["sites/web.yaml"] == revision.entries["sites/two.yaml"]
    assert revision.entries["sites/web.yaml"].id == "63d8dbd40c23542e740659a7168a0ce3138ea748"


def test_a_folder_and_the_commit_made_of_it_are_the_same(tmp_path: Path) -> None:
    """Else the first start from git would deploy every site anew that mounts files."""
    made = Repository(tmp_path / "git")
    write(made.tree, {"sites/web.yaml": "b", "run.sh": "c", "empty": ""})
    (made.tree / "run.sh").chmod(0o755)
    (made.tree / "link").symlink_to("run.sh")
    folder = DirectorySource(made.tree).fetch().entries
    made.push("the same")
    assert GitSource(str(made.bare), "main", "", tmp_path / "mirror", allow_file=True).fetch().entries == folder


def test_the_id_is_of_everything(tmp_path: Path) -> None:
    """A content, a name, a mode, a kind: each makes another revision; the same folder elsewhere is the same one."""
    write(tmp_path / "a", {"f": "1"})
    source = DirectorySource(tmp_path / "a")
    seen = [source.fetch().id]
    assert seen[0].startswith("folder:")
    assert len(seen[0]) == 19
    (tmp_path / "a/f").chmod(0o755)
    seen.append(source.fetch().id)
    (tmp_path / "a/f").write_text("2")
    seen.append(source.fetch().id)
    (tmp_path / "a/f").rename(tmp_path / "a/g")
    seen.append(source.fetch().id)
    (tmp_path / "a/g").unlink()
    (tmp_path / "a/g").symlink_to("2")
    seen.append(source.fetch().id)
    assert len(set(seen)) == 5
    write(tmp_path / "b", {"f": "1"})
    assert DirectorySource(tmp_path / "b").fetch().id == seen[0]


def test_an_unchanged_folder_gives_the_same_object(tmp_path: Path) -> None:
    """Also when a file was touched, or written again with the same content."""
    write(tmp_path, {"f": "1"})
    source = DirectorySource(tmp_path)
    first = source.fetch()
    os.utime(tmp_path / "f", (1, 1))
    assert source.fetch() is first
    write(tmp_path, {"f": "1", "g": "2"})
    second = source.fetch()
    assert second is not first
    assert source.fetch() is second


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    """The same size, in place, with the modification time set back."""
    source = DirectorySource(tmp_path)
    for i in range(10, 60):
        (tmp_path / "f").write_text(str(i))
        os.utime(tmp_path / "f", (1, 1))
        assert source.fetch().read("f") == str(i).encode()


def read_so_far() -> int:
    """Bytes that this process has read, by the kernel's count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    """Once the last change is old enough to be told from a next one."""
    write(tmp_path, {"big": "x" * 5_000_000, "small": "1"})
    source = DirectorySource(tmp_path)

    def quiet() -> bool:
        before = read_so_far()
        source.fetch()
        return read_so_far() - before < 1_000_000

    assert not quiet()
    until("a fetch that reads nothing", quiet)
    (tmp_path / "small").write_text("2")
    before = read_so_far()
    assert source.fetch().read("small") == b"2"
    assert read_so_far() - before < 1_000_000


def test_symlinks_are_not_followed(tmp_path: Path) -> None:
    """Neither to a file nor to a folder, nor in a circle."""
    write(tmp_path, {"root/f": "1", "outside/secret": "s"})
    (tmp_path / "root/file").symlink_to("../outside/secret")
    (tmp_path / "root/folder").symlink_to("../outside")
    (tmp_path / "root/loop").symlink_to(".")
    revision = DirectorySource(tmp_path / "root").fetch()
    assert {name: entry.kind for name, entry in revision.entries.items()} == {
        "f": "file",
        "file": "symlink",
        "folder": "symlink",
        "loop": "symlink",
    }
    assert revision.read("file") == b"../outside/secret"


def test_the_folder_itself_may_be_a_symlink(tmp_path: Path) -> None:
    write(tmp_path, {"one/f": "1", "two/f": "2"})
    (tmp_path / "current").symlink_to("one")
    source = DirectorySource(tmp_path / "current")
    assert source.fetch().read("f") == b"1"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")
    assert source.fetch().read("f") == b"2"


def test_pipes_and_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a pipe would wait for ever."""
    write(tmp_path, {"f": "1"})
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert list(DirectorySource(tmp_path).fetch().entries) == ["f"]


def test_a_name_that_is_not_utf8_is_shown_with_an_escape(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9"), "w") as file:
        file.write("x")
    assert DirectorySource(tmp_path).fetch().read("caf\\xe9") == b"x"


def test_executable_files_are_told(tmp_path: Path) -> None:
    write(tmp_path, {"plain": "x", "run": "x"})
    (tmp_path / "run").chmod(0o755)
    entries = DirectorySource(tmp_path).fetch().entries
    assert [entries[name].executable for name in ("plain", "run")] == [False, True]


def test_bytes_are_those_that_were_hashed_or_an_error(tmp_path: Path) -> None:
    """A file that changed or went meanwhile belongs to the next pass."""
    write(tmp_path, {"f": "1", "g": "1"})
    revision = DirectorySource(tmp_path).fetch()
    (tmp_path / "f").write_text("2")
    (tmp_path / "g").unlink()
    with pytest.raises(SourceError, match=r"changed meanwhile\. The next pass takes it"):
        revision.read("f")
    with pytest.raises(SourceError, match=r"No such file or directory\. The next pass looks again"):
        revision.read("g")
    with pytest.raises(SourceError, match="cannot read h: it is not in the folder"):
        revision.read("h")


def test_a_folder_that_is_missing_or_a_file(tmp_path: Path) -> None:
    write(tmp_path, {"f": "1"})
    with pytest.raises(SourceError, match=r"No such file or directory\. Give a folder"):
        DirectorySource(tmp_path / "no").fetch()
    with pytest.raises(SourceError, match=r"Not a directory\. Give a folder"):
        DirectorySource(tmp_path / "f").fetch()


def test_a_folder_that_comes_back(tmp_path: Path) -> None:
    write(tmp_path, {"root/f": "1"})
    source = DirectorySource(tmp_path / "root")
    first = source.fetch()
    (tmp_path / "root").rename(tmp_path / "away")
    with pytest.raises(SourceError, match="cannot read"):
        source.fetch()
    (tmp_path / "away").rename(tmp_path / "root")
    assert source.fetch() is first


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """Somebody gave / by mistake: the walk ends at the bound."""
    for folder in range(21):
        (tmp_path / str(folder)).mkdir()
        for name in range(1000):
            os.close(os.open(tmp_path / str(folder) / str(name), os.O_CREAT | os.O_WRONLY))
    with pytest.raises(SourceError, match="holds more than 20,000 files"):
        DirectorySource(tmp_path).fetch()


def test_too_many_bytes_are_refused_before_any_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "image.iso", "wb") as file:
        file.truncate(directory.MAX_BYTES + 1)
    before = read_so_far()
    with pytest.raises(SourceError, match="or 1024 MiB"):
        DirectorySource(tmp_path).fetch()
    assert read_so_far() - before < 1_000_000


class Watched:
    """A watched folder, and how often it was said to have changed."""

    def __init__(self, root: Path) -> None:
        self.calls = 0
        self.threads = set(threading.enumerate())
        self.stop = DirectorySource(root).watch(self._changed)
        (self.thread,) = set(threading.enumerate()) - self.threads

    def _changed(self) -> None:
        self.calls += 1

    def wait_for(self, calls: int) -> None:
        until(f"call {calls}", lambda: self.calls >= calls)


def test_a_change_is_told_and_stop_ends_the_watch(tmp_path: Path) -> None:
    """Once when the watch stands, so that nothing before it is missed; then at each change, `.git` aside."""
    write(tmp_path, {"sites/web.yaml": "1", ".git/HEAD": "1"})
    watched = Watched(tmp_path)
    assert watched.thread.daemon
    watched.wait_for(1)
    (tmp_path / "sites/web.yaml").write_text("2")
    watched.wait_for(2)
    write(tmp_path, {"sites/new/deep.yaml": "1"})
    watched.wait_for(3)
    watched.stop()
    watched.thread.join(10)
    assert not watched.thread.is_alive()


def test_changes_of_git_alone_are_not_told(tmp_path: Path) -> None:
    """A `git fetch` in a checkout wakes nobody: the next call is the one for a real change."""
    write(tmp_path, {"f": "1", ".git/HEAD": "1"})
    watched = Watched(tmp_path)
    watched.wait_for(1)
    write(tmp_path, {".git/HEAD": "2", ".git/index": "2"})
    quiet_until = time.monotonic() + 1
    until("a second", lambda: time.monotonic() > quiet_until)
    assert watched.calls == 1
    write(tmp_path, {"f": "2"})
    watched.wait_for(2)
    watched.stop()


def test_a_folder_that_is_made_later_or_replaced_is_watched(tmp_path: Path) -> None:
    root = tmp_path / "root"
    watched = Watched(root)
    write(tmp_path, {"root/f": "1"})
    watched.wait_for(1)
    write(tmp_path, {"next/f": "2"})
    root.rename(tmp_path / "old")
    (tmp_path / "next").rename(root)
    watched.wait_for(2)
    calls = watched.calls

    def told() -> bool:
        (root / "f").write_text(str(time.monotonic()))
        return watched.calls > calls + 1

    until("a change in the new folder", told)
    watched.stop()
