"""`shipstone notify-test`: a real process, a real receiver."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.host import shipstone

from tests.receiver import Receiver, a_receiver

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(**notify: str) -> subprocess.CompletedProcess[str]:
        environment = {f"SHIPSTONE_NOTIFY__{key.upper()}": value for key, value in notify.items()}
        done = shipstone(("notify-test",), {**os.environ, **environment}, folder=tmp_path)
        assert "secret" not in done.stdout + done.stderr
        return done

    return run


def test_each_address_gets_a_message_and_the_heartbeat_a_call(run: Run, receiver: Receiver) -> None:
    done = run(urls=json.dumps([receiver.url, receiver.url]), heartbeat=receiver.heartbeat)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 (json): sent\n2 (json): sent\nheartbeat: sent\n", "")
    assert [message["message"] for message in receiver.messages] == ["Messages of Shipstone come to you."] * 2
    assert receiver.calls == ["/ping/secret-uuid"]


def test_addresses_may_be_in_a_file_one_a_line(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "notify"
    file.write_text(f"# who reads it\n{receiver.url}\n\n{receiver.url}\n")
    file.chmod(0o600)
    done = run(urls_file=str(file))
    assert (done.returncode, len(receiver.messages)) == (0, 2)


def test_who_does_not_take_it_is_said_with_the_reason(run: Run, receiver: Receiver) -> None:
    receiver.answers = [403]
    done = run(urls=json.dumps([receiver.url, receiver.url]), heartbeat="http://127.0.0.1:9/secret-uuid")
    first, second, third = done.stdout.splitlines()
    assert done.returncode == 1
    assert first.startswith("1 (json): not taken: ")
    assert "403" in first
    assert second == "2 (json): sent"
    assert third.startswith("heartbeat: not taken: ConnectError: ")


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ({}, "cannot send a message: [notify] has neither urls nor a heartbeat. Set one of them."),
        ({"urls": '["frob://secret-token"]'}, "cannot use [notify] urls: number 1 (frob) is no address that Apprise knows"),
        ({"heartbeat": "secret-uuid"}, "SHIPSTONE_NOTIFY__HEARTBEAT: use an https:// or http:// address."),
        ({"report": "daily"}, "a report needs urls to go to"),
        ({"report": "hourly"}, "Input should be '', 'daily' or 'weekly'"),
        ({"report_at": "25:00"}, "SHIPSTONE_NOTIFY__REPORT_AT: "),
    ],
)
def test_what_is_set_wrongly_is_said(run: Run, notify: dict[str, str], said: str) -> None:
    done = run(**notify)
    assert done.returncode == 1
    assert said in done.stderr
