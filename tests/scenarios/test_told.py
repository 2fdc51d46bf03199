"""What the daemon tells of what it does, on a real host: messages, heartbeat, metrics, log."""

import contextlib
import datetime as dt
import json
import re
import time
import urllib.request
from collections.abc import Iterator

import pytest
from lab.host import Host, until
from prometheus_client.parser import text_string_to_metric_families

from reconciler.world.store import Store
from tests.conftest import SiteText
from tests.receiver import Receiver, a_receiver

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """With host names that no other test claims: who else does is told too."""
    return f"{instance}.test"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


def deployed(host: Host, receiver: Receiver, text: str, **report: str) -> str:
    """Two sites, shop and blog; the daemon tells the receiver. The commit."""
    commit = host.repository.commit({"sites/shop.yaml": text, "sites/blog.yaml": text}, "Two sites")
    start_daemon(host, receiver, **report)
    receiver.until(1, 60)
    return commit


def start_daemon(host: Host, receiver: Receiver, **report: str) -> None:
    environment = {"URLS": json.dumps([receiver.url]), "HEARTBEAT": receiver.heartbeat, **report}
    host.start_daemon(**{f"SHIPSTONE_NOTIFY__{key}": value for key, value in environment.items()})


def metrics(host: Host) -> dict[tuple[str, str], float]:
    """(name, site or other first label) → value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{host.page}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(row.name, row.labels.get("site") or row.labels.get("call") or ""): row.value for f in families for row in f.samples}


def test_a_merge_is_one_message_and_so_are_a_failure_and_a_healing(host: Host, site_text: SiteText, receiver: Receiver) -> None:
    commit = deployed(host, receiver, site_text("one", replicas=2))
    (first,) = receiver.messages
    assert re.search(rf": 2 sites as {commit[:12]} by Ada, [0-9.]+ s$", first["title"])
    assert first["message"] == "Two sites\nblog, shop"
    assert first["type"] == "success"
    assert set(receiver.calls) == {"/ping/secret-uuid"}

    broken = site_text("two", replicas=2, boot=3_600_000).replace("deadline: 60s", "deadline: 2s")
    commit = host.repository.commit({"sites/shop.yaml": broken, "sites/blog.yaml": site_text("two", replicas=2)}, "One of them broken")
    second = receiver.until(2, 60)[1]
    assert f"1 of 2 sites as {commit[:12]} by Ada" in second["title"]
    assert re.search(r"; shop: release \w+ failed: .*not ready within 2 s", second["title"])
    assert second["type"] == "failure"

    host.api.remove_container(host.containers("blog")[0]["Id"], force=True)
    third = receiver.until(3, 60)[2]
    assert re.search(r": blog: .*\(drift\): put right after [0-9.]+ s$", third["message"])
    assert len(receiver.messages) == 3

    commit = host.repository.commit({"sites/shop.yaml": site_text("three")}, "Mended")
    fourth = receiver.until(4, 60)[3]
    assert re.search(rf"1 site as {commit[:12]} by Ada, [0-9.]+ s; shop: release \w+ failed: .* over after ", fourth["title"])


@pytest.mark.parametrize(("every", "days"), [("daily", 1), ("weekly", 7)])
def test_a_report_is_sent_when_it_is_due(host: Host, site_text: SiteText, receiver: Receiver, every: str, days: int) -> None:
    """Its time of day was two hours ago: since the last report that time, or that of a Monday, has come, or it has not."""
    report = {"REPORT": every, "REPORT_AT": f"{dt.datetime.now().astimezone() - dt.timedelta(hours=2):%H:%M}"}
    commit = deployed(host, receiver, site_text("one"), **report)
    host.stop_daemon()
    for ago, count in ((3600, 1), (3600 * (24 * days + 3), 2), (0, 2)):
        if ago:
            with contextlib.closing(Store(host.state / "shipstone.db")) as store:
                store.keep_note("report", str(time.time() - ago))
        calls = len(receiver.calls)
        start_daemon(host, receiver, **report)
        until(lambda calls=calls: len(receiver.calls) > calls, "a good pass", 60)
        receiver.until(count, 60)
        host.stop_daemon()
        assert len(receiver.messages) == count
    last = receiver.messages[1]
    assert last["title"].endswith(f": {every} report")
    # The first look after a start gives each a second to answer.
    assert re.search(r"2 sites: 2 synced; (2 healthy|1 healthy, 1 missing|2 missing)", last["message"])
    assert f"no drift at {commit[:12]}" in re.sub("[*`]", "", last["message"])


def test_metrics_follow_what_is_deployed(host: Host, site_text: SiteText, receiver: Receiver) -> None:
    deployed(host, receiver, site_text("one", replicas=2))
    seen = metrics(host)
    assert seen["shipstone_site_replicas_ready", "shop"] == seen["shipstone_site_replicas_desired", "shop"] == 2
    assert seen["shipstone_deploys_total", ""] == 2
    assert seen["shipstone_revision_behind", ""] == 0
    assert seen["shipstone_rollout_duration_seconds_count", ""] == 1
    assert seen["shipstone_engine_call_duration_seconds_count", "create"] >= 4
    assert ("shipstone_engine_call_errors_total", "create") not in seen
    assert seen["shipstone_pass_duration_seconds_count", ""] > 0
    host.repository.commit({"sites/blog.yaml": None}, "One goes")
    until(lambda: ("shipstone_site_replicas_ready", "blog") not in metrics(host), "its series are gone", 60)


def test_each_line_about_a_site_says_its_commit_and_release(host: Host, site_text: SiteText, receiver: Receiver) -> None:
    """And no line holds a token."""
    deployed(host, receiver, site_text("one", replicas=2))
    receiver.answers = [500, 500]
    commit = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2)}, "Another content")
    receiver.until(2, 60)
    host.api.remove_container(host.containers("shop")[0]["Id"], force=True)
    receiver.until(3, 60)
    last = host.repository.commit({"sites/blog.yaml": None}, "One goes")
    until(lambda: any(row["event"] == "site is gone" for row in host.log()), "it is gone", 60)
    host.stop_daemon()
    rows = [json.loads(line) for line in host.log_file.read_text().splitlines()]  # nothing else is in it
    about = [row for row in rows if "site" in row]
    assert {row["event"] for row in about} >= {"site", "start", "pin", "unpin", "stop", "drift", "site is gone"}
    for row in about:
        assert re.fullmatch(r"[0-9a-f]{40}", row["commit"]), row
        leaves = row["site"] == "blog" and row["commit"] == last
        assert re.fullmatch(r"[0-9a-f]{10}", row["release"]) or (leaves and row["release"] == ""), row
    for row in rows:
        assert row["level"] in ("info", "warning", "error")
        assert row["timestamp"].endswith("Z")
    starts = [row for row in about if row["event"] == "start" and row["site"] == "shop"]
    assert [row["release"] in row["target"] for row in starts] == [True] * 5
    assert [row["commit"] == commit for row in starts] == [False, False, True, True, True]
    assert "secret" not in host.log_file.read_text()
