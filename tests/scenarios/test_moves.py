"""Host names that move between sites, on a real engine and a real Traefik under load."""

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

HOST = "shop.test.local"


def test_a_name_moves_with_a_renamed_file_and_to_a_site_that_runs(host: Host, site_text: SiteText) -> None:
    """No request is lost, and each is answered by one of the two sites."""
    first = {"sites/shop.yaml": site_text("one", replicas=2), "sites/other.yaml": site_text("other")}
    commit = host.repository.commit(first, "two sites")
    host.start_daemon()
    until(lambda: host.converged(commit), "both run", 60)
    with Load(host.web, HOST, clients=6, pause=0.02) as load:
        renamed = {"sites/shop.yaml": None, "sites/store.yaml": site_text("one", replicas=2, extra=f"hosts: [{HOST}]")}
        commit = host.repository.commit(renamed, "a file is renamed")
        until(lambda: host.converged(commit) and not host.containers("shop"), "the renamed site has taken over", 90)
        assert load.seen.lost == []
        moved = {
            "sites/store.yaml": site_text("two", extra="hosts: [store.test.local]"),
            "sites/other.yaml": site_text("other", extra=f"hosts: [other.test.local, {HOST}]"),
        }
        commit = host.repository.commit(moved, "the name moves on")
        until(lambda: host.converged(commit), "it has moved", 90)
        until(lambda: host.get(HOST) == (200, "other"), "the other site answers", 10)
    assert load.seen.lost == []
    assert {body for _, body in load.seen.answers} == {"one", "other"}


BROKEN = {"fails": "which does not come up", "has errors": "whose file has errors"}


@pytest.mark.parametrize("how", BROKEN)
def test_a_renamed_file_that_cannot_be_had_takes_no_name_away(host: Host, site_text: SiteText, how: str) -> None:
    """The old site serves on, and says why; with the file corrected the name moves, and no request is lost on the way."""
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2, extra=f"hosts: [{HOST}]")}, "a site")
    host.start_daemon()
    until(lambda: host.converged(commit), "it runs", 60)
    with Load(host.web, HOST, clients=6, pause=0.02) as load:
        store = site_text("two", replicas=2, extra=f"hosts: [{HOST}]\n")
        never = site_text("two", replicas=2, boot=3_600_000, extra=f"hosts: [{HOST}]\n").replace("deadline: 60s", "deadline: 2s")
        broken = {"fails": never, "has errors": f"{store}portt: 80\n"}[how]
        host.repository.commit({"sites/shop.yaml": None, "sites/store.yaml": broken}, "renamed, and broken")
        until(lambda: BROKEN[how] in host.told("shop").get("message", ""), "it says why it stays", 60)
        until(lambda: not host.containers("store") and len(host.containers("shop", running=True)) == 2, "it runs as before", 60)
        assert {body for _, body in load.seen.answers} == {"one"}
        commit = host.repository.commit({"sites/store.yaml": store}, "corrected")
        until(lambda: host.converged(commit) and not host.containers("shop"), "the name has moved", 90)
    assert load.seen.lost == []
    assert {body for _, body in load.seen.answers} == {"one", "two"}
