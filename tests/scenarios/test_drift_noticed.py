"""How drift comes to the daemon's notice: by events of the engine, by a look at files, and without either by a full inspection."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.host import until
from lab.load import Load

from reconciler import wiring
from reconciler.daemon import Daemon
from reconciler.followers.follower import Follower, Pass
from reconciler.settings import load_settings
from tests.faults.engine_relay import relayed
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("drift-noticed")]

SOON = 8.0
"""Seconds: with the patience of `until` still below the half minute after which a pass is made anyway."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Shop]:
    """Two replicas; what is looked at by itself is seen only every ten minutes."""
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image) as made:
        host = made.host
        host.stop_daemon()
        host.config.write_text(host.config.read_text().replace('poll = "5s"', 'poll = "600s"'))
        looked = len(made.said("fetched"))
        host.start_daemon()
        until(lambda: len(made.said("fetched")) > looked, "it looks and listens", 20)
        yield made


def drift(shop: Shop, since: int = 0) -> list[str]:
    """What the daemon said of it."""
    return [row["difference"] for row in shop.said("drift")[since:]]


def commit_of(shop: Shop) -> str:
    return str(shop.host.containers()[0]["Labels"]["shipstone.commit"])


def test_a_network_that_was_connected_again_is_no_more_known_to_traefik(shop: Shop) -> None:
    """Its address may be another one, and no event tells Traefik: the replica is replaced. Once it is, nothing is lost."""
    victim, commit, told = sorted(shop.ids())[0], commit_of(shop), len(drift(shop))
    shop.host.api.disconnect_container_from_network(victim, shop.host.network, force=True)
    shop.host.api.connect_container_to_network(victim, shop.host.network)
    until(lambda: any("networks: " in text for text in drift(shop, told)), "it is noticed", SOON)
    until(lambda: victim not in shop.ids() and len(shop.ids()) == 2, "another one in its place", 40)
    shop.settled(commit)
    with Load(shop.host.web, shop.name, clients=4, pause=0.02) as load:
        until(lambda: load.seen.sent > 100, "requests", 30)
    assert load.seen.lost == []


def test_generated_files_are_told_line_by_line_and_written_again(shop: Shop) -> None:
    host, told = shop.host, len(drift(shop))
    pins = host.dynamic / f"{host.instance}.toml"
    right = {path: path.read_text() for path in (host.hosts, host.static, pins)}
    host.hosts.write_text(right[host.hosts].replace(f"127.0.0.1 {shop.name}", f"10.6.6.6 {shop.name}"))
    host.static.write_text(right[host.static] + '[accessLog]\nfilePath = "/tmp/mine"\n')
    mine = pins.with_suffix(".mine")
    mine.write_text(f'[http.routers.mine]\nrule = "Host(`{shop.name}`)"\nservice = "api@internal"\npriority = 9999\n')
    mine.replace(pins)
    until(lambda: all(path.read_text() == text for path, text in right.items()), "all three are as they were", SOON)
    rows = {
        f"{host.hosts} hosts: nothing, should be 127.0.0.1 {shop.name} (drift)",
        f"{host.hosts} hosts: 10.6.6.6 {shop.name}, should be nothing (drift)",
        f"{host.static} traefik.toml: [accessLog], should be nothing (drift)",
        f"{pins} pins: other routes than Shipstone wrote, should be the routes of sites in motion (drift)",
    }
    until(lambda: rows <= {*drift(shop, told)}, "all of it is told", SOON)
    until(lambda: shop.serves() == shop.version, "Traefik has let go of the router", SOON)
    assert host.shipstone("drift").stdout.startswith("no drift") or "restart needed" in host.shipstone("drift").stdout


def test_a_network_that_is_gone_is_told(shop: Shop) -> None:
    host, commit, told = shop.host, commit_of(shop), len(drift(shop))
    host.stop_daemon()
    for container in shop.ids():
        host.api.disconnect_container_from_network(container, host.network, force=True)
    host.api.remove_network(host.network)
    text = host.shipstone("drift")
    assert text.returncode == 2
    assert "network" in text.stdout
    host.start_daemon()
    shop.settled(commit)
    assert f" network: nothing, should be {host.network} (drift)" in drift(shop, told)


def test_a_foreign_container_with_names_of_a_site_is_told(shop: Shop) -> None:
    """A router of ours that somebody else has too: Traefik follows neither. It is reported and left."""
    host = shop.host
    row = host.containers()[0]
    router = next(key for key in row["Labels"] if key.endswith("-0.rule")).removesuffix(".rule")
    labels = {"traefik.enable": "true", f"{router}.rule": "Host(`other.test`)", "traefik.http.services.own.loadbalancer.server.port": "1"}
    stranger = host.api.create_container(row["Image"], name=f"{host.instance}-stranger", labels=labels)["Id"]
    try:
        host.api.start(stranger)
        text = host.shipstone("drift")
        assert text.returncode == 2
        name = router.rpartition(".")[2]
        assert (f"{host.instance}-stranger" in text.stdout, "claim.router" in text.stdout, name in text.stdout) == (True, True, True)
        assert host.api.inspect_container(stranger)["State"]["Running"]
    finally:
        host.api.remove_container(stranger, force=True)
    assert host.shipstone("drift").returncode == 0


def test_another_number_of_replicas_that_is_written_is_no_drift(shop: Shop) -> None:
    """Neither for the daemon nor for a command that looks meanwhile."""
    host, told = shop.host, len(drift(shop))
    path = host.repository.tree / "sites/shop.yaml"
    for count in (3, 2):
        text = path.read_text()
        host.repository.commit({"sites/shop.yaml": text.replace("replicas: 2" if count == 3 else "replicas: 3", f"replicas: {count}")})
        found = host.shipstone("drift")
        assert (found.returncode, found.stderr) == (0, "")
        assert "replicas" not in found.stdout
        daemon = host.start_daemon() if host.stop_daemon() == 0 else None
        assert daemon is not None
        until(lambda: len(host.containers(running=True)) == count, f"{count} run", 40)  # noqa: B023  in this round
        until(host.converged, "at rest", 30)
    assert drift(shop, told) == []


class Seen(Follower):
    """The differences of the newest pass."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self.passes = 0

    def passed(self, done: Pass) -> None:
        self.fields |= {row.field for site in done.plan.sites.values() for row in site.differences}
        self.passes += 1


def test_what_no_event_told_is_found_by_the_next_full_inspection(shop: Shop, tmp_path: Path) -> None:
    """A limit is not in the engine's list: without the event only an inspection shows it."""
    host = shop.host
    host.stop_daemon()
    seen = Seen()
    with relayed(tmp_path / "engine.sock", host.engine) as line:
        line.deaf = True
        settings = load_settings(host.config, {"engine": {"socket": line.url}})
        reconciler = wiring.reconciler_of(settings, followers=[seen])
        daemon: Any = Daemon(reconciler, wiring.source_of(settings), 600.0, resync=0.2, reinspect=3.0)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        try:
            until(lambda: line.asked and seen.passes > 1, "it listens, and looked", 30)
            victim = sorted(shop.ids())[0]
            host.api.update_container(victim, mem_limit=64 << 20, memswap_limit=128 << 20)
            until(lambda: "mem_limit" in seen.fields, "the limit is seen", 20)
            until(lambda: victim not in shop.ids(), "another one took its place", 30)
        finally:
            daemon.stop()
            thread.join(40)
    host.start_daemon()
    until(host.converged, "at rest", 40)
