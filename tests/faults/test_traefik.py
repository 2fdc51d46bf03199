"""Faults: Traefik restart or its API gone in mid-rollout; it does not reach a release; a neighbour's broken file in its directory."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from lab.host import until
from lab.load import Load
from lab.ports import Ports

from tests.faults.relay import Relay
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("traefik")]


@pytest.fixture(scope="module")
def api() -> Relay:
    """Between Shipstone and Traefik's API."""
    return Relay()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str, api: Relay) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image, api=api) as made:
        yield made


def test_traefik_is_restarted_in_mid_rollout(shop: Shop) -> None:
    """Nothing is lost beyond its own downtime."""
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = shop.release(boot=1500)
        until(lambda: len(shop.host.containers(running=True)) > 2, "the new release is started", 30)
        down = time.time()
        shop.host.stop_traefik()
        shop.host.start_traefik()
        until(shop.serves, "it routes again", 20)
        up = time.time()
        shop.settled(commit)
    assert [row for row in load.seen.lost if row.at < down or row.at - row.took > up] == []
    assert load.seen.answers[200, shop.version] > 0


def test_traefiks_api_is_gone_in_mid_rollout(shop: Shop, api: Relay) -> None:
    """The motion waits, the pin stands, the message says why; it goes on when the API is back."""
    before = shop.serves()
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = shop.release(boot=4000)
        until(lambda: len(shop.host.containers(running=True)) == 4, "the new release is started", 30)
        logged = len(shop.host.log())
        api.cut()
        new = [row for row in shop.host.containers() if row["Labels"]["shipstone.commit"] == commit]
        until(lambda: "Traefik's API does not answer" in str(shop.host.log()[logged:]), "the log says so", 40)
        assert shop.message().startswith("Traefik's API does not answer: nothing is changed before it does.")
        assert (shop.serves(), shop.pinned()) == (before, True)
        assert {row["Id"] for row in new} < shop.ids()
        api.open()
        shop.settled(commit)
    assert load.seen.lost == []


def test_traefik_does_not_reach_the_new_release(shop: Shop) -> None:
    """It was switched to; asked once by its host name Traefik gives an error of its own, so the pin goes back. The test stands for it."""
    before, ids, port = shop.serves(), shop.ids(), Ports()
    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\n\r\nBad Gateway"
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load, answering(port.take(), answer) as where:
        shop.host.stop_daemon()
        shop.host.start_daemon(SHIPSTONE_TRAEFIK__ASK=where)
        shop.release()
        until(lambda: shop.said("release failed"), "given up", 30)
        until(lambda: shop.ids() == ids and not shop.pinned(), "the old release alone, and no pin", 30)
        assert f"Traefik answers 502 (Bad Gateway) for {shop.name}/, while the container itself answers 200" in shop.message()
        assert shop.serves() == before
        shop.host.stop_daemon()
        shop.host.start_daemon()
        shop.settled(shop.release())
    port.close()
    assert load.seen.lost == []


@contextmanager
def answering(port: int, answer: bytes) -> Iterator[str]:
    """A server that gives everybody the same answer; its address."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{port}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_neighbours_broken_file_freezes_the_pins(shop: Shop) -> None:
    """Nothing starts while Traefik cannot take the pin; the old release serves; mended, it goes on."""
    before, ids = shop.serves(), shop.ids(running=True)
    broken = shop.host.dynamic / "neighbour.toml"
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        broken.write_text("[[[ not toml\n")
        commit = shop.release()
        until(lambda: shop.told().startswith("Traefik does not read its pins: nothing is changed before it does."), "status says so", 30)
        assert (shop.serves(), shop.ids(running=True)) == (before, ids)
        broken.unlink()
        shop.settled(commit)
    assert load.seen.lost == []
