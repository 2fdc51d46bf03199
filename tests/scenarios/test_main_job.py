"""The main job on real git, a real engine and a real Traefik: what a commit says is what is served, and no request is lost on the way."""

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def told() -> bool:
    """Commits are found, as where there is no webhook."""
    return False


def test_sites_are_created_replaced_scaled_and_removed_by_commits(host: Host, site_text: SiteText) -> None:
    """Under load, with an abrupt server and no healthcheck: nothing is lost."""
    host.start_daemon()
    first = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2), "sites/other.yaml": site_text("other")}, "create")
    until(lambda: host.get("shop.test.local") == (200, "one"), "the new site answers", 40)
    until(lambda: host.converged(first), "converged on the first commit", 40)
    with Load(host.web, "shop.test.local", clients=6, pause=0.02) as load:
        _replace(host, site_text)
        _scale(host, site_text)
        assert load.seen.lost == []
    assert load.seen.sent > 200
    assert load.seen.lost == []
    gone = host.repository.commit({"sites/shop.yaml": None}, "remove")
    until(lambda: host.containers("shop") == [], f"the site of {gone} is gone", 40)
    until(lambda: host.get("shop.test.local")[0] == 404, "nothing answers for it", 30)


def _replace(host: Host, site_text: SiteText) -> None:
    before = {row["Id"] for row in host.containers("shop")}
    second = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2)}, "replace")
    until(lambda: host.get("shop.test.local") == (200, "two"), "the new release answers", 40)
    until(lambda: host.converged(second), "converged on the second commit", 40)
    assert before.isdisjoint(row["Id"] for row in host.containers("shop"))


def _scale(host: Host, site_text: SiteText) -> None:
    for count in (3, 1):
        commit = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=count)}, f"scale to {count}")
        until(lambda: host.converged(commit), f"converged on {count} replicas", 40)  # noqa: B023  waited for in this round
        assert len(host.containers("shop", running=True)) == count


def test_one_broken_file_of_three_holds_only_its_own_site(host: Host, site_text: SiteText) -> None:
    """The other two converge; the third stays as it ran; the problem names file, line and column."""
    host.start_daemon()
    names = ("one", "two", "three")
    good = host.repository.commit({f"sites/{name}.yaml": site_text("old") for name in names}, "three sites")
    until(lambda: host.converged(good), "three sites", 60)
    before = {row["Id"] for row in host.containers("three")}
    broken = site_text("new").replace("image:", "imgae:")
    host.repository.commit(
        {"sites/one.yaml": site_text("new"), "sites/two.yaml": site_text("new"), "sites/three.yaml": broken}, "one is broken"
    )
    for name in ("one", "two"):
        until(lambda: host.get(f"{name}.test.local") == (200, "new"), f"{name} has the new release", 40)  # noqa: B023
    assert host.get("three.test.local") == (200, "old")
    assert {row["Id"] for row in host.containers("three")} == before
    done = host.shipstone("validate")
    assert done.returncode == 1
    assert "sites/three.yaml:1:1 imgae:" in done.stderr
    assert "image" in done.stderr
    assert host.status()["sites"]["three"]["sync"] == "held"


def test_a_container_removed_by_hand_is_healed_by_events(host: Host, site_text: SiteText) -> None:
    """With a poll and a resync that are far away."""
    host.config.write_text(host.config.read_text().replace('poll = "1s"', 'poll = "300s"'))
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2)}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "the site runs", 40)
    victim = host.containers("shop")[0]["Id"]
    host.api.remove_container(victim, force=True)
    until(lambda: len(host.containers("shop", running=True)) == 2, "a replica in its place", 20)
    until(lambda: host.converged(commit), "healed", 20)
    assert victim not in {row["Id"] for row in host.containers("shop")}


def test_a_sticky_site_is_replaced_without_a_loss(host: Host, site_text: SiteText) -> None:
    """A client's cookie names a server that goes; it is sent to one that stays."""
    host.start_daemon()
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2, extra="sticky: true")}, "create")
    until(lambda: host.converged(commit), "the site runs", 40)
    with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
        for version, replicas in (("two", 2), ("two", 3), ("two", 1)):
            text = site_text(version, replicas=replicas, extra="sticky: true")
            commit = host.repository.commit({"sites/shop.yaml": text}, f"{version} with {replicas} replicas")
            until(lambda: host.converged(commit), "it is so", 40)  # noqa: B023  waited for in this round
    assert load.seen.lost == []
    assert load.seen.answers[200, "two"] > 0
