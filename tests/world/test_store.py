"""The store: what is in it survives a restart; without it only that is lost."""

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from reconciler import wiring
from reconciler.asking import take_back, write_down
from reconciler.errors import ShipstoneError
from reconciler.planning.events import Event
from reconciler.planning.failed import FailedRelease
from reconciler.planning.intents import Said
from reconciler.remembered import Remembered
from reconciler.service import service
from reconciler.settings import load_settings
from reconciler.web.data import data_routes
from reconciler.web.latest import Latest
from reconciler.world.store import Store
from reconciler.world.store_file import copied

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


SUSPENDED = Said("suspend", "shop")


def say(path: Path) -> None:
    """As a command does."""
    with closing(Store(path)) as command:
        command.say(SUSPENDED, 1.0)


def taken_away(path: Path) -> None:
    for one in path.parent.iterdir():
        one.unlink()
    say(path)


def alone_taken_away(path: Path) -> None:
    path.unlink()
    say(path)


def replaced(path: Path) -> None:
    say(path.with_name("restored.db"))
    for log in ("shipstone.db-wal", "shipstone.db-shm"):
        (path.parent / log).unlink()
    os.replace(path.with_name("restored.db"), path)


@pytest.mark.parametrize("harm", [taken_away, alone_taken_away, replaced])
def test_another_file_in_its_place_is_noticed_and_used_from_then_on(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Else nobody would hear what people say, until a restart."""
    path = tmp_path / "shipstone.db"
    with closing(Store(path)) as daemon:
        daemon.remember_failed(FAILED)
        assert daemon.changed()
        harm(path)
        assert (daemon.changed(), daemon.changed()) == (True, False)
        assert (daemon.said(), daemon.failed()) == ((SUSPENDED,), {})
        daemon.remember_failed(FAILED)
        daemon.history.record([Event(1.0, "step", "shop", "c1")])
        with closing(Store(path)) as another:
            assert another.failed() == {"shop": FAILED}
            assert len(another.history.events()) == 1


def test_where_nobody_says_anything_it_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "state" / "shipstone.db"
    with closing(Store(path)) as daemon:
        for one in path.parent.iterdir():
            one.unlink()
        path.parent.rmdir()
        assert daemon.changed()
        say(path)
        assert daemon.changed()
        assert daemon.said() == (SUSPENDED,)


def damage(path: Path, table: str) -> None:
    """One page of it is overwritten."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("table", ["difference", "release", "said", "failed"])
def test_a_damaged_page_is_as_no_database(tmp_path: Path, table: str) -> None:
    """The daemon starts, and hears what is said afterwards."""
    path = tmp_path / "shipstone.db"
    Store(path).close()
    damage(path, table)
    with closing(Store(path)) as store:
        remembered = Remembered(store)
        remembered.hear()
        assert path.with_suffix(".broken").exists()
        say(path)
        remembered.hear()
        assert remembered.intents.is_suspended("shop")


def test_what_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    """Else what was said meanwhile would not be heard."""
    path = tmp_path / "shipstone.db"
    with closing(Store(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as hand:
        hand.execute("DROP TABLE said")
        for _ in range(2):
            assert store.changed()
            with pytest.raises(sqlite3.OperationalError):
                store.said()


def test_while_it_cannot_be_opened_a_copy_in_memory_serves_the_daemon(tmp_path: Path) -> None:
    """As on a full disk: what people said holds, and what is remembered meanwhile is lost."""
    path, in_the_way = tmp_path / "shipstone.db", tmp_path / "shipstone.db-wal"
    say(path)
    in_the_way.mkdir()
    with pytest.raises(ShipstoneError, match=f"^cannot open {path}: "):
        Store(path)
    with closing(Store(path, spare=True)) as daemon:
        assert (daemon.changed(), daemon.changed(), daemon.said()) == (True, False, (SUSPENDED,))
        daemon.remember_failed(FAILED)
        assert daemon.failed() == {"shop": FAILED}
        in_the_way.rmdir()
        assert (daemon.changed(), daemon.changed()) == (True, False)
        assert (daemon.said(), daemon.failed()) == ((SUSPENDED,), {})
        daemon.remember_failed(FAILED)
        with closing(Store(path)) as another:
            assert another.failed() == {"shop": FAILED}


def test_a_copy_in_memory_of_an_older_file_has_what_this_version_needs(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE failed (site TEXT PRIMARY KEY, release TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL)")
        old.execute("INSERT INTO failed VALUES ('shop', 'aa11', 'exited', 1.0)")
        old.commit()
    with closing(copied(path)) as copy:
        assert copy.execute("SELECT site FROM failed").fetchall() == [("shop",)]
        assert copy.execute("SELECT * FROM said").fetchall() == []


def test_what_is_shown_is_of_the_file_that_is_there(tmp_path: Path) -> None:
    """The page has a store of its own, which is only read."""
    path = tmp_path / "s.db"
    with closing(Store(path)) as shown, TestClient(Starlette(routes=data_routes(Latest(), shown))) as client:
        for file in tmp_path.glob("s.db*"):
            file.unlink()
        with closing(Store(path)) as daemons:
            daemons.history.record([Event(3.0, "error", "shop", "c2", more={"why": "a new file"})])
            (row,) = client.get("/api/history").json()["events"]
        assert row["why"] == "a new file"


def test_the_daemon_starts_without_it_and_a_command_does_not(tmp_path: Path) -> None:
    """A word that is not kept would be lost: who says it is told."""
    (tmp_path / "state" / "shipstone.db").mkdir(parents=True)
    (tmp_path / "sites").mkdir()
    (tmp_path / "config.toml").write_text(
        f'[state]\ndir = "{tmp_path}/state"\n[source]\nurl = "{tmp_path}"\n[http]\nlisten = ""\n[files]\nhosts = ""\n'
    )
    settings = load_settings(tmp_path / "config.toml")
    with service(settings):
        pass
    with pytest.raises(ShipstoneError, match=r"^cannot open "):
        wiring.store_of(settings)
