"""What an engine seldom says, over a real socket: silence in the middle of a pull, one container that cannot be inspected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import EngineError
from reconciler.world.docker import DockerEngine
from tests.world.canned_engine import Asked, CannedEngine, canned_engine


@pytest.fixture
def canned(tmp_path: Path) -> Iterator[CannedEngine]:
    with canned_engine(tmp_path) as made:
        yield made


@pytest.fixture
def engine(canned: CannedEngine) -> DockerEngine:
    return DockerEngine(canned.url, "t", "net", str, timeout=2)


def begun_then_silent(asked: Asked) -> None:
    asked.begin({"status": "Pulling from app"})
    asked.wait()


@pytest.mark.parametrize("silent", [Asked.wait, begun_then_silent])
def test_a_registry_that_says_nothing_is_not_waited_for_without_end(canned: CannedEngine, engine: DockerEngine, silent: object) -> None:
    canned.answers["POST /images/create"] = silent
    with pytest.raises(EngineError, match=r"^cannot pull app:1: nothing more of it came for 1 s\. Look whether its registry answers"):
        engine.resolve("app:1", timeout=1)


@pytest.mark.parametrize(("ends", "call"), [("cut", "pull app:1"), ("half", "pull app:1"), ("half", "listen")])
def test_a_stream_that_breaks_off_is_an_error_of_the_engine(canned: CannedEngine, engine: DockerEngine, ends: str, call: str) -> None:
    """In the middle of a chunk, or of a word."""

    def breaks(asked: Asked) -> None:
        asked.begin({"status": "begun"})
        asked.wfile.write(b"ff\r\n{" if ends == "cut" else b'2\r\n{"\r\n0\r\n\r\n')
        asked.close_connection = True

    canned.answers |= {"POST /images/create": breaks, "GET /events": breaks}
    with pytest.raises(EngineError, match=f"^cannot {call}.* does not answer"):
        engine.resolve("app:1", timeout=5) if call != "listen" else list(engine.events())


def test_events_may_be_silent_for_longer_than_any_call(canned: CannedEngine) -> None:
    """Nothing happened: that is no reason to look at everything anew."""
    event = {"Type": "container", "Action": "die", "Actor": {"ID": "1", "Attributes": {"shipstone.instance": "t"}}}

    def late(asked: Asked) -> None:
        asked.begin()
        asked.server.engine.over.wait(1.5)
        asked.chunk(event)
        asked.wait()

    canned.answers["GET /events"] = late
    assert next(DockerEngine(canned.url, "t", "net", str, timeout=1).events()).action == "die"
