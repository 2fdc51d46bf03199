"""What the policy gives, on a real engine; and what every new container gets."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from lab.host import Host, until

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """What commands say of the whole host must be of this test alone."""
    return f"{instance}.test"


def allow(host: Host, text: str) -> None:
    host.config.write_text(f"{host.config.read_text()}\n{text}\n")


def inspected(host: Host, site: str = "shop") -> Any:
    (row,) = host.containers(site)
    return host.api.inspect_container(row["Id"])


def test_what_is_given_is_there_and_a_published_port_moves_to_the_next_release(host: Host, site_text: SiteText) -> None:
    port = host._ports.take()
    given = 'devices = ["/dev/nu*"]\nnamespaces = ["pid", "ipc"]\ncapabilities = ["NET_RAW"]'
    allow(host, f'[policy.sites.shop]\nports = ["127.0.0.1:{port}"]\n{given}')
    extra = f"ports: ['127.0.0.1:{port}:80']\ndevices: ['/dev/null:/dev/nothing:r']\npid: host\nipc: host\ncap_add: [NET_RAW]\n"
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", extra=extra)}, "rights")
    host.start_daemon()
    until(lambda: host.converged(commit), "it runs", 40)
    config = inspected(host)["HostConfig"]
    assert (config["PidMode"], config["IpcMode"], config["CapAdd"]) == ("host", "host", ["NET_RAW"])
    assert config["Devices"] == [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}]
    assert answers(port)
    commit = host.repository.commit({"sites/shop.yaml": site_text("two", extra=extra)}, "the next")
    until(lambda: host.converged(commit), "it took over, port and all", 40)
    assert answers(port)
    assert host.get(f"shop.{host.domain}") == (200, "two")
    assert host.shipstone("drift").stdout.strip() == "no drift"


def answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")


def test_every_new_container_is_hardened_and_changing_that_rolls_nothing(host: Host, site_text: SiteText) -> None:
    commit = host.repository.commit({"sites/shop.yaml": site_text("one")}, "a site")
    host.start_daemon()
    until(lambda: host.converged(commit), "it runs", 40)
    before = inspected(host)
    config = before["HostConfig"]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["PidsLimit"] == 4096
    if host.api.info()["LoggingDriver"] in ("json-file", "local"):
        assert config["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
    host.stop_daemon()
    allow(host, "[policy]\nno_new_privileges = false\npids_limit = 100\nlog_max_size = ''")
    plan = host.shipstone("plan")
    assert (plan.returncode, plan.stdout.strip()) == (0, "nothing to do"), plan.stdout
    host.start_daemon()
    host.api.remove_container(before["Id"], force=True)
    until(lambda: host.containers("shop") and host.converged(commit), "healed", 40)
    config = inspected(host)["HostConfig"]
    assert (config["SecurityOpt"], config["PidsLimit"]) == (None, 100)
    host.api.update_container(inspected(host)["Id"], mem_limit=2**28, memswap_limit=2**29)
    until(lambda: any("mem_limit" in str(row.get("difference")) for row in host.log()), "a hand is still seen", 40)


def test_a_bind_mount_whose_link_leads_out_is_refused_when_read_and_before_each_start(host: Host, site_text: SiteText) -> None:
    root = host.folder / "root"
    (root / "data").mkdir(parents=True)
    (root / "out").symlink_to("/etc")
    allow(host, f'[policy]\nbind_roots = ["{root}"]')
    out = site_text("one", extra=f"volumes: ['{root}/out:/x:ro']\n")
    good = site_text("one", extra=f"volumes: ['{root}/data:/x:ro']\n")
    host.repository.commit({"sites/shop.yaml": good, "sites/out.yaml": out}, "one leads out")
    host.start_daemon()
    until(lambda: host.get(f"shop.{host.domain}") == (200, "one"), "the good one runs", 40)
    message = host.status()["sites"]["out"]["message"]
    assert f"{root}/out leads to /etc, which is outside {os.path.realpath(root)}" in message
    assert not host.containers("out")
    (root / "data").rmdir()
    (root / "data").symlink_to("/etc")
    (row,) = host.containers("shop")
    host.api.remove_container(row["Id"], force=True)
    refused = f"cannot start a container of shop: {root}/data leads to /etc"
    until(lambda: any(str(one.get("event")).startswith(refused) for one in host.log()), "it is not made again", 40)
    assert not host.containers("shop")
    (root / "data").unlink()
    Path(root, "data").mkdir()
    until(lambda: host.get(f"shop.{host.domain}") == (200, "one"), "mended", 90)


def test_a_volume_of_somebody_elses_container_is_not_mounted_unless_the_policy_says_so(
    host: Host, site_text: SiteText, instance: str
) -> None:
    volume = f"{instance}-theirs"
    image = host.api.inspect_image(site_text("x").partition("image: ")[2].split()[0])["Id"]
    body = {"Image": image, "HostConfig": {"Mounts": [{"Type": "volume", "Source": volume, "Target": "/data"}]}}
    theirs = host.api.create_container_from_config(body, f"{instance}-db")["Id"]
    try:
        commit = host.repository.commit({"sites/shop.yaml": site_text("one", extra=f"volumes: ['{volume}:/x:ro']\n")}, "their volume")
        host.start_daemon()
        why = f"cannot start a container of shop: the volume {volume} is mounted by {instance}-db, a container that is not Shipstone's"
        until(lambda: any(str(row.get("event")).startswith(why) for row in host.log()), "it is refused", 40)
        assert not host.containers("shop")
        host.stop_daemon()
        allow(host, f'[policy.sites.shop]\nshared_volumes = ["{volume}"]')
        host.start_daemon()
        until(lambda: host.converged(commit), "the administrator gave it", 40)
    finally:
        host.stop_daemon()
        for row in host.containers("shop"):
            host.api.remove_container(row["Id"], force=True)
        host.api.remove_container(theirs, force=True)
        host.api.remove_volume(volume)


def test_a_volume_of_another_site_is_not_mounted_while_that_site_is_held_or_its_removal_waits(
    host: Host, site_text: SiteText, instance: str
) -> None:
    """And a site that is renamed takes its volume along."""
    volume = f"{instance}-data"
    allow(host, "[policy]\nmax_removals = 0\nmax_removal_share = 0")
    try:
        own = f"volumes: ['{volume}:/data:ro']\nhosts: [x.{host.domain}]\n"
        mine = site_text("one", extra=own)
        commit = host.repository.commit({"shipstone.yaml": f"domain: {host.domain}\n", "sites/shop.yaml": mine}, "a site with a volume")
        host.start_daemon()
        until(lambda: host.converged(commit), "it runs", 40)
        host.stop_daemon()
        evil = site_text("evil", extra=f"volumes: ['{volume}:/x:ro']\n")
        host.repository.commit({"sites/shop.yaml": "imgae: x\n", "sites/evil.yaml": evil}, "it is held, and another one wants its volume")
        host.start_daemon()
        until(lambda: "evil" in host.status()["sites"], "it is read by a daemon that knows nothing", 40)
        assert f"the volume {volume} is mounted by the site shop too" in host.status()["sites"]["evil"]["message"]
        host.repository.commit({"sites/shop.yaml": None}, "its removal waits")
        why = f"cannot start a container of evil: the volume {volume} is mounted by {host.containers('shop')[0]['Names'][0].lstrip('/')}"
        until(lambda: any(str(row.get("event")).startswith(why) for row in host.log()), "it is refused", 40)
        assert not host.containers("evil")
        commit = host.repository.commit({"sites/evil.yaml": None, "sites/renamed.yaml": site_text("two", extra=own)}, "it is renamed")
        until(lambda: host.status().get("revision") == commit, "it is read", 40)
        host.shipstone("approve", check=True)
        until(lambda: host.converged(commit), "it went, and the other has the volume", 90)
        assert host.get(f"x.{host.domain}") == (200, "two")
        assert not host.containers("shop")
    finally:
        host.stop_daemon()
        for site in ("shop", "evil", "renamed"):
            for row in host.containers(site):
                host.api.remove_container(row["Id"], force=True)
        host.api.remove_volume(volume)
