"""Messages through Apprise to a real HTTP server, and the address that is called while all is well."""

import threading
from collections.abc import Iterator

import pytest
from lab.host import until
from structlog.testing import capture_logs

from reconciler.errors import SettingsError
from reconciler.world.notify import WAITING, Caller, Notice, Outbox, Services, call
from tests.receiver import Receiver, a_receiver

NOTICE = Notice("1 site as c2 by Ada", "blog", "success")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


def test_a_message_arrives_with_its_title_its_body_and_its_kind(receiver: Receiver) -> None:
    """One without a body is its title."""
    services = Services([receiver.url])
    assert services.send(0, NOTICE) == ""
    assert services.send(0, Notice("all is well")) == ""
    rows = [(m["title"], m["message"], m["type"]) for m in receiver.messages]
    assert rows == [("1 site as c2 by Ada", "blog", "success"), ("", "all is well", "info")]


def test_what_is_not_taken_is_tried_again(receiver: Receiver) -> None:
    """Only by the service that did not take it."""
    with a_receiver() as other:
        receiver.answers = [500, 503]
        outbox = Outbox(Services([receiver.url, other.url]), pause=0.02)
        outbox.post(NOTICE)
        receiver.until(1)
        outbox.close(10)
        assert (len(receiver.messages), len(other.messages)) == (1, 1)


def test_what_nobody_takes_is_dropped_with_one_line_and_the_next_one_goes(receiver: Receiver) -> None:
    """No part of the address is in that line."""
    receiver.answers = [401] * 3
    with capture_logs() as lines:
        outbox = Outbox(Services([receiver.url]), tries=3, pause=0.02)
        outbox.post(NOTICE)
        outbox.post(Notice("second"))
        receiver.until(1)
        outbox.close(10)
    assert receiver.titles() == ["second"]
    (line,) = [row for row in lines if row["event"] == "a notice was dropped"]
    assert line["notice"] == NOTICE.title
    assert line["error"].startswith("1 (json): ")
    assert "401" in line["error"]
    assert not any("secret" in str(row) or "127.0.0.1" in str(row) for row in lines)


def test_a_service_that_is_not_there_keeps_nobody_waiting() -> None:
    """More than can wait is dropped, at once."""
    services = Services(["json://127.0.0.1:9/secret-token"])
    with capture_logs() as lines:
        outbox = Outbox(services, tries=1000, pause=10.0)
        for n in range(WAITING + 10):
            outbox.post(Notice(f"number {n}"))
        outbox.close(0.01)
    assert [row["notice"] for row in lines if "too many wait" in row["event"]][-1] == f"number {WAITING + 9}"


@pytest.mark.parametrize("url", ["frob://secret-token", "secret-token", "json://", ""])
def test_an_address_that_apprise_does_not_know_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"cannot use \[notify\] urls: number 2 \(") as raised:
        Services(["json://127.0.0.1", url])
    assert "secret" not in str(raised.value)


def test_why_it_was_not_taken_is_said_without_the_host_which_may_be_a_token() -> None:
    assert Services(["json://127.0.0.1:9/secret-token"]).send(0, NOTICE) == "A Connection error occurred sending JSON notification to …."


def test_an_address_is_called_and_a_failure_is_said_without_it(receiver: Receiver) -> None:
    assert call(receiver.heartbeat) == ""
    assert receiver.calls == ["/ping/secret-uuid"]
    receiver.answers = [404]
    assert call(receiver.heartbeat) == "it answers 404"
    for url in ("http://127.0.0.1:9/secret-uuid", "http://secret-uuid.invalid/", "http://[secret-uuid"):
        assert call(url)
        assert "secret" not in call(url)


def test_a_heartbeat_that_fails_is_said_once_and_calls_that_come_together_are_one() -> None:
    rung: list[int] = []
    go = threading.Event()

    def ring() -> str:
        rung.append(1)
        go.wait(10)
        return "it answers 404"

    with capture_logs() as lines:
        caller = Caller(ring)
        caller.soon()
        until(lambda: rung, "the first call")
        for _ in range(5):
            caller.soon()
        go.set()
        until(lambda: len(rung) == 2, "the second call")
        caller.soon()
        until(lambda: len(rung) == 3, "the third call")
    assert [row["error"] for row in lines] == ["it answers 404"]
