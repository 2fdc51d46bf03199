"""A new version of Shipstone alone rolls no site: what an older one made, and what a later one will have made, is read and left alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Entry, Revision
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container, Observed, TraefikView
from reconciler.planning.plan import Plan, make_plan
from reconciler.planning.seen import Names
from reconciler.planning.steps import Start

NAMES = Names("ship", "ship_net", "web")
SCHEME_1 = Path(__file__).with_name("scheme_1.json")
"""Names and labels of the containers that the first version made of FILES. Never write it anew: it stands for what runs out there."""
POLICY = Policy(bind_roots=("/srv",), capabilities=("NET_BIND_SERVICE",), tls=True)
FILES = {
    "shipstone.yaml": "domain: test\n",
    "conf/app.ini": "[app]\n",
    "sites/plain.yaml": "image: app:1\nport: 80\nreplicas: 2\n",
    "sites/rich.yaml": """image: app:1
port: 8080
hosts: [rich.test, www.rich.test]
path: /shop
tls: {certresolver: le}
sticky: {secure: true, samesite: lax, maxage: 1h}
loadbalancer: {strategy: p2c, pass_host_header: false, flush_interval: 50ms}
middlewares:
  - compress: {}
  - addPrefix: {prefix: /x}
rollout: {deadline: 1m, min_healthy: 2s, drain: 3s}
mem_limit: 64m
cpus: 0.5
pids_limit: 100
environment: {A: '1', B: "two words, and 'quotes'"}
files: {/etc/app.ini: conf/app.ini}
volumes: ["data:/data:ro", "/srv/rich:/srv:ro"]
healthcheck: {test: [CMD, /check], interval: 5s, retries: 2, start_period: 10s}
labels: {team: shop}
stop_grace_period: 7s
cap_add: [NET_BIND_SERVICE]
tmpfs: [/tmp]
extra_hosts: ["db:10.0.0.9"]
ulimits: {nofile: {soft: 1024, hard: 2048}}
services:
  a: {weight: 10, replicas: 2}
  b: {weight: 5, command: [serve, --fast]}
""",
}


def revision(files: dict[str, str]) -> Revision:
    entries = {path: Entry(hashlib.sha256(text.encode()).hexdigest(), "file", len(text)) for path, text in files.items()}
    return Revision("c0ffee", entries, lambda path: files[path].encode())


def desired(files: dict[str, str]) -> Desired:
    found = Compiler(POLICY).compile(revision(files), None)
    assert [str(problem) for problem in found.problems if problem.severity == "error"] == []
    return found


def scheme_1() -> list[dict[str, Any]]:
    return list(json.loads(SCHEME_1.read_text()))


def scheme_2() -> list[dict[str, Any]]:
    """A version to come: more in the spec, wherever there is room; more labels; other routing labels for the same content."""
    rows = scheme_1()
    for row in rows:
        labels = row["labels"]
        spec = with_more(json.loads(labels["shipstone.spec"]))
        whole = f"ship-{labels['shipstone.site']}-{labels['shipstone.release']}"
        labels |= {"shipstone.scheme": "2", "shipstone.spec": json.dumps(spec), "shipstone.owner": "somebody"}
        labels |= {key: str(int(value) + 2) for key, value in labels.items() if key.endswith(".priority")}
        labels[f"traefik.http.routers.{whole}-0.observability.tracing"] = "false"
        labels[f"traefik.http.services.{whole}-{labels['shipstone.service']}-{labels['shipstone.replica']}.loadbalancer.new"] = "1"
    return rows


def with_more(value: Any) -> Any:
    """With an unknown key in every object."""
    if isinstance(value, dict):
        return {**{key: with_more(item) for key, item in value.items()}, "unheard_of": {"x": [1]}}
    return [with_more(item) for item in value] if isinstance(value, list) else value


def running(rows: list[dict[str, Any]]) -> tuple[Container, ...]:
    """As they were made, untouched by any hand."""
    limits = {"rich": {"mem_limit": 64 * 2**20, "cpus": 0.5, "pids_limit": 100}}
    environments = {"rich": {"A": "1", "B": "two words, and 'quotes'"}}
    found = []
    for n, row in enumerate(rows):
        labels = row["labels"]
        site = labels["shipstone.site"]
        live = {"networks": ("ship_net",), "image": labels["shipstone.digest"], "restart": "unless-stopped"}
        live |= limits.get(site, {"mem_limit": None, "cpus": None, "pids_limit": None})
        live |= {"environment": {"PATH": "/bin", **environments.get(site, {})}, "image_defaults": {"environment": {"PATH": "/bin"}}}
        found.append(Container(f"id{n}", row["name"], "running", "healthy", labels, f"10.0.0.{n + 2}", live=live))
    return tuple(found)


def plan(files: dict[str, str], containers: tuple[Container, ...]) -> Plan:
    view = TraefikView(reachable=True)
    observed = Observed(containers, network=True, pins={}, traefik=view, answering=frozenset(c.id for c in containers))
    return make_plan(desired(files), observed, Memory(), 100.0, NAMES)


@pytest.mark.parametrize("made", [scheme_1, scheme_2], ids=["older", "later"])
def test_what_another_version_made_is_left_as_it_runs(made: Any) -> None:
    """No step, and no difference to be seen."""
    found = plan(FILES, running(made()))
    assert str(found) == ""
    assert {name: (site.sync, site.health, site.differences) for name, site in found.sites.items()} == {
        "plain": ("synced", "healthy", ()),
        "rich": ("synced", "healthy", ()),
    }


@pytest.mark.parametrize("made", [scheme_1, scheme_2], ids=["older", "later"])
def test_a_replica_that_joins_is_routed_as_those_that_run(made: Any) -> None:
    """Or Traefik would find one name with two meanings, and drop it. Only the service that names one replica is its own."""
    more = FILES["sites/rich.yaml"].replace("replicas: 2", "replicas: 3")
    found = plan({**FILES, "sites/rich.yaml": more}, running(made()))
    assert not found.sites["plain"].steps
    assert not any(step.step in ("stop", "remove") for step in found.sites["rich"].steps)
    (start,) = (step for step in found.sites["rich"].steps if isinstance(step, Start))
    sibling = next(row["labels"] for row in made() if row["name"].startswith("ship-rich-a-"))
    ours, theirs = (f".ship-rich-{found.sites['rich'].release}-a-{n}." for n in (3, 1))
    routing = {key.replace(theirs, ours): value for key, value in sibling.items() if key.startswith("traefik.")}
    assert {key: value for key, value in start.new.labels if key.startswith("traefik.")} == routing
    assert any(ours in key for key in routing)


def test_a_change_of_content_still_is_one() -> None:
    """And named as what it is: the rest was read rightly."""
    found = plan({**FILES, "sites/plain.yaml": "image: app:2\nport: 80\nreplicas: 2\n"}, running(scheme_2()))
    assert any(step.step == "start" for step in found.sites["plain"].steps)
    assert {row.field for row in found.sites["plain"].differences} == {"image"}
    assert not found.sites["rich"].steps
