"""`apply --site`: only what is named is touched, and only of that the result speaks."""

import pytest
from lab.host import Host

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def ids(host: Host, site: str) -> set[str]:
    return {row["Id"] for row in host.containers(site)}


def test_only_the_named_sites_are_brought_to_what_is_written(host: Host, site_text: SiteText) -> None:
    """The others stay as they run, wait to be removed, or are not begun; a broken file of theirs is not this run's."""
    names = ("shop", "blog", "wiki")
    host.repository.commit({f"sites/{name}.yaml": site_text("one", boot=0) for name in names}, "three sites")
    host.shipstone("apply", check=True)
    before = {name: ids(host, name) for name in names}
    changed = {"sites/shop.yaml": site_text("two", boot=0), "sites/blog.yaml": "nonsense: 1\n", "sites/wiki.yaml": None}
    commit = host.repository.commit({**changed, "sites/news.yaml": site_text("two", boot=0)}, "four changes")
    done = host.shipstone("apply", "--site", "shop", check=True)
    assert done.stdout.splitlines()[-1].startswith(f"1 of 1 sites as {commit[:12]} says, after ")
    assert host.get("shop.test.local") == (200, "two")
    assert ids(host, "shop").isdisjoint(before["shop"])
    assert (ids(host, "blog"), ids(host, "wiki"), ids(host, "news")) == (before["blog"], before["wiki"], set())
    done = host.shipstone("apply", "--site", "wiki", "--site", "news", check=True)
    assert done.stdout.splitlines()[-1].startswith(f"2 of 2 sites as {commit[:12]} says, after ")
    assert (ids(host, "blog"), ids(host, "wiki")) == (before["blog"], set())
    assert host.get("news.test.local") == (200, "two")
    assert host.shipstone("apply", "--site", "blog").returncode == 1, "its file is broken"
    assert ids(host, "blog") == before["blog"]


def test_an_unknown_site_is_said_in_a_line_and_nothing_is_done(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one", boot=0)}, "create")
    done = host.shipstone("apply", "--site", "shop", "--site", "shpo")
    assert (done.returncode, done.stderr) == (1, "cannot find the site shpo. There are: shop.\n")
    assert host.containers() == []


def test_a_site_that_gets_a_host_name_from_another_is_not_applied_without_it(host: Host, site_text: SiteText) -> None:
    """Nothing is begun that could not end: the message says who has to change with it, and the command does both."""
    name = "www.test.local"
    host.repository.commit({"sites/shop.yaml": site_text("one", boot=0, extra=f"hosts: [{name}]")}, "a site")
    host.shipstone("apply", check=True)
    before = ids(host, "shop")
    moved = {
        "sites/shop.yaml": site_text("one", boot=0, extra="hosts: [shop.test.local]"),
        "sites/store.yaml": site_text("two", boot=0, extra=f"hosts: [{name}]"),
        "sites/blog.yaml": site_text("two", boot=0),
    }
    host.repository.commit(moved, "the name moves")
    for one, other in (("store", "shop"), ("shop", "store")):
        done = host.shipstone("apply", "--site", one)
        why = f"cannot leave {other} untouched: Host(`{name}`) moves from shop to store, and both have to change."
        assert (done.returncode, done.stderr) == (1, f"{why} Run `shipstone apply --site shop --site store`.\n")
    assert (ids(host, "shop"), ids(host, "store")) == (before, set())
    host.shipstone("apply", "--site", "blog", check=True)
    host.shipstone("apply", "--site", "shop", "--site", "store", check=True)
    assert host.get(name) == (200, "two")
    assert host.get("shop.test.local") == (200, "one")
