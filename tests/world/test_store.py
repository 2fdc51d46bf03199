"""The store: what is in it survives a restart; without it only that is lost."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.asking import take_back, write_down
from reconciler.errors import ShipstoneError
from reconciler.planning.events import Event
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import Said
from reconciler.world.store import Store

FAILED = FailedRelease("shop", "0123456789", "exited with 1", 12.5)


def test_failed_releases_and_history_survive(tmp_path: Path) -> None:
    path = tmp_path / "state" / "shipstone.db"
    store = Store(path)
    store.remember_failed(FAILED)
    store.history.record([Event(1.0, "step", "shop", "c1", what="start"), Event(2.0, "step", "other", "c1")])
    store.history.record([Event(3.0, "error", "shop", "c2", more={"why": "ä"})])
    store.close()
    again = Store(path)
    assert again.failed() == {"shop": FAILED}
    assert [event.at for event in again.history.events()] == [3.0, 2.0, 1.0]
    assert again.history.events("shop", limit=1) == (Event(3.0, "error", "shop", "c2", more={"why": "ä"}),)
    assert [event.at for event in again.history.events("shop", kinds=("step",))] == [1.0]
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


def test_who_opens_it_while_another_makes_it_waits(tmp_path: Path) -> None:
    """SQLite turns one away at once that wants to switch to its log meanwhile."""
    path = tmp_path / "shipstone.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as another, ThreadPoolExecutor(1) as pool:
        another.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Store, path)
        done, _ = wait([opening], timeout=0.3)
        assert not done
        another.execute("ROLLBACK")
        with closing(opening.result(30)) as store:
            assert store.failed() == {}


def test_many_open_it_at_once_before_it_is_there(tmp_path: Path) -> None:
    """The daemon starts while somebody asks for its status: neither is told that it is locked."""
    for n in range(60):
        path, together = tmp_path / f"{n}.db", threading.Barrier(8)

        def opened(path: Path = path, together: threading.Barrier = together) -> Store:
            together.wait(30)
            return Store(path)

        with ThreadPoolExecutor(8) as pool:
            stores = [each.result() for each in [pool.submit(opened) for _ in range(8)]]
        for store in stores:
            store.close()


def test_what_a_person_takes_back_is_not_lost_in_silence_and_a_pass_goes_on(tmp_path: Path) -> None:
    """Nor is it said that there was nothing to take back."""
    path = tmp_path / "s.db"
    store, said = Store(path), Said("suspend", "shop")
    write_down(store, said, "ada", 1.0)
    store._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        for word in (lambda: take_back(store, "shop", "ada", 2.0), lambda: write_down(store, Said("retry", "shop"), "ada", 2.0)):
            with pytest.raises(ShipstoneError, match=r"cannot write .*s\.db: database is locked\. Look for"):
                word()
        store.forget_said("suspend", "shop")
        another.execute("ROLLBACK")
    assert store.said() == (said,)
    assert take_back(store, "shop", "ada", 3.0)
    assert not take_back(store, "shop", "ada", 4.0)
    assert [row.more["said"] for row in store.history.events("shop")] == ["resume", "suspend"]
    store.close()
