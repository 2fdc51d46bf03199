"""Secrets of a site: what a file may say of them. Their values are never here: only digests under a key of this host."""

import re
from dataclasses import dataclass
from typing import Protocol

from reconciler.desired.container_rules import environment_name
from reconciler.desired.mounts import repository_path
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.revision import Revision
from reconciler.desired.scalars import text

FOLDER = "/run/secrets/"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
WANTED = "Write host:NAME, age:PATH of a file in the repository, or sops:PATH#KEY."


class Vault(Protocol):
    """Where the values are. Both raise Refusal where there is none, or it is not this site's."""

    def digest(self, site: str, source: str, revision: Revision) -> str:
        """The same for the same value of the same secret on the same host; says nothing about it to anybody else."""

    def changed(self) -> bool:
        """Whether a secret of this host may have changed since it was asked for, of those that were since the last call of forget()."""

    def forget(self) -> None: ...


@dataclass(frozen=True)
class Source:
    """`kind`: host, age or sops. `name`: of a secret of the host, or the path in the repository; `key`: where in a SOPS file."""

    kind: str
    name: str
    key: str = ""


def target(value: object) -> str:
    """The name of a variable, or a path below /run/secrets/."""
    written = text(value)
    if not written.startswith("/"):
        return environment_name(written)
    if not (written.startswith(FOLDER) and NAME.fullmatch(written.removeprefix(FOLDER))):
        raise Refusal("SS-C35", f"{show(written)} is no place for a secret. Write a variable's name, or {FOLDER}NAME for a file.")
    return written


def source(value: object) -> str:
    """host:NAME, age:PATH or sops:PATH#KEY; normalised. Whether it is there is not known here."""
    written = text(value)
    kind, colon, rest = written.partition(":")
    if colon and kind == "host" and NAME.fullmatch(rest):
        return written
    if colon and kind == "age" and rest:
        return f"age:{repository_path(rest)}"
    path, sign, key = rest.rpartition("#")
    if colon and kind == "sops" and sign and re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", key, re.ASCII) and path:
        return f"sops:{repository_path(path)}#{key}"
    if not colon or kind not in ("host", "age", "sops"):
        # What is written here by mistake may be the secret itself: it is not shown.
        raise Refusal("SS-C35", f"this is not where a secret is. {WANTED} A secret itself never belongs into the repository.")
    raise Refusal("SS-C35", f"{show(written)} is not where a secret is. {WANTED}")


def source_of(written: str) -> Source:
    """Of a text that source() gave."""
    kind, _, rest = written.partition(":")
    path, _, key = rest.rpartition("#") if kind == "sops" else (rest, "", "")
    return Source(kind, path, key)


MOST = 1024 * 1024
"""Bytes of an encrypted file."""


def check_file(where: Source, revision: Revision) -> None:
    """Refuse a path that is no file of the repository."""
    if where.kind == "host":
        return
    entry = revision.entries.get(where.name)
    if entry is None or entry.kind != "file":
        raise Refusal("SS-C36", f"{show(where.name)} is no file of the repository. Add it: shipstone secrets encrypt makes one.")
    if entry.size > MOST:
        raise Refusal("SS-C36", f"{show(where.name)} has {entry.size} bytes. A secret has at most {MOST}: put large content into a volume.")
