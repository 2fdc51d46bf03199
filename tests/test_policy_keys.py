"""Each key of [policy], from the host's settings on: what it gives, what it takes, and what is so where nobody wrote it."""

import importlib
import json
from functools import reduce
from pathlib import Path

import pytest

from reconciler.desired.compile import Compiler
from reconciler.planning.guard import Guard, removals
from reconciler.settings import Settings, load_settings
from reconciler.settings_policy import PolicySettings, SiteGrant
from reconciler.wiring import guard_of, hardening_of, policy_of
from reconciler.world.docker_config import Hardening
from tests.cases import cases_of
from tests.desired.test_compile import revision
from tests.policy_keys import ELSEWHERE, JUDGED, NGINX, Judged
from tests.test_settings import DEFAULT

FLEET = {"shipstone.yaml": "defaults: {port: 80}\n"}
ROWS = pytest.mark.parametrize(("key", "row"), JUDGED.items(), ids=list(JUDGED))


def settings(tmp_path: Path, policy: str = "", more: str = "") -> Settings:
    (tmp_path / "config.toml").write_text(f"[policy]\n{policy}\n{more}\n")
    return load_settings(tmp_path / "config.toml")


def errors(row: Judged, host: Settings, text: str | None = None) -> set[str]:
    """Of sites/blog.yaml."""
    text = text or row.text
    files = FLEET | row.beside | {"sites/blog.yaml": text if "image:" in text else NGINX + text}
    found = Compiler(policy_of(host)).compile(revision("r", files)).problems
    return {problem.code for problem in found if problem.severity == "error" and problem.file == "sites/blog.yaml"}


@ROWS
def test_allowed(tmp_path: Path, key: str, row: Judged) -> None:
    assert errors(row, settings(tmp_path, f"{key} = {row.gives}")) == set()


@ROWS
def test_refused(tmp_path: Path, key: str, row: Judged) -> None:
    assert errors(row, settings(tmp_path, f"{key} = {row.takes}")) == {row.code}


@ROWS
def test_default(tmp_path: Path, key: str, row: Judged) -> None:
    """Closed is the rule; what is open is named in docs/policy.md."""
    assert (errors(row, settings(tmp_path)) == set()) == row.is_open, key
    page = Path(__file__).parents[1].joinpath("docs/policy.md").read_text(encoding="utf-8")
    opened = page.partition("## What is open by default")[2].partition("\n## ")[0]
    assert (f"`{key}`" in opened) == row.is_open


MEAN_MORE = ("hosts", "private_images")
FOR_ONE = [(key, row) for key, row in JUDGED.items() if key in SiteGrant.model_fields and key not in MEAN_MORE]


@pytest.mark.parametrize(("key", "row"), FOR_ONE)
def test_for_one_site(tmp_path: Path, key: str, row: Judged) -> None:
    """What is closed is given to it alone; what is open is taken from it alone."""
    value = row.takes if row.is_open else row.gives
    mine = errors(row, settings(tmp_path, more=f"[policy.sites.blog]\n{key} = {value}"))
    others = errors(row, settings(tmp_path, more=f"[policy.sites.other]\n{key} = {value}"))
    assert bool(mine) == row.is_open
    assert bool(others) != row.is_open


@pytest.mark.parametrize(
    ("policy", "sites"),
    [
        pytest.param("", {"blog": ["r.io/*"]}, id="its-own"),
        pytest.param("", {"b*": ["R.io/app:1"]}, id="by-a-pattern"),
        pytest.param("", {"shop": ["r.io/*"], "blog": ["r.io/app"]}, id="of-both"),
        pytest.param('["r.io/*"]', {"blog": ["r.io/app"]}, id="of-what-is-private"),
        pytest.param("", {"shop": ["r.io/team/*", "s.io/*"]}, id="another-image"),
    ],
)
def test_a_private_image_for_its_sites(tmp_path: Path, policy: str, sites: dict[str, list[str]]) -> None:
    assert errors(JUDGED["private_images"], with_private(tmp_path, policy, sites)) == set()


@pytest.mark.parametrize(
    ("policy", "sites", "why"),
    [
        pytest.param("", {"shop": ["r.io/*"]}, "is kept for shop by the host's policy", id="of-another"),
        pytest.param('["r.io/*"]', {}, "is private, and the host's policy gives it to no site", id="of-nobody"),
        pytest.param('["r.io/*"]', {"blog": ["r.io/other"]}, "is private", id="not-this-one"),
    ],
)
@pytest.mark.parametrize("fleet", [False, True], ids=["site", "defaults"])
def test_a_private_image_is_kept_from_others(tmp_path: Path, policy: str, sites: dict[str, list[str]], why: str, fleet: bool) -> None:
    """Named at its place, with what to ask for; in the defaults of the fleet it is refused to each site that may not have it."""
    text = {"sites/blog.yaml": "image: R.io/app:1\n"}
    if fleet:
        text = {"sites/blog.yaml": "replicas: 1\n", "shipstone.yaml": "defaults: {port: 80, image: 'r.io/app:1'}\n"}
    found = Compiler(policy_of(with_private(tmp_path, policy, sites))).compile(revision("r", FLEET | text)).problems
    (line,) = map(str, found)
    assert line.startswith("sites/blog.yaml:1:1 image of shipstone.yaml: " if fleet else "sites/blog.yaml:1:8 image: "), line
    assert why in line
    assert line.endswith("Use another image, or ask the host's administrator for [policy.sites.blog] private_images.")


def with_private(tmp_path: Path, policy: str, sites: dict[str, list[str]]) -> Settings:
    tables = "\n".join(f'[policy.sites."{site}"]\nprivate_images = {json.dumps(images)}' for site, images in sites.items())
    return settings(tmp_path, f"private_images = {policy}" if policy else "", tables)


@pytest.mark.parametrize("key", [key for key, row in JUDGED.items() if row.silent])
def test_a_limit_wants_the_key_that_counts(tmp_path: Path, key: str) -> None:
    row = JUDGED[key]
    assert errors(row, settings(tmp_path, f"{key} = {row.gives}\npids_limit = 0"), row.silent) == {"SS-C33"}


def test_a_tag_or_a_digest_where_one_is_wanted(tmp_path: Path) -> None:
    for key, image in (("require_tag", "nginx:1.27"), ("require_digest", f"nginx@sha256:{'a' * 64}")):
        assert errors(JUDGED[key], settings(tmp_path, f"{key} = true"), f"image: {image}") == set()


@pytest.mark.parametrize(
    ("text", "total", "held"),
    [
        pytest.param("max_removals = 3\nmax_removal_share = 0", 4, False, id="max_removals-allowed"),
        pytest.param("max_removals = 2\nmax_removal_share = 0", 4, True, id="max_removals-refused"),
        pytest.param("max_removal_share = 0", 4, True, id="max_removals-default"),
        pytest.param("max_removal_share = 0.3", 10, False, id="max_removal_share-allowed"),
        pytest.param("max_removal_share = 0.29", 10, True, id="max_removal_share-refused"),
        pytest.param("", 14, True, id="max_removal_share-default"),
    ],
)
def test_how_many_removals_wait(tmp_path: Path, text: str, total: int, held: bool) -> None:
    """Of three."""
    guard: Guard = guard_of(settings(tmp_path, text))
    found = removals({"a", "b", "c"}, total, guard, approved=(), going=())
    assert (found.held == {"a", "b", "c"}) == held


SIZE, FILES = (("max-file", "3"), ("max-size", "1m")), (("max-file", "9"), ("max-size", "10m"))
HARD = DEFAULT.no_new_privileges, DEFAULT.pids_limit, DEFAULT.log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no_new_privileges = false", (False, *HARD[1:]), id="no_new_privileges-allowed"),
        pytest.param("no_new_privileges = true", HARD, id="no_new_privileges-refused"),
        pytest.param("", HARD, id="no_new_privileges-default"),
        pytest.param("pids_limit = 0", (True, 0, HARD[2]), id="pids_limit-allowed"),
        pytest.param("pids_limit = 100", (True, 100, HARD[2]), id="pids_limit-refused"),
        pytest.param("", HARD, id="pids_limit-default"),
        pytest.param("log_max_size = ''", (True, 4096, ()), id="log_max_size-allowed"),
        pytest.param("log_max_size = '1m'", (True, 4096, SIZE), id="log_max_size-refused"),
        pytest.param("", HARD, id="log_max_size-default"),
        pytest.param("log_max_file = 9", (True, 4096, FILES), id="log_max_file-allowed"),
        pytest.param("log_max_file = 3", HARD, id="log_max_file-refused"),
        pytest.param("", HARD, id="log_max_file-default"),
    ],
)
def test_what_new_containers_get(tmp_path: Path, text: str, expected: tuple[bool, int, tuple[tuple[str, str], ...]]) -> None:
    assert hardening_of(settings(tmp_path, text))("blog") == Hardening(*expected)


def test_every_key_has_its_row() -> None:
    assert JUDGED.keys() | ELSEWHERE.keys() == PolicySettings.model_fields.keys()
    assert not JUDGED.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize(("key", "tests"), ELSEWHERE.items(), ids=list(ELSEWHERE))
def test_the_tests_of_the_others_are_there(key: str, tests: tuple[tuple[str, str, str], ...]) -> None:
    assert len(tests) == 3, key
    for file, name, case in tests:
        module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
        test = reduce(lambda found, part: getattr(found, part, None), name.split("."), module)
        assert test is not None, f"{key}: tests/{file} has no {name}"
        assert not case or case in cases_of(test), f"{key}: {name} has no case {case}"
