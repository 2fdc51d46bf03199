"""Faults: engine restart, live-restore on and off; engine killed in mid-rollout."""

import signal
from collections.abc import Iterator

import docker
import pytest
from lab.host import until
from lab.images import make_abrupt
from lab.load import Load
from lab.own_engine import OwnEngine, own_engine

from reconciler.desired.spec import ContainerSpec, NewContainer
from reconciler.errors import EngineError
from reconciler.world.docker import DockerEngine
from tests.commands.said_by import said_by
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("own-engine")]


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as made:
        made.start(live_restore=True)
        api = docker.APIClient(base_url=made.socket, version="auto")
        make_abrupt(api)
        api.close()
        yield made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, engine: OwnEngine, abrupt_image: str) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), engine.socket, abrupt_image) as made:
        yield made


def test_an_engine_that_lets_containers_live_is_restarted(shop: Shop, engine: OwnEngine) -> None:
    """Nothing is lost, nothing is touched, and the next commit goes live."""
    before, starts = shop.ids(), len(shop.said("start"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        engine.stop()
        until(lambda: shop.said("the pass failed"), "Shipstone says that the engine is gone", 40)
        engine.start(live_restore=True)
        back = len(shop.host.log())
        assert (shop.ids(), len(shop.said("start"))) == (before, starts)
        commit = shop.release()
        shop.settled(commit)
        assert back < len(shop.host.log())
    assert load.seen.lost == []


def test_who_watches_goes_on_watching_while_the_engine_is_restarted(shop: Shop, engine: OwnEngine) -> None:
    with said_by(shop.host, "status", "--watch") as lines:
        until(lambda: any("shop" in line and "synced" in line for line in lines), "it shows the site", 30)
        engine.stop()
        until(lambda: any(line.startswith("cannot ") for line in lines), "it says that the engine is gone", 30)
        seen = len(list(lines))
        engine.start(live_restore=True)
        until(lambda: any("shop" in line and "synced" in line for line in list(lines)[seen:]), "it shows the site again", 40)
        assert not any("event" in line for line in lines), "the log is not for whoever watches"


def test_an_engine_killed_in_mid_rollout(shop: Shop, engine: OwnEngine) -> None:
    """It comes back, what was half made is adopted or cleaned up, no request is lost, and a stranger on the engine is not touched."""
    name = f"{shop.host.instance}-stranger"
    stranger = shop.host.api.create_container(shop.image, name=name)["Id"]
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = shop.release(boot=1500)
        until(lambda: len(shop.host.containers()) > 2, "the new release is being started", 30)
        engine.stop(signal.SIGKILL)
        engine.start(live_restore=True)
        shop.settled(commit)
    assert load.seen.lost == []
    assert shop.host.api.inspect_container(stranger)["State"]["Status"] == "created"
    shop.host.api.remove_container(stranger)


def test_an_engine_that_takes_containers_down_is_restarted(shop: Shop, engine: OwnEngine) -> None:
    """Their restart policies bring the same containers back: nothing of it is healed, neither while it goes down nor after."""
    commit = shop.host.containers()[0]["Labels"]["shipstone.commit"]
    engine.stop()
    engine.start(live_restore=False)
    shop.settled(commit)
    before, starts = shop.ids(), len(shop.said("start"))
    engine.stop()
    engine.start(live_restore=False)
    until(lambda: shop.serves() == shop.version, "it serves again", 15)
    shop.settled(commit)
    assert (shop.ids(), len(shop.said("start"))) == (before, starts)


def test_restart_policies_have_some_seconds_after_an_engine_was_away(
    engine: OwnEngine, abrupt_image: str, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an engine that starts would start again is about to run; only later it is called ended."""
    ours = DockerEngine(engine.socket, instance, f"{instance}_net", str)
    ours.ensure_network()
    labels = (("shipstone.instance", instance), ("traefik.docker.network", f"{instance}_net"))
    made = ours.create_and_start(NewContainer(instance, abrupt_image, ContainerSpec(abrupt_image, 80), labels, f"{instance}_net"))
    ours.stop(made, grace=1)
    assert state_of(ours) == "exited"
    engine.stop()
    with pytest.raises(EngineError):
        ours.containers()
    engine.start(live_restore=False)
    with monkeypatch.context() as patch:
        patch.setattr("reconciler.world.docker.GRACE", 300.0)  # it counts from before the start, which may take longer
        assert state_of(ours) == "restarting"
    until(lambda: state_of(ours) == "exited", "it is called ended", 15)
    ours.remove(made)


def state_of(engine: DockerEngine) -> str:
    (container,) = engine.containers()
    return container.state
