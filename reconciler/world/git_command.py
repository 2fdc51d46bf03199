"""One git command: an environment of our own, a deadline that ends the whole process group, failures that people can read."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import SourceError
from reconciler.world.git_address import Address, printable, redacted

if TYPE_CHECKING:
    from git.cmd import Git

CONFIG = """\
[safe]
\tdirectory = *
[init]
\tdefaultBranch = shipstone
[core]
\thooksPath = /dev/null
[maintenance]
\tauto = false
[gc]
\tautoDetach = false
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 30
"""
SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
"""What holds for every ssh URL; the keys that Ssh names come after it."""
CREDENTIALS = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$SHIPSTONE_GIT_USERNAME" "$SHIPSTONE_GIT_PASSWORD"; }; f"""
)
GRACE = 5.0
"""Seconds that a killed git has to be gone."""

EXPLAINED: tuple[tuple[str, str], ...] = (
    (r"host identification has changed", "the server's host key has changed. Compare it with the server's, then mend known_hosts."),
    (
        r"host key verification failed",
        "the server's host key is unknown. Add it to [source] known_hosts, or to that of the user that runs Shipstone.",
    ),
    (
        r"could not resolve|unable to look up|name or service not known|temporary failure in name resolution",
        "the host name cannot be resolved. Check the URL and this host's name resolution.",
    ),
    (
        r"authentication failed|could not read (username|password)|permission denied \(|invalid username or|returned error: 40[13]",
        "the server refused the login. Give a deploy key or token that may read the repository.",
    ),
    (
        r"(repository|project) .*not found|does not appear to be a git repository|returned error: 404|access denied or repository not exp",
        "there is no repository, or no right to see it. Check the URL and the deploy key or token.",
    ),
    (r"certificate", "the server's certificate is not trusted. Mend it, or name its authority with GIT_SSL_CAINFO."),
    (
        r"connection (refused|timed out|reset)|network is unreachable|no route to host|(failed to|couldn't) connect|operation (too|timed)",
        "the server cannot be reached. Check that it runs and that this host may connect to it.",
    ),
    (r"mismatched algorithms", "it names its objects by SHA-256. Use a repository with SHA-1 names, git's default."),
    (r"no space left on device|disk quota exceeded", "the disk of the state folder is full. Make room there."),
    (
        r"unable to (create|write)|read-only file system|insufficient permission",
        "the mirror cannot be written. Mend the state folder's rights.",
    ),
)
CORRUPT = re.compile(
    r"not a git repository|bad (object|tree|revision)|corrupt|did not point to a valid object|unable to (read|find) [0-9a-f]{4}"
    r"|missing (blob|tree|commit)|could not (read|parse) (commit|tree|object|[0-9a-f]{40})|invalid sha1 pointer|not a valid (object|commit)"
    r"|bad (config|signature|index)|is (empty|truncated)|unable to resolve reference|unable to unpack|failed to (read|traverse)|broken",
    re.IGNORECASE,
)


@dataclass
class GitError(Exception):
    """git ended badly: what it wrote, or `timed_out`."""

    text: str
    timed_out: bool = False

    @property
    def corrupt(self) -> bool:
        """Whether the mirror itself may be damaged; what the server said of its own is left out."""
        return any(CORRUPT.search(line) for line in self.text.splitlines() if not line.startswith("remote:"))

    def explain(self, address: Address, timeout: float) -> SourceError:
        """The one line for people."""
        start = f"cannot fetch {address.shown}: "
        if self.timed_out:
            return SourceError(f"{start}no answer within {timeout:g} s. Check the git server and the network to it.")
        for pattern, why in EXPLAINED:
            if re.search(pattern, self.text, re.IGNORECASE | re.MULTILINE):
                return SourceError(start + why)
        lines = [line for line in self.text.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "git failed")
        return SourceError(f"{start}git says {printable(redacted(said.strip()))!r}. Try `git ls-remote` with that URL as the same user.")


@dataclass(frozen=True)
class Ssh:
    """Keys for ssh URLs: `key` is the only one that is offered, `known_hosts` the only file of host keys that counts. Without them
    those of the user that runs Shipstone."""

    key: Path | None = None
    known_hosts: Path | None = None

    def command(self) -> str:
        """What git runs, through a shell."""
        words = SSH.split()
        if self.key is not None:
            words += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(self.key)]
        if self.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
        return shlex.join(words)

    def missing(self) -> Path | None:
        """A file that is named and cannot be read."""
        return next((path for path in (self.key, self.known_hosts) if path is not None and not os.access(path, os.R_OK)), None)


class Commands:
    """Runs git with GitPython on bare repositories below `home`, the folder that also holds our git configuration."""

    def __init__(self, address: Address, home: Path, ssh: Ssh | None = None) -> None:
        self._address, self._home, self._ssh = address, home, ssh or Ssh()

    def configure(self) -> None:
        """Writes our git configuration where it is not yet as it should be. Raises OSError; SourceError where a key is not there."""
        if (missing := self._ssh.missing()) is not None:
            raise SourceError(f"cannot fetch {self._address.shown}: {missing} cannot be read. Put it there, readable for Shipstone's user.")
        config = self._home / "gitconfig"
        if not config.is_file() or config.read_text(encoding="utf-8", errors="replace") != CONFIG:
            fresh = config.with_name("gitconfig.new")
            fresh.write_text(CONFIG, encoding="utf-8")
            fresh.replace(config)

    def git(self, repository: Path) -> "Git":
        """GitPython's runner for this repository; its persistent commands are the caller's to close."""
        try:
            from git.cmd import Git
        except ModuleNotFoundError:
            raise
        except ImportError:  # what GitPython makes of a missing git program
            raise _not_installed(self._address) from None
        git = Git(str(self._home))
        git.update_environment(**self._environment(repository))
        return git

    def run(self, repository: Path, arguments: list[str], deadline: float) -> bytes:
        """What `git ARGUMENTS` wrote; `deadline` is monotonic. Raises GitError."""
        login = ["-c", "credential.helper=", "-c", f"credential.helper={CREDENTIALS}"] if self._address.username else []
        git = self.git(repository)
        from git.exc import GitCommandNotFound

        try:
            started = git.execute(["git", *login, *arguments], as_process=True, start_new_session=True)
        except GitCommandNotFound:
            raise _not_installed(self._address) from None
        process = started.proc
        assert process is not None
        try:
            out, err = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise GitError("", timed_out=True) from None
        finally:
            _end(process)
        if process.returncode != 0:
            raise GitError(bytes(err).decode("utf-8", "replace"))
        return bytes(out)

    def _environment(self, repository: Path) -> dict[str, str]:
        own = {
            "GIT_DIR": str(repository),
            "GIT_OBJECT_DIRECTORY": str(repository / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
            "GIT_NAMESPACE": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": os.environ.get("GIT_ASKPASS", ""),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "gitconfig"),
            "GIT_ALLOW_PROTOCOL": self._address.protocols,
            "GIT_TEMPLATE_DIR": "",
        }
        if not {"GIT_SSH_COMMAND", "GIT_SSH"} & os.environ.keys():
            own["GIT_SSH_COMMAND"] = self._ssh.command()
        if self._address.username:
            own |= {"SHIPSTONE_GIT_USERNAME": self._address.username, "SHIPSTONE_GIT_PASSWORD": self._address.password}
        return own


def _not_installed(address: Address) -> SourceError:
    return SourceError(f"cannot fetch {address.shown}: there is no git program. Install git (apt-get install git).")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """git's helpers (ssh, index-pack) share its group: all of them end, and every pipe is closed."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
