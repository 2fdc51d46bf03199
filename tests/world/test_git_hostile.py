"""What only git can store: links, submodules, LFS pointers, names that lead elsewhere. A real repository, compiled."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Policy
from reconciler.errors import ShipstoneError
from reconciler.world.files import FileStore
from reconciler.world.git import GitSource
from tests.world.test_git import Upstream

GOOD = "image: app:1\nport: 80\n"
PAGES = GOOD + "files: {/srv: pages}\n"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
Compile = Callable[[list[tuple[str, str, str]]], Desired]
"""Rows of (mode, path, content) become a commit as git itself would never make it."""


@pytest.fixture
def compile_tree(tmp_path: Path) -> Compile:
    upstream = Upstream(tmp_path)
    good = upstream.push({"sites/a.yaml": GOOD, "sites/good.yaml": GOOD})
    source = GitSource(str(upstream.bare), "main", "", tmp_path / "state" / "mirror.git", allow_file=True)
    compiler = Compiler(Policy())
    before = compiler.compile(source.fetch())

    def git(*arguments: str, given: bytes = b"") -> str:
        command = ["git", "-C", str(upstream.work), *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode().strip()

    def tree_of(rows: list[tuple[str, list[str], str]]) -> str:
        """Written object by object: the index refuses such names."""
        entries: list[tuple[bytes, str, str]] = []
        for name in dict.fromkeys(parts[0] for _, parts, _ in rows):
            inside = [(mode, parts[1:], content) for mode, parts, content in rows if parts[0] == name and len(parts) > 1]
            if inside:
                entries.append((name.encode() + b"/", "40000", tree_of(inside)))
            for mode, _, content in [row for row in rows if row[1] == [name]]:
                blob = content if mode == "160000" else git("hash-object", "-w", "--stdin", given=content.encode())
                entries.append((name.encode(), mode.lstrip("0"), blob))
        raw = b"".join(f"{mode} ".encode() + name.rstrip(b"/") + b"\0" + bytes.fromhex(sha) for name, mode, sha in sorted(entries))
        return git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=raw)

    def compiled(rows: list[tuple[str, str, str]]) -> Desired:
        rows = [*rows, ("100644", "sites/good.yaml", GOOD)]
        commit = git("commit-tree", tree_of([(mode, path.split("/"), text) for mode, path, text in rows]), "-p", good, "-m", "x")
        git("push", "-q", str(upstream.bare), f"{commit}:refs/heads/main")
        desired = compiler.compile(source.fetch(), before)
        source.close()
        assert "good" in desired.sites
        for name in desired.held:
            assert desired.sites[name] == before.sites[name], "it stays what it was before"
        return desired

    return compiled


FILE, LINK, MODULE = "100644", "120000", "160000"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(
            [(LINK, "sites/a.yaml", "/etc/shadow")],
            "sites/a.yaml is a symlink. Put the file itself into the repository.",
            id="site-symlink",
        ),
        pytest.param(
            [(MODULE, "sites/a.yaml", "1" * 40)],
            "sites/a.yaml is a submodule. Put the file itself into the repository.",
            id="site-submodule",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", POINTER)],
            "sites/a.yaml is a pointer of Git LFS, which is not fetched. Put the file itself into the repository.",
            id="site-lfs",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (LINK, "pages/x", "../../etc")],
            "sites/a.yaml:3:15 files./srv: pages/x is a symlink, which is not followed. Put the file itself into the repository.",
            id="file-symlink",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (MODULE, "pages/x", "1" * 40)],
            "sites/a.yaml:3:15 files./srv: pages/x is a submodule, which is not followed. Put the file itself into the repository.",
            id="file-submodule",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (FILE, "pages/big.iso", POINTER)],
            "sites/a.yaml:3:15 files./srv: pages/big.iso is a pointer of Git LFS, which is not fetched. "
            "Put the file itself into the repository.",
            id="file-lfs",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (FILE, "pages/../../../evil", "x")],
            "sites/a.yaml:3:15 files./srv: pages/../../../evil has a part that no file may be called. Rename it.",
            id="dots",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (FILE, "pages/.GIT/hooks/x", "x")],
            "sites/a.yaml:3:15 files./srv: pages/.GIT/hooks/x has a part that no file may be called. Rename it.",
            id="dot-git",
        ),
        pytest.param(
            [(FILE, "sites/a.yaml", PAGES), (FILE, "pages/a\nb", "x")],
            'sites/a.yaml:3:15 files./srv: "pages/a\\nb" has a part that no file may be called. Rename it.',
            id="line-break",
        ),
    ],
)
def test_what_git_can_store_is_refused_and_its_site_held(compile_tree: Compile, rows: list[tuple[str, str, str]], message: str) -> None:
    """The site stays as it was, its neighbour goes on."""
    desired = compile_tree(rows)
    assert [str(problem) for problem in desired.problems] == [message]
    assert desired.held == {"a": message}


def test_a_fleet_file_that_is_a_link_holds_every_site(compile_tree: Compile) -> None:
    desired = compile_tree([(LINK, "shipstone.yaml", "/etc/passwd"), (FILE, "sites/a.yaml", "image: app:2\nport: 80\n")])
    assert [str(problem) for problem in desired.problems] == ["shipstone.yaml is a symlink. Put the file itself into the repository."]
    assert sorted(desired.held) == ["a", "good"]


@pytest.mark.parametrize(
    ("name", "code"),
    [("sites/a\nb.yaml", "SS-N12"), ("sites/.GIT.yaml", "SS-N12"), ("sites/-x.yaml", "SS-N12"), ("sites/A.yaml", "SS-N13")],
)
def test_names_of_site_files_that_only_git_can_store(compile_tree: Compile, name: str, code: str) -> None:
    """Twins are both held, other names are only said."""
    desired = compile_tree([(FILE, "sites/a.yaml", GOOD), (FILE, name, GOOD)])
    assert code in {problem.code for problem in desired.problems}
    assert all(str(problem).isprintable() for problem in desired.problems)
    assert sorted(desired.sites) == ["a", "good"]


def test_a_site_whose_folder_leads_up_is_none(compile_tree: Compile) -> None:
    """Only names directly below sites/ are sites."""
    assert sorted(compile_tree([(FILE, "sites/../x.yaml", GOOD), (FILE, "sites/a.yaml", GOOD)]).sites) == ["a", "good"]


def test_the_store_of_mounted_files_writes_nowhere_else(tmp_path: Path) -> None:
    """Whatever it is given: what compiles never has such names."""
    store = FileStore(tmp_path / "files")
    for name in ("../evil", "a/../../evil", "/evil", "./evil"):
        with pytest.raises(ShipstoneError, match="it leads elsewhere"):
            store.put_tree("d" * 32, {"good": (b"1", False), name: (b"2", False)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "who",
    ["Ada <ada@example.org>", "Ada <ada@example.org> x", "", "Ada <ada@example.org> 99999999999999999999 +0000", "A\0da <> 1 +0000"],
    ids=["no-time", "no-number", "nobody", "far-away", "nul"],
)
def test_a_commit_that_does_not_say_when_it_was_made_is_taken(tmp_path: Path, who: str) -> None:
    upstream = Upstream(tmp_path)
    upstream.push({"sites/a.yaml": GOOD})
    raw = f"tree {upstream.git('rev-parse', 'HEAD^{tree}').strip()}\nauthor {who}\ncommitter {who}\n\nBegin\0end\n"
    command = ["git", "-C", str(upstream.work), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    commit = subprocess.run(command, input=raw.encode(), check=True, capture_output=True).stdout.decode().strip()
    upstream.git("push", "-q", "--force", str(upstream.bare), f"{commit}:refs/heads/main")
    source = GitSource(str(upstream.bare), "main", "", tmp_path / "state" / "mirror.git", allow_file=True)
    revision = source.fetch()
    source.close()
    assert (revision.id, list(revision.entries)) == (commit, ["sites/a.yaml"])
    assert revision.committed_at >= 0.0
