"""Metrics for Prometheus: what happened is counted as it is told; what is there now is said when it is asked for. docs/monitoring.md."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from reconciler.apply import Queue
from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Follower, Pass, last_seen
from reconciler.outcome import Outcome
from reconciler.planning.describe import SitePlan
from reconciler.planning.events import word
from reconciler.planning.plan import Plan
from reconciler.planning.rest import moving, unfinished
from reconciler.planning.steps import Wait

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ROLLOUT = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


@dataclass(frozen=True)
class Known:
    """What was told last. `sites`: as the newest pass that planned each saw it; times in seconds since 1970: when a pass ended, and
    the source answered, or when the process began. `since`: when the revision was fetched that is not applied everywhere, or a site
    ceased to be as it says; 0 where all are.
    """

    passed_at: float
    fetched_at: float
    sites: Mapping[str, SitePlan] = field(default_factory=dict)
    plan: Plan | None = None
    desired: Desired | None = None
    since: float = 0.0


class Metrics(Follower):
    """A registry of its own; series of sites that are gone go with them."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._wall, self._known = wall, Known(wall(), wall())
        self.queue: Callable[[], Queue] = Queue
        """Asked whenever metrics are; whoever makes the reconciler sets it."""
        self._rollout, self._moved = 0.0, False
        """When the revision was fetched that has not come to rest yet, else 0; whether there was something to do for it."""
        self._in_motion: frozenset[str] = frozenset()
        self._released: dict[str, str] = {}
        r = self.registry
        self._passes = Histogram("shipstone_pass_duration_seconds", "Seconds that a pass took.", registry=r, buckets=SHORT)
        self._pass_failures = Counter("shipstone_pass_failures", "Passes that failed.", registry=r)
        self._steps = Histogram("shipstone_step_duration_seconds", "Seconds that a step took.", ["step"], registry=r, buckets=LONG)
        self._step_errors = Counter("shipstone_step_errors", "Steps of a site that ended in an error; they are tried again.", registry=r)
        self._deploys = Counter("shipstone_deploys", "Releases that took over.", registry=r)
        self._failures = Counter("shipstone_release_failures", "Releases that were given up.", registry=r)
        self._fetch_failures = Counter("shipstone_fetch_failures", "Fetches of the source that failed.", registry=r)
        self._rollouts = Histogram(
            "shipstone_rollout_duration_seconds",
            "Seconds from fetching a revision until every site was as it says.",
            registry=r,
            buckets=ROLLOUT,
        )
        self._calls = Histogram(
            "shipstone_engine_call_duration_seconds", "Seconds that a call of the engine took.", ["call"], registry=r, buckets=LONG
        )
        self._call_errors = Counter("shipstone_engine_call_errors", "Calls of the engine that failed.", ["call"], registry=r)
        r.register(_Now(lambda: self._known, lambda: self.queue(), wall))
        ProcessCollector(registry=r)

    def fetched(self, revision: Revision, desired: Desired) -> None:
        now, known = self._wall(), self._known
        new = known.desired is None or known.desired.revision != desired.revision
        answered = known.fetched_at if revision.kept else now
        self._known = replace(known, desired=desired, fetched_at=answered, since=now if new else known.since)
        if new:
            self._rollout, self._moved = now, False

    def not_fetched(self, why: str) -> None:  # noqa: ARG002
        self._fetch_failures.inc()

    def passed(self, done: Pass) -> None:
        self._passes.observe(done.seconds)
        since = (self._known.since or done.at) if unfinished(done.plan, done.desired) else 0.0
        if since:
            self._moved = True
        else:
            if self._rollout and self._moved:
                self._rollouts.observe(done.at - self._rollout)
            self._rollout = 0.0
        self._known = replace(self._known, sites=last_seen(self._known.sites, done.plan), plan=done.plan, since=since, passed_at=done.at)
        self._count_deploys(done.plan)

    def not_passed(self, why: str) -> None:  # noqa: ARG002
        self._pass_failures.inc()

    def did(self, outcome: Outcome) -> None:
        for step, seconds in outcome.done:
            self._steps.labels(word(step)).observe(seconds)
        if outcome.error:
            self._step_errors.inc()
        if outcome.failed:
            self._failures.inc()

    def engine_call(self, call: str, seconds: float, failed: bool) -> None:
        """Told by the engine's connection, in whatever thread called."""
        self._calls.labels(call).observe(seconds)
        if failed:
            self._call_errors.labels(call).inc()

    def _count_deploys(self, plan: Plan) -> None:
        """A release took over when its site comes to rest with it; one that was found at rest was deployed before."""
        now = moving(plan)
        rests = {name: site.release for name, site in plan.sites.items() if name not in now and site.health == "healthy" and site.release}
        for name, release in rests.items():
            if name in self._in_motion and self._released.get(name) != release:
                self._deploys.inc()
        known = plan.sites.keys() | plan.busy
        self._released = {name: release for name, release in {**self._released, **rests}.items() if name in known}
        self._in_motion = now


class _Now(Collector):
    """What is there at the moment it is asked for."""

    def __init__(self, known: Callable[[], Known], queue: Callable[[], Queue], wall: Callable[[], float]) -> None:
        self._known, self._queue, self._wall = known, queue, wall

    def collect(self) -> Iterator[Metric]:
        known = self._known()
        yield InfoMetricFamily(
            "shipstone_build", "The version that runs.", {"version": version("shipstone"), "python": platform.python_version()}
        )
        if known.desired is not None:
            errors = sum(problem.severity == "error" for problem in known.desired.problems)
            yield InfoMetricFamily("shipstone_revision", "The revision that was fetched last.", {"commit": known.desired.revision})
            yield GaugeMetricFamily("shipstone_problems", "Errors in the files of the repository.", errors)
        yield GaugeMetricFamily("shipstone_last_fetch_timestamp_seconds", "When the source answered last, or this began.", known.fetched_at)
        yield GaugeMetricFamily("shipstone_last_pass_timestamp_seconds", "When a pass ended last, or this began.", known.passed_at)
        yield GaugeMetricFamily("shipstone_revision_behind", "1 while a site is not as the fetched revision says.", int(known.since > 0))
        lag = max(0.0, self._wall() - known.since) if known.since else 0.0
        yield GaugeMetricFamily(
            "shipstone_revision_lag_seconds", "Seconds since that is so, or the revision was fetched; 0 when all are.", lag
        )
        if known.plan is not None:
            waiting = sum(bool(site.steps) and isinstance(site.steps[0], Wait) for site in known.plan.sites.values())
            yield GaugeMetricFamily(
                "shipstone_sites_busy", "Sites that are worked on, or back off before the next try.", len(known.plan.busy)
            )
            yield GaugeMetricFamily("shipstone_sites_waiting", "Sites in motion that wait: for readiness, Traefik, a drain, room.", waiting)
            yield GaugeMetricFamily("shipstone_removals_held", "Sites whose removal waits for approval.", len(known.plan.held_removals))
            yield GaugeMetricFamily("shipstone_host_drift", "What differs by a hand's doing and is no site's.", len(known.plan.host))
            yield GaugeMetricFamily("shipstone_foreign_claims", "What others claim that a site has.", len(known.plan.foreign))
            yield _failed(known)
        yield from _queued(self._queue())
        yield from _sites(known.sites)


def _queued(queue: Queue) -> Iterator[Metric]:
    yield GaugeMetricFamily("shipstone_sites_backing_off", "Sites that wait before the next try.", queue.backing_off)
    jobs = GaugeMetricFamily("shipstone_jobs_queued", "Jobs that wait for a thread.", labels=["kind"])
    jobs.add_metric(["steps"], queue.steps)
    jobs.add_metric(["pulls"], queue.pulls)
    jobs.add_metric(["stops"], queue.stops)
    yield jobs


def _failed(known: Known) -> Metric:
    rows = GaugeMetricFamily("shipstone_site_release_failed", "1: the release that is wanted failed.", labels=["site", "release"])
    for name, failed in known.plan.memory.failed.items() if known.plan else ():
        rows.add_metric([name, failed.release], 1)
    return rows


def _sites(sites: Mapping[str, SitePlan]) -> Iterator[Metric]:
    info = GaugeMetricFamily("shipstone_site_info", "How a site stands.", labels=["site", "sync", "health", "release", "commit"])
    ready = GaugeMetricFamily("shipstone_site_replicas_ready", "Replicas that are ready.", labels=["site"])
    wanted = GaugeMetricFamily("shipstone_site_replicas_desired", "Replicas that there should be.", labels=["site"])
    drift = GaugeMetricFamily("shipstone_site_drift", "Fields that differ by a hand's doing.", labels=["site"])
    for name, site in sites.items():
        info.add_metric([name, site.sync, site.health, site.release, site.commit], 1)
        ready.add_metric([name], site.ready)
        wanted.add_metric([name], site.wanted)
        drift.add_metric([name], len(site.drift))
    yield from (info, ready, wanted, drift)
