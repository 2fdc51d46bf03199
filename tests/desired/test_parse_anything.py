"""Whatever is in a file, reading it gives problems that can be printed, never an exception."""

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.desired.codes import CODES
from reconciler.desired.parse import merged_services, parse_fleet, parse_site
from reconciler.desired.problem import Problem
from reconciler.desired.site import Fleet, Healthcheck, Rollout, Site
from tests.desired.rows import CLOSED, FLEET


def assert_printable(problems: tuple[Problem, ...], site: Site | Fleet | None, data: bytes) -> None:
    """Known codes, one line each, without control characters, at a place that is in the file."""
    lines = data.count(b"\n") + data.count(b"\r") + 1
    assert (site is None) == any(problem.severity == "error" for problem in problems)
    assert list(problems) == sorted(problems)
    for problem in problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 800
        assert problem.code in CODES
        assert 1 <= problem.line <= lines
        assert problem.column >= 1


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"a: &a [*a]")
@example(b'"\\ud83d": "\\ud83d"')
@example(b'image: "\\uD83D\\0"')
@example(b"? ? ? a\n: b")
@example(b"<<: {<<: {<<: 1}}")
@example(b"image: !<!> x")
@example(b"\xef\xbb\xbf\x00")
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    site, problems = parse_site("sites/a.yaml", data, FLEET, CLOSED)
    assert_printable(problems, site, data)
    fleet, problems = parse_fleet("shipstone.yaml", data)
    assert_printable(problems, fleet, data)


KEYS = [*Site.model_fields, *Healthcheck.model_fields, *Rollout.model_fields, "x-a", "<<", "privileged", "imgae", "nofile", "soft", "a"]
WORDS = [
    "nginx:1",
    "22:22",
    "0",
    "-1",
    "80",
    "5s",
    "64m",
    "true",
    "yes",
    "~",
    "",
    "/a",
    "/a/../b",
    "a:/a",
    "/:/a",
    "A=b",
    "=",
    "[key]",
    "é",
    "::1",
]
PIECES = "\n:{}[]&*!|>'\"%@`,?#-= \tab0\u202e\x07\ud83d\U0001f600"


def _trees() -> st.SearchStrategy[Any]:
    words = st.sampled_from(WORDS) | st.text(max_size=8) | st.integers() | st.floats() | st.booleans() | st.none() | st.dates()
    names = st.sampled_from(KEYS) | st.text(max_size=8)
    return st.recursive(words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=20)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), _trees(), max_size=8))
@example({"environment": {"[key]": None}, "services": {"[key]": {"[key]": 1}}})
@example({"healthcheck": {"test": []}, "ulimits": {"nofile": []}, "extra_hosts": {"a": [1]}})
def test_no_structure_makes_the_reader_fail(tree: dict[str, Any]) -> None:
    data = yaml.dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")
    site, problems = parse_site("sites/a.yaml", data, FLEET, CLOSED)
    assert_printable(problems, site, data)
    if site is not None:
        assert merged_services(site, FLEET)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*KEYS, *WORDS, *PIECES, "\n  ", ": ", "- ", "&a ", "*a", "<<: "]), max_size=40))
def test_no_text_made_of_yaml_makes_the_reader_fail(pieces: list[str]) -> None:
    data = "".join(pieces).encode("utf-8", "surrogatepass")
    site, problems = parse_site("sites/a.yaml", data, FLEET, CLOSED)
    assert_printable(problems, site, data)
