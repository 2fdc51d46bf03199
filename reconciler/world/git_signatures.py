"""Who signed a commit or a tag: SSH keys by ssh-keygen, OpenPGP keys by gpgv; both judge expiry by today, not by the signer's clock."""

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.errors import SourceError
from reconciler.world.git_address import printable

SSH, PGP = b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN PGP SIGNATURE-----"
SPOILT = ("EXPKEYSIG", "EXPSIG", "REVKEYSIG", "BADSIG", "ERRSIG")


@dataclass(frozen=True)
class Signers:
    """`verify`: what has to be signed; `allowed_signers` as ssh-keygen reads it, `gpg_keyring` as gpgv does (paths, or empty)."""

    verify: Literal["", "commit", "tag"] = ""
    allowed_signers: str = ""
    gpg_keyring: str = ""

    def refusal(self, raw: bytes, home: Path, deadline: float) -> str:
        """Why the signature of a commit or a tag, given as git stores it, does not count; empty if it does.

        `home` is a folder that may be written; `deadline` is monotonic. Raises SourceError where the check itself is not possible.
        """
        text, signature = split(raw)
        if not signature:
            return "it is not signed"
        with tempfile.TemporaryDirectory(prefix="signature-", dir=home) as folder:
            file = Path(folder, "signature")
            file.write_bytes(signature)
            if signature.startswith(SSH):
                return self._ssh(text, file, deadline)
            if signature.startswith(PGP):
                return self._gpg(text, file, deadline)
        return "its signature is neither of an SSH nor of an OpenPGP key"

    def _ssh(self, text: bytes, signature: Path, deadline: float) -> str:
        made = _run(["ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", str(signature)], text, deadline)
        key = re.search(r"key (SHA256:\S+)", made.out)
        if not made.ok or not key:
            return "its signature is not of this content"
        who = f"it is signed by the SSH key {printable(key[1])}"
        if not self.allowed_signers:
            return f"{who}, and [source] allowed_signers is not set"
        readable(self.allowed_signers, "allowed_signers")
        found = _run(["ssh-keygen", "-Y", "find-principals", "-s", str(signature), "-f", self.allowed_signers], b"", deadline)
        for name in found.out.splitlines() if found.ok else ():
            command = ["ssh-keygen", "-Y", "verify", "-f", self.allowed_signers, "-I", name, "-n", "git", "-s", str(signature)]
            checked = _run(command, text, deadline)
            if checked.ok:
                return ""
            found = checked
        return f"{who}, which {'has expired' if 'expired' in found.err else 'is not'} in [source] allowed_signers"

    def _gpg(self, text: bytes, signature: Path, deadline: float) -> str:
        keyring = self.gpg_keyring or "/dev/null"
        if self.gpg_keyring:
            readable(keyring, "gpg_keyring")
        command = ["gpgv", "--homedir", str(signature.parent), "--status-fd", "1", "--keyring", keyring, str(signature), "-"]
        checked = _run(command, text, deadline)
        said = dict(re.findall(r"^\[GNUPG:\] (\S+) (\S+)", checked.out, re.MULTILINE))
        if checked.ok and {"GOODSIG", "VALIDSIG"} <= said.keys() and not said.keys() & set(SPOILT):
            return ""
        if "BADSIG" in said:
            return "its signature is not of this content"
        who = f"it is signed by the OpenPGP key {said.get('VALIDSIG') or next((said[one] for one in SPOILT if one in said), '?')}"
        if not self.gpg_keyring:
            return f"{who}, and [source] gpg_keyring is not set"
        why = "has expired" if {"EXPKEYSIG", "EXPSIG"} & said.keys() else "is revoked" if "REVKEYSIG" in said else "is not"
        return f"{who}, which {why} in [source] gpg_keyring"


@dataclass(frozen=True)
class _Ran:
    ok: bool
    out: str
    err: str


def _run(command: list[str], given: bytes, deadline: float) -> _Ran:
    """One of the two programs, in a bare environment. Raises SourceError."""
    program = command[0]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
    try:
        ran = subprocess.run(command, input=given, capture_output=True, env=env, timeout=max(0.1, deadline - time.monotonic()), check=False)
    except FileNotFoundError:
        package = {"gpgv": "gpgv"}.get(program, "openssh-client")
        raise SourceError(f"cannot check signatures: there is no {program} program. Install it (apt-get install {package}).") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"cannot check signatures: {program} did not answer in time. Raise [source] timeout.") from None
    return _Ran(ran.returncode == 0, ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace"))


def readable(path: str, name: str) -> None:
    """Raises SourceError where the file of a setting cannot be read."""
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        raise SourceError(f"cannot check signatures: [source] {name}: {path}: {error.strerror}. Let Shipstone's user read it.") from None


def split(raw: bytes) -> tuple[bytes, bytes]:
    """What was signed, and the signature; no signature where there is none, or more than one."""
    if raw.startswith(b"object "):
        at = max(_line_start(raw, SSH), _line_start(raw, PGP), _line_start(raw, b"-----BEGIN SIGNED MESSAGE-----"))
        return (raw[:at], raw[at:]) if at >= 0 else (raw, b"")
    head, _, body = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    count, inside = 0, False
    for line in head.split(b"\n"):
        if line.startswith(b"gpgsig "):
            count, inside = count + 1, True
            signature.append(line.removeprefix(b"gpgsig "))
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    if count != 1:
        return raw, b""
    return b"\n".join(kept) + b"\n\n" + body, b"\n".join(signature) + b"\n"


def _line_start(raw: bytes, begin: bytes) -> int:
    """Where the last line that begins so is; -1 without one."""
    at = raw.rfind(b"\n" + begin)
    return at + 1 if at >= 0 else -1
