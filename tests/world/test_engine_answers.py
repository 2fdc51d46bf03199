"""What an engine seldom says, over a real socket: silence in the middle of a pull, one container that cannot be inspected."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from reconciler.errors import EngineError
from reconciler.world.docker import INSPECTORS, DockerEngine
from reconciler.world.traefik_container import Proxy, TraefikContainer
from tests.world.canned_engine import Asked, CannedEngine, canned_engine, says


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
    (asked,) = (line for line in canned.asked if "/events" in line)
    assert "health_status" in asked
    assert "exec" not in asked, "each run of a healthcheck tells three of these"


def breaks_off(asked: Asked) -> None:
    asked.close_connection = True


def test_one_container_that_cannot_be_inspected_holds_up_no_other(canned: CannedEngine, engine: DockerEngine) -> None:
    """What was known of it holds, which at first is nothing; it is said once."""
    canned.has("a", "b", "c")
    well, canned.answers["GET /containers/b/json"] = canned.answers["GET /containers/b/json"], says({"message": "no"}, 500)
    with structlog.testing.capture_logs() as log:
        for _ in range(3):
            assert [(c.id, c.live is not None) for c in engine.containers()] == [("a", True), ("b", False), ("c", True)]
    assert [(row["site"], row["error"]) for row in log] == [("shop", "cannot inspect b: no")]
    canned.answers["GET /containers/b/json"] = well
    assert all(c.live for c in engine.containers())


def test_nor_does_one_whose_image_cannot_be_looked_into(canned: CannedEngine, engine: DockerEngine) -> None:
    canned.has("a")
    canned.answers["GET /images/"] = says({"message": "no"}, 500)
    assert [c.live for c in engine.containers()] == [None]


def test_one_that_hangs_is_left_alone_for_a_while(canned: CannedEngine) -> None:
    engine = DockerEngine(canned.url, "t", "net", str, timeout=1)
    canned.has("a", "b")
    canned.answers["GET /containers/b/json"] = Asked.wait
    for _ in range(3):
        assert [(c.id, c.live is not None) for c in engine.containers()] == [("a", True), ("b", False)]
    assert canned.asked["GET /containers/b/json"] == 1


def test_many_that_hang_hold_up_one_look_no_longer_than_one_does(canned: CannedEngine) -> None:
    """Else the loop would seem to be dead. The others are asked in the next one."""
    engine = DockerEngine(canned.url, "t", "net", str, timeout=1)
    ids = [f"c{n}" for n in range(3 * INSPECTORS)]
    canned.has(*ids)
    canned.answers |= {f"GET /containers/{one}/json": Asked.wait for one in ids}
    for looks in (1, 2):
        assert [c.live for c in engine.containers()] == [None] * len(ids)
        asked = sum(canned.asked[f"GET /containers/{one}/json"] for one in ids)
        assert looks <= asked <= looks * (2 * INSPECTORS - 1)


def test_one_that_hung_is_asked_again_when_something_happens_to_it(canned: CannedEngine) -> None:
    engine = DockerEngine(canned.url, "t", "net", str, timeout=1)
    canned.has("a")
    well, canned.answers["GET /containers/a/json"] = canned.answers["GET /containers/a/json"], Asked.wait
    assert engine.containers()[0].live is None
    die = {"Type": "container", "Action": "die", "Actor": {"ID": "a", "Attributes": {"shipstone.instance": "t"}}}
    canned.answers |= {"GET /containers/a/json": well, "GET /events": lambda asked: (asked.begin(die), asked.wait())}
    next(engine.events())
    assert engine.containers()[0].live is not None


def test_an_engine_that_goes_away_meanwhile_is_no_matter_of_one_container(canned: CannedEngine, engine: DockerEngine) -> None:
    """Nothing is to be healed then."""
    canned.has("a")
    canned.answers |= {"GET /containers/a/json": breaks_off, "GET /_ping": breaks_off}
    with pytest.raises(EngineError, match=r"^cannot connect: the Docker Engine at .* does not answer"):
        engine.containers()


def test_what_is_known_is_known_for_a_whole_pass(canned: CannedEngine, engine: DockerEngine) -> None:
    """An event of one comes while another is inspected."""
    die = {"Type": "container", "Action": "die", "Actor": {"ID": "a", "Attributes": {"shipstone.instance": "t"}}}
    canned.answers["GET /events"] = lambda asked: (asked.begin(die), asked.wait())
    canned.has("a")
    engine.containers()
    canned.has("a", "b")
    inspected = canned.answers["GET /containers/b/json"]
    canned.answers["GET /containers/b/json"] = lambda asked: (next(engine.events()), inspected(asked))
    assert [(c.id, c.live is not None) for c in engine.containers()] == [("a", True), ("b", True)]
    assert canned.asked["GET /containers/a/json"] == 1
    engine.containers()
    assert canned.asked["GET /containers/a/json"] == 2


def test_a_dead_container_has_no_name(canned: CannedEngine, engine: DockerEngine) -> None:
    dead = {"Id": "1" * 64, "Names": None, "State": "dead", "Labels": None, "Mounts": [{"Name": "data"}]}
    canned.answers["GET /containers/json"] = says([dead])
    assert engine.volume_users("data") == (("1" * 12, "", ""),)
    assert engine.containers() == ()


def test_somebody_elses_container_with_traefiks_name_is_left_alone(canned: CannedEngine, tmp_path: Path) -> None:
    """It is named when ours is to be made; nothing else is asked for."""
    (tmp_path / "traefik.toml").write_text("")
    any_port = ("127.0.0.1", 1)
    proxy = Proxy("t", "traefik", "net", tmp_path / "traefik.toml", tmp_path, any_port, any_port, canned.url)
    traefik = TraefikContainer(proxy, lambda _image: None)
    canned.has("t-traefik", Config={"Labels": None})
    taken = 'Conflict. The container name "/t-traefik" is already in use by container "1". You have to remove (or rename) that container.'
    canned.answers["POST /containers/create"] = says({"message": taken}, 409)
    assert traefik.state() == "missing"
    traefik.remove()
    for begin in (traefik.start, traefik.restart):
        with pytest.raises(EngineError) as error:
            begin()
        assert str(error.value) == f"cannot create t-traefik: {taken}"
    assert {line.partition("?")[0] for line in canned.asked} == {
        "GET /version",
        "GET /containers/t-traefik/json",
        "POST /containers/create",
    }


def test_a_stop_has_its_whole_grace(canned: CannedEngine, engine: DockerEngine) -> None:
    """The engine takes whole seconds, and kills at once for 0."""
    canned.answers["POST /containers/a/stop"] = says(None)
    engine.stop("a", grace=0.5)
    engine.stop("a", grace=0.0)
    assert [line for line in canned.asked if "stop" in line] == ["POST /containers/a/stop?t=1", "POST /containers/a/stop?t=0"]
