"""Which commit is taken: the newest of the branch, if it descends from the one that was taken before it or a person lets it in."""

import contextlib
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import SourceError
from reconciler.world.git_address import Address
from reconciler.world.git_command import Commands, GitError
from reconciler.world.git_signatures import Signers
from reconciler.world.git_vetting import Vetting

Approved = Callable[[], Collection[str]]
"""Commits that a person lets in, and with them what descends from them."""

SIGN = "Sign it with a key that the settings name."


@dataclass(frozen=True)
class Choice:
    """`waits`: the newest commit, where another one is taken because the newest needs an approval; `related` if it shares a history
    with that one. `refused`: why a newer one does not count, `unsigned`. `new`: it was not taken before; `tag` is what says that it may
    be."""

    commit: str
    waits: str = ""
    new: bool = False
    refused: str = ""
    tag: str = ""
    related: bool = False
    unsigned: str = ""


class History:
    """The branch `newest` (a ref) in the repository `mirror`, and a ref beside it that keeps what was taken of this address."""

    def __init__(self, where: Address, commands: Commands, newest: str, signers: Signers, home: Path) -> None:
        self._commands, self._signers = commands, signers
        self._vetting = Vetting(commands, newest, signers, home)
        text = "\0".join((where.url, where.branch, *([signers.verify] if signers.verify else [])))
        self._taken = f"refs/taken/{hashlib.sha256(text.encode()).hexdigest()[:16]}"  # other settings: another history, and meant so

    def choose(self, mirror: Path, approved: Approved, deadline: float) -> Choice:
        """Raises GitError; SourceError where nothing may be taken."""
        taken = self.taken(mirror, deadline)
        found = self._vetting.vet(mirror, taken, self._taken, deadline)
        newest = found.commit or taken
        if not newest:
            raise SourceError(f"cannot use the repository: {found.refused}. {SIGN}")
        if newest == taken:
            return Choice(taken, new=bool(found.tag), refused=found.refused, tag=found.tag, unsigned=found.unsigned)
        choice = Choice(newest, new=True, refused=found.refused, tag=found.tag)
        if not taken:
            return choice
        if self._goes_on(mirror, taken, newest, deadline) or self._let_in(mirror, taken, newest, approved(), deadline):
            return choice
        return Choice(taken, newest, related=self._share(mirror, taken, newest, deadline))

    def keep(self, mirror: Path, choice: Choice, deadline: float) -> None:
        """From now on this one counts, also after a restart. Raises GitError."""
        self.take(mirror, choice.commit, deadline)
        if choice.tag:
            self._commands.run(mirror, ["update-ref", f"{self._taken}-tag", choice.tag], deadline)

    def take(self, mirror: Path, commit: str, deadline: float) -> None:
        """Raises GitError."""
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

    def _goes_on(self, mirror: Path, taken: str, newest: str, deadline: float) -> bool:
        """A fast-forward; under signed tags also another commit of the history, because the tag says which one is meant."""
        return self._descends(mirror, newest, taken, deadline) or (
            self._signers.verify == "tag" and self._share(mirror, taken, newest, deadline)
        )

    def _let_in(self, mirror: Path, taken: str, newest: str, approved: Collection[str], deadline: float) -> bool:
        """An approved commit, or what descends from one that was not taken yet: an approval does not outlive its commit."""
        return newest in approved or any(
            self._descends(mirror, newest, one, deadline) and not self._descends(mirror, taken, one, deadline) for one in approved
        )

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
