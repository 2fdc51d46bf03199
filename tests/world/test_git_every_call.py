"""Every program that the git code starts: none beside those of this table, each with exactly these arguments and this environment."""

import ast
import importlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.errors import SourceError
from reconciler.world.checkout import Checkout, checkout_of
from reconciler.world.git import Caps, GitSource
from reconciler.world.git_signatures import Signers
from tests.world.started import PACKAGE, Started, recorded
from tests.world.test_git import Upstream, damage_head, run
from tests.world.test_git_calls import SSH
from tests.world.test_git_signatures import Gpg, Signed

pytestmark = pytest.mark.xdist_group("git-calls")

DOORS = {
    "commands/secrets.py": 1,
    "world/checkout.py": 1,
    "world/default_certificate.py": 1,
    "world/git_runner.py": 2,
    "world/git_signatures.py": 1,
    "world/host_command.py": 2,
    "world/host_units.py": 1,
    "world/sops_files.py": 1,
}
"""How often each file starts a program. One that is added needs a test of what it is given, as below for git."""
CALLERS = ("run", "start", "execute", "get_object_data", "run_git", "_git", "_run")
"""By which names the git code comes to its doors."""
FETCH = "fetch --quiet --no-tags --prune --no-recurse-submodules --no-write-fetch-head -- BARE"
TAG_ROWS = "for-each-ref --format=%(objecttype) %(objectname) %(taggerdate:unix) %(refname:strip=2)"
MIRROR = {
    "init --bare --quiet",
    f"{FETCH} +refs/heads/main:refs/heads/shipstone",
    f"{FETCH} +refs/heads/main:refs/heads/shipstone +refs/tags/*:refs/tags/*",
    f"{FETCH} +refs/heads/none:refs/heads/shipstone",
    "ls-remote --heads -- BARE",
    "update-ref -d refs/heads/shipstone",
    "update-ref TAKEN COMMIT",
    "update-ref TAKEN-tag COMMIT",
    "for-each-ref --format=%(objectname) -- TAKEN",
    f"{TAG_ROWS} TAKEN-tag",
    f"{TAG_ROWS} --sort=-taggerdate --merged=refs/heads/shipstone -- refs/tags",
    "log -1 --format=%H refs/heads/shipstone --",
    "log -1 --format=%an%x00%s%x00%ct COMMIT --",
    "--literal-pathspecs ls-tree -r -l -z --full-tree -- COMMIT",
    "--literal-pathspecs ls-tree -r -l -z --full-tree -- COMMIT sites/",
    "merge-base --is-ancestor -- COMMIT COMMIT",
    "merge-base -- COMMIT COMMIT",
    "cat-file commit COMMIT",
    "cat-file tag COMMIT",
    "cat-file --batch",
    "bundle create --quiet NEW/taken.bundle TAKEN",
    "bundle unbundle NEW/taken.bundle",
    "gc --auto --quiet",
}
CHECKOUT = {
    "rev-parse --show-prefix",
    "rev-parse --is-shallow-repository",
    "rev-parse --verify --quiet --end-of-options HEAD^{commit}",
    "rev-parse --verify --quiet --end-of-options HEAD~1^{commit}",
    "rev-parse --verify --quiet --end-of-options none^{commit}",
    "rev-list --parents -n 1 HEAD",
    "merge-base COMMIT HEAD",
    "ls-tree -r -l -z --full-tree COMMIT",
    "cat-file blob COMMIT",
}
PASSED = (
    "PATH TMPDIR SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO GIT_SSL_CAPATH http_proxy https_proxy no_proxy all_proxy"
    " HTTPS_PROXY NO_PROXY ALL_PROXY"
)
SIGNATURES = {
    "ssh-keygen -Y check-novalidate -n git -s SIGNATURE",
    "ssh-keygen -Y find-principals -s SIGNATURE -f HERE/allowed",
    "ssh-keygen -Y verify -f HERE/allowed -I ada@example.org -n git -s SIGNATURE",
    "gpgv --homedir FOLDER --status-fd 1 --keyring HERE/keyring.gpg SIGNATURE -",
}


@dataclass
class Tour:
    """Everything that the git code does, once: on `upstream`, below `folder`."""

    folder: Path
    upstream: Upstream

    def source(self, name: str, branch: str = "main", path: str = "", **more: object) -> GitSource:
        mirror = self.folder / name / "mirror.git"
        return GitSource(str(self.upstream.bare), branch, path, mirror, allow_file=True, **more)  # type: ignore[arg-type]

    def commits(self) -> None:
        """The first, the same again, one that rewrites history and is approved; blobs; a mirror that is lost."""
        approved: set[str] = set()
        source = self.source("plain", path="sites", approved=lambda: approved)
        first = self.upstream.push({"sites/a": "1"})
        assert source.fetch().read("a") == b"1"
        source.fetch()
        self.upstream.git("checkout", "-q", "--orphan", "other")
        second = self.upstream.push({"sites/a": "2"}, force=True)
        assert source.fetch().waits == second
        source.close()
        damage_head(self.folder / "plain/mirror.git")
        assert self.source("plain", path="sites", approved=lambda: approved).fetch().id == first
        approved.add(second)
        assert source.fetch().id == second

    def refused(self) -> None:
        """No such branch; too large."""
        for source in (self.source("none", "none"), self.source("small", caps=Caps(size=1))):
            with pytest.raises(SourceError):
                source.fetch()

    def signed(self, gpg: Gpg) -> None:
        """Commits and tags by an ssh key, a commit by an OpenPGP key."""
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / "ada")], check=True)
        signed = Signed(self.upstream, self.folder, self.folder / "unused")
        signed.allow("ada")
        commit = signed.push("ada")
        signed.tag("v1", commit, "ada", 1_700_000_001)
        for verify in ("commit", "tag"):
            source = self.source(verify, signers=Signers(verify, f"{self.folder}/allowed"))  # type: ignore[arg-type]
            assert source.fetch().id == commit
        key = gpg.key("Ada")
        gpg.run("--output", str(self.folder / "keyring.gpg"), "--export", key)
        for name, value in (("commit.gpgSign", "true"), ("gpg.format", "openpgp"), ("user.signingKey", key)):
            self.upstream.git("config", name, value)
        commit = self.upstream.push({"a": "pgp"})
        self.upstream.git("config", "commit.gpgSign", "false")
        assert self.source("gpg", signers=Signers("commit", "", f"{self.folder}/keyring.gpg")).fetch().id == commit

    def checkout(self) -> None:
        """As `plan --against` uses it; HEAD without a parent; no such commit."""
        run("clone", "-q", str(self.upstream.bare), str(self.folder / "clone"))
        checkout = checkout_of(self.folder / "clone")
        assert checkout is not None
        base = checkout.base("HEAD~1")
        assert checkout.at(base).read("sites/a")
        assert checkout.head() != base
        run("-C", str(self.folder / "clone"), "checkout", "-q", "--orphan", "new")
        run("-C", str(self.folder / "clone"), "commit", "-q", "-m", "new")
        assert checkout.base("HEAD~1") == ""
        with pytest.raises(SourceError, match="no such commit"):
            checkout.base("none")


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Started]]]:
    """Its folder, and all that was started."""
    folder = tmp_path_factory.mktemp("tour")
    there = Tour(folder, Upstream(folder))
    importlib.import_module("reconciler.world.git_runner")  # GitPython asks for `git version` when it is imported
    (folder / "g").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch, recorded() as started:
        patch.setenv("GNUPGHOME", str(folder / "g"))
        there.commits()
        there.refused()
        there.signed(Gpg(folder / "g"))
        there.checkout()
        yield folder, list(started)
    subprocess.run(["gpgconf", "--homedir", str(folder / "g"), "--kill", "gpg-agent"], check=False, capture_output=True)


def words(folder: Path, started: Started) -> str:
    """Its arguments, what changes each time under a name."""
    text = " ".join(started.arguments)
    for pattern, name in (
        (rf"{folder}/\S+/signature-\w+/signature", "SIGNATURE"),
        (rf"{folder}/\S+/signature-\w+", "FOLDER"),
        (rf"{folder}/\w+/mirror\.git\.new", "NEW"),
        (rf"{folder}/upstream\.git", "BARE"),
        (str(folder), "HERE"),
        (r"refs/taken/[0-9a-f]{16}", "TAKEN"),
        (r"\b[0-9a-f]{40}\b", "COMMIT"),
    ):
        text = re.sub(pattern, name, text)
    return text


def of(tour: tuple[Path, list[Started]], door: str) -> list[Started]:
    return [each for each in tour[1] if each.lines[0][0] == door]


@pytest.mark.parametrize(
    ("door", "program", "table"),
    [
        ("world/git_runner.py", "git ", MIRROR),
        ("world/checkout.py", "git ", CHECKOUT),
        ("world/git_signatures.py", "", SIGNATURES),
    ],
)
def test_the_arguments(tour: tuple[Path, list[Started]], door: str, program: str, table: set[str]) -> None:
    """Two tables: what no row says is not called, and each row is called."""
    found = {words(tour[0], each) for each in of(tour, door)}
    assert found == {program + row for row in table}


def test_the_environment_in_the_mirror(tour: tuple[Path, list[Started]]) -> None:
    """Nothing of ours but where programs are, whom to trust and the way out; only what talks to a server knows how to log in."""
    folder = tour[0]
    passed = {name: os.environ[name] for name in PASSED.split() if name in os.environ}
    for each in of(tour, "world/git_runner.py"):
        assert each.environment is not None
        home = Path(each.folder)
        assert home.parent == folder
        assert each.environment["GIT_DIR"] in (f"{home}/mirror.git", f"{home}/mirror.git.new")
        batch = each.arguments == ("git", "cat-file", "--batch")
        talking = {} if batch else {"GIT_SSH_COMMAND": SSH, "GIT_SSH_VARIANT": "ssh"}
        assert dict(each.environment) == passed | talking | {
            "HOME": str(home),
            "LC_ALL": "C",
            "GIT_DIR": each.environment["GIT_DIR"],
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": f"{home}/gitconfig",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "https:ssh:file:git",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TEMPLATE_DIR": "",
        }, each.arguments


def test_the_environment_of_the_programs_that_judge_signatures(tour: tuple[Path, list[Started]]) -> None:
    """No home: gpgv has a folder of the moment, ssh-keygen reads none."""
    for each in of(tour, "world/git_signatures.py"):
        assert each.environment == {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}, each.arguments


def test_the_environment_in_a_checkout(tour: tuple[Path, list[Started]]) -> None:
    for each in of(tour, "world/checkout.py"):
        assert each.folder == f"{tour[0]}/clone"
        assert each.environment == {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "core.fsmonitor",
            "GIT_CONFIG_VALUE_1": "false",
            "GIT_CONFIG_KEY_2": "safe.bareRepository",
            "GIT_CONFIG_VALUE_2": "explicit",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }, each.arguments


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call by its name, as `subprocess.run`; for what is no name of a module, the last part."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            module = node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
            yield f"{module}.{name}" if module in ("subprocess", "os", "pty", "asyncio", "shutil") else name, node


def test_the_doors() -> None:
    """A program is started with subprocess alone, and only in these files."""
    found: dict[str, int] = {}
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        assert "from subprocess" not in text
        names = [name for name, _ in calls(file)]
        other = [
            name for name in names if re.match(r"(os\.(system|popen|exec|spawn|posix_spawn|fork)|pty\.|asyncio\.create_subprocess)", name)
        ]
        assert not other, f"{file}: {other}"
        if count := sum(name.startswith("subprocess.") for name in names):
            found[file.relative_to(PACKAGE).as_posix()] = count
    assert found == DOORS


def test_the_tour_goes_by_every_call(tour: tuple[Path, list[Started]]) -> None:
    """So the tables are complete: a call that is added is not seen until the tour goes there."""
    gone = {line for each in tour[1] for line in each.lines}
    files = [*PACKAGE.glob("world/git*.py"), PACKAGE / "world/checkout.py"]
    missed = [
        f"{file.name}:{node.lineno}"
        for file in files
        for name, node in calls(file)
        if name.removeprefix("subprocess.") in CALLERS
        and not any((file.relative_to(PACKAGE).as_posix(), line) in gone for line in range(node.lineno, (node.end_lineno or 0) + 1))
    ]
    assert missed == []


def test_files_that_look_like_a_repository_are_none(tmp_path: Path) -> None:
    """A pull request can hold a bare repository whose settings name a program, and which lacks a file: git would run it to fetch that."""
    fake = tmp_path / "clone" / "fleet"
    run("init", "-q", "-b", "main", str(fake.parent))
    run("init", "-q", "-b", "main", "--bare", str(fake))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    tree = subprocess.run(
        ["git", "-C", str(fake), "mktree", "--missing"], input=f"100644 blob {'1' * 40}\tx\n", capture_output=True, text=True, check=True
    )
    commit = run("-C", str(fake), "commit-tree", "-m", "x", tree.stdout.strip()).strip()
    run("-C", str(fake), "update-ref", "refs/heads/main", commit)
    for name, value in {
        "core.repositoryFormatVersion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://x/y", "core.sshCommand": str(program),
    }.items():  # fmt: skip
        run("-C", str(fake), "config", name, value)
    assert checkout_of(fake) is None
    with pytest.raises(SourceError):
        Checkout(fake, "").at(commit)
    assert not (tmp_path / "ran").exists()
