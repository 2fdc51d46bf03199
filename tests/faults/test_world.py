"""Faults: a hand (rm -f, stop, pause, kill, network disconnect, update --memory, rename); the network removed; a foreign container takes
our name; the store deleted or broken, or the whole state folder. Each is named as drift or in an error, and healed; healing itself loses
nothing."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("world")]

Hand = Callable[[Host, str], Any]
HANDS: dict[str, tuple[Hand, str, bool]] = {
    "rm -f": (
        lambda host, c: host.api.remove_container(c, force=True),
        "replicas: 1, should be 2|state: (removing|exited), should be running",
        False,
    ),
    "stop": (lambda host, c: host.api.stop(c, timeout=0), "state: exited, should be running", False),
    "kill": (lambda host, c: host.api.kill(c), "state: exited, should be running", False),
    "pause": (lambda host, c: host.api.pause(c), "state: paused, should be running", False),
    "disconnect": (lambda host, c: host.api.disconnect_container_from_network(c, host.network, force=True), "networks: nothing", False),
    "update": (lambda host, c: host.api.update_container(c, mem_limit=64 << 20, memswap_limit=128 << 20), "mem_limit: 67108864", True),
    "rename": (lambda host, c: host.api.rename(c, f"{host.instance}-mine"), "-mine name: ", True),
}
"""What is done to one of two replicas, the difference that is named, and whether that replica serves on."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image, volume=True) as made:
        made.host.repository.commit({"shop.txt": "mounted"}, "a file to mount")
        made.settled(release(made))
        yield made


def release(shop: Shop, *, boot: int = 150) -> str:
    """With a file of the repository."""
    return shop.release("files: {/mounted.txt: shop.txt}", boot=boot)


@pytest.fixture
def fresh(shop: Shop) -> Shop:
    """With a daemon that does not remember how often it had to heal a moment ago."""
    shop.host.stop_daemon()
    shop.host.start_daemon()
    return shop


@pytest.mark.parametrize("how", HANDS)
def test_what_a_hand_does_to_a_replica_is_named_and_healed(fresh: Shop, how: str) -> None:
    """Another one serves. What the hand itself cut off until Traefik knew may be lost."""
    shop, (hand, difference, serves_on) = fresh, HANDS[how]
    before, victim = shop.ids(), next(iter(shop.ids()))
    commit = shop.host.containers()[0]["Labels"]["shipstone.commit"]
    logged = len(shop.said("drift"))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        hand(shop.host, victim)
        until(lambda: len(shop.host.containers(running=True)) == 2 and victim not in shop.ids(), "another one in its place", 20)
        shop.settled(commit)
        assert any(re.search(difference, row["difference"]) for row in shop.said("drift")[logged:])
        assert len(before & shop.ids()) == 1
    assert not serves_on or load.seen.lost == []
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        until(lambda: load.seen.sent > 100, "requests after it was healed", 30)
    assert load.seen.lost == []


def test_a_replica_that_crashes_takes_no_requests_before_it_answers_again(fresh: Shop) -> None:
    """The engine starts it anew by its restart policy, and Traefik would route to it at once. What is lost was sent before Traefik took
    the pin to the other one."""
    shop = fresh
    commit = release(shop, boot=5000)
    shop.settled(commit)
    victim = shop.host.api.inspect_container(min(shop.ids()))
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        os.kill(victim["State"]["Pid"], signal.SIGKILL)
        pin = f"{shop.host.instance}-shop-pin-"
        until(lambda: any(row["name"].startswith(pin) for row in shop.host.traefik("http/routers") or ()), "Traefik has a pin", 10)
        pinned = time.time()
        again = shop.host.api.inspect_container(victim["Id"])
        assert (again["State"]["Running"], again["RestartCount"]) == (True, 1)
        shop.settled(commit)
    assert [row for row in load.seen.lost if row.at - row.took > pinned] == []
    assert load.seen.last[shop.version] > pinned


def test_a_network_that_was_removed_is_made_anew(fresh: Shop) -> None:
    """With new containers: Traefik does not see one that is connected later."""
    shop, before = fresh, fresh.ids()
    commit = shop.host.containers()[0]["Labels"]["shipstone.commit"]
    shop.host.signal_daemon(signal.SIGSTOP)  # the hand is quicker
    for container in before:
        shop.host.api.disconnect_container_from_network(container, shop.host.network, force=True)
    shop.host.api.remove_network(shop.host.network)
    shop.host.signal_daemon(signal.SIGCONT)
    until(lambda: shop.serves() == shop.version, "it serves again", 15)
    shop.settled(commit)
    assert before.isdisjoint(shop.ids())


def test_a_foreign_container_with_our_name_is_named_and_left_alone(shop: Shop) -> None:
    """The other replica serves, as soon as Traefik knows that this one is gone."""
    host = shop.host
    gone, stays = host.containers()
    commit = gone["Labels"]["shipstone.commit"]
    host.stop_daemon()
    host.api.remove_container(gone["Id"], force=True)
    stem, _, number = stays["Names"][0].lstrip("/").rpartition("-")
    name = f"{stem}-{2 if number == '1' else 1}"  # the one that healing takes
    foreign = str(host.api.create_container(shop.image, name=name)["Id"])
    try:
        host.start_daemon()
        why = f"cannot create {name}: a container that is not Shipstone's has this name: {foreign[:12]} of image {shop.image}, made at "
        until(lambda: shop.said(why), "the owner is named", 20)
        until(lambda: shop.serves() == shop.version, "the other one serves", 10)
        with Load(host.web, shop.name, clients=4, pause=0.05) as load:
            until(lambda: load.seen.sent > 100, "requests while one is missing", 30)
        assert load.seen.lost == []
        assert host.api.inspect_container(foreign)["State"]["Status"] == "created"
    finally:
        host.api.remove_container(foreign, force=True)
    shop.settled(commit)


@pytest.mark.parametrize("harm", ["deleted", "truncated", "garbage"])
@pytest.mark.parametrize("daemon", ["runs", "is down"])
def test_without_the_store_only_history_is_forgotten(shop: Shop, harm: str, daemon: str) -> None:
    """Also in mid-rollout: truth is in git, in the labels and in the pins."""
    store = shop.host.state / "shipstone.db"
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = release(shop, boot=1500)
        until(lambda: len(shop.host.containers(running=True)) > 2, "the new release is started", 30)
        if daemon == "is down":
            shop.host.stop_daemon(signal.SIGKILL)
        if harm == "deleted":
            for path in shop.host.state.glob("shipstone.db*"):
                path.unlink()
        else:
            store.write_bytes(b"no database" if harm == "garbage" else store.read_bytes()[:5000])
        if daemon == "is down":
            shop.host.start_daemon()
        until(lambda: shop.as_wanted(commit) and not shop.pinned(), "the new release alone, and no pin", 40)
        shop.host.stop_daemon()
        shop.host.start_daemon()
        shop.settled(release(shop))
    assert load.seen.lost == []
    assert store.exists()


def test_without_its_state_folder_it_goes_on(shop: Shop) -> None:
    """Removed in mid-rollout, with the mirror, the store and what is mounted: all of it is there again, and the rollout ends."""
    state = shop.host.state
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = release(shop, boot=1500)
        until(lambda: len(shop.host.containers(running=True)) > 2, "the new release is started", 30)
        shop.host.stop_daemon(signal.SIGKILL)
        there = {path.name for path in state.iterdir()}
        shutil.rmtree(state)
        shop.host.start_daemon()
        shop.settled(commit)
        shop.settled(release(shop))
    assert load.seen.lost == []
    assert {"mirror.git", "shipstone.db", "files"} <= there
    assert {"mirror.git", "shipstone.db", "files"} <= {path.name for path in state.iterdir()}
    for row in shop.host.containers():
        (source,) = [mount["Source"] for mount in row["Mounts"] if mount["Destination"] == "/mounted.txt"]
        assert Path(source).read_text() == "mounted"
