"""The git source: one bare mirror, one branch; files are read from blobs at one commit, never from a work tree."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.desired.revision import Revision
from reconciler.errors import SourceError
from reconciler.failpoints import failpoint
from reconciler.world.git_access import Access
from reconciler.world.git_address import Address, address, printable
from reconciler.world.git_blobs import Blobs
from reconciler.world.git_command import Commands, GitError
from reconciler.world.git_entries import entries_of, reader_of
from reconciler.world.git_history import SIGN, Approved, Choice, History
from reconciler.world.git_signatures import Signers

REF = "refs/heads/shipstone"
LOCK_RETRY = 0.05
"""Seconds between two tries for a mirror that another process fetches into."""
BRANCHES_SHOWN = 5
ANYONE, UNSIGNED = Access(), Signers()
FEWER = " Put what Shipstone does not need elsewhere, or set [source] path."
SHOWN = 200
"""Characters of an author or a subject."""
SHORT = 12
"""Digits of a commit that people get."""


@dataclass(frozen=True)
class Caps:
    """`size` of the mirror's packs in bytes; `files` of one commit below the folder."""

    size: int = 2**30
    files: int = 50_000


CAPS = Caps()


class GitSource:
    """Fetches `branch` of `url` into the bare repository `mirror`; `path` is the folder in it that counts ("" is all of it)."""

    def __init__(
        self,
        url: str,
        branch: str,
        path: str,
        mirror: Path,
        *,
        allow_file: bool = False,
        timeout: float = 60.0,
        access: Access = ANYONE,
        signers: Signers = UNSIGNED,
        caps: Caps = CAPS,
        approved: Approved = frozenset,
    ) -> None:
        """`timeout` is in seconds, for one fetch; `access` is how it logs in, `signers` whose commits or tags count.
        `approved`: asked for when a commit does not descend from the last one.
        What is wrong with the arguments is said by fetch()."""
        self._settings = (url, branch, path, allow_file)
        self._mirror, self._timeout, self._access, self._approved = mirror.absolute(), timeout, access, approved
        self._signers, self._caps = signers, caps
        self._last: Revision | None = None
        self._blobs: Blobs | None = None
        self._tidy_next = False

    def fetch(self) -> Revision:
        """The newest commit of the branch, or the last one that it descended from: the same object as last time where nothing
        changed. Raises SourceError."""
        url, branch, path, allow_file = self._settings
        where = address(url, branch, path, allow_file=allow_file)
        commands = Commands(where, self._mirror.parent, self._access.environment(where))
        self._blobs = self._blobs or Blobs(Commands(where, self._mirror.parent), self._mirror)
        try:
            self._mirror.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self._mirror, where, self._deadline()):
                commands.configure()
                return self._newest(where, commands, self._blobs)
        except GitError as error:
            raise error.explain(where, self._timeout) from None
        except OSError as error:
            what = f"{error.filename or self._mirror}: {error.strerror or error}"
            raise SourceError(f"cannot fetch {where.shown}: {what}. Make the state folder writable.") from None

    def last(self) -> Revision | None:
        """What was taken last, out of the mirror; None where it holds nothing, or nothing that can be read."""
        url, branch, path, allow_file = self._settings
        with contextlib.suppress(SourceError, GitError, OSError):
            where, deadline = address(url, branch, path, allow_file=allow_file), self._deadline()
            commands = Commands(where, self._mirror.parent)
            self._blobs = self._blobs or Blobs(commands, self._mirror)
            if self._mirror.exists():
                with _alone(self._mirror, where, deadline):
                    if taken := self._history(where, commands).taken(self._mirror, deadline):
                        self._last = self._last or self._read(taken, where, commands, self._blobs, deadline)
        return self._last

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002  part of the Protocol
        """Nothing to watch: a git server is polled."""
        return lambda: None

    def close(self) -> None:
        """Ends the git process that reads blobs; a later read starts another."""
        if self._blobs is not None:
            self._blobs.close()

    def _newest(self, where: Address, commands: Commands, blobs: Blobs) -> Revision:
        """A damaged mirror is replaced by a fresh one, once; the old one goes only when the fresh one is complete."""
        deadline = self._deadline()
        if not blobs.damaged:
            try:
                self._receive(self._mirror, where, commands, deadline)
                failpoint("fetch")
                return self._revision(where, commands, blobs, deadline)
            except GitError as error:
                if not error.corrupt:
                    raise
        fresh, deadline = self._mirror.with_name(self._mirror.name + ".new"), self._deadline()
        _remove(fresh)
        self._receive(fresh, where, commands, deadline)
        self._history(where, commands).carry(self._mirror, fresh, deadline)
        _remove(self._mirror)
        fresh.rename(self._mirror)
        blobs.close()
        blobs.damaged = False
        return self._revision(where, commands, blobs, deadline)

    def _revision(self, where: Address, commands: Commands, blobs: Blobs, deadline: float) -> Revision:
        """What the mirror's branch points to, if it may be taken."""
        history = self._history(where, commands)
        choice = history.choose(self._mirror, self._approved, deadline)
        if self._last is None or self._last.id != choice.commit:
            self._last = self._read(choice.commit, where, commands, blobs, deadline)
        elif self._tidy_next:
            self._tidy_next = False  # by a fetch that brings nothing: a new commit need not wait for it
            with contextlib.suppress(GitError):
                commands.run(self._mirror, ["gc", "--auto", "--quiet"], deadline)
        if choice.new:
            history.keep(self._mirror, choice, deadline)
        now = replace(self._last, waits=choice.waits, unsigned=choice.unsigned, notice=_notice(choice, where))
        if now != self._last:
            self._last = now
        return self._last

    def _read(self, commit: str, where: Address, commands: Commands, blobs: Blobs, deadline: float) -> Revision:
        """One commit and its files."""
        out = commands.run(self._mirror, ["log", "-1", "--format=%an%x00%s%x00%ct", commit, "--"], deadline)
        author, subject, committed = out.decode("utf-8", "replace").strip().split("\0")
        entries = entries_of(self._mirror, commit, where, commands, deadline)
        if len(entries) > self._caps.files:
            raise GitError("", refused=f"it has {len(entries)} files, more than [source] max_files, {self._caps.files}.{FEWER}")
        self._tidy_next = True
        blobs.close()
        return Revision(
            commit, entries, reader_of(commit, entries, blobs), printable(author[:SHOWN]), printable(subject[:SHOWN]), float(committed or 0)
        )

    def _history(self, where: Address, commands: Commands) -> History:
        return History(where, commands, REF, self._signers, self._mirror.parent)

    def _receive(self, mirror: Path, where: Address, commands: Commands, deadline: float) -> None:
        """Brings the branch into the mirror, which is made if it is missing. Raises GitError, or SourceError without such a branch."""
        if not mirror.exists():
            commands.run(mirror, ["init", "--bare", "--quiet"], deadline)
        _tidy(mirror)
        options = ["--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "--no-write-fetch-head"]
        wanted = [f"+refs/heads/{where.branch}:{REF}"] + (["+refs/tags/*:refs/tags/*"] if self._signers.verify == "tag" else [])
        before = set(_packs(mirror))
        try:
            commands.run(mirror, ["fetch", *options, "--", where.url, *wanted], deadline, lambda: _room(mirror, self._caps))
            _room(mirror, self._caps)  # a quick line brings all of it between two looks
        except GitError as error:
            if error.refused:
                _tidy(mirror)
                commands.run(mirror, ["update-ref", "-d", REF], deadline)  # it may have come to its end all the same
                for pack in set(_packs(mirror)) - before:
                    _remove(pack)
            if "couldn't find remote ref" not in error.text:
                raise
            raise _no_branch(commands.run(mirror, ["ls-remote", "--heads", "--", where.url], deadline), where) from None

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout


def _no_branch(listed: bytes, where: Address) -> SourceError:
    """From what `git ls-remote --heads` wrote."""
    names = [printable(line.partition("\trefs/heads/")[2]) for line in listed.decode("utf-8", "replace").splitlines()]
    if not names:
        return SourceError(f"cannot fetch {where.shown}: the repository is empty. Push a first commit to its branch {where.branch}.")
    shown = ", ".join(names[:BRANCHES_SHOWN]) + (", …" if len(names) > BRANCHES_SHOWN else "")
    return SourceError(
        f"cannot fetch {where.shown}: it has no branch {where.branch!r}, but {shown}. Set [source] branch to one of these, or push it."
    )


def _room(mirror: Path, caps: Caps) -> None:
    """Raises GitError where the mirror has grown too large."""
    size = 0
    for file in _packs(mirror):
        with contextlib.suppress(FileNotFoundError):
            size += file.stat().st_size
    if size > caps.size:
        shown = f"{caps.size / 2**20:g} MiB"
        raise GitError("", refused=f"the repository is larger than [source] max_size, {shown}. Raise it, or make the repository smaller.")


def _packs(mirror: Path) -> Iterator[Path]:
    return (mirror / "objects/pack").glob("*")


def _notice(choice: Choice, where: Address) -> str:
    if choice.refused:
        return f"{choice.refused}. What was taken last goes on ({choice.commit[:SHORT]}). {SIGN}"
    if not choice.waits:
        return ""
    what = "set back or rewritten" if choice.related else "replaced by an unrelated history"
    return (
        f"the branch {where.branch} was {what} ({choice.commit[:SHORT]} → {choice.waits[:SHORT]}): "
        "nothing is changed. `shipstone approve` takes it."
    )


@contextlib.contextmanager
def _alone(mirror: Path, where: Address, deadline: float) -> Iterator[None]:
    """One fetch at a time into one mirror: a command beside the daemon waits here. Raises SourceError at the deadline."""
    lock = os.open(mirror.with_name(mirror.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SourceError(
                        f"cannot fetch {where.shown}: another process is fetching into {mirror}. Wait for it, or end it."
                    ) from None
                time.sleep(LOCK_RETRY)
        yield
    finally:
        os.close(lock)


def _tidy(mirror: Path) -> None:
    """Removes what a killed fetch left; under our lock nobody else uses it."""
    for folder, pattern in (
        (mirror, "*.lock"),
        (mirror / "refs", "**/*.lock"),
        (mirror / "objects", "**/tmp_*"),
        (mirror / "objects", "*/*.lock"),
    ):
        for left in folder.glob(pattern):
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
