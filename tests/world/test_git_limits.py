"""What a repository may be: its size, its files, its time; refused without filling memory or disk."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.world.git import Caps, GitSource
from tests.world.test_git import Upstream, refusal


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


def source_of(upstream: Upstream, folder: Path, caps: Caps, path: str = "") -> GitSource:
    return GitSource(f"file://{upstream.bare}", "main", path, folder / "state" / "mirror.git", allow_file=True, caps=caps)


def test_a_repository_that_is_too_large(upstream: Upstream, tmp_path: Path) -> None:
    """What came of it is removed at once; with a higher cap it is taken."""
    (upstream.work / "big").write_bytes(subprocess.run(["head", "-c", "8000000", "/dev/urandom"], check=True, capture_output=True).stdout)
    commit = upstream.push({"a": "1"})
    small = source_of(upstream, tmp_path, Caps(size=2_000_000))
    assert "the repository is larger than [source] max_size, 1.90735 MiB. Raise it, or make the repository smaller." in refusal(small)
    left = [path for path in (tmp_path / "state/mirror.git/objects").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left) < 2_000_000
    assert source_of(upstream, tmp_path, Caps()).fetch().id == commit


def test_a_repository_that_is_found_too_large_when_it_is_all_there(upstream: Upstream, tmp_path: Path) -> None:
    """It goes again, and what was taken before stays."""
    first = upstream.push({"a": "1"})
    source = source_of(upstream, tmp_path, Caps(size=20_000))
    assert source.fetch().id == first
    (upstream.work / "big").write_bytes(os.urandom(40_000))
    commit = upstream.push({"a": "2"})
    assert "the repository is larger than [source] max_size" in refusal(source)
    assert sum(path.stat().st_size for path in (tmp_path / "state/mirror.git/objects/pack").iterdir()) < 20_000
    last = source_of(upstream, tmp_path, Caps()).last()
    assert last is not None
    assert (last.id, last.read("a")) == (first, b"1")
    assert source_of(upstream, tmp_path, Caps()).fetch().id == commit


def test_a_commit_with_too_many_files(upstream: Upstream, tmp_path: Path) -> None:
    upstream.push({f"sites/{number}": "x" for number in range(6)} | {"few/a": "1"})
    text = refusal(source_of(upstream, tmp_path, Caps(files=5)))
    assert "it has 7 files, more than [source] max_files, 5. Put what Shipstone does not need elsewhere, or set [source] path." in text
    assert list(source_of(upstream, tmp_path, Caps(files=5), "few").fetch().entries) == ["a"]


def test_a_tree_that_grows_without_end(upstream: Upstream, tmp_path: Path) -> None:
    """12 trees of ten times the same tree: a kilobyte of git, 10^12 names."""
    upstream.push({"a": "1"})

    def tree(rows: str) -> str:
        command = ["git", "-C", str(upstream.work), "mktree"]
        return subprocess.run(command, input=rows, check=True, capture_output=True, text=True).stdout.strip()

    kind, content = "100644 blob", upstream.git("rev-parse", "HEAD:a").strip()
    for _ in range(12):
        content = tree("".join(f"{kind} {content}\tf{number}\n" for number in range(10)))
        kind = "040000 tree"
    bomb = upstream.git("commit-tree", content, "-m", "bomb").strip()
    upstream.git("push", "-q", "--force", str(upstream.bare), f"{bomb}:refs/heads/main")
    started = time.monotonic()
    assert "it lists more than 32 MiB of names. Make the repository smaller." in refusal(source_of(upstream, tmp_path, Caps()))
    assert time.monotonic() - started < 30
