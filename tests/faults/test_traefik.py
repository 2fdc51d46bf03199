"""Faults: Traefik restart in mid-rollout; its API gone in mid-rollout; a neighbour's broken file in its dynamic directory."""

import time
from collections.abc import Iterator

import pytest
from lab.host import until
from lab.load import Load

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
    with Load(shop.host.web, shop.name, clients=4, pause=0.01) as load:
        commit = shop.release(boot=1500)
        until(lambda: len(shop.host.containers(running=True)) > 2, "the new release is started", 30)
        down = time.time()
        shop.host.stop_traefik()
        shop.host.start_traefik()
        until(shop.serves, "it routes again", 20)
        up = time.time()
        shop.settled(commit)
    assert [row for row in load.seen.lost if not down <= row.at <= up] == []
    assert load.seen.answers[200, shop.version] > 0


def test_traefiks_api_is_gone_in_mid_rollout(shop: Shop, api: Relay) -> None:
    """The motion waits, the pin stands, the message says why; it goes on when the API is back."""
    before = shop.serves()
    with Load(shop.host.web, shop.name, clients=4, pause=0.01) as load:
        commit = shop.release(boot=800)
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


def test_a_neighbours_broken_file_freezes_the_pins(shop: Shop) -> None:
    """Nothing starts while Traefik cannot take the pin; the old release serves; mended, it goes on."""
    before, ids = shop.serves(), shop.ids()
    broken = shop.host.dynamic / "neighbour.toml"
    with Load(shop.host.web, shop.name, clients=4, pause=0.01) as load:
        broken.write_text("[[[ not toml\n")
        commit = shop.release()
        until(lambda: shop.message().startswith("Traefik does not read its pins: nothing is changed before it does."), "status says so", 30)
        assert (shop.serves(), shop.ids()) == (before, ids)
        broken.unlink()
        shop.settled(commit)
    assert load.seen.lost == []
