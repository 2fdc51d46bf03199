"""Document, alert rules and dashboard ask only for metrics, labels and values that exist, in expressions that Prometheus can read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import yaml
from prometheus_client import generate_latest

from reconciler.desired.desired import Desired
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.followers.metrics import Metrics
from reconciler.outcome import Outcome
from reconciler.planning.describe import Health, SitePlan, Sync
from reconciler.planning.failed import FailedRelease
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Pull, Step, Wait

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
PAGE = MONITORING.with_suffix(".md").read_text(encoding="utf-8")
GIVEN = {"job", "instance"}
"""Labels that Prometheus gives to every series."""
VALUES = {"sync": set(get_args(Sync)), "health": set(get_args(Health)), "job": {"shipstone"}, "instance": {"$instance"}}
FUNCTIONS = {"absent", "histogram_quantile", "increase", "label_values", "rate", "time", "vector"}
AGGREGATIONS = {"count", "max", "sum"}
WORDS = {"and", "by", "group_left", "on", "or"}


class Query(NamedTuple):
    """An expression, where it stands, and the text that its results are told in."""

    where: str
    text: str
    told: str = ""

    @property
    def names(self) -> set[str]:
        return set(re.findall(r"\b(?:shipstone_\w+|up(?={))", self.text))

    @property
    def labels(self) -> set[str]:
        """Of the series that it asks for."""
        return {label for name in self.names for label in labels_of(name)}

    @property
    def kept(self) -> set[str]:
        """The labels that its results have."""
        by = re.findall(r"\bby \(([^)]*)\)", self.text)
        if by:
            return set(by[0].split(", ")) - {"le"}
        return set() if any(re.search(rf"\b{name}\(", self.text) for name in AGGREGATIONS) else self.labels


def everything() -> Metrics:
    """With a series of each kind."""
    site = SitePlan("blog", "synced", "healthy", "aaaa", "c1", ("blog.test",), 2, 2)
    desired = Desired("c1", {})
    metrics = Metrics(lambda: 1000.0)
    metrics.fetched(Revision("c1", {}, lambda _: b""), desired)
    metrics.engine_call("list", 0.01, failed=True)
    metrics.did(Outcome("blog", ((Pull("app:2", "new", "r"), 3.0),)))
    memory = Memory(failed={"blog": FailedRelease("blog", "bbbb", "exited", 1.0)})
    metrics.passed(Pass(Plan({"blog": site}, memory, network=True), desired, 1000.0, 0.02))
    return metrics


def families() -> dict[str, str]:
    """Name as it is asked for (`_total` where it counts) → type, of everything there can be."""
    found = dict(re.findall(r"^# TYPE (shipstone_\w+) (\w+)$", generate_latest(everything().registry).decode(), re.MULTILINE))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def family_labels() -> dict[str, list[str]]:
    """By the name of its family."""
    endings = {"counter": "_total", "info": "_info"}
    found = [family for family in everything().registry.collect() if family.name.startswith("shipstone_")]
    return {family.name + endings.get(family.type, ""): [key for key in family.samples[0].labels if key != "le"] for family in found}


ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "counter": ("",)}
FAMILIES = families()
SERIES = {f"{name}{ending}": name for name, kind in FAMILIES.items() for ending in ENDINGS[kind]} | {"up": "up"}
"""Every name that a query may hold, and its family."""
LABELS = family_labels()


def labels_of(series: str) -> set[str]:
    return {*LABELS.get(SERIES[series], ()), *GIVEN, *(["le"] if series.endswith("_bucket") else [])}


def rules() -> Iterator[dict[str, dict[str, str] | str]]:
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def queries() -> list[Query]:
    """Of the alert rules and of the dashboard."""
    board = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    found = [Query(str(rule["alert"]), str(rule["expr"]), json.dumps(rule["annotations"])) for rule in rules()]
    for panel in board["panels"]:
        found += [Query(panel["title"], target["expr"], target["legendFormat"]) for target in panel["targets"]]
    return found + [Query(one["name"], one["query"]["query"]) for one in board["templating"]["list"] if "query" in one["query"]]


def test_names_are_as_prometheus_has_them() -> None:
    for name, kind in FAMILIES.items():
        assert name.endswith("_total") == (kind == "counter"), name
        if kind == "histogram" or "lag" in name:
            assert name.endswith("_seconds"), name


def test_every_metric_is_in_the_document_with_its_type() -> None:
    rows = dict(re.findall(r"^\| `(shipstone_\w+)(?:\{[^`]*\})?` \| (\w+) \| .+ \|$", PAGE, re.MULTILINE))
    assert rows == FAMILIES


def test_labels_in_the_document_are_those_that_there_are() -> None:
    written = dict(re.findall(r"^\| `(shipstone_\w+)\{([^`]*)\}` ", PAGE, re.MULTILINE))
    assert written == {name: ", ".join(labels) for name, labels in LABELS.items() if labels}


def test_every_step_that_takes_time_is_in_the_document() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `shipstone_step_duration_seconds"))
    steps = {step.step for step in get_args(Step) if step is not Wait} | {"unpin"}
    assert set(re.findall("`([^`]+)`", row.partition("Seconds")[2])) == steps


def test_alerts_and_dashboard_ask_only_for_what_exists() -> None:
    asked = queries()
    assert len(asked) > 20
    for query in asked:
        assert query.names, query
        assert query.names <= SERIES.keys(), query


def test_selectors_name_labels_and_values_that_exist() -> None:
    for query in queries():
        for name, selector in re.findall(r"(\w+)\{([^}]*)\}", query.text):
            for matcher in selector.split(","):
                found = re.fullmatch(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matcher)
                assert found, f"{query}: {matcher}"
                label, values = found.groups()
                assert label in labels_of(name), f"{query}: {label}"
                assert set(values.split("|")) <= VALUES[label], f"{query}: {values}"


def test_labels_that_results_are_grouped_by_and_told_with_exist() -> None:
    for query in queries():
        for grouped in re.findall(r"\b(?:by|on|group_left|label_values) ?\((?:shipstone_\w+, )?([a-z_, ]+)\)", query.text):
            assert set(grouped.split(", ")) <= query.labels, f"{query}: {grouped}"
        told = re.findall(r"\$labels\.(\w+)|\{\{ ?(?!end)(\w+) ?\}\}", query.told)
        assert {one or other for one, other in told} <= query.kept, query


def test_expressions_are_closed_and_call_functions_that_exist() -> None:
    for query in queries():
        bare = re.sub(r'"[^"]*"', "", query.text)
        nested = re.sub(r"[^(){}\[\]]", "", bare)
        while (inner := re.sub(r"\(\)|\{\}|\[\]", "", nested)) != nested:
            nested = inner
        assert not nested, query
        assert set(re.findall(r"\b([a-z_]+) ?\(", bare)) <= FUNCTIONS | AGGREGATIONS | WORDS, query


def test_every_alert_says_what_is_wrong_and_is_in_the_document() -> None:
    for rule in rules():
        labels, annotations = rule["labels"], rule["annotations"]
        assert isinstance(labels, dict)
        assert isinstance(annotations, dict)
        assert labels["severity"] in ("warning", "critical")
        assert annotations["summary"]
        assert f"`{rule['alert']}`" in PAGE


def test_a_dead_host_is_told_by_the_name_of_the_job() -> None:
    """As the document names it: series of Shipstone itself are gone with the host."""
    (job,) = re.findall(r"job_name: (\w+)", PAGE)
    (gone,) = [query.text for query in queries() if query.where == "ShipstoneGone"]
    assert f'up{{job="{job}"}} == 0' in gone


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
