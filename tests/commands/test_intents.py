"""What people say by commands, to a running daemon or to none, on a real engine under load."""

import json
import subprocess

import pytest
from lab.host import SHIPSTONE, Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def deployed(host: Host, text: str) -> str:
    """One site, shop, kept by a daemon that polls rarely; its release."""
    host.config.write_text(host.config.read_text().replace('poll = "5s"', 'poll = "300s"'))
    commit = host.repository.commit({"sites/shop.yaml": text}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "the first release runs", 60)
    return release(host)


def release(host: Host) -> str:
    return str(host.status()["sites"]["shop"]["release"])


def at_rest(host: Host, wanted: str) -> bool:
    """As the daemon says: by then it has written down that this release was whole."""
    site = host.told("shop")
    return (site.get("release"), site.get("health")) == (wanted, "healthy") and {
        row["Labels"]["shipstone.release"] for row in host.containers()
    } == {wanted}


def test_restart_rollback_and_resume_lose_nothing(host: Host, site_text: SiteText) -> None:
    """A restart is the same content again; a rollback goes back at once and stays; resume goes forward."""
    first = deployed(host, site_text("one", replicas=2))
    with Load(host.web, "shop.test.local", clients=6, pause=0.01) as load:
        assert host.shipstone("restart", "shop", check=True).stdout == "shop: is restarted\n"
        until(lambda: at_rest(host, f"{first}r1"), "restarted", 40)
        host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2)}, "replace")
        assert host.stop_daemon() == 0
        host.start_daemon()
        until(lambda: host.get("shop.test.local") == (200, "two"), "the second one is live", 40)
        second = release(host)
        until(lambda: at_rest(host, second), "the second one is at rest", 40)
        said = host.shipstone("rollback", "shop", check=True).stdout
        assert said.startswith(f"shop: goes back to {first}r1, of commit ")
        until(lambda: at_rest(host, f"{first}r1"), "rolled back", 40)
        site = host.status()["sites"]["shop"]
        assert site["sync"] == "out-of-sync"
        assert f"rolled back to {first}r1; the repository says {second}" in site["message"]
        found = json.loads(host.shipstone("drift", "--output", "json").stdout)
        assert found["sites"]["shop"]["differences"] == found["host"] == [], "no hand did it"
        assert host.shipstone("resume", "shop", check=True).stdout == "shop: the repository counts again\n"
        until(lambda: at_rest(host, second), "forward again", 40)
        assert host.status()["sites"]["shop"]["sync"] == "synced"
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "one"), (200, "two")}


def test_a_commit_that_changes_the_site_ends_a_rollback(host: Host, site_text: SiteText) -> None:
    """With no daemon running: the next apply finds what was said."""
    for version in ("one", "two"):
        host.repository.commit({"sites/shop.yaml": site_text(version)}, version)
        host.shipstone("apply", check=True)
    host.shipstone("rollback", "shop", check=True)
    host.shipstone("apply")
    assert host.get("shop.test.local") == (200, "one")
    host.repository.commit({"sites/shop.yaml": site_text("three")}, "three")
    host.shipstone("apply", check=True)
    assert host.get("shop.test.local") == (200, "three")
    assert host.status()["sites"]["shop"]["sync"] == "synced"


def test_what_is_suspended_is_left_alone_until_resumed(host: Host, site_text: SiteText) -> None:
    """Everything by a word, then one site by its file: nothing is deployed or healed, and what differs is said all the same."""
    first = deployed(host, site_text("one", replicas=2))
    host.shipstone("suspend", "--all", check=True)
    until(lambda: any(row.get("sync") == "suspended" for row in host.log()), "the daemon was told, not polled", 20)
    victim, left = (row["Id"] for row in host.containers("shop"))
    host.api.remove_container(victim, force=True)
    commit = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2)}, "replace")
    assert host.stop_daemon() == 0
    host.start_daemon()
    until(lambda: any(row.get("event") == "drift" and row.get("commit") == commit for row in host.log()), "it was looked at", 30)
    site = until(lambda: row if (row := host.status()["sites"].get("shop", {})).get("health") == "degraded" else None, "one answers", 20)
    assert (site["sync"], site["health"], site["release"], site["replicas"]) == ("suspended", "degraded", first, {"ready": 1, "desired": 2})
    assert site["message"].startswith("suspended: it stays as it runs.")
    found = json.loads(host.shipstone("drift", "--output", "json").stdout)["sites"]["shop"]
    rows = [(row["field"], row["desired"], row["actual"], row["action"]) for row in found["differences"]]
    assert (rows, found["steps"]) == ([("replicas", "2", "1", "left: the site is suspended")], [])
    assert host.shipstone("plan").returncode == 2, "it differs"
    assert host.get("shop.test.local") == (200, "one")
    assert {row["Id"] for row in host.containers("shop")} == {left}
    host.shipstone("resume", "--all", check=True)
    until(lambda: host.converged(commit) and len(host.containers("shop")) == 2, "deployed at last", 40)
    kept = {row["Id"] for row in host.containers("shop")}
    with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
        commit = host.repository.commit({"sites/shop.yaml": site_text("three", replicas=2, extra="suspend: true")}, "asleep")
        host.shipstone("retry", "shop", check=True)  # which makes the daemon fetch
        until(lambda: host.told("shop").get("message", "").startswith("suspended by its file"), "its file says so", 20)
        until(lambda: any(row.get("sync") == "suspended" and row.get("commit") == commit for row in host.log()), "it was looked at", 20)
        assert {row["Id"] for row in host.containers("shop")} == kept
        commit = host.repository.commit({"sites/shop.yaml": site_text("three", replicas=2)}, "awake")
        host.shipstone("retry", "shop", check=True)
        until(lambda: host.converged(commit), "as written", 40)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "two"), (200, "three")}


def test_a_failed_release_is_tried_again_when_a_person_says_so(host: Host, site_text: SiteText) -> None:
    """It failed for want of time; the same content gets another chance, and fails again: remembered anew."""
    deployed(host, site_text("one"))
    never = site_text("two", boot=3_600_000).replace("deadline: 60s", "deadline: 2s")
    with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
        host.repository.commit({"sites/shop.yaml": never}, "never ready")
        host.shipstone("retry", "shop", check=True)  # which also makes the daemon fetch
        until(lambda: sum(row.get("event") == "release failed" for row in host.log()) == 1, "given up", 40)
        host.shipstone("retry", "shop", check=True)
        until(lambda: sum(row.get("event") == "release failed" for row in host.log()) == 2, "given up once more", 40)
    assert (load.seen.lost, load.seen.answers.keys()) == ([], {(200, "one")})


def test_many_removals_wait_for_an_approval(host: Host, site_text: SiteText) -> None:
    names = [f"s{n}" for n in range(4)]
    host.repository.commit({f"sites/{name}.yaml": site_text(name, boot=0) for name in names}, "four sites")
    host.shipstone("apply", check=True)
    host.repository.commit({f"sites/{name}.yaml": None for name in names[1:]}, "three go")
    done = host.shipstone("apply")
    assert done.returncode == 1
    assert "s1: its removal waits: 3 of 4 sites would go (s1, s2, s3)." in done.stderr
    assert host.shipstone("plan").returncode == 1
    assert {row["Labels"]["shipstone.site"] for row in host.containers()} == set(names)
    assert host.shipstone("approve", check=True).stdout == "approved: the removal of s1, s2, s3\n"
    host.repository.commit({"sites/s0.yaml": site_text("new", boot=0)}, "another commit does not undo it")
    host.shipstone("apply", check=True)
    assert {row["Labels"]["shipstone.site"] for row in host.containers()} == {"s0"}
    assert host.shipstone("approve", check=True).stdout == "nothing waits for an approval\n"


def test_what_cannot_be_done_is_said_in_a_line(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one", boot=0)}, "create")
    host.shipstone("apply", check=True)
    for arguments, said in (
        (("suspend", "shpo"), "cannot find the site shpo. There are: shop."),
        (("suspend",), "cannot tell which site is meant: name one, or give --all."),
        (("retry", "shpo"), "cannot find the site shpo. There are: shop."),
        (("restart", "shpo"), "cannot restart shpo: nothing of it runs. There are: shop."),
        (("rollback", "shpo"), "cannot roll back shpo: there is no such site in the repository. There are: shop."),
        (("rollback", "shop"), f"cannot roll back shop: no earlier release is kept. Kept: {release(host)}."),
        (("rollback", "shop", "ffff"), f"cannot roll back shop: ffff is not kept. Kept: {release(host)}."),
    ):
        done = host.shipstone(*arguments)
        assert (done.returncode, done.stderr) == (1, said + "\n")
    assert host.shipstone("resume", "shop", check=True).stdout == "shop: was neither suspended nor rolled back\n"


def test_without_a_daemon_the_next_apply_tries_again_and_a_word_meanwhile_does_not_end_it(host: Host, site_text: SiteText) -> None:
    """Who has the installation's lock is told by a signal of what people say: a command that has it hears of it, and goes on."""
    host.repository.commit({"sites/shop.yaml": site_text("one", boot=0)}, "create")
    host.shipstone("apply", check=True)
    never = site_text("two", boot=600_000).replace("deadline: 60s", "deadline: 3s")
    host.repository.commit({"sites/shop.yaml": never}, "never gets ready")
    for tried in (True, False):
        done = host.shipstone("apply")
        assert done.returncode == 1
        assert ("\nshop             start " in f"\n{done.stdout}") == tried, "not again by itself"
    host.shipstone("retry", "shop", check=True)
    command = [str(SHIPSTONE), "apply", "--config", str(host.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: len(host.containers(running=True)) == 2, "it is tried again", 20)
        host.shipstone("retry", "shop", check=True)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out.splitlines()[-1].startswith("0 of 1 sites as ")
    assert errors.endswith("not ready within 3 s\n")
    assert host.get("shop.test.local") == (200, "one")


def test_a_word_counts_while_the_git_server_is_away(host: Host, site_text: SiteText) -> None:
    """It goes by the commit that was taken last: that may be the moment in which it is needed most."""
    deployed(host, site_text("one"))
    host.repository.bare.rename(host.repository.bare.with_name("away"))
    done = host.shipstone("suspend", "shop", check=True)
    assert done.stdout == "shop: suspended; `shipstone resume shop` goes on\n"
    assert "which was taken last" in done.stderr
    until(lambda: host.told("shop").get("sync") == "suspended", "the daemon heard it", 20)
