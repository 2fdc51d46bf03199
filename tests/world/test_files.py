"""Files: whole or not at all, and not touched when nothing changed."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.desired.hosts_file import hosts_block
from reconciler.errors import ShipstoneError
from reconciler.world.files import FileStore, HostsFile, write_if_changed


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.toml"
    assert write_if_changed(path, "a = 1\n") is True
    before = path.stat()
    assert write_if_changed(path, "a = 1\n") is False
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_change_is_a_rename_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text("old")
    path.chmod(0o600)
    with path.open() as reader:
        assert write_if_changed(path, "new") is True
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file.toml"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShipstoneError, match=r"cannot write .*file/below.toml: File exists\."):
        write_if_changed(tmp_path / "file" / "below.toml", "x")


def test_the_hosts_block_comes_changes_and_goes(tmp_path: Path) -> None:
    """Everything outside it is kept byte for byte, even bytes that are no text."""
    path = tmp_path / "hosts"
    mine = b"127.0.0.1\tlocalhost\r\n# caf\xe9\n"
    path.write_bytes(mine)
    hosts = HostsFile(path, "shop")
    block = hosts_block("shop", ["127.0.0.1", "::1"], ["shop.local", "a.shop.local"])
    assert hosts.sync(block) is True
    assert hosts.sync(block) is False
    assert b"::1 a.shop.local" in path.read_bytes()
    assert path.read_bytes().startswith(mine)
    assert hosts.sync("") is True
    assert path.read_bytes() == mine


def test_content_is_stored_once_and_readable_by_any_user(tmp_path: Path) -> None:
    """Whatever the umask of the daemon is."""
    store = FileStore(tmp_path / "files")
    before = os.umask(0o077)
    try:
        store.put_tree("tree", {"a/b/page.html": (b"page", False), "run.sh": (b"#!/bin/sh", True)})
        store.put_file("one", b"conf", executable=False)
    finally:
        os.umask(before)
    page = store.path("tree") / "a/b/page.html"
    assert page.read_bytes() == b"page"
    assert [
        p.stat().st_mode & 0o777 for p in (page, page.parent, store.path("tree"), store.path("tree") / "run.sh", store.path("one"))
    ] == [
        0o644,
        0o755,
        0o755,
        0o755,
        0o644,
    ]
    assert store.present("tree")
    assert not store.present("other")
    assert sorted(p.name for p in (tmp_path / "files").iterdir()) == ["one", "tree"]


def test_what_is_stored_is_whole_or_not_there(tmp_path: Path) -> None:
    """A write that fails half-way leaves nothing behind."""
    store = FileStore(tmp_path / "files")
    with pytest.raises(ShipstoneError, match="cannot write below"):
        store.put_tree("tree", {"a": (b"1", False), "a/b": (b"2", False)})
    assert list((tmp_path / "files").iterdir()) == []


def test_what_is_in_its_place_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves no empty files under the right name."""
    flushed, fsync = set[str](), os.fsync

    def told(fd: int) -> None:
        flushed.add(os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2])
        assert not any(map(store.present, ("tree", "one")))
        fsync(fd)

    store = FileStore(tmp_path / "files")
    monkeypatch.setattr(os, "fsync", told)
    store.put_file("one", b"conf", executable=False)
    assert [name.startswith(".new-one-") for name in flushed] == [True]
    store.keep([])
    store.put_tree("tree", {"a/b/page.html": (b"page", False), "run.sh": (b"#!/bin/sh", True)})
    assert {"page.html", "run.sh", "a", "b"} <= flushed


def test_two_sites_that_mount_the_same_new_folder_at_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    pages = {f"a/{n}.html": (b"page", False) for n in range(30)}
    with ThreadPoolExecutor(3) as pool:
        for n in range(20):
            together = threading.Barrier(3)

            def put(name: str = f"tree{n}", together: threading.Barrier = together) -> None:
                together.wait(30)
                store.put_tree(name, pages)

            for each in [pool.submit(put) for _ in range(3)]:
                each.result()
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == sorted(f"tree{n}" for n in range(20))


def test_what_nothing_mounts_any_more_goes(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    assert store.keep(["a"]) == ()
    store.put_tree("tree", {"page.html": (b"page", False)})
    store.put_file("one", b"conf", executable=False)
    store.put_file("two", b"conf", executable=False)
    assert store.keep(["two"]) == ("one", "tree")
    assert [store.present(name) for name in ("tree", "one", "two")] == [False, False, True]
