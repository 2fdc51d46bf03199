"""Traefik as a container of ours: made, left alone, said to be out of date, and replaced only when asked.

It routes what else is on the engine too, so host names are each test's own.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from lab.host import Host, a_host, until
from lab.images import TRAEFIK, make_traefik, provide

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def managed(tmp_path: Path, docker_socket: str, abrupt_image: str, instance: str, site_text: SiteText) -> Iterator[Host]:  # noqa: ARG001
    """A site behind a Traefik that Shipstone runs."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, TRAEFIK, make_traefik)
    api.close()
    with a_host(tmp_path, docker_socket, instance, manage=True) as host:
        host.repository.commit({"shipstone.yaml": f"domain: {instance}.test\n", "sites/shop.yaml": site_text("one")}, "create")
        host.shipstone("apply", check=True)
        yield host


def test_a_site_answers_by_tls_where_the_host_has_a_port_for_it(
    tmp_path: Path,
    docker_socket: str,
    abrupt_image: str,  # noqa: ARG001  it is to be there
    instance: str,
    site_text: SiteText,
) -> None:
    """And only there. The certificate is one that Shipstone signed; Traefik would make another at each change."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, TRAEFIK, make_traefik)
    api.close()
    with a_host(tmp_path, docker_socket, instance, manage=True, tls=True) as host:
        files = {"shipstone.yaml": f"domain: {instance}.test\n", "sites/shop.yaml": site_text("one", extra="tls: true")}
        host.repository.commit({**files, "sites/plain.yaml": site_text("two")}, "create")
        host.shipstone("apply", check=True)
        assert until(lambda: host.get(f"shop.{host.instance}.test", tls=True) == (200, "one"), "the site answers by TLS", 30)
        assert host.get(f"shop.{host.instance}.test")[0] == 404
        assert host.get(f"plain.{host.instance}.test") == (200, "two")
        assert host.get(f"plain.{host.instance}.test", tls=True)[0] == 404
        shown = ssl.get_server_certificate(("127.0.0.1", host.tls))
        assert shown in (host.dynamic / f"zz_{instance}.toml").read_text()


def traefik_id(host: Host) -> str:
    return str(host.api.inspect_container(f"{host.instance}-traefik")["Id"])


def test_plan_says_that_it_will_be_started_and_apply_starts_it_once(managed: Host) -> None:
    """Missing and stopped are told apart; what runs is left alone."""
    assert until(lambda: managed.get(f"shop.{managed.instance}.test") == (200, "one"), "the site answers", 30)
    before = traefik_id(managed)
    managed.shipstone("apply", check=True)
    assert traefik_id(managed) == before
    managed.api.stop(before)
    done = managed.shipstone("plan")
    assert done.returncode == 2
    assert "Traefik is stopped: it is started" in done.stdout
    managed.shipstone("apply", check=True)
    assert traefik_id(managed) == before
    managed.api.remove_container(before, force=True)
    assert "Traefik is missing: it is started" in managed.shipstone("plan").stdout
    managed.shipstone("apply", check=True)
    assert until(lambda: managed.get(f"shop.{managed.instance}.test") == (200, "one"), "the site answers again", 30)


def test_a_changed_static_configuration_waits_for_an_explicit_word(managed: Host, site_text: SiteText) -> None:
    """It is said by every command that looks; only traefik-restart does it."""
    before = traefik_id(managed)
    managed.repository.commit(
        {"shipstone.yaml": f"domain: {managed.instance}.other\n", "sites/shop.yaml": site_text("two")}, "another domain"
    )
    assert "restart needed: " in managed.shipstone("apply", check=True).stderr
    assert "restart needed: " in managed.shipstone("status").stderr
    assert traefik_id(managed) == before
    assert managed.get(f"shop.{managed.instance}.other") == (200, "two")
    assert managed.shipstone("traefik-restart", check=True).stdout == "Traefik was replaced\n"
    assert traefik_id(managed) != before
    assert "restart needed" not in managed.shipstone("status").stderr
    assert until(lambda: managed.get(f"shop.{managed.instance}.other") == (200, "two"), "the site answers again", 30)


def test_a_restart_that_cannot_work_leaves_it_running(managed: Host) -> None:
    """The image is looked for before anything is taken away."""
    before = traefik_id(managed)
    done = managed.shipstone("traefik-restart", SHIPSTONE_TRAEFIK__IMAGE="127.0.0.1:1/traefik:none")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot pull 127.0.0.1:1/traefik:none: ")
    assert traefik_id(managed) == before
    managed.static.unlink()
    done = managed.shipstone("traefik-restart")
    assert done.stderr.startswith(f"cannot start {managed.instance}-traefik: {managed.static} is not written yet.")
    assert traefik_id(managed) == before
