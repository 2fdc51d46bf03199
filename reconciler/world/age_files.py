"""Secrets encrypted with age: who can read them, and whose they are. The sites are named inside, so that none can take another's file."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyrage

from reconciler.errors import ShipstoneError

HEADER = b"shipstone-sites: "


def new_identity() -> tuple[str, str]:
    """The text of an identity file, and its recipient."""
    identity = pyrage.x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n", str(identity.to_public())


def identities_of(data: bytes, name: str) -> list[Any]:
    """Of a file with age's own identities, or one unencrypted ssh key. Raises ShipstoneError that shows nothing of it."""
    try:
        if b"PRIVATE KEY-----" in data:
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode("utf-8").splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise ShipstoneError(f"cannot use {name}: it holds no age identity. `shipstone secrets keygen` makes one.")
    return found


def recipients_of(lines: Iterable[str], name: str) -> list[Any]:
    """Of age's own public keys and of ssh's, one a line, # begins a comment."""
    found = []
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        kind = pyrage.ssh.Recipient if line.startswith("ssh-") else pyrage.x25519.Recipient
        try:
            found.append(kind.from_str(line))
        except pyrage.RecipientError:
            raise ShipstoneError(f"cannot encrypt: line {number} of {name} is no public key of age or ssh. Write one a line.") from None
    if not found:
        raise ShipstoneError(f"cannot encrypt: {name} names no public key. `shipstone secrets keygen` prints one.")
    return found


def seal(value: bytes, sites: Sequence[str], recipients: Sequence[Any]) -> bytes:
    """Armored, so that it is text in a repository."""
    return bytes(pyrage.encrypt(HEADER + " ".join(sites).encode() + b"\n\n" + value, list(recipients), armored=True))


def unseal(data: bytes, identities: Sequence[Any]) -> tuple[tuple[str, ...], bytes]:
    """The sites, and the value. Raises ShipstoneError with one line that shows nothing of it."""
    try:
        plain = bytes(pyrage.decrypt(data, list(identities)))
    except pyrage.DecryptError as error:
        why = "it is encrypted for others than this host" if "No matching keys" in str(error) else "it is no age file, or damaged"
        raise ShipstoneError(f"{why}. Encrypt it again: shipstone secrets encrypt, or rekey") from None
    head, sign, value = plain.partition(b"\n\n")
    if not sign or not head.startswith(HEADER) or b"\n" in head:
        raise ShipstoneError("it does not say whose it is. Make it with: shipstone secrets encrypt")
    return tuple(head.removeprefix(HEADER).decode("utf-8", "replace").split()), value
