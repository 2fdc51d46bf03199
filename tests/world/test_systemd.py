"""What systemd is told, on a real socket, and where credentials are."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.world.journald import JournalLogger, entry
from reconciler.world.systemd import CREDENTIALS, Notifier, credential, notifier_of

PID = 4711


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[socket.socket]:
    """As systemd, or its journal, listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(5)
        yield listening


def test_what_is_said_arrives_and_a_status_only_when_it_is_new(channel: socket.socket) -> None:
    notifier = notifier_of({"NOTIFY_SOCKET": channel.getsockname(), "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(PID)}, PID)
    assert notifier.every == 1.5
    notifier.ready()
    notifier.status("1 of 2\nsites")
    notifier.status("1 of 2 sites")
    notifier.alive()
    notifier.stopping()
    assert [channel.recv(100) for _ in range(4)] == [b"READY=1", b"STATUS=1 of 2 sites", b"WATCHDOG=1", b"STOPPING=1"]


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0shipstone-test-notify")
        listening.settimeout(5)
        Notifier("@shipstone-test-notify").ready()
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "relative"}, {"WATCHDOG_USEC": "10"}, {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}],
)
def test_without_systemd_or_for_another_process_nothing_is_said(environment: dict[str, str]) -> None:
    notifier = notifier_of(environment, PID)
    notifier.ready()
    assert notifier.every == 0


def test_a_credential_of_the_service_comes_before_the_administrators_file(tmp_path: Path) -> None:
    (tmp_path / "shipstone_ssh-key").write_text("key")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credential("ssh-key", environment) == tmp_path / "shipstone_ssh-key"
    assert credential("other", environment) == CREDENTIALS / "other"
    assert credential("ssh-key", {}) == CREDENTIALS / "ssh-key"


def test_the_journal_gets_a_line_for_people_and_fields(channel: socket.socket) -> None:
    said = {"level": "warning", "event": "drift", "site": "blog", "difference": "a\nb", "release": ""}
    JournalLogger(channel.getsockname()).warning(entry(None, "warning", said))
    data = channel.recv(4096)
    assert data.startswith(b"MESSAGE\n" + (30).to_bytes(8, "little") + b"drift site=blog difference=a\nb\n")
    assert b"\nPRIORITY=4\nSYSLOG_IDENTIFIER=shipstone\nSHIPSTONE_EVENT=drift\nSHIPSTONE_SITE=blog\n" in data
    assert b"SHIPSTONE_DIFFERENCE\n" + (3).to_bytes(8, "little") + b"a\nb\n" in data


def test_a_journal_that_is_away_stops_nothing(tmp_path: Path) -> None:
    JournalLogger(str(tmp_path / "nowhere")).info(entry(None, "info", {"event": "x"}))


def test_a_journal_that_does_not_read_stops_nothing(channel: socket.socket) -> None:
    """More than its queue holds."""
    journal = JournalLogger(channel.getsockname())
    saying = threading.Thread(target=lambda: [journal.info(b"MESSAGE=x\n") for _ in range(5000)], daemon=True)
    saying.start()
    saying.join(10)
    assert not saying.is_alive()
    assert channel.recv(100) == b"MESSAGE=x\n"
