"""The pin file on disk."""

from pathlib import Path

import pytest

from reconciler.planning.observed import Pin
from reconciler.world.pins import PinFile

PIN = Pin((("Host(`a.test`)", ()),), (("Host(`a.test`)", 29),))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    pins = PinFile(tmp_path, "shop", ("web",))
    pins.ensure()
    pins.set({"a": PIN})
    assert PinFile(tmp_path, "shop", ("web",)).read() == pins.read() == {"a": PIN}


def test_without_a_folder_nothing_is_written_and_nothing_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pins = PinFile(None, "shop", ("web",))
    pins.ensure()
    pins.set({"a": PIN})
    assert (pins.read(), pins.digest(), pins.age()) == ({}, "", 0.0)
    assert list(tmp_path.iterdir()) == []
