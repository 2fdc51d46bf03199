"""The log: drift in a line each, once, also what is no site's; how a site stands, when it changed."""

from dataclasses import replace

from structlog.testing import capture_logs

from reconciler.desired.desired import Desired
from reconciler.followers.follower import Pass
from reconciler.followers.journal import Journal
from reconciler.planning.describe import Health, SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan

HOSTS = Difference("", "/etc/hosts", "hosts", "", "10.0.0.1 evil", "drift")
MEMORY = Difference("web", "c1", "mem_limit", "1", "2", "drift")
STATES: tuple[Health, ...] = ("healthy", "progressing", "healthy", "degraded", "progressing", "degraded", "missing", "missing", "healthy")


def test_each_difference_is_said_once_with_its_release() -> None:
    site = SitePlan("shop", "out-of-sync", "healthy", "r1", "c", (), 1, 1, differences=(MEMORY,))
    done = Pass(Plan({"shop": site}, Memory(), network=True, host=(HOSTS,)), Desired("c0ffee", {}), 0.0, 0.0)
    journal = Journal()
    with capture_logs() as rows:
        journal.passed(done)
        journal.passed(done)
    assert [(row["site"], row["release"], row["difference"]) for row in rows if row["event"] == "drift"] == [
        ("", "", str(HOSTS)),
        ("shop", "r1", str(MEMORY)),
    ]


def test_a_site_that_falls_ill_or_gets_well_is_said_and_its_motion_is_not() -> None:
    site, journal = SitePlan("shop", "synced", "healthy", "r1", "c", (), 2, 2), Journal()
    with capture_logs() as rows:
        for health in STATES:
            journal.passed(Pass(Plan({"shop": replace(site, health=health)}, Memory(), network=True), Desired("c0ffee", {}), 0.0, 0.0))
    assert [row["health"] for row in rows] == ["healthy", "degraded", "missing", "healthy"]
