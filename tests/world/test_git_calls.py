"""How git is called: every argument and every variable of it, with which keys, and what is had without asking a server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.host import Repository

from reconciler.errors import SourceError
from reconciler.world.git import GitSource
from reconciler.world.git_command import CREDENTIALS, Ssh

RECORDER = """#!/bin/sh
{ printf '%s\\n' ---; for word in "$@"; do printf 'arg %s\\n' "$word"; done; env | grep -E '^(GIT|SSH|SHIPSTONE)_' | sort; } >> "$RECORD"
exec GIT "$@"
"""
SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
    " -o IdentitiesOnly=yes -o IdentityAgent=none -i /etc/key -o UserKnownHostsFile=/etc/known -o GlobalKnownHostsFile=/dev/null"
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "git")
    made.commit({"shipstone.yaml": "domain: example.org\n"}, "begin")
    return made


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A git before the real one on PATH that writes down how it is called."""
    real = shutil.which("git")
    assert real is not None
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(RECORDER.replace("GIT ", f"{real} "))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return tmp_path / "record"


def test_every_call_of_a_first_fetch_is_as_it_is_written_here(repository: Repository, record: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "state" / "mirror.git"
    source = GitSource(str(repository.bare), "main", "", mirror, allow_file=True)
    revision = source.fetch()
    assert revision.read("shipstone.yaml") == b"domain: example.org\n"
    source.close()
    commit, bare = revision.id, str(repository.bare)
    taken = "refs/taken/"
    calls = [call.splitlines() for call in record.read_text().split("---\n")[1:]]
    said = [" ".join(line.removeprefix("arg ") for line in call if line.startswith("arg ")) for call in calls]
    said = [call.partition(taken)[0] + taken + call.partition(taken)[2][16:] if taken in call else call for call in said]
    options = "--quiet --no-tags --prune --no-recurse-submodules --no-write-fetch-head"
    assert [call for call in said if call != "version"] == [
        "init --bare --quiet",
        f"fetch {options} -- {bare} +refs/heads/main:refs/heads/shipstone",
        "log -1 --format=%H refs/heads/shipstone --",
        "for-each-ref --format=%(objectname) -- refs/taken/",
        f"log -1 --format=%an%x00%s%x00%ct {commit} --",
        f"--literal-pathspecs ls-tree -r -l -z --full-tree -- {commit}",
        "gc --auto --quiet",
        f"update-ref refs/taken/ {commit}",
        "cat-file --batch",
    ]
    for call, words in zip(calls, said, strict=True):
        variables = dict(line.split("=", 1) for line in call if not line.startswith("arg "))
        if words != "version":
            own = {name: value for name, value in variables.items() if name != "GIT_PYTHON_REFRESH"}
            assert own == {
                "GIT_ALLOW_PROTOCOL": "https:ssh:file:git",
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
                "GIT_ASKPASS": "",
                "GIT_CONFIG_GLOBAL": str(mirror.parent / "gitconfig"),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_DIR": str(mirror),
                "GIT_NAMESPACE": "",
                "GIT_OBJECT_DIRECTORY": str(mirror / "objects"),
                "GIT_SSH_COMMAND": SSH.partition(" -o IdentitiesOnly")[0],
                "GIT_TEMPLATE_DIR": "",
                "GIT_TERMINAL_PROMPT": "0",
            }, words


def test_a_login_is_in_the_environment_of_git_and_not_in_its_arguments(record: Path, tmp_path: Path) -> None:
    source = GitSource("https://user:s3cret@localhost:1/x", "main", "", tmp_path / "state" / "mirror.git")
    with pytest.raises(SourceError):
        source.fetch()
    text = record.read_text()
    assert "arg credential.helper=\n" in text
    assert f"arg credential.helper={CREDENTIALS}" in text
    assert "s3cret" not in "".join(line for line in text.splitlines() if line.startswith("arg "))
    assert "SHIPSTONE_GIT_PASSWORD=s3cret" in text
    assert "GIT_ALLOW_PROTOCOL=https:ssh\n" in text


def test_with_keys_of_its_own_ssh_uses_no_other() -> None:
    assert Ssh(Path("/etc/key"), Path("/etc/known")).command() == SSH


@pytest.mark.parametrize("which", ["key", "known_hosts"])
def test_a_key_that_is_not_there_is_said_before_a_server_is_asked(tmp_path: Path, which: str) -> None:
    ssh = Ssh(**{which: tmp_path / "gone"})
    with pytest.raises(SourceError, match=r"gone cannot be read\. Put it there"):
        GitSource("ssh://git@host.invalid/x", "main", "", tmp_path / "state" / "mirror.git", ssh=ssh).fetch()


def test_what_was_taken_last_is_had_without_the_server(repository: Repository, tmp_path: Path) -> None:
    """By another process, as after a reboot; and the next fetch gives the same object where nothing changed."""
    mirror = tmp_path / "state" / "mirror.git"

    def begun() -> GitSource:
        return GitSource(str(repository.bare), "main", "", mirror, allow_file=True)

    assert begun().last() is None
    commit = begun().fetch().id
    away = repository.bare.rename(tmp_path / "away")
    source = begun()
    last = source.last()
    assert last is not None
    assert (last.id, last.read("shipstone.yaml")) == (commit, b"domain: example.org\n")
    away.rename(repository.bare)
    assert source.fetch() is last
    source.close()
    (mirror / "HEAD").write_text("broken")
    assert begun().last() is None


def test_another_repository_in_the_settings_has_no_last(repository: Repository, tmp_path: Path) -> None:
    mirror = tmp_path / "state" / "mirror.git"
    GitSource(str(repository.bare), "main", "", mirror, allow_file=True).fetch()
    assert GitSource(str(tmp_path / "other"), "main", "", mirror, allow_file=True).last() is None
