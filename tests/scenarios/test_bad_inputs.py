"""Hundreds of bad files in one commit, on a real engine: each is said with its place, the same everywhere, and nothing is changed."""

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.bad_sites import BLOG, CLOSED, bad_cases
from tests.conftest import SiteText

pytestmark = pytest.mark.docker

DOMAIN = "shipstone.local"
SINGLE = [case for case in bad_cases() if [*case.files] == [BLOG] and case.policy is CLOSED and not (case.kinds or case.sizes)]
BAD = {f"bad{n}": case.files[BLOG] for n, case in enumerate(SINGLE) if case.said == "error"}
NAMES = ("-x.yaml", "SHOP.yml", ".git.yaml", "a b.yaml", "a\x1b[31m.yaml", "é.yaml", "x\ny.yaml")
"""Of files that can be no site's."""
RUNS = ("shop", "linked", "doubled")


@pytest.fixture
def domain() -> str:
    """Under which the cases' host names are."""
    return DOMAIN


def test_bad_files_of_all_kinds_change_nothing(host: Host, site_text: SiteText, abrupt_image: str) -> None:
    """Those that run are not touched, those that never ran do not come; requests go on, all problems are said at once."""
    good = site_text("one")
    fleet = f"domain: {DOMAIN}\ndefaults: {{image: '{abrupt_image}', port: 80}}\n"
    first = host.repository.commit({"shipstone.yaml": fleet, **{f"sites/{name}.yaml": good for name in RUNS}}, "three sites")
    host.start_daemon()
    until(lambda: host.converged(first), "all run", 40)
    before = {row["Id"] for row in host.containers()}
    written = {path: path.read_bytes() for path in (host.hosts, host.static, *host.dynamic.glob("*.toml"))}
    volumes = {row["Name"] for row in host.api.volumes()["Volumes"] or []}
    sites = host.repository.tree / "sites"
    for name, text in BAD.items():
        (sites / f"{name}.yaml").write_bytes(text)
    (host.repository.tree / "link").symlink_to("/etc/passwd")
    texts = {"linked.yaml": good + "files: {/a: link}\n", "doubled.yml": good.replace("V: one", "V: two"), **dict.fromkeys(NAMES, good)}
    with Load(host.web, f"shop.{DOMAIN}", clients=2, pause=0.02) as load:
        second = host.repository.commit({f"sites/{name}": text for name, text in texts.items()}, "all that is bad")
        until(lambda: any(row.get("site") == "linked" and row.get("sync") == "held" for row in host.log()), "the commit is looked at", 40)
        status = host.status()
    assert load.seen.lost == []
    assert {row["Id"] for row in host.containers()} == before
    assert {path: path.read_bytes() for path in written} == written
    fresh = {row["Name"] for row in host.api.volumes()["Volumes"] or []} - volumes  # other tests make some, too
    assert {name for name in fresh if host.instance in name or any(name.encode() in text for text in BAD.values())} == set()
    assert status["revision"] == second
    messages = {name: site["message"] for name, site in status["sites"].items() if site["sync"] == "held"}
    assert messages.keys() == {*BAD, "linked", "doubled"}
    logged = {row["site"]: row["message"] for row in host.log() if row.get("sync") == "held"}
    assert logged == messages
    validated = host.shipstone("validate")
    assert validated.returncode == 1
    said = validated.stderr.splitlines()
    assert {*messages.values()} <= {*said}
    assert all(line.isprintable() for line in said)
