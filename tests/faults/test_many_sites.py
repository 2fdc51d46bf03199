"""Faults: fifty sites change in one commit. A bounded number of them is worked on at a time, and none loses a request."""

import json
from contextlib import ExitStack
from datetime import datetime

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

SITES = tuple(f"s{n}" for n in range(50))
PARALLEL = 4


@pytest.fixture
def domain(instance: str) -> str:
    """With host names that no other test claims."""
    return f"{instance}.test"


def test_fifty_sites_change_in_one_commit(host: Host, site_text: SiteText) -> None:
    def texts(version: str) -> dict[str, str | None]:
        return {f"sites/{name}.yaml": site_text(version, boot=0) for name in SITES}

    first = host.repository.commit(texts("one"), "create")
    host.start_daemon(SHIPSTONE_ENGINE__PARALLEL=str(PARALLEL))
    until(lambda: host.converged(first), "all of them run", 120)
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(host.web, f"{name}.{host.domain}", clients=1, pause=0.2)) for name in SITES]
        second = host.repository.commit(texts("two"), "replace")
        until(lambda: host.converged(second), "all of them are replaced", 120)
        until(lambda: all(load.seen.answers[200, "two"] for load in loads), "all of them answer anew", 20)
    assert {name: load.seen.lost for name, load in zip(SITES, loads, strict=True) if load.seen.lost} == {}
    assert all(load.seen.answers[200, "one"] for load in loads)
    assert 1 < most_at_once(host) <= PARALLEL
    assert len(host.containers()) == len(SITES)


def most_at_once(host: Host) -> int:
    """So many containers were being made and started at one time."""
    rows = json.loads(host.shipstone("history", "--limit", "10000", "--output", "json", check=True).stdout)["events"]
    begun = [(datetime.fromisoformat(row["at"]).timestamp(), row["seconds"]) for row in rows if row.get("step") == "start"]
    assert len(begun) == 2 * len(SITES)
    moments = sorted([*((at, 1) for at, _ in begun), *((at + seconds, -1) for at, seconds in begun)])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most
