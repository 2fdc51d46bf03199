"""The main job on Docker Engine 26.1: people run it as well as 20.10."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from lab.host import Host, a_host, until
from lab.images import ABRUPT, make_abrupt, provide
from lab.load import Load

from tests.conftest import SiteText

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("modern-engine")]


@pytest.fixture
def host(tmp_path: Path, modern_socket: str, instance: str) -> Iterator[Host]:
    api = docker.APIClient(base_url=modern_socket, version="auto")
    assert api.api_version == "1.45"
    provide(api, ABRUPT, make_abrupt)
    api.close()
    with a_host(tmp_path, modern_socket, instance) as made:
        made.repository.commit({"shipstone.yaml": "domain: test.local\n"}, "begin")
        made.start_traefik()
        yield made


def test_a_site_is_deployed_replaced_under_load_and_removed(host: Host, site_text: SiteText) -> None:
    """By commits, with slow requests in flight, a file mounted, and nothing lost."""
    file = "files: {/etc/note.txt: note.txt}"
    files = {"sites/shop.yaml": site_text("one", replicas=2, extra=file), "sites/other.yaml": site_text("other"), "note.txt": "1"}
    first = host.repository.commit(files, "create")
    host.start_daemon()
    until(lambda: host.converged(first), "the first release runs", 40)
    with Load(host.web, "shop.test.local", clients=4, slow=4, pause=0.02, expect=["one", "two"]) as load:
        second = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2, extra=file), "note.txt": "2"}, "replace")
        until(lambda: host.converged(second), "the second release runs", 40)
        assert load.seen.answers[200, "one"] > 0
        until(lambda: load.seen.answers[200, "two"] > 100, "the second release answers")
    assert load.seen.lost == []
    assert len(host.containers("shop", running=True)) == 2
    host.repository.commit({"sites/shop.yaml": None}, "remove")
    until(lambda: host.containers("shop") == [], "the site is gone", 40)
    until(lambda: host.get("shop.test.local")[0] == 404, "nothing answers for it", 30)
    assert host.get("other.test.local") == (200, "other")
