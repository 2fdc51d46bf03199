"""A branch that is replaced by an unrelated history, that vanishes, whose repository or whose folder of sites is emptied: what runs stays,
and serves."""

import json
import subprocess
from collections.abc import Callable

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """With host names that no other test claims: it would be a notice."""
    return f"{instance}.test"


def deployed(host: Host, site_text: SiteText, extra: str = "") -> str:
    """Two sites and the daemon; the commit."""
    sites = {f"sites/{name}.yaml": site_text("one", boot=0, extra=extra if name == "shop" else "") for name in ("shop", "other")}
    commit = host.repository.commit(sites, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "both sites run", 60)
    return commit


def ids(host: Host) -> set[str]:
    return {row["Id"] for row in host.containers()}


def test_an_unrelated_history_is_held_until_approved(host: Host, site_text: SiteText) -> None:
    """Every command says so; the approval is of that commit, and the daemon takes it at once."""
    first = deployed(host, site_text)
    before = ids(host)
    with Load(host.web, f"shop.{host.domain}", clients=4, pause=0.02) as load:
        second = host.repository.replace({"sites/shop.yaml": site_text("two"), "sites/other.yaml": None})
        notice = f"the branch main was replaced by an unrelated history ({first[:12]} → {second[:12]}): nothing is changed."
        until(lambda: said(host, "message", notice), "the daemon says so", 40)
        status = host.status()
        assert (status["revision"], len(status["notices"])) == (first, 1)
        assert status["notices"][0].startswith(notice)
        assert notice in host.shipstone("status", check=True).stderr
        plan = host.shipstone("plan", "--output", "json")
        assert (plan.returncode, json.loads(plan.stdout)["notices"]) == (1, status["notices"])
        assert host.stop_daemon() == 0
        done = host.shipstone("apply")
        assert (done.returncode, notice in done.stderr) == (1, True)
        host.config.write_text(host.config.read_text().replace('poll = "5s"', 'poll = "300s"'))
        host.start_daemon()
        until(lambda: len(said(host, "message", notice)) == 2, "the next daemon says so too", 40)
        assert ids(host) == before
        assert host.shipstone("approve", check=True).stdout == f"approved: the history of {second[:12]}\n"
        until(lambda: host.converged(second), "it is taken", 60)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "one"), (200, "two")}
    assert host.status()["notices"] == []
    assert host.shipstone("approve", check=True).stdout == "nothing waits for an approval\n"


def branch_deleted(host: Host) -> None:
    git(host, "update-ref", "refs/heads/spare", "refs/heads/main")
    git(host, "update-ref", "-d", "refs/heads/main")


def emptied(host: Host) -> None:
    git(host, "update-ref", "-d", "refs/heads/main")


@pytest.mark.parametrize(("harm", "why"), [(branch_deleted, "it has no branch 'main', but spare"), (emptied, "the repository is empty")])
def test_without_the_branch_everything_stays(host: Host, site_text: SiteText, harm: Callable[[Host], None], why: str) -> None:
    """Also what the next daemon finds; with the branch back it goes on."""
    first = deployed(host, site_text)
    before = ids(host)
    with Load(host.web, f"shop.{host.domain}", clients=4, pause=0.02) as load:
        harm(host)
        until(lambda: said(host, "error", why), "the daemon says so", 40)
        host.stop_daemon()
        told = len(said(host, "error", why))
        host.start_daemon()
        until(lambda: len(said(host, "error", why)) > told, "the next daemon says so", 40)
        done = host.shipstone("plan")
        assert (done.returncode, why in done.stderr) == (1, True)
        assert ids(host) == before
        git(host, "update-ref", "refs/heads/main", first)
        second = host.repository.commit({"sites/shop.yaml": site_text("two")}, "it goes on")
        until(lambda: host.converged(second), "it goes on", 90)
    assert load.seen.lost == []


def test_an_emptied_or_renamed_folder_of_sites_is_held_until_approved(host: Host, site_text: SiteText) -> None:
    """What is back in its place needs no approval; a volume stays whatever was approved."""
    volume = f"{host.instance}-data"
    deployed(host, site_text, f"volumes: ['{volume}:/data:ro']\n")
    before, folder = ids(host), host.repository.tree / "sites"
    why = "its removal waits: every site would go (other, shop). `shipstone approve` lets them; nothing is removed before."
    with Load(host.web, f"shop.{host.domain}", clients=4, pause=0.02) as load:
        folder.rename(folder.with_name("pages"))
        renamed = host.repository.push("another folder")
        until(lambda: waiting(host, renamed) == {why}, "both wait", 40)
        folder.with_name("pages").rename(folder)
        back = host.repository.push("and back")
        until(lambda: host.converged(back), "it is as it was", 40)
        emptied = host.repository.commit({f"sites/{name}.yaml": None for name in ("shop", "other")}, "both go")
        until(lambda: waiting(host, emptied) == {why}, "both wait again", 40)
        host.stop_daemon()
        logged = len(host.log())
        host.start_daemon()
        until(lambda: [row for row in host.log()[logged:] if row.get("event") == "site" and why in str(row)], "the next daemon says so", 40)
        assert ids(host) == before
    assert load.seen.lost == []
    assert host.shipstone("approve", check=True).stdout == "approved: the removal of other, shop\n"
    until(lambda: not ids(host), "they go", 40)
    host.api.remove_volume(volume)  # raises if it is not there


def waiting(host: Host, commit: str) -> set[str]:
    """What status says of each site, once that commit is looked at."""
    status = host.status()
    return {site["message"] for site in status["sites"].values()} if status.get("revision") == commit else set()


def said(host: Host, key: str, text: str) -> list[object]:
    """Rows of the daemon's log with the text under this key."""
    return [row for row in host.log() if text in str(row.get(key, ""))]


def git(host: Host, *arguments: str) -> None:
    """In the bare repository, as who owns the server does it."""
    subprocess.run(["git", "-C", str(host.repository.bare), *arguments], check=True, capture_output=True)
