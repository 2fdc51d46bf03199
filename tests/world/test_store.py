"""The store: what is in it survives a restart; without it only that is lost."""

from pathlib import Path

from reconciler.planning.failed import FailedRelease
from reconciler.world.store import Event, Store

FAILED = FailedRelease("shop", "0123456789", "exited with 1", 12.5)


def test_failed_releases_and_history_survive(tmp_path: Path) -> None:
    path = tmp_path / "state" / "shipstone.db"
    store = Store(path)
    store.remember_failed(FAILED)
    store.record([Event(1.0, "shop", "c1", "start"), Event(2.0, "other", "c1", "start")])
    store.record([Event(3.0, "shop", "c2", "stop")])
    store.close()
    again = Store(path)
    assert again.failed() == {"shop": FAILED}
    assert [event.at for event in again.history()] == [3.0, 2.0, 1.0]
    assert [event.at for event in again.history("shop", limit=1)] == [3.0]
    again.forget_failed("shop")
    assert again.failed() == {}
    again.close()


def test_a_broken_file_is_put_aside(tmp_path: Path) -> None:
    """The next pass rebuilds what matters from the engine."""
    path = tmp_path / "shipstone.db"
    path.write_bytes(b"this is no database" * 100)
    store = Store(path)
    assert store.failed() == {}
    store.remember_failed(FAILED)
    assert store.failed() == {"shop": FAILED}
    store.close()
    assert (tmp_path / "shipstone.broken").read_bytes().startswith(b"this is no database")
