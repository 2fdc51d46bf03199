"""Signatures are asked for: what is not signed by a known key does not go live, the last that was stays, and people read why."""

import json
import subprocess
import urllib.request

import pytest
from lab.engine import need
from lab.host import Host, until

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """What is said of the whole host must be of this test alone."""
    return f"{instance}.test"


class Keys:
    """Two signers, of whom the host knows ada alone; `print_of` is what people compare."""

    def __init__(self, host: Host, verify: str) -> None:
        need("git", "ssh-keygen")
        self._host, self.folder = host, host.folder
        for name in ("ada", "eve"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / name)], check=True)
        allowed = self.folder / "allowed"
        allowed.write_text(f"ada@example.org {(self.folder / 'ada.pub').read_text()}")
        settings = f'[source]\nverify = "{verify}"\nallowed_signers = "{allowed}"\n'
        host.config.write_text(host.config.read_text().replace("[source]\n", settings))
        host.repository._git("config", "gpg.format", "ssh")

    def take(self, name: str) -> None:
        """Who signs commits from now on; nobody where it is empty."""
        self._host.repository._git("config", "commit.gpgSign", "true" if name else "false")
        self._host.repository._git("config", "user.signingKey", str(self.folder / name))

    def tag(self, tag: str, name: str) -> None:
        self._host.repository._git("-c", f"user.signingKey={self.folder / name}", "tag", "--sign", "--message", tag, tag)
        self._host.repository._git("push", "--quiet", "origin", tag)

    def print_of(self, name: str) -> str:
        out = subprocess.run(["ssh-keygen", "-lf", str(self.folder / f"{name}.pub")], check=True, capture_output=True, text=True).stdout
        return out.split()[1]


def ids(host: Host) -> list[str]:
    return sorted(row["Id"] for row in host.containers(running=True))


def told(host: Host, why: str) -> None:
    """In the log, status, the page, its API and the history."""
    until(lambda: any(why in str(row.get("message", "")) for row in host.log()), f"the log says: {why}", 30)
    until(lambda: why in page(host, ""), "the page says it", 20)
    assert why in page(host, "api/status")
    assert any(why in notice for notice in host.status()["notices"])
    status = host.shipstone("status")
    assert why in status.stdout + status.stderr
    assert page(host, "api/history").count(why) == 1
    assert why in host.shipstone("history").stdout


def page(host: Host, path: str) -> str:
    """Empty where nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{host.page}/{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_a_commit_that_is_not_signed_is_held_and_the_next_signed_one_goes_live(host: Host, site_text: SiteText) -> None:
    keys = Keys(host, "commit")
    keys.take("ada")
    first = host.repository.commit({"sites/shop.yaml": site_text("one")}, "signed")
    host.start_daemon()
    until(lambda: host.converged(first), "it runs", 40)
    before = ids(host)
    keys.take("")
    bare = host.repository.commit({"sites/shop.yaml": site_text("two"), "sites/new.yaml": site_text("new")}, "not signed")
    told(host, f"commit {bare[:12]} is not taken: it is not signed. What was taken last goes on ({first[:12]}).")
    keys.take("eve")
    other = host.repository.commit({"sites/shop.yaml": site_text("three")}, "signed by somebody else")
    why = f"it is signed by the SSH key {keys.print_of('eve')}, which is not in [source] allowed_signers"
    told(host, f"commit {other[:12]} is not taken: {why}. What was taken last goes on ({first[:12]}).")
    assert (ids(host), host.get(f"shop.{host.domain}")) == (before, (200, "one"))
    assert json.loads(page(host, "api/status"))["revision"] == first
    assert host.stop_daemon() == 0
    host.start_daemon()
    until(lambda: keys.print_of("eve") in page(host, ""), "the next process says so, too", 30)
    assert page(host, "api/history").count(why) == 1
    keys.take("ada")
    last = host.repository.commit({"sites/shop.yaml": site_text("four")}, "signed again")
    live = [(200, "four"), (200, "new")]
    names = [f"{name}.{host.domain}" for name in ("shop", "new")]
    until(lambda: [host.get(name) for name in names] == live, "the next signed one is live, with what it builds on", 40)
    until(lambda: host.converged(last), "and comes to rest", 40)
    assert json.loads(page(host, "api/status"))["notices"] == []


def test_a_tag_that_somebody_else_signed_is_held_and_the_next_one_goes_live(host: Host, site_text: SiteText) -> None:
    keys = Keys(host, "tag")
    first = host.repository.commit({"sites/shop.yaml": site_text("one")}, "tagged")
    keys.tag("v1", "ada")
    host.start_daemon()
    until(lambda: host.converged(first), "it runs", 40)
    before = ids(host)
    host.repository.commit({"sites/shop.yaml": site_text("two")}, "tagged by somebody else")
    keys.tag("v2", "eve")
    why = f"it is signed by the SSH key {keys.print_of('eve')}, which is not in [source] allowed_signers"
    told(host, f"tag v2 is not taken: {why}. What was taken last goes on ({first[:12]}).")
    assert (ids(host), host.get(f"shop.{host.domain}")) == (before, (200, "one"))
    keys.tag("v3", "ada")
    until(lambda: host.get(f"shop.{host.domain}") == (200, "two"), "the tag that counts is live", 40)
    until(lambda: json.loads(page(host, "api/status"))["notices"] == [], "nothing is said any more", 20)
