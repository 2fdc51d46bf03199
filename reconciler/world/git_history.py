"""Which commit is taken: the newest of the branch, unless it shares no history with the one that was taken before it."""

import contextlib
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from reconciler.world.git_address import Address
from reconciler.world.git_command import Commands, GitError

Approved = Callable[[], Collection[str]]
"""Commits whose history a person lets in, and that of what descends from them."""


@dataclass(frozen=True)
class Choice:
    """`waits`: the newest commit, where another one is taken because the newest needs an approval. `new`: it was not taken before."""

    commit: str
    waits: str = ""
    new: bool = False


class History:
    """The branch `newest` (a ref) in the repository `mirror`, and a ref beside it that keeps what was taken of this address."""

    def __init__(self, where: Address, commands: Commands, newest: str) -> None:
        self._commands, self._newest = commands, newest
        key = hashlib.sha256(f"{where.url}\0{where.branch}".encode()).hexdigest()[:16]  # other settings: another history, and meant so
        self._taken = f"refs/taken/{key}"

    def choose(self, mirror: Path, approved: Approved, deadline: float) -> Choice:
        """Raises GitError."""
        newest = self._commands.run(mirror, ["log", "-1", "--format=%H", self._newest, "--"], deadline).decode("ascii").strip()
        taken = self.taken(mirror, deadline)
        if taken == newest:
            return Choice(newest)
        if not taken or self._share(mirror, taken, newest, deadline):
            return Choice(newest, new=True)
        if any(self._descends(mirror, newest, one, deadline) for one in approved()):
            return Choice(newest, new=True)
        return Choice(taken, newest)

    def take(self, mirror: Path, commit: str, deadline: float) -> None:
        """From now on this one counts, also after a restart. Raises GitError."""
        self._commands.run(mirror, ["update-ref", self._taken, commit], deadline)

    def carry(self, old: Path, fresh: Path, deadline: float) -> None:
        """What was taken, out of a damaged mirror, where it can still be read; else it is forgotten."""
        bundle = fresh / "taken.bundle"
        with contextlib.suppress(GitError):
            self._commands.run(old, ["init", "--bare", "--quiet"], deadline)  # what else is missing there comes back
            if taken := self.taken(old, deadline):
                self._commands.run(old, ["bundle", "create", "--quiet", str(bundle), self._taken], deadline)
                self._commands.run(fresh, ["bundle", "unbundle", str(bundle)], deadline)
                self.take(fresh, taken, deadline)
        bundle.unlink(missing_ok=True)

    def taken(self, mirror: Path, deadline: float) -> str:
        """What was taken last; empty if nothing was. Raises GitError."""
        out = self._commands.run(mirror, ["for-each-ref", "--format=%(objectname)", "--", self._taken], deadline)
        return out.decode("ascii", "replace").strip()

    def _share(self, mirror: Path, one: str, other: str, deadline: float) -> bool:
        try:
            self._commands.run(mirror, ["merge-base", "--", one, other], deadline)
        except GitError as error:
            if error.timed_out or error.text.strip():
                raise
            return False
        return True

    def _descends(self, mirror: Path, commit: str, ancestor: str, deadline: float) -> bool:
        """False also where the ancestor is not there."""
        try:
            self._commands.run(mirror, ["merge-base", "--is-ancestor", "--", ancestor, commit], deadline)
        except GitError as error:
            if error.timed_out:
                raise
            return False
        return True
