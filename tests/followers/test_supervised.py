"""The daemon under a service manager: when it is ready, and when it is alive. A real socket; the engine is in memory."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import wiring
from reconciler.daemon import Daemon
from reconciler.desired.revision import Revision
from reconciler.errors import EngineError, SourceError
from reconciler.followers.follower import Follower
from reconciler.planning.observed import Container
from reconciler.reconcile import Reconciler
from reconciler.settings import EngineSettings, Settings, StateSettings, TraefikSettings
from reconciler.web.latest import Latest
from reconciler.world.memory import MemoryEngine
from reconciler.world.systemd import Notifier

EVERY = 0.05


class HangingEngine(MemoryEngine):
    """Answers at once, until `hangs` is set; then not before `over` is."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.hangs, self.over = threading.Event(), threading.Event()

    def containers(self, busy: frozenset[str] = frozenset()) -> tuple[Container, ...]:
        if self.hangs.is_set():
            self.over.wait(20)
        return super().containers(busy)


class Away:
    """A git server that cannot be reached; what was taken last is at hand where `kept` says so."""

    def __init__(self, kept: Revision | None = None) -> None:
        self._kept = kept

    def fetch(self) -> Revision:
        raise SourceError("cannot fetch: no route")

    def last(self) -> Revision | None:
        return self._kept

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002  part of the Protocol
        return lambda: None


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


@pytest.fixture
def engine() -> Iterator[HangingEngine]:
    made = HangingEngine()
    yield made
    made.over.set()


def run(
    tmp_path: Path, engine: MemoryEngine, source: Away, channel: socket.socket, *followers: Follower
) -> tuple[Daemon, threading.Thread, Reconciler]:
    settings = Settings(
        engine=EngineSettings(socket="unix:///nowhere"),
        traefik=TraefikSettings(api="http://127.0.0.1:1", dynamic_dir=str(tmp_path / "dynamic")),
        state=StateSettings(dir=str(tmp_path / "state")),
    )
    reconciler = wiring.reconciler_of(settings, followers=followers)
    reconciler.world = replace(reconciler.world, engine=engine)
    daemon = Daemon(reconciler, source, 60.0, notifier=Notifier(channel.getsockname(), EVERY))
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    return daemon, thread, reconciler


def silent(channel: socket.socket) -> bool:
    """Whether nothing more comes within its patience."""
    try:
        channel.recv(100)
    except TimeoutError:
        return True
    return False


def test_it_is_ready_when_the_engine_has_answered_and_not_before(tmp_path: Path, engine: HangingEngine, channel: socket.socket) -> None:
    """A git server that is away plays no part; the loop feeds the watchdog as it sleeps, and says when it ends."""
    engine.fail("containers", EngineError("cannot list the containers: no socket"))
    daemon, thread, _ = run(tmp_path, engine, Away(), channel)
    assert channel.recv(100) == b"WATCHDOG=1"
    said = [channel.recv(100)]
    while said[-1] != b"READY=1":
        said.append(channel.recv(100))
    assert set(said[:-1]) <= {b"WATCHDOG=1"}
    assert [channel.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    daemon.stop()
    while said[-1] != b"STOPPING=1":
        said.append(channel.recv(100))
    thread.join(10)
    assert not thread.is_alive()


def test_a_loop_that_hangs_feeds_nobody(tmp_path: Path, engine: HangingEngine, channel: socket.socket) -> None:
    """However much goes on in other threads."""
    kept = Revision("abc", {}, lambda path: path.encode())
    daemon, thread, reconciler = run(tmp_path, engine, Away(kept), channel)
    while reconciler.desired is None:
        channel.recv(100)
    engine.hangs.set()
    daemon.wake()
    channel.settimeout(20 * EVERY)
    assert any(silent(channel) for _ in range(1000))
    engine.over.set()
    daemon.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_without_the_git_server_it_begins_with_what_was_taken_last(tmp_path: Path, engine: HangingEngine, channel: socket.socket) -> None:
    """And whoever follows knows that the server is away all the same."""
    kept = Revision("abc", {}, lambda path: path.encode())
    latest = Latest()
    daemon, thread, reconciler = run(tmp_path, engine, Away(kept), channel, latest)
    while latest.now.done is None or not latest.now.not_fetched:
        channel.recv(100)
    assert reconciler.desired is not None
    assert reconciler.desired.revision == "abc"
    assert (latest.now.not_fetched, latest.now.fetched_at) == ("cannot fetch: no route", 0.0)
    daemon.stop()
    thread.join(10)
