"""What YAML itself gets wrong, or reads otherwise than people do: each with its place, code and what to do."""

import pytest

from reconciler.desired.parse import parse_fleet, parse_site
from reconciler.desired.problem import Problem
from reconciler.desired.site import Fleet
from tests.desired.rows import CLOSED, FLEET, assert_only, problems_of

BOMB = "x-a: &a [k, k, k, k, k, k, k, k, k]\n" + "".join(
    f"x-{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("hosts:\n\t- a.shipstone.local\n", "2:1", "SS-Y13", "a tab indents this line", id="tab"),
        pytest.param("environment:\n  A: b\n \tB: c\n", "3:2", "SS-Y13", "use two", id="tab-after-space"),
        pytest.param("port: 80\nweight: 1\nport: 81\n", "3:1", "SS-Y02", "in line 1 and in line 3", id="duplicate-key"),
        pytest.param("environment:\n  A: b\n  A: c\n", "3:3", "SS-Y02", "in line 2 and in line 3", id="duplicate-in-map"),
        pytest.param(
            "command: [serve, 22:22]", "1:18 command[1]", "SS-Y03", 'YAML read 22:22 as 1342. Quote it: "22:22"', id="sexagesimal"
        ),
        pytest.param("environment: {MODE: 0777}", "1:21 environment.MODE", "SS-Y03", 'YAML read 0777 as 511. Quote it: "0777"', id="octal"),
        pytest.param("environment: {DEBUG: yes}", "1:22 environment.DEBUG", "SS-Y03", 'YAML read yes as true. Quote it: "yes"', id="yes"),
        pytest.param("environment:\n  no: b", "2:3 environment.no", "SS-Y03", 'YAML read no as false. Quote it: "no"', id="no-as-key"),
        pytest.param("labels: {v: 1.10}", "1:13 labels.v", "SS-Y03", 'YAML read 1.10 as 1.1. Quote it: "1.10"', id="trailing-zero"),
        pytest.param("labels: {t: 12:30:45}", "1:13 labels.t", "SS-Y03", "as 45045", id="time"),
        pytest.param("labels: {day: 2024-01-02}", "1:15 labels.day", "SS-Y03", "as a date", id="date"),
        pytest.param("environment: {LIMIT: .inf}", "1:22 environment.LIMIT", "SS-Y03", "as inf", id="infinity"),
        pytest.param("environment: {SIGN: =}", "1:21 environment.SIGN", "SS-Y03", 'Quote it: "="', id="bare-equals"),
        pytest.param("port: 0777", "1:7 port", "SS-Y17", "YAML 1.1 reads 0777 as 511. Write plain digits", id="octal-number"),
        pytest.param("port: 22:22", "1:7 port", "SS-Y17", "reads 22:22 as 1342", id="sexagesimal-number"),
        pytest.param("read_only: yes", "1:12 read_only", "SS-Y17", "Write true or false", id="yes-for-true"),
        pytest.param("image: !!python/object/apply:os.system [ls]", "1:8", "SS-Y04", "python/object/apply:os.system", id="python-tag"),
        pytest.param("user: !!binary aGk=", "1:7", "SS-Y04", "Delete the tag", id="binary-tag"),
        pytest.param(BOMB, "4:6", "SS-Y05", "Use fewer aliases", id="alias-bomb"),
        pytest.param("x-a: &a [*a]", "1:10", "SS-Y05", "inside the value that it stands for", id="alias-of-itself"),
        pytest.param("x-a: &a {<<: *a}", "1:14", "SS-Y05", "inside the value that it stands for", id="merge-of-itself"),
        pytest.param("x-a: *nowhere", "1:6", "SS-Y05", "no anchor before it", id="alias-of-nothing"),
        pytest.param("x-a: {<<: text}", "1:11", "SS-Y14", "takes an alias of a map", id="merge-of-a-text"),
        pytest.param("port: 80\n---\nport: 81\n", "2:1", "SS-Y06", "Keep one document in a file", id="two-documents"),
        pytest.param("", "1:1", "SS-Y07", "To remove the site delete the file", id="empty"),
        pytest.param("# only a comment\n", "1:1", "SS-Y07", "the file is empty", id="comment"),
        pytest.param("---\n~\n", "2:1", "SS-Y07", "the file is empty", id="null"),
        pytest.param("- image: nginx:1\n", "1:1", "SS-Y08", "the file is a list, not a map", id="top-list"),
        pytest.param("nginx:1", "1:1", "SS-Y08", "the file is a text, not a map", id="top-text"),
        pytest.param("x-a: " + "[" * 500, "1:37", "SS-Y09", "nested more than 32 levels", id="500-brackets"),
        pytest.param("{a: " * 500, "1:129", "SS-Y09", "nested more than 32 levels", id="500-braces"),
        pytest.param("x-a: " + "k" * 65536, "1:1", "SS-Y10", "more than 65536", id="too-large"),
        pytest.param("port: 80\nuser: a\x07b", "2:8", "SS-Y11", "U+0007", id="control-character"),
        pytest.param("user: a\u202eb", "1:8", "SS-Y11", "U+202E", id="turned-text"),
        pytest.param('x-a: "\\ud83d"', "1:9", "SS-Y01", "invalid Unicode", id="surrogate-escape"),
        pytest.param('x-a: "a\\0b"', "1:6", "SS-Y11", "NUL", id="nul-escape"),
        pytest.param("user: \ud83d", "1:7", "SS-Y12", "not UTF-8", id="surrogate"),
        pytest.param(b"port: 80\nuser: caf\xe9\n", "2:10", "SS-Y12", "0xe9 is not UTF-8. Save the file as UTF-8", id="latin-1"),
        pytest.param("port: 80".encode("utf-16"), "1:1", "SS-Y12", "Save the file as UTF-8", id="utf-16"),
        pytest.param("replicas: " + "9" * 5000, "1:11 replicas", "SS-C13", "has 5000 digits", id="5000-digits"),
        pytest.param("cpus: .inf", "1:7 cpus", "SS-Y17", "is not a number", id="infinite-cpus"),
        pytest.param("imgae: nginx:1", "1:1 imgae", "SS-Y15", "Did you mean `image`?", id="did-you-mean"),
        pytest.param("port: 80\nhealthcheck: {test: ls, intervall: 5s}", "2:25 healthcheck.intervall", "SS-Y15", "`interval`", id="deep"),
        pytest.param("rollout: {qqq: 1}", "1:11 rollout.qqq", "SS-Y15", "Write one of: order, deadline, min_healthy, drain", id="few-keys"),
        pytest.param("qqq: 1", "1:1 qqq", "SS-Y15", "See docs/sites.md", id="unknown-key"),
        pytest.param("yes: 1", "1:1 yes", "SS-Y15", "yes is not a key here", id="yes-as-key"),
        pytest.param('"a\\nb": 1', "1:1 " + '"a\\nb"', "SS-Y15", "is not a key here", id="key-with-a-line-break"),
        pytest.param("? [a, b]\n: c", "1:3", "SS-Y14", "a key must be a text", id="list-as-key"),
        pytest.param("{{ name }}: 1", "1:1", "SS-Y14", "a key must be a text", id="template"),
        pytest.param("image: 'nginx:1", "1:8", "SS-Y01", "opened here and never closed", id="open-quote"),
        pytest.param("port: 80\nx-a: {b: {\n\n", "2:11", "SS-Y01", "the file ends in the middle of a value", id="open-bracket"),
        pytest.param("port: 80\n  user: root\n", "2:7", "SS-Y01", "mend the indent", id="indent"),
        pytest.param("port:\n", "1:1 port", "SS-Y16", "nothing is written here", id="nothing-for-a-text"),
        pytest.param("volumes: ~\n", "1:1 volumes", "SS-Y16", "nothing is written here", id="nothing-for-a-list"),
        pytest.param("services:\n  a:\n", "2:3 services.a", "SS-Y16", "nothing is written here", id="nothing-for-a-service"),
        pytest.param("rollout:\n", "1:1 rollout", "SS-Y16", "nothing is written here", id="nothing-for-a-map"),
        pytest.param("services: {}\n", "1:11 services", "SS-Y16", "there is no service in it", id="no-services"),
        pytest.param(
            "hosts: a.shipstone.local", "1:8 hosts", "SS-Y16", "a list belongs here. Write [a.shipstone.local]", id="text-for-list"
        ),
        pytest.param("image: [nginx]", "1:8 image", "SS-Y16", "this is a list, and one text belongs here", id="list-for-text"),
        pytest.param("services: [a]", "1:11 services", "SS-Y16", "this is a list, and a map", id="list-for-map"),
        pytest.param("rollout: {drain: [1s]}", "1:18 rollout.drain", "SS-Y16", "this is a list", id="list-for-duration"),
        pytest.param(
            "services: {a: {hosts: [x]}}", "1:16 services.a.hosts", "SS-Y18", "at the top of a site's file", id="hosts-in-service"
        ),
        pytest.param("drain: 5s", "1:1 drain", "SS-Y18", "It belongs in rollout:", id="drain-at-the-top"),
        pytest.param("interval: 5s", "1:1 interval", "SS-Y18", "It belongs in healthcheck:", id="interval-at-the-top"),
        pytest.param("domain: a.b", "1:1 domain", "SS-Y18", "It belongs in shipstone.yaml", id="domain-in-a-site"),
    ],
)
def test_one_problem_at_its_place(text: str | bytes, place: str, code: str, fragment: str) -> None:
    assert_only(text, place, code, fragment)


def test_all_problems_come_at_once_and_in_the_order_of_the_file() -> None:
    text = "imgae: nginx\nport: 0\nhosts: [a b, 22:22]\nprivileged: true\nport: 1\nservices: {A: {port: x}}\n"
    assert [str(problem).split(". ")[0] for problem in problems_of(text)] == [
        "sites/blog.yaml:1:1 imgae: imgae is not a key",
        "sites/blog.yaml:2:7 port: 0 is out of range",
        "sites/blog.yaml:3:9 hosts[0]: a b has a space, which no host name has",
        "sites/blog.yaml:3:14 hosts[1]: YAML read 22:22 as 1342",
        "sites/blog.yaml:4:1 privileged: privileged would give the container rights on this host, and its policy does not allow it",
        "sites/blog.yaml:5:1 port is written twice: in line 2 and in line 5",
        "sites/blog.yaml:6:12 services.A: A cannot be a service's name",
        "sites/blog.yaml:6:22 services.A.port: x is not a whole number",
    ]


def test_a_wrong_text_behind_an_alias_is_reported_once_where_it_is_written() -> None:
    assert_only("x-p: &p many\nservices:\n  a: {replicas: *p}\n  b: {replicas: *p}\n", "1:6 services.a.replicas", "SS-Y17", "many is not")


def test_a_file_full_of_problems_gives_a_hundred_and_says_so() -> None:
    problems = problems_of("".join(f"k{n}: 1\n" for n in range(6000)))
    assert [problem.code for problem in problems] == ["SS-Y15"] * 100 + ["SS-Y19"]
    assert "only the first 100 problems" in problems[-1].message


def test_json_form_of_a_problem() -> None:
    problem = problems_of("port: 0")[0]
    assert problem.as_json() == {
        "file": "sites/blog.yaml",
        "line": 1,
        "column": 7,
        "key": "port",
        "code": "SS-C13",
        "message": "0 is out of range. Write a number from 1 to 65535.",
        "severity": "error",
    }


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("", "1:1", "SS-Y07", "Write at least domain:", id="empty"),
        pytest.param("domian: a.b", "1:1 domian", "SS-Y15", "`domain`", id="did-you-mean"),
        pytest.param("domain: localhost", "1:9 domain", "SS-N08", "a name of its own", id="localhost"),
        pytest.param("domain: 10.0.0.1", "1:9 domain", "SS-N07", "an address", id="address"),
        pytest.param("domain: 'x.y.'", "1:9 domain", "SS-N03", "Write x.y.", id="dot"),
        pytest.param("domain: " + ".".join(["a" * 60] * 4), "1:9 domain", "SS-N09", "leaves no room", id="long"),
        pytest.param("services: {a: {}}", "1:1 services", "SS-Y18", "top of a site's file", id="services"),
        pytest.param("defaults: {hosts: [a]}", "1:12 defaults.hosts", "SS-Y18", "top of a site's file", id="hosts"),
        pytest.param("defaults: {privileged: true}", "1:12 defaults.privileged", "SS-C01", "[policy] privileged", id="privileged"),
        pytest.param("defaults: {cap_add: [SYS_ADMIN]}", "1:22 defaults.cap_add[0]", "SS-C04", "[policy] capabilities", id="policy"),
        pytest.param("defaults:\n", "1:1 defaults", "SS-Y16", "nothing is written here", id="nothing"),
    ],
)
def test_the_fleet_file(text: str, place: str, code: str, fragment: str) -> None:
    fleet, problems = parse_fleet("shipstone.yaml", text.encode())
    assert fleet is None
    assert [(f"{p.line}:{p.column} {p.key}".rstrip(), p.code) for p in problems] == [(place, code)]
    assert fragment in problems[0].message


def test_an_image_without_tag_in_the_defaults_is_a_warning() -> None:
    fleet, problems = parse_fleet("shipstone.yaml", b"defaults:\n  image: nginx\n")
    assert isinstance(fleet, Fleet)
    assert [(p.line, p.column, p.code, p.severity) for p in problems] == [(2, 10, "SS-C11", "warning")]


def test_problems_are_of_the_file_that_was_named() -> None:
    _, problems = parse_site("sites/other.yaml", b"port: 0", FLEET, CLOSED)
    assert [problem.file for problem in problems] == ["sites/other.yaml"]
    assert isinstance(problems[0], Problem)
