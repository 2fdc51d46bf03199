"""The git source over ssh: a real sshd with a deploy key that may only run git-shell."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab.engine import need
from lab.host import until
from lab.ports import Ports

from reconciler.world.git import GitSource
from reconciler.world.git_access import Access
from tests.world.test_git import Upstream, listens, refusal

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/authorized_keys
AllowTcpForwarding no
"""


@dataclass(frozen=True)
class Server:
    """A repository behind sshd, and what one needs to get at it."""

    upstream: Upstream
    url: str
    folder: Path
    access: Access

    def source(self, mirror: Path, access: Access | None = None) -> GitSource:
        return GitSource(self.url, "main", "", mirror, access=access or self.access, timeout=30.0)

    def file(self, name: str, text: str, mode: int = 0o600) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)


def key(path: Path, passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need("sshd", "ssh-keygen", "git")
    Path("/run/sshd").mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("ssh")
    upstream = Upstream(folder)
    upstream.push({"a": "1"})
    for name in ("host_key", "key", "other_key", "other_host_key"):
        key(folder / name)
    shell = shutil.which("git-shell") or "git-shell"
    public = (folder / "key.pub").read_text()
    (folder / "authorized_keys").write_text(f'restrict,command="{shell} -c \\"$SSH_ORIGINAL_COMMAND\\"" {public}')
    ports = Ports()
    port = ports.take()
    (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    with (folder / "sshd.log").open("wb") as log:
        sshd = subprocess.Popen([shutil.which("sshd") or "sshd", "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        until(lambda: sshd.poll() is not None or listens(port), "sshd listens", 30)
        assert sshd.poll() is None, (folder / "sshd.log").read_text()
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        access = Access(str(folder / "key"), str(folder / "known_hosts"))
        yield Server(upstream, f"ssh://{user}@127.0.0.1:{port}{upstream.bare}", folder, access)
    finally:
        sshd.terminate()
        sshd.wait(20)
        ports.close()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mirror.git"


def test_a_deploy_key_and_a_known_host_fetch(server: Server, mirror: Path) -> None:
    """First fetch, a new commit, and nothing of the key beside the mirror."""
    source = server.source(mirror)
    assert source.fetch().read("a") == b"1"
    commit = server.upstream.push({"a": "1", "b": "2"})
    revision = source.fetch()
    assert (revision.id, revision.read("b")) == (commit, b"2")
    source.close()
    assert sorted(os.listdir(mirror.parent)) == ["gitconfig", "mirror.git", "mirror.git.lock"]


def test_an_unknown_or_changed_host_key_ends_the_fetch(server: Server, mirror: Path) -> None:
    unknown = replace(server.access, known_hosts=server.file("nobody", "# nobody\n"))
    assert "the server's host key is unknown. Add it to [source] known_hosts" in refusal(server.source(mirror, unknown))
    place = (server.folder / "known_hosts").read_text().split()[0]
    changed = server.file("changed", f"{place} {(server.folder / 'other_host_key.pub').read_text()}")
    assert "the server's host key has changed" in refusal(server.source(mirror, replace(server.access, known_hosts=changed)))


def test_a_key_that_the_server_does_not_know(server: Server, mirror: Path) -> None:
    other = replace(server.access, ssh_key=str(server.folder / "other_key"))
    assert "the server refused the login" in refusal(server.source(mirror, other))


def test_an_agent_and_a_configuration_of_the_user_play_no_part(
    server: Server, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent holds the right key, and the user's own ssh command would run a program: neither is asked."""
    started = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    agent = dict(part.split("=", 1) for part in started.replace(";", "\n").splitlines() if "=" in part)
    try:
        for name, value in agent.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {tmp_path}/ran; false")
        monkeypatch.setenv("GIT_PROXY_COMMAND", f"touch {tmp_path}/ran; false")
        subprocess.run(["ssh-add", "-q", str(server.folder / "key")], check=True, capture_output=True)
        other = replace(server.access, ssh_key=str(server.folder / "other_key"))
        assert "the server refused the login" in refusal(server.source(mirror, other))
        assert not (tmp_path / "ran").exists()
    finally:
        os.kill(int(agent["SSH_AGENT_PID"]), 15)


def test_key_files_that_cannot_be_used(server: Server, mirror: Path, tmp_path: Path) -> None:
    """Each is said before ssh runs, or in ssh's stead."""
    text = (server.folder / "key").read_text()
    key(tmp_path / "locked", "secret phrase")
    for path, why in (
        (str(tmp_path / "no"), f"[source] ssh_key {tmp_path}/no cannot be read: No such file or directory. Mend the path"),
        (server.file("open", text, 0o644), f"is a secret that everybody on this host can read. Run: chmod 600 {server.folder}/open"),
        (server.file("empty", ""), "is empty. Write what it should hold into it."),
        (server.file("sp ace", text), "is not an absolute path of letters, digits and"),
        ("key", "is not an absolute path"),
        (server.file("group", text, 0o640), "ssh ignores the key because others may read it. Run chmod 600 on it."),
        (server.file("rubbish", "rubbish\n"), "the ssh key cannot be read. Set [source] ssh_key to a private key without a passphrase."),
        (str(tmp_path / "locked"), "the server refused the login"),
    ):
        assert why in refusal(server.source(mirror, replace(server.access, ssh_key=path))), path


def test_a_repository_that_is_not_behind_the_key(server: Server, mirror: Path) -> None:
    away = replace(server, url=server.url + ".away")
    assert "there is no repository, or no right to see it" in refusal(away.source(mirror))
