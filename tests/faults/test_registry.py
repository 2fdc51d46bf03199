"""Faults: the registry never answers, then is down. The sites that need it back off; what runs serves on; others go live meanwhile.

A managed Traefik is such an image too.
"""

import socket
from pathlib import Path

import pytest
from lab.host import Host, a_host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

SITES = tuple(f"waits{n}" for n in range(5))
"""More of them than are worked on side by side."""


def test_sites_whose_registry_hangs_hold_no_other(host: Host, site_text: SiteText, abrupt_image: str) -> None:
    domain = f"{host.instance}.test"
    sites = {f"sites/{name}.yaml": site_text("one") for name in ("shop", "other", *SITES)}
    first = host.repository.commit({**sites, "shipstone.yaml": f"domain: {domain}\n"}, "create")
    host.start_daemon(SHIPSTONE_ENGINE__PARALLEL="4")
    until(lambda: host.converged(first), "all of them run", 60)
    before = {row["Id"] for row in host.containers() if row["Labels"]["shipstone.site"] != "other"}
    with socket.create_server(("127.0.0.1", 0)) as registry, Load(host.web, f"shop.{domain}", clients=4, pause=0.05) as load:
        image = f"127.0.0.1:{registry.getsockname()[1]}/x:1"
        absent = site_text("two").replace(abrupt_image, image)
        host.repository.commit({f"sites/{name}.yaml": absent for name in ("shop", *SITES)}, "an image that nobody has")
        registry.settimeout(90)
        asked, _ = registry.accept()
        commit = host.repository.commit({"sites/other.yaml": site_text("two")}, "another site")
        until(lambda: host.get(f"other.{domain}") == (200, "two"), "the other site's commit is live", 20)
        assert not said(host, "cannot pull")
        registry.close()
        asked.close()
        until(lambda: said(host, f"cannot pull {image}: "), "the error names the image", 60)
        assert {row["Id"] for row in host.containers() if row["Labels"]["shipstone.site"] != "other"} == before
        assert not any(f"{host.instance}-shop" in path.read_text() for path in host.dynamic.glob("*.toml"))
        commit = host.repository.commit({f"sites/{name}.yaml": site_text("two") for name in ("shop", *SITES)}, "an image that is here")
        until(lambda: host.converged(commit), "mended", 60)
    assert load.seen.lost == []


def test_a_managed_traefik_whose_image_does_not_come_holds_up_no_pass(tmp_path: Path, docker_socket: str, instance: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as registry, a_host(tmp_path, docker_socket, instance, manage=True) as host:
        host.repository.commit({"shipstone.yaml": f"domain: {instance}.test\n"}, "begin")
        image = f"127.0.0.1:{registry.getsockname()[1]}/traefik:1"
        host.start_daemon(SHIPSTONE_TRAEFIK__IMAGE=image)
        registry.settimeout(90)
        asked, _ = registry.accept()
        host.api.remove_network(host.network)
        until(lambda: host.api.networks(names=[host.network]), "the network that a hand removed is there again", 20)
        assert not [row for row in host.log() if row["event"] == "the pass failed"]
        registry.close()
        asked.close()
        until(lambda: f"cannot pull {image}: " in host.log_file.read_text(), "the error names the image", 60)


def said(host: Host, text: str) -> bool:
    return any(text in str(row.get("event", "")) for row in host.log())
