"""Metrics: what is counted, what is there now, and that documents, alert rules and dashboard name only what exists."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry, generate_latest

from reconciler.apply import Outcome
from reconciler.desired.desired import Desired
from reconciler.desired.problem import Problem
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.metrics import Metrics
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.failed import FailedRelease
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Pull, SetPin, Wait
from reconciler.web.app import build_app
from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics_route
from tests.web.asked import asking

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
PAGE = MONITORING.with_suffix(".md").read_text(encoding="utf-8")
BLOG = SitePlan("blog", "synced", "healthy", "aaaa", "c1", ("blog.test",), 2, 2)
MOVING = replace(BLOG, sync="out-of-sync", health="progressing", release="bbbb", steps=(Wait("ready", "blog"),))
BY_COMMIT = Difference("web", "", "image", "app:2", "app:1", "commit")
BY_HAND = Difference("web", "c", "mem_limit", "", "64", "drift")
REVISION = Revision("c1", {}, lambda _: b"")


def a_pass(*sites: SitePlan, revision: str = "c1", at: float = 1000.0, busy: frozenset[str] = frozenset(), **memory: object) -> Pass:
    plan = Plan({site.name: site for site in sites}, Memory(**memory), network=True, busy=busy)  # type: ignore[arg-type]
    return Pass(plan, Desired(revision, {}), at, 0.02)


def at_rest(now: list[float]) -> Metrics:
    """One site as the first revision says."""
    metrics = Metrics(lambda: now[0])
    metrics.fetched(REVISION, Desired("c1", {}))
    metrics.passed(a_pass(BLOG))
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"shipstone_{name}", labels)


def test_a_site_is_one_series_that_changes_with_it_and_goes_with_it() -> None:
    metrics = at_rest([1000.0])
    info = {"site": "blog", "sync": "synced", "health": "healthy", "release": "aaaa", "commit": "c1"}
    assert value(metrics, "site_info", **info) == 1
    metrics.passed(a_pass(replace(BLOG, health="degraded", ready=1)))
    assert value(metrics, "site_info", **info) is None
    assert value(metrics, "site_info", **{**info, "health": "degraded"}) == 1
    assert (value(metrics, "site_replicas_ready", site="blog"), value(metrics, "site_replicas_desired", site="blog")) == (1, 2)
    metrics.passed(a_pass(busy=frozenset({"blog"})))
    assert value(metrics, "site_replicas_ready", site="blog") == 1
    metrics.passed(a_pass())
    assert value(metrics, "site_replicas_ready", site="blog") is None


def test_a_release_that_takes_over_counts_once_and_what_ran_before_never() -> None:
    """Nor does a healing that ends at the release that was there."""
    metrics = at_rest([1000.0])
    for site in (replace(MOVING, release="aaaa"), BLOG):
        metrics.passed(a_pass(site))
    assert value(metrics, "deploys_total") == 0
    for site in (MOVING, MOVING, replace(BLOG, release="bbbb"), replace(BLOG, release="bbbb")):
        metrics.passed(a_pass(site))
    assert value(metrics, "deploys_total") == 1


def test_steps_and_failures_are_counted_as_they_end() -> None:
    metrics = at_rest([1000.0])
    done = ((Pull("app:2", "new"), 3.0), (SetPin("blog", None, "all is there"), 0.01))
    metrics.did(Outcome("blog", done, "cannot start", failed=FailedRelease("blog", "bbbb", "exited", 1.0)))
    assert value(metrics, "step_duration_seconds_sum", step="pull") == 3
    assert value(metrics, "step_duration_seconds_count", step="unpin") == 1
    assert (value(metrics, "step_errors_total"), value(metrics, "release_failures_total")) == (1, 1)


def test_a_revision_is_behind_until_every_site_is_as_it_says() -> None:
    """Fetching it again does not begin its time anew."""
    now = [1000.0]
    metrics = at_rest(now)
    assert (value(metrics, "revision_behind"), value(metrics, "revision_lag_seconds")) == (0, 0)
    metrics.fetched(REVISION, Desired("c2", {}))
    now[0] = 1020.0
    metrics.passed(a_pass(MOVING, revision="c2", at=1020.0))
    metrics.fetched(REVISION, Desired("c2", {}))
    assert (value(metrics, "revision_behind"), value(metrics, "revision_lag_seconds")) == (1, 20)
    metrics.passed(a_pass(replace(BLOG, sync="out-of-sync", differences=(BY_COMMIT,)), revision="c2", at=1021.0))
    assert value(metrics, "revision_behind") == 1
    metrics.passed(a_pass(replace(BLOG, sync="out-of-sync", differences=(BY_HAND,)), revision="c2", at=1025.0))
    assert (value(metrics, "revision_behind"), value(metrics, "rollout_duration_seconds_sum")) == (0, 25)


def test_a_held_site_keeps_the_revision_behind_and_a_suspended_one_does_not() -> None:
    metrics = at_rest([1000.0])
    for sync, behind in (("held", 1), ("suspended", 0)):
        metrics.fetched(REVISION, Desired(f"{sync}-commit", {}))
        metrics.passed(a_pass(replace(BLOG, sync=sync, differences=(BY_COMMIT,) if sync == "suspended" else ())))  # type: ignore[arg-type]
        assert value(metrics, "revision_behind") == behind


def test_drift_problems_removals_and_the_queue_are_as_they_are_now() -> None:
    metrics = at_rest([1000.0])
    problem = Problem("sites/shop.yaml", 1, 1, "", "x", "broken")
    metrics.fetched(REVISION, Desired("c2", {}, problems=(problem, replace(problem, severity="warning"))))
    metrics.passed(a_pass(replace(BLOG, differences=(BY_HAND, BY_COMMIT)), replace(MOVING, name="wiki"), busy=frozenset({"shop"})))
    assert (value(metrics, "site_drift", site="blog"), value(metrics, "problems")) == (1, 1)
    assert (value(metrics, "sites_busy"), value(metrics, "sites_waiting")) == (1, 1)
    metrics.passed(a_pass(BLOG, failed={"blog": FailedRelease("blog", "bbbb", "exited", 1.0)}))
    assert value(metrics, "site_release_failed", site="blog", release="bbbb") == 1
    metrics.passed(a_pass(BLOG))
    assert value(metrics, "site_release_failed", site="blog", release="bbbb") is None


def test_how_old_the_newest_fetch_and_pass_are_is_said() -> None:
    metrics = at_rest([1000.0])
    metrics.not_fetched("no route")
    metrics.not_passed("no engine")
    assert (value(metrics, "last_fetch_timestamp_seconds"), value(metrics, "last_pass_timestamp_seconds")) == (1000, 1000)
    assert (value(metrics, "fetch_failures_total"), value(metrics, "pass_failures_total")) == (1, 1)


def test_a_thousand_sites_are_a_bounded_number_of_series() -> None:
    """However often they change: four each, and some for the whole."""
    metrics = at_rest([1000.0])
    for n in range(3):
        metrics.passed(a_pass(*(replace(BLOG, name=f"s{i}", release=f"r{n}", commit=f"c{n}") for i in range(1000))))
    assert 4000 <= sum(len(list(family.samples)) for family in metrics.registry.collect()) < 4000 + 150


def test_it_is_served_as_prometheus_reads_it() -> None:
    metrics = at_rest([1000.0])
    with asking(build_app(Latest(), [metrics_route(metrics.registry)])) as client:
        plain = client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain; version=")
        assert 'shipstone_site_info{commit="c1",health="healthy",release="aaaa",site="blog",sync="synced"} 1.0\n' in plain.text
        other = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert other.headers["content-type"].startswith("application/openmetrics-text")
        assert other.text.endswith("# EOF\n")
        for kind in ("application/openmetrics-text", "text/plain"):
            odd = client.get("/metrics", headers={"Accept": f"{kind}; version=x"})
            assert (odd.status_code, odd.headers["content-type"]) == (200, plain.headers["content-type"])


def families() -> dict[str, str]:
    """Name as it is asked for (`_total` where it counts) → type, of everything there can be."""
    metrics = at_rest([1000.0])
    metrics.engine_call("list", 0.01, failed=True)
    metrics.did(Outcome("blog", ((Pull("app:2", "new"), 3.0),)))
    found = dict(re.findall(r"^# TYPE (shipstone_\w+) (\w+)$", generate_latest(metrics.registry).decode(), re.MULTILINE))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def series() -> set[str]:
    """Every name that a query may hold."""
    endings = {"histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "counter": ("",)}
    return {f"{name}{ending}" for name, kind in families().items() for ending in endings[kind]}


def test_names_are_as_prometheus_has_them() -> None:
    for name, kind in families().items():
        assert name.endswith("_total") == (kind == "counter"), name
        if kind == "histogram" or "lag" in name:
            assert name.endswith("_seconds"), name


def test_every_metric_is_in_the_document_with_its_type() -> None:
    rows = dict(re.findall(r"^\| `(shipstone_\w+)(?:\{[^`]*\})?` \| (\w+) \| .+ \|$", PAGE, re.MULTILINE))
    assert rows == families()


def test_labels_in_the_document_are_those_that_there_are() -> None:
    metrics = at_rest([1000.0])
    metrics.engine_call("list", 0.01, failed=True)
    metrics.did(Outcome("blog", ((Pull("app:2", "new"), 3.0),)))
    metrics.passed(a_pass(BLOG, failed={"blog": FailedRelease("blog", "bbbb", "exited", 1.0)}))
    written = dict(re.findall(r"^\| `(shipstone_\w+)\{([^`]*)\}` ", PAGE, re.MULTILINE))
    assert written == {name: ", ".join(labels) for name, labels in _labels(metrics.registry) if labels}


def _labels(registry: CollectorRegistry) -> Iterator[tuple[str, list[str]]]:
    endings = {"counter": "_total", "info": "_info"}
    for family in registry.collect():
        if family.name.startswith("shipstone_") and family.samples:
            yield family.name + endings.get(family.type, ""), [key for key in family.samples[0].labels if key != "le"]


def queries() -> list[tuple[str, str]]:
    """(where, expression) of the alert rules and of the dashboard."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    board = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    found = [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    found += [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    return found + [
        (variable["name"], variable["query"]["query"]) for variable in board["templating"]["list"] if "query" in variable["query"]
    ]


def test_alerts_and_dashboard_ask_only_for_what_exists() -> None:
    known, asked = series(), queries()
    assert len(asked) > 20
    for where, expression in asked:
        names = set(re.findall(r"\bshipstone_\w+", expression))
        assert names, where
        assert names <= known, f"{where}: {sorted(names - known)}"


def test_every_alert_says_what_is_wrong_and_is_in_the_document() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"]
            assert f"`{rule['alert']}`" in PAGE


def test_every_panel_of_the_dashboard_lies_on_its_grid() -> None:
    """None over another, each with an id and a data source of its own."""
    panels = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
