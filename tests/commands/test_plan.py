"""What a commit would change, without an engine: as text, JSON and a comment; and the ready checks of docs/ci, run as a CI runs them."""

import json
import os
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.host import SHIPSTONE, Host, Repository, shipstone

from reconciler.desired.desired import Desired
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Wait
from reconciler.reports.plan import MOST, changes, code, markdown
from tests.conftest import SiteText

ROOT = Path(__file__).parents[2]
NOWHERE = "unix:///nowhere/docker.sock"
SITE = "image: {image}\nport: 80\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "git")
    sites = {f"sites/{name}.yaml": SITE.format(image="nginx:1") for name in ("blog", "shop", "old", "rest")}
    db = {"sites/db.yaml": SITE.format(image="db:1") + "volumes: ['data:/data']\n"}
    page = {"page/index.html": "one", "sites/page.yaml": SITE.format(image="nginx:1") + "files: {/usr/share/nginx/html: page}\n"}
    made.commit({"shipstone.yaml": "domain: example.org\n", **sites, **db, **page}, "begin")
    return made


def plan(repository: Repository, *arguments: str, code: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in the checkout, as a person or a CI would; nothing of this machine's settings plays a part."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("SHIPSTONE_", "GIT_"))}
    known = {**outside, "SHIPSTONE_ENGINE__SOCKET": NOWHERE, "SHIPSTONE_STATE__DIR": str(repository.tree.parent / "state"), **environment}
    done = shipstone(("plan", *arguments), known, folder=repository.tree)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def planned(repository: Repository, *arguments: str, code: int = 2) -> dict[str, Any]:
    return dict(json.loads(plan(repository, "--source", ".", "--output", "json", *arguments, code=code).stdout))


def test_without_an_engine_it_says_what_the_last_commit_changes(repository: Repository) -> None:
    """In a checkout nothing need be said: neither the folder nor the commit before."""
    repository.commit({"sites/blog.yaml": SITE.format(image="nginx:2"), "page/index.html": "two"}, "change")
    done = plan(repository, code=2)
    assert NOWHERE in done.stderr
    assert "So this is what the files change against the commit before (HEAD~1)." in done.stderr
    assert "web image: nginx:1, should be nginx:2 (commit)" in done.stdout
    heads = {line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith((" ", "sites/"))}
    assert heads == {f"compared with commit {before(repository)}", "blog", "page"}
    assert not (repository.tree.parent / "state").exists(), "nothing was made on this host"


def before(repository: Repository) -> str:
    return subprocess.run(["git", "rev-parse", "--short=12", "HEAD~1"], cwd=repository.tree, capture_output=True, text=True).stdout.strip()


def test_json_keeps_its_keys_and_says_the_commit(repository: Repository) -> None:
    base = repository.commit({}, "nothing")
    repository.commit({"sites/blog.yaml": SITE.format(image="nginx:2")}, "change")
    found = planned(repository, "--against", "HEAD~1")
    assert found.keys() >= {"revision", "sites", "problems", "foreign", "notices", "against"}
    assert found["against"] == base
    blog = found["sites"]["blog"]
    assert [(row["field"], row["desired"], row["actual"], row["cause"]) for row in blog["differences"]] == [
        ("image", "nginx:2", "nginx:1", "commit")
    ]
    assert [step["step"] for step in blog["steps"]] == [
        *("pull", "wait", "pin", "create", "wait", "start", "wait", "pin", "wait", "stop", "pin")
    ]
    assert found["sites"]["page"] == {**found["sites"]["page"], "state": "synced", "differences": [], "steps": []}
    plan(repository, "--source", ".", "--against", "HEAD", code=0)


def test_a_branch_is_compared_with_where_it_began(repository: Repository) -> None:
    """What came into main meanwhile is not what the branch changes."""
    git(repository, "checkout", "-q", "-b", "feature")
    repository_commit(repository, "sites/blog.yaml", SITE.format(image="nginx:2"))
    git(repository, "checkout", "-q", "main")
    repository_commit(repository, "sites/shop.yaml", SITE.format(image="nginx:9"))
    git(repository, "checkout", "-q", "feature")
    found = planned(repository, "--against", "main")
    assert {name for name, site in found["sites"].items() if site["steps"]} == {"blog"}
    (repository.tree / "sites/old.yaml").write_text(SITE.format(image="not-committed:1"))
    found = planned(repository, "--against", "main")
    assert {name for name, site in found["sites"].items() if site["steps"]} == {"blog", "old"}


def git(repository: Repository, *arguments: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=repository.tree, check=True, capture_output=True)


def repository_commit(repository: Repository, path: str, text: str) -> None:
    (repository.tree / path).write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "-q", "-m", path)


def test_a_comment_says_it_for_each_site(repository: Repository) -> None:
    repository.commit(
        {
            "sites/blog.yaml": SITE.format(image="nginx:2"),
            "sites/db.yaml": SITE.format(image="db:2") + "volumes: ['data:/data']\n",
            "sites/shop.yaml": SITE.format(image="nginx:1") + "replicas: 3\n",
            "sites/new.yaml": SITE.format(image="nginx:1") + "hosts: [new.example.org, too.example.org]\n",
            "sites/old.yaml": None,
            "sites/page.yaml": SITE.format(image="nginx:1") + "nonsense: 1\n",
        },
        "all kinds",
    )
    text = plan(repository, "--output", "markdown", "--source", ".", "--against", "HEAD~1", code=1).stdout
    rows = dict(line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `"))
    lost = {line.split("|")[1].strip(" `"): line.split("|")[3].strip() for line in text.splitlines() if line.startswith("| `")}
    assert {name.strip(" `"): what.strip() for name, what in rows.items()} == {
        "blog": "**replaced**: `web image` `nginx:1` → `nginx:2`",
        "db": "**replaced**: `web image` `db:1` → `db:2`",
        "new": "**created**: `new.example.org`, `too.example.org`",
        "old": "**removed**: its host names answer no more",
        "shop": "**scaled**: `web replicas` `1` → `3`",
    }
    assert lost.pop("db") == "**possible**: the old release stops before the new one is there: both would write to data"
    assert set(lost.values()) == {"none"}
    assert "Requests can be lost, see above. The other site stays as it is." in text
    assert "**Held as it runs**\n- `page`: `sites/page.yaml:3:1 nonsense: " in text
    assert "**Problems**\n- `sites/page.yaml:3:1 nonsense: " in text


def test_many_removals_are_said_to_wait(repository: Repository) -> None:
    repository.commit({f"sites/{name}.yaml": None for name in ("blog", "shop", "old")}, "away")
    text = plan(repository, "--output", "markdown", "--source", ".", "--against", "HEAD~1", code=1).stdout
    waits = text.partition("**Waits for `shipstone approve`**\n")[2].partition("**")[0]
    assert [line.partition(":")[0] for line in waits.splitlines() if line.startswith("- ")] == ["- `blog`", "- `old`", "- `shop`"]
    assert "3 of 6 sites would go" in waits
    assert "Nothing that runs is changed." in text


def test_the_first_commit_is_compared_with_nothing(tmp_path: Path) -> None:
    first = Repository(tmp_path / "first")
    first.commit({"sites/blog.yaml": SITE.format(image="nginx:1")}, "begin")
    text = plan(first, "--output", "markdown", code=2).stdout
    assert "Compared with an empty repository." in text
    assert "| `blog` | **created**: `blog.shipstone.local` | none |" in text


@pytest.mark.parametrize("ref", ["nonsense", "--output=x", "HEAD~99"])
def test_a_commit_that_is_not_there_is_named(repository: Repository, ref: str) -> None:
    done = plan(repository, "--source", ".", f"--against={ref}", code=1)
    assert done.stderr.startswith(f"cannot compare with {ref}: there is no such commit, branch or tag in ")


def test_a_shallow_checkout_is_told_to_fetch_more(repository: Repository, tmp_path: Path) -> None:
    repository.commit({}, "another")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repository.bare}", str(tmp_path / "shallow")], check=True)
    repository.tree = tmp_path / "shallow"
    done = plan(repository, "--source", ".", "--against", "HEAD~1", code=1)
    assert "only the newest commits are there" in done.stderr
    assert "fetch-depth: 0" in done.stderr


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([str(SHIPSTONE), "plan", "--source", str(tmp_path), "--against", "x"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "cannot compare with a commit")


def test_a_folder_inside_the_repository_counts_alone(repository: Repository) -> None:
    inside = {"hosts/a/sites/a.yaml": SITE.format(image="nginx:1"), "hosts/b/sites/b.yaml": SITE.format(image="nginx:1")}
    repository.commit(inside, "hosts")
    repository.commit({"hosts/a/sites/a.yaml": SITE.format(image="nginx:2"), "sites/blog.yaml": None}, "change")
    found = json.loads(plan(repository, "--source", "hosts/a", "--against", "HEAD~1", "--output", "json", code=2).stdout)
    assert [(name, bool(site["steps"])) for name, site in found["sites"].items()] == [("a", True)]


@pytest.mark.docker
def test_on_a_host_it_is_compared_with_what_runs(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one"), "sites/rest.yaml": site_text("rest")}, "create")
    text = host.shipstone("plan", "--output", "markdown").stdout
    assert "| `shop` | **created**: `shop.test.local` | none |" in text
    host.shipstone("apply", check=True)
    assert "Nothing that runs is changed." in host.shipstone("plan", "--output", "markdown", check=True).stdout
    host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2)}, "change")
    done = host.shipstone("plan", "--output", "markdown")
    assert done.returncode == 2
    assert "Compared with what runs on " in done.stdout
    assert "| `shop` | **replaced**: `web environment.V` changed | none |" in done.stdout
    assert "No request is lost. The other site stays as it is." in done.stdout


HOSTILE = "</b><img src=x> @team | `` ` ``` [x](y) \x1b[31m"


def test_nothing_that_a_file_says_is_markdown() -> None:
    row = Difference("web", "", "image", HOSTILE, "nginx:1", "commit")
    site = SitePlan("blog", "out-of-sync", "healthy", "a", "b", ("x.example",), 1, 1, (Wait("x", HOSTILE),), (row,))
    held = SitePlan("shop", "held", "healthy", "a", "b", (), 1, 1, message=HOSTILE)
    found = Plan({"blog": site, "shop": held}, Memory(), network=True)
    text = markdown(found, Desired("c", {"blog": None, "shop": None}, notices=(HOSTILE,)), "x")  # type: ignore[dict-item]
    span = code(HOSTILE)
    assert (span[:4], span[-4:], "\n" in span, "\x1b" in span, "\\|" in span) == ("````", "````", False, False, True)
    assert span in text
    outside = text.replace(span, "").partition("<details>")[0]
    assert "<img" not in outside.replace("\\<img", "")
    assert "[x]" not in outside.replace("\\[x\\]", "")
    assert text.count("\n```\n") == 2, "the steps' fence is not left"


def test_a_comment_is_never_too_long() -> None:
    sites = {f"s{n}": SitePlan(f"s{n}", "out-of-sync", "healthy", "a", "b", (), 1, 1, (Wait("x", "y" * 300),)) for n in range(400)}
    found = Plan(sites, Memory(), network=True)
    text = markdown(found, Desired("c", dict.fromkeys(sites)), "x")  # type: ignore[arg-type]
    assert len(text) < MOST + 100
    assert len(changes(found, Desired("c", dict.fromkeys(sites)))) == 400  # type: ignore[arg-type]


# The ready checks.


def steps_of(name: str) -> list[tuple[str, str, dict[str, str]]]:
    """(name, shell text, environment) of each step that runs a command."""
    data = yaml.safe_load((ROOT / "docs/ci" / name).read_text())
    if name == "gitlab.yaml":
        job = data["shipstone"]
        return [("script", "\n".join(job["script"]), job["variables"])]
    (job,) = data["jobs"].values()
    return [(step["name"], step["run"], data["env"] | step.get("env", {})) for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("name", ["github.yaml", "gitlab.yaml", "gitea.yaml"])
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "with an error"])
def test_a_ready_check_plans_comments_and_validates(repository: Repository, tmp_path: Path, name: str, wrong: bool) -> None:
    """Its very commands, in a checkout; servers and installers are stand-ins that write down how they were called."""
    base = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository.tree, capture_output=True, text=True).stdout.strip()
    repository.commit({"sites/blog.yaml": SITE.format(image="nginx:2") + ("nonsense: 1\n" if wrong else "")}, "change")
    tools = tmp_path / "tools"
    tools.mkdir()
    calls = tmp_path / "calls"
    stand_in(tools / "python3", f'case "$*" in *pip*) shift 2; exec pip "$@";; *venv*) exit 0;; esac; exec {sys.executable} "$@"')
    for tool in ("gh", "curl", "apt-get", "ln", "pip"):
        stand_in(tools / tool, f'printf "%s " {tool} "$@" >> {calls}; echo >> {calls}')
    (tools / "shipstone").symlink_to(SHIPSTONE)
    here = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SHIPSTONE_STATE__DIR": str(tmp_path / "state"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "CI_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_IID": "12",
        "SHIPSTONE_COMMENT_TOKEN": "t0k3n",
    }
    given = {
        "${{ github.event.pull_request.base.sha }}": base,
        "${{ github.event.pull_request.number }}": "12",
        "${{ github.token }}": "t0k3n",
        "${{ github.repository }}": "team/desired-state",
        "${{ github.server_url }}/api/v1": "https://git.example.com/api/v1",
    }
    codes: dict[str, int] = {}
    for step, text, environment in steps_of(name):
        assert "${{" not in text, "what others wrote must not become a command"
        text = text.replace("/opt/shipstone/bin/pip", "pip")
        known = {**here, **{key: given.get(value, value) for key, value in environment.items()}}
        assert not any("${{" in value for value in known.values())
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=repository.tree, env=known, capture_output=True, text=True)
        codes[step] = done.returncode
        assert done.returncode == 0 or "nonsense" in done.stderr, done.stdout + done.stderr
    last = "script" if name == "gitlab.yaml" else "Validate"
    assert codes == {**dict.fromkeys(codes, 0), last: int(wrong)}
    report = (repository.tree / "plan.md").read_text()
    assert ("`sites/blog.yaml:3:1 nonsense: " if wrong else "| `blog` | **replaced**: `web image` `nginx:1` → `nginx:2` | none |") in report
    called = calls.read_text()
    dist = "https://files.example.com/shipstone"
    assert [line.strip() for line in called.splitlines() if line.startswith("pip ")] == [
        f"pip install --quiet --require-hashes -r {dist}/requirements.lock",
        f"pip install --quiet --no-deps {dist}/shipstone-{version('shipstone')}-py3-none-any.whl",
    ], "what a host installs, of this version"
    assert {
        "github.yaml": "gh pr comment 12 --edit-last --create-if-none --body-file plan.md",
        "gitlab.yaml": "--data-urlencode body@plan.md https://gitlab.example.com/api/v4/projects/7/merge_requests/12/notes",
        "gitea.yaml": "--data @comment.json https://git.example.com/api/v1/repos/team/desired-state/issues/12/comments",
    }[name] in called
    if name == "gitea.yaml":
        assert json.loads((repository.tree / "comment.json").read_text()) == {"body": report}


def stand_in(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("name", ["github.yaml", "gitea.yaml"])
def test_a_workflow_has_the_form_of_actions(name: str) -> None:
    data = yaml.safe_load((ROOT / "docs/ci" / name).read_text())
    assert data[True] == "pull_request", "never pull_request_target: it would run a stranger's files with our rights"
    (job,) = data["jobs"].values()
    assert job["runs-on"]
    for step in job["steps"]:
        assert step.keys() <= {"name", "uses", "with", "env", "run", "continue-on-error"}
        assert ("uses" in step) != ("run" in step)
    assert job["steps"][0]["with"]["fetch-depth"] == 0
