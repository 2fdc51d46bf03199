"""The values of secrets: of this host, and of encrypted files in the repository. They leave only for the container that is made."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from reconciler.desired.policy import Policy, ask, matches
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.revision import Revision
from reconciler.desired.secrets import Source, check_file, source_of
from reconciler.desired.spec import SecretRef, SecretValue
from reconciler.errors import ShipstoneError
from reconciler.secret_file import MOST, one_line, read_secret
from reconciler.world import age_files, sops_files
from reconciler.world.files import stamp_of

SHORT = 6
"""Characters: what is shorter is in too many texts to be hidden in them."""
PASSING = "passing"
"""In the place of a stamp: it may go another time."""


class SecretStore:
    """A Vault (see desired/secrets.py). `folder`: secrets of this host; `credential` gives the file of one by its name; `identity`: the
    file that age files are decrypted with; `key`: the file of the key of digests, made if missing."""

    def __init__(self, folder: Path, credential: Callable[[str], Path], identity: Path, key: Path, policy: Policy) -> None:
        self._folder, self._credential, self._identity, self._key_file, self._policy = folder, credential, identity, key, policy
        self._key = b""
        self._opened: dict[str, tuple[tuple[str, ...], object]] = {}
        self._closed: dict[str, tuple[object, str]] = {}
        """What could not be opened → the stamp of the identity then, or PASSING; and why."""
        self._looked: dict[Path, object] = {}
        """Files that were asked for → their stamps before they were read: what changes while it is read has changed."""
        self._values: set[bytes] = set()

    def digest(self, site: str, source: str, revision: Revision) -> str:
        key = self._digest_key()
        value = self._find(site, source, revision)
        name = hashlib.sha256(b"name of the key\0" + key).hexdigest()[:8]
        return f"{name}.{hmac.new(key, f'{site} {source} '.encode() + value, hashlib.sha256).hexdigest()[:24]}"

    def changed(self) -> bool:
        return any(stamp_of(path) != stamp for path, stamp in list(self._looked.items()))

    def forget(self) -> None:
        self._looked.clear()
        self._forget_passing()

    def values(self, site: str, wanted: Iterable[SecretRef], revision: Revision | None) -> tuple[tuple[str, SecretValue], ...]:
        """Target → value, for a container of the site. Raises ShipstoneError."""
        rows = []
        self._forget_passing()
        for secret in wanted:
            try:
                value = self._find(site, secret.source, revision or Revision("", {}, lambda _path: b""))
                rows.append((secret.target, SecretValue(value if secret.is_file else _as_variable(value))))
            except Refusal as refusal:
                raise ShipstoneError(f"cannot give {secret.target} to a container of {site}: {refusal.message}") from None
        return tuple(rows)

    def hide(self, text: str) -> str:
        """The text without any value that was asked for: what a program writes about itself may hold its secrets."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value.decode("utf-8", "replace"), "***")
        return text

    def _find(self, site: str, source: str, revision: Revision) -> bytes:
        where = source_of(source)
        try:
            value = self._of_host(site, where.name) if where.kind == "host" else self._of_repository(site, where, revision)
        except ShipstoneError as error:
            raise Refusal("SS-C36", f"{show(source)} cannot be used: {str(error).removesuffix('.')}.") from None
        self._values |= {line for line in (value.strip(), *value.splitlines()) if len(line) >= SHORT}
        return value

    def _of_host(self, site: str, name: str) -> bytes:
        """The site's own, else one that the policy gives to it."""
        shared = matches(name, self._policy.of_site(site).secrets)
        places = [self._folder / site / name, self._credential(f"secret.{site}.{name}")]
        places += [self._folder / name, self._credential(f"shared.{name}")] if shared else []
        for place in places:
            self._looked.setdefault(place, stamp_of(place))
        for place in places:
            try:
                return read_secret(place)
            except FileNotFoundError:
                continue
        raise Refusal(
            "SS-C36",
            f"the secret {name} is not on this host. Have its administrator write it into {places[0]}, or {ask('secrets', site)}.",
        )

    def _of_repository(self, site: str, where: Source, revision: Revision) -> bytes:
        check_file(where, revision)
        entry = revision.entries[where.name]
        if entry.size > MOST:
            raise ShipstoneError(f"it is over {MOST // 1024} KiB")
        known = f"{where.kind} {entry.id}"
        if known not in self._opened:
            self._opened[known] = self._open_once(known, where, revision)
        sites, content = self._opened[known]
        if site not in sites:
            others = ", ".join(sites) or "no site"
            raise ShipstoneError(f"it is for {others}. Encrypt it for {site}: shipstone secrets encrypt --site {site}")
        if isinstance(content, bytes):
            return content
        value = sops_files.value_at(content, where.key) if isinstance(content, dict) else None
        if value is None:
            raise ShipstoneError(f"there is no text at {where.key} in it")
        return value

    def _open_once(self, known: str, where: Source, revision: Revision) -> tuple[tuple[str, ...], object]:
        """What cannot be opened is not tried again with the same identity: a pass waits for it."""
        stamp = stamp_of(self._identity)
        self._looked.setdefault(self._identity, stamp)
        before, why = self._closed.get(known, (None, ""))
        if why and before in (PASSING, stamp):
            raise ShipstoneError(why)
        try:
            return self._open(where, revision.read(where.name))
        except ShipstoneError as error:
            self._closed[known] = PASSING if isinstance(error, sops_files.PassingError) else stamp, str(error)
            raise

    def _forget_passing(self) -> None:
        """By now sops may be there, or quicker."""
        self._closed = {known: row for known, row in self._closed.items() if row[0] != PASSING}

    def _open(self, where: Source, data: bytes) -> tuple[tuple[str, ...], object]:
        path = self._identity
        try:
            identity = read_secret(path)
        except FileNotFoundError:
            why = f"there is no identity at {path}. `shipstone secrets keygen` makes one, or set [secrets] identity"
            raise ShipstoneError(why) from None
        if where.kind == "age":
            return age_files.unseal(data, age_files.identities_of(identity, str(path)))
        document = sops_files.decrypt(data, where.name, path)
        return sops_files.sites_of(document), document

    def _digest_key(self) -> bytes:
        """Of this host alone: who reads labels cannot try values."""
        if self._key:
            return self._key
        try:
            if not self._key_file.exists():
                self._key_file.parent.mkdir(parents=True, exist_ok=True)
                fresh = self._key_file.with_name(f".{self._key_file.name}-{os.getpid()}")
                with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(32))
                os.link(fresh, self._key_file)  # whoever is first
                fresh.unlink()
            self._key = read_secret(self._key_file)
        except FileExistsError:
            self._key = read_secret(self._key_file)
        except OSError as error:
            raise ShipstoneError(f"cannot keep a key in {self._key_file}: {error.strerror}. Make its folder writable.") from None
        return self._key


def _as_variable(value: bytes) -> bytes:
    """Without the line break at its end. Raises Refusal for what no variable can hold."""
    try:
        line = one_line(value).encode()
    except UnicodeDecodeError:
        line = b"\0"
    if b"\0" in line:
        raise Refusal("SS-C36", "it is no text, so no variable can hold it. Have it as a file, /run/secrets/NAME.")
    return line
