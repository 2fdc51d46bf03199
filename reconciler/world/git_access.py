"""What a fetch may use to log in: one ssh key with known host keys, or a credential file. Files are read anew by each fetch."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.errors import ShipstoneError, SourceError
from reconciler.secret_file import read_secret
from reconciler.world.git_address import Address

SSH_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "ProxyCommand=none",
    "PermitLocalCommand=no",
    "ControlPath=none",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
)
TOKEN_USER = "x-access-token"  # noqa: S105  a user name: what GitHub wants with a bare token, and GitLab and Gitea take


@dataclass(frozen=True)
class Access:
    """Absolute paths that ssh reads as they are written (see settings.plain_path).

    Empty: the keys and known_hosts of the user that runs Shipstone, and no login."""

    ssh_key: str = ""
    known_hosts: str = ""
    credentials_file: str = ""

    def ssh_command(self, where: Address) -> str:
        """For GIT_SSH_COMMAND: no configuration file, agent, forwarding or proxy has a say. Raises SourceError."""
        command = ["ssh", "-F", "/dev/null"]
        for option in SSH_OPTIONS:
            command += ["-o", option]
        if self.ssh_key:
            _readable("ssh_key", self.ssh_key, where, secret=True)
            command += ["-i", self.ssh_key]
        if self.known_hosts:
            _readable("known_hosts", self.known_hosts, where)
            command += ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
        return shlex.join(command)

    def login(self, where: Address) -> tuple[str, str]:
        """User and password for an https address, ("", "") without. Raises SourceError."""
        if not where.url.startswith("https:"):
            return "", ""
        if not self.credentials_file:
            return where.username, where.password
        text = _readable("credentials_file", self.credentials_file, where, secret=True)
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if len(lines) == 1 and "://" not in lines[0]:
            return where.username or TOKEN_USER, lines[0]
        for line in lines:
            if user := _matching(line, where):
                return user
        host = urlsplit(where.url).netloc
        raise SourceError(
            f"cannot fetch {where.shown}: [source] credentials_file {self.credentials_file} has no line for {host}. "
            f"Write one as https://USER:TOKEN@{host}, or the token alone."
        )

    def environment(self, where: Address) -> Mapping[str, str]:
        """What a git command needs of all this. Raises SourceError."""
        username, password = self.login(where)
        own = {"GIT_SSH_COMMAND": self.ssh_command(where), "GIT_SSH_VARIANT": "ssh"}
        return own | ({"SHIPSTONE_GIT_USERNAME": username, "SHIPSTONE_GIT_PASSWORD": password} if username else {})


def _matching(line: str, where: Address) -> tuple[str, str] | None:
    """The login of one line of the credential file, if it is for this server (and this path and user, where it names them)."""
    try:
        given, wanted = urlsplit(line), urlsplit(where.url)
        same = (given.scheme, given.hostname, given.port or 443) == ("https", wanted.hostname, wanted.port or 443)
    except ValueError:
        return None
    user, password = unquote(given.username or ""), unquote(given.password or "")
    path = given.path.strip("/")
    if not same or not user or (path and path != wanted.path.strip("/")) or (where.username and where.username != user):
        return None
    if not (user + password).isprintable():
        return None
    return user, password


def _readable(name: str, path: str, where: Address, *, secret: bool = False) -> str:
    """The file's text. Raises SourceError, also where everybody on this host may read a secret."""
    start = f"cannot fetch {where.shown}: [source] {name}: "
    try:
        data = read_secret(Path(path)) if secret else Path(path).read_bytes()
    except FileNotFoundError:
        raise SourceError(f"{start}there is no file {path}. Put it there.") from None
    except OSError as error:
        raise SourceError(f"{start}cannot read {path}: {error.strerror}. Let the user that runs Shipstone read it.") from None
    except ShipstoneError as error:
        raise SourceError(start + str(error)) from None
    if not data.strip():
        raise SourceError(f"{start}{path} is empty. Write what it should hold into it.")
    return data.decode("utf-8", "replace")
