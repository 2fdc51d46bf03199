"""Faults: fifty sites change in one commit, which breaks the file of one. A bounded number of them is worked on at a time, none loses a
request, and the one stays as it was."""

import json
from collections import Counter
from contextlib import ExitStack
from datetime import datetime

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

SITES = tuple(f"s{n}" for n in range(50))
BROKEN = SITES[7]
PARALLEL = 4


@pytest.fixture
def domain(instance: str) -> str:
    """With host names that no other test claims."""
    return f"{instance}.test"


def test_fifty_sites_change_in_one_commit_and_one_is_wrong(host: Host, site_text: SiteText) -> None:
    def texts(version: str) -> dict[str, str | None]:
        return {f"sites/{name}.yaml": site_text(version, boot=0).replace("deadline: 60s", "deadline: 10m") for name in SITES}

    first = host.repository.commit(texts("one"), "create")
    host.start_daemon(SHIPSTONE_ENGINE__PARALLEL=str(PARALLEL))
    until(lambda: host.converged(first), "all of them run", 120)
    before = {row["Id"] for row in host.containers(BROKEN)}
    with ExitStack() as stack:
        loads = {name: stack.enter_context(Load(host.web, f"{name}.{host.domain}", clients=1, pause=0.2)) for name in SITES}
        second = host.repository.commit(texts("two") | {f"sites/{BROKEN}.yaml": "imgae: x\n"}, "replace")
        until(lambda: all(name == BROKEN or load.seen.answers[200, "two"] for name, load in loads.items()), "all others are new", 120)
        until(lambda: stands(host, second) == {"synced": len(SITES) - 1, "held": 1}, "status says so", 40)
    assert {name: load.seen.lost for name, load in loads.items() if load.seen.lost} == {}
    assert all(load.seen.answers[200, "one"] for load in loads.values())
    assert 1 < most_at_once(host) <= PARALLEL
    assert ({row["Id"] for row in host.containers(BROKEN)}, loads[BROKEN].seen.answers[200, "two"]) == (before, 0)
    assert host.status()["sites"][BROKEN]["commit"] == first
    assert len(host.containers()) == len(SITES)


def stands(host: Host, commit: str) -> Counter[str]:
    """How many sites are said to be what, once that commit is looked at."""
    status = host.status()
    return Counter(site["sync"] for site in status["sites"].values() if status["revision"] == commit)


def most_at_once(host: Host) -> int:
    """So many containers were being made and started at one time. Times are rounded to a millisecond."""
    rows = json.loads(host.shipstone("history", "--limit", "10000", "--output", "json", check=True).stdout)["events"]
    begun = [(datetime.fromisoformat(row["at"]).timestamp(), row["seconds"]) for row in rows if row.get("step") == "start"]
    assert len(begun) == 2 * len(SITES) - 1
    moments = sorted([*((at + 0.002, 1) for at, _ in begun), *((at + seconds - 0.002, -1) for at, seconds in begun)])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most
