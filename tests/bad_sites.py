"""Bad input that is content of a repository, as what a commit brings: made of the cases of the tests that tests/bad_inputs.py names."""

import importlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from _pytest.mark.structures import ParameterSet

from reconciler.desired.policy import Policy
from tests.bad_inputs import COMPILE, CONTAINERS, HOSTILE, NAMES, POLICY, YAML
from tests.desired.test_policy import BOUNDED

BLOG = "sites/blog.yaml"
CLOSED = Policy()
PORTS, HUB, TAGGED = Policy(ports=("1-65535",)), Policy(registries=("docker.io",)), Policy(require_tag=True)
LED_AWAY = Policy(bind_roots=("/srv",), resolve=lambda path: "/etc" if path == "/srv/data/way-out" else path)
WARNINGS = ("no-tag", "port-is-no-tag", "latest")
"""Cases that are only said: their site is brought to what is written."""
NO_SITES = ("sites/x.yaml\n", "sites/a/b.yaml", "sites/a.json", "x.yaml")
KINDS = {"120000": "symlink", "160000": "submodule", "100644": "file"}


@dataclass(frozen=True)
class BadCase:
    """`files` are the commit's; `kinds` and `sizes` say of some that they are no files, or larger than what is written here.
    `held`: the sites that it holds; `said`: how bad it is called, "" where such a file is no site's and nobody asks."""

    name: str
    files: Mapping[str, bytes]
    policy: Policy = CLOSED
    kinds: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    held: frozenset[str] = frozenset({"blog"})
    said: str = "error"


Texts = Callable[..., dict[str, str | bytes]]
"""A test's parameters become files."""


def _site(text: str | bytes, **_: Any) -> dict[str, str | bytes]:
    return {BLOG: text}


def _named(path: str = "", name: str = "") -> dict[str, str | bytes]:
    return {path or name: "{}"}


WRITTEN: Mapping[tuple[str, str], tuple[Texts, Policy]] = {
    (YAML, "test_one_problem_at_its_place"): (_site, CLOSED),
    (NAMES, "test_a_character_that_no_host_name_has"): (lambda host, **_: {BLOG: f"hosts: [{host}]"}, CLOSED),
    (NAMES, "test_a_host_name_that_is_refused"): (lambda host, **_: {BLOG: f"hosts: [{host}]"}, CLOSED),
    (NAMES, "test_a_path_prefix_that_cannot_be_routed"): (lambda path: {BLOG: f"path: {path}"}, CLOSED),
    (NAMES, "test_a_service_name_that_is_refused"): (lambda name: {BLOG: f"services:\n  {name}: {{}}\n"}, CLOSED),
    (NAMES, "test_a_site_file_whose_name_is_refused"): (_named, CLOSED),
    (CONTAINERS, "test_no_key_gives_rights_on_the_host"): (lambda key, value: {BLOG: f"{key}: {value}"}, CLOSED),
    (CONTAINERS, "test_a_compose_key_whose_work_is_done_otherwise"): (lambda key: {BLOG: f"user: root\n{key}: [22:22]"}, CLOSED),
    (CONTAINERS, "test_one_problem_at_its_place"): (_site, CLOSED),
    (POLICY, "test_a_right_is_refused_unless_the_policy_gives_it"): (_site, CLOSED),
    (POLICY, "test_what_a_policy_gives_has_bounds"): (_site, BOUNDED),
}
"""Tests with parameters."""

MOUNTS = b"files: {/srv: pages}\n"
ALONE: Mapping[tuple[str, str], BadCase] = {
    (COMPILE, "test_what_is_too_large_is_not_even_read"): BadCase("a gigabyte", {BLOG: b""}, sizes={BLOG: 2**30}),
    (NAMES, "test_a_host_name_twice_but_for_case"): BadCase("twice", {BLOG: b"hosts: [a.shipstone.local, A.shipstone.local]"}),
    (COMPILE, "test_two_files_that_claim_one_host_are_both_held"): BadCase("claim", {BLOG: b"hosts: [shop.shipstone.local]"}),
    (NAMES, "test_two_files_for_one_site_are_both_named"): BadCase("two files", {BLOG: b"user: a", "sites/blog.yml": b"user: b"}),
    (POLICY, "test_a_link_below_a_bind_root_is_followed"): BadCase("bind", {BLOG: b"volumes: [/srv/data/way-out:/a:ro]"}, LED_AWAY),
    (CONTAINERS, "test_the_policy_may_name_the_registries"): BadCase("registry", {BLOG: b"image: r.io/app:1"}, HUB),
    (CONTAINERS, "test_a_floating_tag_is_a_warning_and_an_error_where_the_policy_says_so"): BadCase("tag", {BLOG: b"image: nginx"}, TAGGED),
    (COMPILE, "test_two_sites_cannot_publish_one_port_of_the_host"): BadCase(
        "port", {BLOG: b"ports: ['5432:80']", "sites/a.yaml": b"ports: ['5432:80']"}, PORTS, held=frozenset({"a", "blog"})
    ),
    (COMPILE, "test_two_sites_cannot_mount_one_volume_unless_the_policy_says_so"): BadCase(
        "volume", {BLOG: b"volumes: ['v:/a:ro']", "sites/a.yaml": b"volumes: ['v:/a:ro']"}, held=frozenset({"a", "blog"})
    ),
    (COMPILE, "test_files_that_are_not_there_or_lead_elsewhere_hold_their_site"): BadCase("missing", {BLOG: MOUNTS}),
    (COMPILE, "test_files_over_the_cap_are_not_mounted"): BadCase("cap", {BLOG: MOUNTS, "pages/a": b""}, sizes={"pages/a": 2**25}),
}
"""Tests without parameters, or whose parameters are no content."""


STORED = ("test_what_git_can_store_is_refused_and_its_site_held", "test_names_of_site_files_that_only_git_can_store")
"""Tests whose parameters are rows of a tree, and a name."""


def bad_cases() -> tuple[BadCase, ...]:
    """All of them: the rows of the list, and the others of their tests."""
    cases = [case for where, (texts, policy) in WRITTEN.items() for case in _cases(where, texts, policy)]
    return (*cases, *ALONE.values(), *_stored())


def _cases(where: tuple[str, str], texts: Texts, policy: Policy) -> Iterator[BadCase]:
    for ident, parameters in parameters_of(*where):
        files = {
            path: text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass") for path, text in texts(**parameters).items()
        }
        said = "warning" if ident in WARNINGS else "" if ident in NO_SITES else "error"
        held = frozenset({"blog"} if BLOG in files and said == "error" else ())
        yield BadCase(f"{where[1].removeprefix('test_')}[{ident}]", files, policy, held=held, said=said)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _stored() -> Iterator[BadCase]:
    """What only git can store; its tests write the site's file as sites/a.yaml."""
    for ident, parameters in parameters_of(HOSTILE, STORED[0]):
        rows = [(KINDS[mode], path.replace("sites/a.", "sites/blog."), text) for mode, path, text in parameters["rows"]]
        kinds = {path: kind for kind, path, _ in rows if kind != "file"}
        yield BadCase(f"stored[{ident}]", {path: text.encode() for _, path, text in rows}, kinds=kinds)
    for ident, parameters in parameters_of(HOSTILE, STORED[1]):
        yield BadCase(f"named[{ident}]", {parameters["name"]: b"{}"}, held=frozenset())


def parameters_of(file: str, test: str) -> list[tuple[str, dict[str, Any]]]:
    """(id, parameters by name) of each case of a test, every one with every other where it has several lists."""
    module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
    lists = []
    for mark in getattr(module, test).pytestmark:
        names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
        rows = [row if isinstance(row, ParameterSet) else ParameterSet.param(*(row if len(names) > 1 else (row,))) for row in mark.args[1]]
        lists.append([(row.id or str(row.values[0]), dict(zip(names, row.values, strict=True))) for row in rows])
    return [("-".join(row[0] for row in rows), {k: v for row in rows for k, v in row[1].items()}) for rows in itertools.product(*lists)]
