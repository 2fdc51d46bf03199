"""Faults: a release asks for more memory than the host has. It is not begun; what runs serves on, and other sites go live."""

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def test_a_release_that_the_host_cannot_take_waits_and_holds_nobody(host: Host, site_text: SiteText) -> None:
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2)}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "the first release runs", 60)
    before = {row["Id"] for row in host.containers()}
    with Load(host.web, "shop.test.local", clients=4, pause=0.05) as load:
        greedy = {"sites/shop.yaml": site_text("two", replicas=2, extra="mem_limit: 900g\n"), "sites/blog.yaml": site_text("blog")}
        host.repository.commit(greedy, "greedy")
        until(lambda: host.get("blog.test.local") == (200, "blog"), "the other site is live", 60)
        site = host.status()["sites"]["shop"]
        assert site["message"].startswith("cannot start 2 containers of shop: they may take 1,843,200 MiB of memory (mem_limit), and less ")
        assert site["sync"] == "out-of-sync"
        assert {row["Id"] for row in host.containers("shop")} == before
        commit = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2, extra="mem_limit: 64m\n")}, "modest")
        until(lambda: host.converged(commit), "the modest one runs", 60)
        assert host.get("shop.test.local") == (200, "two")
    assert load.seen.lost == []
