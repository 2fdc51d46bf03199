"""Who sent a webhook: the headers and signatures of five providers, over the raw bytes, before anything is parsed. Pure."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Provider = Literal["github", "gitlab", "gitea", "forgejo", "bitbucket"]
Headers = Iterable[tuple[bytes, bytes]]
"""Names in lower case, as ASGI gives them."""

FRESH = 300.0
"""Seconds by which the time in a signed request may differ from ours."""
STANDARD = "whsec_"
"""How GitLab's signing tokens begin; what follows is the key in base64."""
SENT_BY: dict[bytes, frozenset[str]] = {
    b"x-forgejo-": frozenset({"forgejo"}),
    b"x-gitea-": frozenset({"gitea", "forgejo"}),
    b"x-gogs-": frozenset({"gitea", "forgejo"}),
    b"x-gitlab-": frozenset({"gitlab"}),
    b"webhook-signature": frozenset({"gitlab"}),
    b"x-github-": frozenset({"github", "gitea", "forgejo"}),
    b"x-hub-signature-256": frozenset({"github", "gitea", "forgejo"}),
    b"x-hub-signature": frozenset({"github", "gitea", "forgejo", "bitbucket"}),
    b"x-event-key": frozenset({"bitbucket"}),
    b"x-hook-uuid": frozenset({"bitbucket"}),
}
"""How a header begins → who sends it: Gitea sends GitHub's and Gogs' beside its own, Forgejo sends all of these."""
SIGNED_BY: dict[Provider, tuple[bytes, ...]] = {
    "github": (b"x-hub-signature-256",),
    "gitlab": (b"webhook-signature", b"x-gitlab-token"),
    "gitea": (b"x-gitea-signature",),
    "forgejo": (b"x-forgejo-signature", b"x-gitea-signature"),
    "bitbucket": (b"x-hub-signature",),
}
"""The first that is there counts: a wrong one is not made good by another."""
NAMED_BY: dict[Provider, tuple[bytes, ...]] = {
    "github": (b"x-github-delivery",),
    "gitlab": (b"webhook-id", b"idempotency-key", b"x-gitlab-event-uuid"),
    "gitea": (b"x-gitea-delivery",),
    "forgejo": (b"x-forgejo-delivery", b"x-gitea-delivery"),
    "bitbucket": (b"x-request-uuid", b"x-request-id"),
}
FORMS = {
    b"x-hub-signature-256": re.compile(rb"sha256=([0-9a-f]{64})"),
    b"x-hub-signature": re.compile(rb"sha256=([0-9a-f]{64})"),
    b"x-gitea-signature": re.compile(rb"([0-9a-f]{64})"),
    b"x-forgejo-signature": re.compile(rb"([0-9a-f]{64})"),
    b"x-gitlab-token": re.compile(rb"(.+)", re.DOTALL),
    b"webhook-signature": re.compile(rb"(v1,[A-Za-z0-9+/=]{1,88}(?: v[0-9a-z]+,[A-Za-z0-9+/=]{1,200}){0,8})"),
}


class RefusedError(Exception):
    """A request that is not let in: the HTTP status for whoever sent it, `why` for the log."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True)
class Claim:
    """What a request says of itself, not believed yet. `delivery` names it among those of its provider, `at` is its signed time."""

    header: bytes
    signature: bytes
    delivery: bytes = b""
    at: bytes = b""


def claim_of(provider: Provider, headers: Headers) -> Claim:
    """From the headers alone, so that most of what is not let in costs no reading. Raises RefusedError."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    for name in found:
        senders = next((who for start, who in SENT_BY.items() if name.startswith(start)), None)
        if senders is not None and provider not in senders:
            raise RefusedError(400, f"it has the header {name.decode('ascii', 'replace')}, which {provider} does not send")
    header = next((name for name in SIGNED_BY[provider] if name in found), None)
    if header is None:
        raise RefusedError(401, f"it has no {SIGNED_BY[provider][0].decode()}: the webhook has no secret, or it is not from {provider}")
    if len(found[header]) > 1:
        raise RefusedError(400, f"it has {header.decode()} twice")
    match = FORMS[header].fullmatch(found[header][0])
    if match is None:
        raise RefusedError(401, f"its {header.decode()} does not have the form that {provider} gives it")
    named = next((found[name][0] for name in NAMED_BY[provider] if name in found), b"")
    return Claim(header, match[1], named, found.get(b"webhook-timestamp", [b""])[0])


def verify(claim: Claim, secret: bytes, body: bytes | bytearray, now: float) -> None:
    """Compares bytes in constant time. `now`: seconds since 1970. Raises RefusedError."""
    if claim.header == b"webhook-signature":
        good = _signed_as_standard(claim, secret, body, now)
    elif claim.header == b"x-gitlab-token":
        good = hmac.compare_digest(claim.signature, secret)
    else:
        good = hmac.compare_digest(claim.signature, hmac.new(secret, body, hashlib.sha256).hexdigest().encode())
    if not good:
        raise RefusedError(401, f"its {claim.header.decode()} is not made with our secret")


def _signed_as_standard(claim: Claim, secret: bytes, body: bytes | bytearray, now: float) -> bool:
    """Standard Webhooks, as GitLab's signing tokens: several signatures, while a secret is exchanged, are one header."""
    if not re.fullmatch(rb"[0-9]{1,12}", claim.at):
        raise RefusedError(401, "its webhook-timestamp is missing or no number")
    if abs(int(claim.at) - now) > FRESH:
        raise RefusedError(401, "its webhook-timestamp is not of now: an old request was sent again, or a clock is wrong")
    signed = hmac.new(_key(secret), b".".join([claim.delivery, claim.at, body]), hashlib.sha256).digest()
    wanted = b"v1," + base64.b64encode(signed)
    return any(hmac.compare_digest(one, wanted) for one in claim.signature.split(b" "))


def _key(secret: bytes) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(STANDARD.encode()), validate=True) if secret.startswith(STANDARD.encode()) else secret
    except binascii.Error:
        return secret
