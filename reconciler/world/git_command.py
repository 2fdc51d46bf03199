"""One git command: an environment of our own, a deadline that ends the whole process group, failures that people can read."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.errors import SourceError
from reconciler.world.git_address import Address, printable, redacted

if TYPE_CHECKING:
    from reconciler.world.git_runner import PinnedGit

CONFIG = """\
[safe]
\tdirectory = *
[init]
\tdefaultBranch = shipstone
[core]
\thooksPath = /dev/null
\tattributesFile = /dev/null
\tfsmonitor = false
\tbigFileThreshold = 16m
[pack]
\tthreads = 1
[transfer]
\tunpackLimit = 1
[credential]
\thelper =
[fetch]
\trecurseSubmodules = false
[submodule]
\trecurse = false
[maintenance]
\tauto = false
[gc]
\tautoDetach = false
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 30
\tfollowRedirects = false
"""
PASSED = (
    "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
)  # fmt: skip
"""What git gets of our own environment: where programs are, whom to trust for TLS, and the way out."""
CREDENTIALS = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$SHIPSTONE_GIT_USERNAME" "$SHIPSTONE_GIT_PASSWORD"; }; f"""
)
NOTHING: Mapping[str, str] = MappingProxyType({})
GLANCE = 0.1
"""Seconds between two looks at what git does."""
CHUNK, MOST = 2**16, 2**25
"""Bytes read at once from git, and of all that it may write."""
GRACE = 5.0
"""Seconds that a killed git has to be gone."""

EXPLAINED: tuple[tuple[str, str], ...] = (
    (r"host identification has changed", "the server's host key has changed. Compare it with the server's, then mend known_hosts."),
    (
        r"host key verification failed",
        "the server's host key is unknown. Add it to [source] known_hosts, or to the known_hosts of the user that runs Shipstone.",
    ),
    (r"unprotected private key|bad permissions", "ssh ignores the key because others may read it. Run chmod 600 on it."),
    (
        r"error in libcrypto|invalid format|load key .*: ",
        "the ssh key cannot be read. Set [source] ssh_key to a private key without a passphrase.",
    ),
    (r"returned error: 30[1278]", "the server sends to another address. Set [source] url to that one."),
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
    r"|(index|pack) ?file "
    r"|bad (config|signature|index)|is (empty|truncated)|unable to resolve reference|unable to unpack|failed to (read|traverse)"
    r"|broken(?! pipe)",
    re.IGNORECASE,
)

DAMAGED = re.compile(r"^error: (index|pack) ?file ", re.MULTILINE)
"""git goes on without a pack that it cannot read."""


@dataclass
class GitError(Exception):
    """git ended badly: what it wrote, or `timed_out`, or it was ended for a reason of ours: `refused`, for people."""

    text: str
    timed_out: bool = False
    refused: str = ""

    @property
    def corrupt(self) -> bool:
        """Whether the mirror itself may be damaged; what the server said of its own is left out."""
        return any(CORRUPT.search(line) for line in self.text.splitlines() if not line.startswith("remote:"))

    def explain(self, address: Address, timeout: float) -> SourceError:
        """The one line for people."""
        start = f"cannot fetch {address.shown}: "
        if self.refused:
            return SourceError(start + self.refused)
        if self.timed_out:
            return SourceError(f"{start}no answer within {timeout:g} s. Check the git server and the network to it.")
        for pattern, why in EXPLAINED:
            if re.search(pattern, self.text, re.IGNORECASE | re.MULTILINE):
                return SourceError(start + why)
        lines = [line for line in self.text.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "git failed")
        return SourceError(f"{start}git says {printable(redacted(said.strip()))!r}. Try `git ls-remote` with that URL as the same user.")


class Commands:
    """Runs git with GitPython on bare repositories below `home`, the folder that also holds our git configuration."""

    def __init__(self, address: Address, home: Path, login: Mapping[str, str] = NOTHING) -> None:
        """`login`: variables that only git commands which talk to the server need."""
        self._address, self._home, self._login = address, home, login

    def configure(self) -> None:
        """Writes our git configuration where it is not yet as it should be. Raises OSError."""
        config = self._home / "gitconfig"
        if not config.is_file() or config.read_text(encoding="utf-8", errors="replace") != CONFIG:
            fresh = config.with_name("gitconfig.new")
            fresh.write_text(CONFIG, encoding="utf-8")
            fresh.replace(config)

    def git(self, repository: Path) -> "PinnedGit":
        """GitPython's runner for this repository; its persistent commands are the caller's to close."""
        try:
            from reconciler.world.git_runner import PinnedGit
        except ModuleNotFoundError:
            raise
        except ImportError:  # what GitPython makes of a missing git program
            raise _not_installed(self._address) from None
        return PinnedGit(str(self._home), self._environment(repository))

    def run(self, repository: Path, arguments: list[str], deadline: float, glance: Callable[[], None] = lambda: None) -> bytes:
        """What `git ARGUMENTS` wrote; `deadline` is monotonic. `glance` is called now and then: what it raises ends git.

        Raises GitError.
        """
        login = ["-c", f"credential.helper={CREDENTIALS}"] if "SHIPSTONE_GIT_USERNAME" in self._login else []
        try:
            process = self.git(repository).start(["git", *login, *arguments])
        except FileNotFoundError:
            raise _not_installed(self._address) from None
        try:
            out, err = _outputs(process, deadline, glance)
        finally:
            _end(process)
        text = err.decode("utf-8", "replace")
        if process.returncode != 0 or DAMAGED.search(text):
            raise GitError(text)
        return out

    def _environment(self, repository: Path) -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        return {
            **passed,
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_DIR": str(repository),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "gitconfig"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": self._address.protocols,
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TEMPLATE_DIR": "",
            **self._login,
        }


def _not_installed(address: Address) -> SourceError:
    return SourceError(f"cannot fetch {address.shown}: there is no git program. Install git (apt-get install git).")


def _outputs(process: "subprocess.Popen[bytes]", deadline: float, glance: Callable[[], None]) -> tuple[bytes, bytes]:
    """What it wrote until it ended. Raises GitError at the deadline, and where it writes without end."""
    assert process.stdout is not None
    assert process.stderr is not None
    written = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as open_pipes:
        for pipe in written:
            open_pipes.register(pipe, selectors.EVENT_READ)
        while open_pipes.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise GitError("", timed_out=True)
            for ready, _ in open_pipes.select(min(left, GLANCE)):
                chunk = os.read(ready.fd, CHUNK)
                written[ready.fd] += chunk
                if not chunk:
                    open_pipes.unregister(ready.fd)
            glance()
            if sum(map(len, written.values())) > MOST:
                raise GitError("", refused=f"it lists more than {MOST // 2**20} MiB of names. Make the repository smaller.")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, deadline - time.monotonic()))
    if process.returncode is None:
        raise GitError("", timed_out=True)
    return bytes(written[process.stdout.fileno()]), bytes(written[process.stderr.fileno()])


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
