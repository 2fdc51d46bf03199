"""A site that writes to a volume: never two at once, nothing of the volume lost, and back again when the new release fails."""

import pytest
from lab.host import Host, until

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def test_two_releases_never_write_at_once(host: Host, site_text: SiteText) -> None:
    """Replaced, failed and undone, removed: the volume stays."""
    volume = f"{host.instance}-data"
    extra = f"volumes: ['{volume}:/data']"
    try:
        commit = host.repository.commit({"sites/shop.yaml": site_text("one", extra=extra)}, "create")
        host.start_daemon()
        until(lambda: host.converged(commit), "the first release runs", 60)
        commit = host.repository.commit({"sites/shop.yaml": site_text("two", extra=extra)}, "replace")
        until(lambda: host.converged(commit), "the second release runs", 60)
        assert host.get("shop.test.local") == (200, "two")
        kept = {row["Id"] for row in host.containers("shop")}
        never = site_text("three", boot=3_600_000, extra=extra).replace("deadline: 60s", "deadline: 2s")
        refused = site_text("four", extra=f"{extra}\nentrypoint: [/nonexistent]")
        for failures, (text, why) in enumerate([(never, "never ready"), (refused, "the engine does not start it")], start=1):
            host.repository.commit({"sites/shop.yaml": text}, why)
            until(lambda n=failures: len([row for row in host.log() if row.get("event") == "release failed"]) == n, f"given up: {why}", 60)
            until(lambda: host.get("shop.test.local") == (200, "two"), "the second one serves again", 30)
            until(lambda: {row["Id"] for row in host.containers("shop")} == kept, "the same container as before", 30)
        assert overlaps(host) == []
        assert any("stop-first: both would write to" in row.get("reason", "") for row in host.log()), "the plan says why"
    finally:
        host.close()
        host.api.remove_volume(volume)  # raises if it is not there


def overlaps(host: Host) -> list[tuple[str, str]]:
    """Pairs of releases of which one started before the other had stopped, as the daemon's log has it."""
    running: set[str] = set()
    found = []
    for row in host.log():
        release = str(row.get("target", "")).split("-web-")[-1].split("-")[0]
        if row.get("event") in ("start", "restart"):
            found += [(other, release) for other in running if other != release]
            running.add(release)
        elif row.get("event") == "stop":
            running.discard(release)
    return found
