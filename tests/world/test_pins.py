"""The pin file on disk."""

import os
from pathlib import Path

import pytest
from watchfiles import watch

from reconciler.errors import ShipstoneError
from reconciler.planning.observed import Pin
from reconciler.world.pins import PinFile

PIN = Pin((("Host(`a.test`)", ()),), (("Host(`a.test`)", 29),))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    pins.set({"a": PIN})
    assert PinFile(tmp_path, "shop", ("web",)).read() == pins.read() == {"a": PIN}


def test_two_that_write_in_turn_lose_nothing_and_see_no_hand_in_it(tmp_path: Path) -> None:
    """The daemon and a command."""
    daemon, command = (PinFile(tmp_path, "shop", ("web",)) for _ in range(2))
    daemon.set({"a": PIN})
    command.set({"b": PIN})
    daemon.set({"c": PIN})
    command.set({"a": None})
    for pins in (daemon, command):
        pins.ensure()
        assert pins.read() == {"b": PIN, "c": PIN}
        assert pins.differences() == ()
    assert daemon.digest() == command.digest()


def test_what_could_not_be_written_is_not_taken_for_written(tmp_path: Path) -> None:
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.set({"a": PIN})
    before = pins.digest()
    aside = tmp_path / ".shop.toml.new"
    aside.rmdir()
    aside.write_text("in the way")
    with pytest.raises(ShipstoneError, match="cannot write"):
        pins.set({"b": PIN})
    assert (pins.read(), pins.digest(), pins.differences()) == ({"a": PIN}, before, ())
    aside.unlink()
    pins.set({"b": PIN})
    assert pins.read() == {"a": PIN, "b": PIN}


def test_without_a_folder_nothing_is_written_and_nothing_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pins = PinFile(None, "shop", ("web",))
    pins.ensure()
    pins.set({"a": PIN})
    assert (pins.read(), pins.digest(), pins.age()) == ({}, "", 0.0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_hand_makes_of_the_file_is_told_and_put_right(tmp_path: Path) -> None:
    """Another target, a router more, no file any more: the pins that were written last come back, and each is told once."""
    path = tmp_path / "shop.toml"
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    pins.set({"a": PIN})
    right = path.read_text()
    hands = [
        (right.replace("Host(`a.test`)", "Host(`evil.test`)"), "other routes than Shipstone wrote"),
        (right + '\n[http.middlewares.mine.addPrefix]\nprefix = "/x"\n', "other routes than Shipstone wrote"),
        ("no toml", "other routes than Shipstone wrote"),
        ("", ""),
    ]
    for text, actual in hands:
        path.write_text(text)
        assert [row.actual for row in PinFile(tmp_path, "shop", ("web",)).differences()] == ([actual] if text else [])
        pins.ensure()
        assert path.read_text() == right
        assert [(row.path, row.actual) for row in pins.differences()] == [(str(path), actual)]
        assert pins.differences() == ()
    path.unlink()
    pins.ensure()
    assert (path.read_text(), pins.read()) == (right, {"a": PIN})


def test_who_watches_the_folder_hears_of_whole_files_alone(tmp_path: Path) -> None:
    """Traefik counts everything that it hears of there against its throttle, and reads the folders below."""
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    heard: set[str] = set()
    for changes in watch(tmp_path, recursive=False, debounce=100, step=10, rust_timeout=100, yield_on_timeout=True):
        heard |= {Path(path).name for _, path in changes}
        if "shop.toml" in heard:
            break
        pins.set({"a": PIN})
    assert heard == {"shop.toml"}
    aside = tmp_path / ".shop.toml.new"
    aside.chmod(0o700)
    pins.set({"a": None})
    assert (aside.stat().st_mode & 0o777, list(aside.iterdir())) == (0o755, [])


def test_a_file_of_another_version_is_no_drift(tmp_path: Path) -> None:
    """Its digest is right: only how it is written is another."""
    path = tmp_path / "shop.toml"
    PinFile(tmp_path, "shop", ("web",)).set({"a": PIN})
    path.write_text("# from before\n" + path.read_text())
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    assert pins.differences() == ()
    assert path.read_text().startswith("# from before")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_is_another_users_is_not_used(tmp_path: Path) -> None:
    """As after a first run by root."""
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    aside = tmp_path / ".shop.toml.new"
    os.chown(aside, 65534, 65534)
    aside.chmod(0o700)
    pins.set({"a": PIN})
    assert (pins.read(), aside.stat().st_mode & 0o777) == ({"a": PIN}, 0o700)
