"""Host names, path prefixes, and the names of sites and services: what is refused, where, and what to do."""

import pytest

from reconciler.desired.parse import parse_site, site_name, twins
from reconciler.desired.policy import Policy
from reconciler.desired.problem import Problem
from tests.desired.rows import CLOSED, FLEET, assert_only, problems_of

LABEL = "a" * 63
CHARACTERS = [
    pytest.param("'a`b.shipstone.local'", "has `, which no host name has", id="backtick"),
    pytest.param("'{{ env \"X\" }}'", "has {", id="go-template"),
    pytest.param('"a\\n10.0.0.1 bank"', "has a line break", id="line-of-hosts"),
    pytest.param("a b.shipstone.local", "has a space", id="space"),
    pytest.param("'a,b.shipstone.local'", "has ,", id="comma"),
    pytest.param("'a#b.shipstone.local'", "has #", id="hash"),
    pytest.param("a_b.shipstone.local", "Use '-' instead", id="underscore"),
    pytest.param("-a.shipstone.local", "begins or ends with '-'", id="dash-first"),
    pytest.param("a-.shipstone.local", "begins or ends with '-'", id="dash-last"),
    pytest.param('"a.shipstone.local\\n"', "has a line break", id="line-break-at-the-end"),
    pytest.param('"a.shipstone.local\\t"', 'has "\\t"', id="tab"),
    pytest.param("user@shipstone.local", "has @", id="at-sign"),
]


@pytest.mark.parametrize(("host", "fragment"), CHARACTERS)
def test_a_character_that_no_host_name_has(host: str, fragment: str) -> None:
    assert_only(f"hosts: [{host}]", "1:9 hosts[0]", "SS-N01", fragment)


@pytest.mark.parametrize(
    ("host", "code", "fragment"),
    [
        pytest.param("'*'", "SS-N02", "List each host name", id="star"),
        pytest.param("'*.shipstone.local'", "SS-N02", "is a wildcard", id="wildcard"),
        pytest.param("a.shipstone.local.", "SS-N03", "Write a.shipstone.local.", id="dot-at-the-end"),
        pytest.param("bücher.shipstone.local", "SS-N05", "Write xn--bcher-kva.shipstone.local instead", id="unicode"),
        pytest.param("\u0430.shipstone.local", "SS-N05", "Write xn--80a.shipstone.local instead", id="cyrillic-a"),
        pytest.param("xn--a.shipstone.local", "SS-N06", "is not a valid xn-- name", id="bad-punycode"),
        pytest.param("xn--.shipstone.local", "SS-N01", "begins or ends with '-'", id="empty-punycode"),
        pytest.param("10.0.0.1", "SS-N07", "is an address", id="ipv4"),
        pytest.param("'::1'", "SS-N07", "is an address", id="ipv6"),
        pytest.param("'[::1]'", "SS-N07", "is an address", id="ipv6-in-brackets"),
        pytest.param("'2130706433'", "SS-N07", "is an address", id="ipv4-as-a-number"),
        pytest.param("'10.1'", "SS-N07", "is an address", id="short-ipv4"),
        pytest.param("localhost", "SS-N08", "Use a name of its own", id="localhost"),
        pytest.param(f"a{LABEL}.shipstone.local", "SS-N09", "has 64 characters. DNS allows 63", id="label-over-63"),
        pytest.param(".".join([LABEL] * 4), "SS-N09", "has 255 characters. DNS allows 253", id="name-over-253"),
        pytest.param("a..shipstone.local", "SS-N09", "Take the extra dot away", id="empty-label"),
        pytest.param("''", "SS-N09", "has an empty part", id="empty"),
        pytest.param("a.example.com", "SS-N10", "is not under shipstone.local", id="foreign-domain"),
        pytest.param("evilshipstone.local", "SS-N10", "ask the host's administrator for [policy] domains", id="suffix-without-dot"),
        pytest.param("http://a.shipstone.local", "SS-N11", "is a URL or has a path", id="scheme"),
        pytest.param("a.shipstone.local/api", "SS-N11", "a path prefix goes into path:", id="path"),
        pytest.param("a.shipstone.local:80", "SS-N11", "has a port", id="port"),
    ],
)
def test_a_host_name_that_is_refused(host: str, code: str, fragment: str) -> None:
    assert_only(f"hosts: [{host}]", "1:9 hosts[0]", code, fragment)


def test_a_host_name_twice_but_for_case() -> None:
    assert_only("hosts:\n- a.shipstone.local\n- A.Shipstone.local\n", "3:3 hosts[1]", "SS-N04", "is listed twice (case does not count)")


def test_an_empty_list_of_hosts() -> None:
    assert_only("hosts: []", "1:8 hosts", "SS-N09", "leave hosts: out")


def test_the_policy_may_open_another_domain() -> None:
    policy = Policy(domains=("example.com",))
    assert problems_of("hosts: [a.example.com, example.com]", policy) == ()
    assert_only("hosts: [a.example.org]", "1:9 hosts[0]", "SS-N10", "not under shipstone.local or example.com", policy)


def test_host_names_are_in_lower_case_once_parsed() -> None:
    site, problems = parse_site("sites/a.yaml", b"hosts: [WEB1.Shipstone.Local, xn--bcher-kva.shipstone.local]", FLEET, CLOSED)
    assert problems == ()
    assert site is not None
    assert site.hosts == ["web1.shipstone.local", "xn--bcher-kva.shipstone.local"]


@pytest.mark.parametrize(
    "path",
    ["api", "''", "/a//b", "/a b", "'/a`b'", "'/{x}'", "/../a", "/a/./b", "/a%2fb", '"/a\\n"', "/é", "'/a?b'", "'/a#b'", "/" + "a" * 200],
)
def test_a_path_prefix_that_cannot_be_routed(path: str) -> None:
    assert_only(f"path: {path}", "1:7 path", "SS-N14", "Write")


@pytest.mark.parametrize(
    "name",
    ["A", "a_b", "-a", "a-", "a.b", "'a b'", "é", "''", "../x", "a" * 41, '"a\\n"'],
)
def test_a_service_name_that_is_refused(name: str) -> None:
    problems = problems_of(f"services:\n  {name}: {{}}\n")
    assert [(p.line, p.column, p.code) for p in problems] == [(2, 3, "SS-N15")]
    assert "Use lower-case letters" in problems[0].message


@pytest.mark.parametrize(
    "path",
    [
        *["sites/../x.yaml", "sites/.git.yaml", "sites/-x.yaml", "sites/A.yaml", "sites/a b.yaml", "sites/x.yaml\n", "sites/.yaml"],
        *["sites/a/b.yaml", "sites/" + "a" * 41 + ".yaml", "sites/a.json", "sites/é.yaml", "sites/a`b.yaml", "sites/a\x1b[31m.yaml"],
        "x.yaml",
    ],
)
def test_a_site_file_whose_name_is_refused(path: str) -> None:
    problem = site_name(path)
    assert isinstance(problem, Problem)
    assert problem.code == "SS-N12"
    assert "ename" in problem.message
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("path", "name"), [("sites/web1.yaml", "web1"), ("sites/a-b.yml", "a-b"), ("sites/" + "a" * 40 + ".yaml", "a" * 40)]
)
def test_a_site_is_named_by_its_file(path: str, name: str) -> None:
    assert site_name(path) == name


@pytest.mark.parametrize(
    ("one", "two"), [("sites/a.yaml", "sites/a.yml"), ("sites/Blog.yaml", "sites/blog.yaml"), ("sites/B.yml", "sites/b.yaml")]
)
def test_two_files_for_one_site_are_both_named(one: str, two: str) -> None:
    problems = twins([one, two, "sites/other.yaml"])
    assert [(p.file, p.code) for p in problems] == [(one, "SS-N13"), (two, "SS-N13")]
    assert two in problems[0].message
    assert one in problems[1].message


def test_different_sites_are_no_twins() -> None:
    assert twins(["sites/a.yaml", "sites/b.yaml", "sites/a-b.yaml"]) == []
