"""The log: drift in a line each, once, also what is no site's."""

import json

import pytest
import structlog

from reconciler.console import configure_log
from reconciler.desired.desired import Desired
from reconciler.followers.follower import Pass
from reconciler.followers.journal import Journal
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan

HOSTS = Difference("", "/etc/hosts", "hosts", "", "10.0.0.1 evil", "drift")
MEMORY = Difference("web", "c1", "mem_limit", "1", "2", "drift")


def test_each_difference_is_said_once_with_its_release(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SHIPSTONE_LOG", "json")
    configure_log()
    site = SitePlan("shop", "out-of-sync", "healthy", "r1", "c", (), 1, 1, differences=(MEMORY,))
    done = Pass(Plan({"shop": site}, Memory(), network=True, host=(HOSTS,)), Desired("c0ffee", {}), 0.0, 0.0)
    try:
        journal = Journal()
        journal.passed(done)
        journal.passed(done)
    finally:
        structlog.reset_defaults()
    rows = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(row["site"], row["release"], row["difference"]) for row in rows if row["event"] == "drift"] == [
        ("", "", str(HOSTS)),
        ("shop", "r1", str(MEMORY)),
    ]
