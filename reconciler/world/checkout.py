"""A checkout of the repository, as a pull request's check has it: the files as they are, and as they were at an earlier commit."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reconciler.desired.revision import Entry, Revision, blob_id
from reconciler.errors import SourceError
from reconciler.world.git_address import printable

SECONDS = 60.0
BEFORE = "HEAD~1"
"""What a commit is compared with where nothing else is said: in a merge commit, the branch that it goes into."""
OWN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "safe.directory",  # a container of a CI often runs as another user than the one that checked out
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_CONFIG_KEY_1": "core.fsmonitor",
    "GIT_CONFIG_VALUE_1": "false",
    "GIT_CONFIG_KEY_2": "safe.bareRepository",  # files of a pull request can look like a repository whose settings run programs
    "GIT_CONFIG_VALUE_2": "explicit",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Checkout:
    """`folder` lies in a git work tree; `prefix` is its path there, with a slash at its end, or empty."""

    folder: Path
    prefix: str

    def base(self, ref: str) -> str:
        """The commit at which HEAD left the history of `ref`; empty where HEAD is the first one. Raises SourceError."""
        if ref == BEFORE and not self._commit(ref) and self._commit("HEAD") and not self._parents() and not self._shallow():
            return ""
        if not (commit := self._commit(ref)):
            why, more = "there is no such commit, branch or tag", "Name another one with --against"
            if self._shallow():
                why, more = "only the newest commits are there", "Fetch all of the history (fetch-depth: 0, GIT_DEPTH: 0, --unshallow)"
            raise SourceError(f"cannot compare with {printable(ref)}: {why} in {self.folder}. {more}.")
        return self._git("merge-base", commit, "HEAD", check=False).decode().strip() or commit

    def at(self, commit: str) -> Revision:
        """The files below the folder as they were at a commit; empty: none. Raises SourceError."""
        entries: dict[str, Entry] = {}
        listed = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit) if commit else b""
        for row in listed.split(b"\0"):
            head, tab, name = row.partition(b"\t")
            path = name.decode("utf-8", "backslashreplace")
            if tab and path.startswith(self.prefix):
                mode, _, blob, size = head.split()
                executable = mode == b"100755"
                entries[path.removeprefix(self.prefix)] = Entry(blob.decode(), _kind(mode), 0 if size == b"-" else int(size), executable)
        return Revision(commit, entries, lambda path: self._git("cat-file", "blob", entries[path].id))

    def named(self, revision: Revision) -> Revision:
        """The folder as it is, with the names that git gives to its files: so the same content is the same in both."""
        digits = len(self._commit("HEAD"))

        def name(path: str, entry: Entry) -> Entry:
            data = revision.read(path)
            return replace(entry, id=blob_id(data, digits))

        return replace(revision, entries={path: name(path, entry) for path, entry in revision.entries.items()})

    def head(self) -> str:
        """Its newest commit; empty where there is none."""
        return self._commit("HEAD")

    def _commit(self, ref: str) -> str:
        out = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", check=False)
        return out.decode("ascii", "replace").strip()

    def _parents(self) -> list[str]:
        return self._git("rev-list", "--parents", "-n", "1", "HEAD").decode().split()[1:]

    def _shallow(self) -> bool:
        return self._git("rev-parse", "--is-shallow-repository").strip() == b"true"

    def _git(self, *arguments: str, check: bool = True) -> bytes:
        return run_git(self.folder, *arguments, check=check)


def checkout_of(folder: Path) -> Checkout | None:
    """None where the folder is in no git work tree. Raises SourceError where there is no git."""
    out = run_git(folder, "rev-parse", "--show-prefix", check=False) if folder.is_dir() else b""
    return Checkout(folder, out.decode("utf-8", "backslashreplace").removesuffix("\n")) if out else None


def run_git(folder: Path, *arguments: str, check: bool = True) -> bytes:
    """What it wrote; nothing where it failed and `check` is off. Raises SourceError."""
    environment: Mapping[str, str] = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), **OWN}
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, timeout=SECONDS)
    except FileNotFoundError:
        raise SourceError("cannot read the checkout: there is no git program. Install git (apt-get install git).") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"cannot read the checkout: git did not end within {SECONDS:g} s. Try `git {arguments[0]}` there.") from None
    if done.returncode == 0:
        return done.stdout
    if check:
        said = printable((done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"])[-1])
        raise SourceError(f"cannot read the checkout {folder}: git {arguments[0]} says {said!r}. Try it there.")
    return b""


def _kind(mode: bytes) -> Literal["file", "symlink", "submodule"]:
    return "symlink" if mode == b"120000" else "submodule" if mode == b"160000" else "file"
