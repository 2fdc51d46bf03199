"""Which commit of the branch may be taken, where signatures are asked for."""

from dataclasses import dataclass
from pathlib import Path

from reconciler.world.git_address import printable
from reconciler.world.git_command import Commands
from reconciler.world.git_signatures import Signers

TAGS_TRIED = 20
"""So many of the newest tags are looked at."""
SHORT = 12
ROW = "--format=%(objecttype) %(objectname) %(taggerdate:unix) %(refname:strip=2)"


@dataclass(frozen=True)
class Vetted:
    """`commit` is the newest one that counts, "" without one; `tag` is the tag that says so; `refused` why a newer one does not,
    `unsigned`, where that one is the branch's."""

    commit: str
    refused: str = ""
    tag: str = ""
    unsigned: str = ""


class Vetting:
    """`newest` is the branch's ref in the mirror; `home` a folder for files of a moment."""

    def __init__(self, commands: Commands, newest: str, signers: Signers, home: Path) -> None:
        self._commands, self._newest, self._signers, self._home = commands, newest, signers, home

    def vet(self, mirror: Path, taken: str, taken_ref: str, deadline: float) -> Vetted:
        """`taken` is the commit that counts now, `taken_ref` its ref; a tag's is beside it. Raises GitError, SourceError."""
        if self._signers.verify == "tag":
            return self._tagged(mirror, taken, taken_ref, deadline)
        newest = self._commands.run(mirror, ["log", "-1", "--format=%H", self._newest, "--"], deadline).decode("ascii").strip()
        if not self._signers.verify or newest == taken:
            return Vetted(newest)
        raw = self._commands.run(mirror, ["cat-file", "commit", newest], deadline)
        why = self._signers.refusal(raw, self._home, deadline)
        return Vetted("", f"commit {newest[:SHORT]} is not taken: {why}", unsigned=newest) if why else Vetted(newest)

    def _tagged(self, mirror: Path, taken: str, taken_ref: str, deadline: float) -> Vetted:
        """The commit of the newest tag that is signed; never an older tag than the one that counted last, whatever was deleted."""
        before = self._rows(mirror, [f"{taken_ref}-tag"], deadline)
        since = before[0].date if before else -1
        refused = ""
        rows = self._rows(mirror, ["--sort=-taggerdate", f"--merged={self._newest}", "--", "refs/tags"], deadline)
        for row in rows[:TAGS_TRIED]:
            if row.date <= since:
                break
            raw = self._commands.run(mirror, ["cat-file", "tag", row.id], deadline)
            head = raw.partition(b"\n\n")[0].decode("utf-8", "replace").split("\n")
            why = self._signers.refusal(raw, self._home, deadline) if head[1:2] == ["type commit"] else "it is not of a commit"
            if not why:
                return Vetted(head[0].removeprefix("object "), refused, row.id)
            refused = refused or f"tag {printable(row.name)} is not taken: {why}"
        return Vetted(taken, refused) if taken else Vetted("", refused or "no tag of it is signed")

    def _rows(self, mirror: Path, arguments: list[str], deadline: float) -> "list[_Row]":
        """Annotated tags."""
        out = self._commands.run(mirror, ["for-each-ref", ROW, *arguments], deadline).decode("utf-8", "replace")
        rows = (line.split(" ", 3) for line in out.splitlines())
        return [_Row(row[1], int(row[2] or 0), row[3]) for row in rows if row[0] == "tag"]


@dataclass(frozen=True)
class _Row:
    id: str
    date: int
    name: str
