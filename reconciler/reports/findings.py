"""What commands print: the same findings as text or as JSON."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from reconciler.desired.desired import Desired
from reconciler.desired.problem import Problem
from reconciler.errors import in_one_line, printable
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.plan import Plan
from reconciler.planning.steps import line


def notices(plan: Plan, desired: Desired) -> tuple[str, ...]:
    """What a person should know of the whole."""
    return (*desired.notices, *plan.notices)


def problems_json(problems: Iterable[Problem]) -> dict[str, Any]:
    return {"problems": [problem.as_json() for problem in problems]}


def plan_json(plan: Plan, desired: Desired, *, causes: frozenset[str] = frozenset({"commit", "drift"})) -> dict[str, Any]:
    """The form of `plan` and `drift --output json`."""
    return {
        "revision": desired.revision,
        "sites": {name: _site_json(site, causes) for name, site in sorted(plan.sites.items())},
        "problems": [problem.as_json() for problem in desired.problems],
        "foreign": [asdict(claim) | _difference_json(claim.difference) for claim in plan.foreign],
        "host": [_difference_json(row) for row in plan.host],
        "notices": list(notices(plan, desired)),
    }


def status_json(sites: Mapping[str, SitePlan], desired: Desired, observed_at: float, notices: Iterable[str]) -> dict[str, Any]:
    """The form of `status --output json`; `observed_at` in seconds since 1970."""
    rows = {
        name: {
            "sync": site.sync,
            "health": site.health,
            "release": site.release,
            "commit": site.commit,
            "hosts": list(site.hosts),
            "replicas": {"ready": site.ready, "desired": site.wanted},
            "message": site.message,
        }
        for name, site in sorted(sites.items())
    }
    at = dt.datetime.fromtimestamp(observed_at, dt.UTC).isoformat(timespec="seconds")
    return {"revision": desired.revision, "observed_at": at, "sites": rows, "notices": list(notices)}


def plan_text(plan: Plan, desired: Desired) -> list[str]:
    """Lines: problems, then per site its differences and the way there."""
    rows = [str(problem) for problem in desired.problems]
    if not plan.network:
        rows.append("the network is missing: it is made first")
    if plan.proxy_down:
        rows.append(f"Traefik is {plan.proxy}: it is started")
    rows += map(in_one_line, notices(plan, desired))
    rows += [in_one_line(str(row)) for row in plan.host if row.field != "network"]
    for name, site in sorted(plan.sites.items()):
        if not site.steps and not site.differences and not site.message:
            continue
        rows.append(f"{name}: {site.message or site.sync}")
        rows += [f"  {in_one_line(str(difference))}" for difference in site.differences]
        rows += [f"  {line(step)}" for step in site.steps]
    return [printable(row) for row in rows] or ["nothing to do"]


def status_rows(plan: Plan) -> list[tuple[str, str, str, str, str, str]]:
    """Site, sync, health, ready/wanted, release, hosts or the message."""
    return [
        (name, s.sync, s.health, f"{s.ready}/{s.wanted}", s.release, s.message.splitlines()[0] if s.message else " ".join(s.hosts))
        for name, s in sorted(plan.sites.items())
    ]


def plan_exit(plan: Plan, desired: Desired, *, drift_only: bool = False) -> int:
    """0 nothing to do, 2 differences, 1 an error, a held site or a held history (1 wins). Drift is also what others claim of ours."""
    if (
        desired.notices
        or any(site.sync == "held" for site in plan.sites.values())
        or any(problem.severity == "error" for problem in desired.problems)
    ):
        return 1
    if drift_only:
        return 2 if plan.drift else 0
    missing = bool(plan.host) or not plan.network or plan.proxy_down
    return 2 if missing or any(site.differences or site.steps for site in plan.sites.values()) else 0


def _site_json(site: SitePlan, causes: frozenset[str]) -> Mapping[str, Any]:
    return {
        "state": site.sync,
        "release": site.release,
        "differences": [_difference_json(row) for row in site.differences if row.cause in causes],
        "steps": [{"step": step.step, "target": step.target, "reason": step.reason} for step in site.steps],
    }


def _difference_json(row: Difference) -> dict[str, str | None]:
    return {
        "service": row.service,
        "container": row.container,
        "field": row.field,
        "desired": row.desired,
        "actual": row.actual,
        "cause": row.cause,
        "since": row.since or None,
        "action": row.action,
    }
