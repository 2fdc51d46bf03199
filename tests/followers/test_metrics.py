"""Metrics: what is counted, and what is there now."""

from dataclasses import replace

import pytest

from reconciler.apply import Queue
from reconciler.desired.desired import Desired
from reconciler.desired.problem import Problem
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.metrics import Metrics
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.failed import FailedRelease
from reconciler.planning.foreign import Claim
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Pull, SetPin, Wait
from reconciler.web.app import build_app
from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics_route
from tests.planning.test_plan import site as a_site
from tests.web.asked import asking

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
    done = ((Pull("app:2", "new", "r"), 3.0), (SetPin("blog", None, "all is there"), 0.01))
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


WRITTEN = Desired("c1", {"blog": replace(a_site("blog"), release="aaaa")})
FAILED = replace(BLOG, sync="out-of-sync", differences=(BY_COMMIT,), release="bbbb", asked="aaaa", message="release aaaa failed")
ROLLED_BACK = replace(FAILED, asked="bbbb", message="rolled back to bbbb")


@pytest.mark.parametrize(
    ("state", "late"),
    [
        (replace(BLOG, asked="aaaa"), 0),
        (replace(BLOG, asked="aaaar1", release="aaaar1", differences=(BY_HAND,)), 0),
        (replace(BLOG, sync="suspended", asked="aaaa", release="bbbb", differences=(BY_COMMIT,)), 0),
        (ROLLED_BACK, 0),
        (replace(ROLLED_BACK, asked="bbbbr2", release="bbbbr2"), 0),
        (replace(ROLLED_BACK, sync="held"), 1),
        (FAILED, 1),
        (replace(FAILED, asked="bbbbr1", message="release bbbbr1 failed"), 1),
        (MOVING, 1),
    ],
)
def test_behind_is_the_same_however_it_came_to_be_so(state: SitePlan, late: int) -> None:
    """Found after a start, or come to after all was at rest, from then on; and that is no rollout of the revision."""
    now, done = [1000.0], replace(a_pass(state, at=1050.0), desired=WRITTEN)
    after_rest, after_start = at_rest(now), Metrics(lambda: now[0])
    now[0] = 1040.0
    after_start.fetched(REVISION, WRITTEN)
    for metrics in (after_rest, after_start):
        metrics.passed(done)
    now[0] = 1060.0
    assert [value(metrics, "revision_behind") for metrics in (after_rest, after_start)] == [late, late]
    assert [value(metrics, "revision_lag_seconds") for metrics in (after_rest, after_start)] == [10 * late, 20 * late]
    after_rest.passed(replace(done, at=1070.0))
    assert value(after_rest, "revision_lag_seconds") == 10 * late, "it lasts"
    after_rest.passed(a_pass(BLOG, at=1080.0))
    assert (value(after_rest, "revision_behind"), value(after_rest, "rollout_duration_seconds_count")) == (0, 0)


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


def test_drift_around_the_sites_and_claims_of_strangers_are_as_they_are_now() -> None:
    metrics = at_rest([1000.0])
    assert (value(metrics, "host_drift"), value(metrics, "foreign_claims")) == (0, 0)
    done = a_pass(BLOG)
    claim = Claim("other", "blog", "Host(`blog.test`)", "blog.test", "blog")
    metrics.passed(replace(done, plan=replace(done.plan, host=(BY_HAND, BY_HAND), foreign=(claim,))))
    assert (value(metrics, "host_drift"), value(metrics, "foreign_claims")) == (2, 1)


def test_the_queue_is_asked_whenever_metrics_are() -> None:
    metrics = at_rest([1000.0])
    assert value(metrics, "sites_backing_off") == 0
    metrics.queue = lambda: Queue(backing_off=1, steps=2, pulls=3, stops=4)
    assert value(metrics, "sites_backing_off") == 1
    assert [value(metrics, "jobs_queued", kind=kind) for kind in ("steps", "pulls", "stops")] == [2, 3, 4]


def test_how_old_the_newest_fetch_and_pass_are_is_said() -> None:
    now = [1000.0]
    metrics = at_rest(now)
    now[0] = 1100.0
    metrics.not_fetched("no route")
    metrics.not_passed("no engine")
    assert (value(metrics, "last_fetch_timestamp_seconds"), value(metrics, "last_pass_timestamp_seconds")) == (1000, 1000)
    assert (value(metrics, "fetch_failures_total"), value(metrics, "pass_failures_total")) == (1, 1)


def test_before_the_source_answers_its_silence_counts_from_the_start() -> None:
    """What was taken before a start is begun with, and is no answer."""
    now = [1000.0]
    metrics = Metrics(lambda: now[0])
    assert (value(metrics, "last_fetch_timestamp_seconds"), value(metrics, "last_pass_timestamp_seconds")) == (1000, 1000)
    now[0] = 1100.0
    metrics.fetched(replace(REVISION, kept=True), Desired("c1", {}))
    assert (value(metrics, "last_fetch_timestamp_seconds"), value(metrics, "revision_info", commit="c1")) == (1000, 1)
    metrics.fetched(REVISION, Desired("c1", {}))
    assert value(metrics, "last_fetch_timestamp_seconds") == 1100


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
