"""Every call of git: its arguments and its whole environment, recorded by a program named git, as literal text."""

import importlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from reconciler.errors import SourceError
from reconciler.world.git import GitSource
from reconciler.world.git_access import Access
from reconciler.world.git_address import address
from reconciler.world.git_command import CONFIG, CREDENTIALS
from reconciler.world.git_signatures import Signers
from tests.world.test_git import Upstream, refusal

SSH = (
    "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o IdentitiesOnly=yes -o IdentityAgent=none"
    " -o ForwardAgent=no -o ClearAllForwardings=yes -o ProxyCommand=none -o PermitLocalCommand=no -o ControlPath=none"
    " -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
)
RECORDER = """\
#!{python} -S
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]) + "\\n")
os.execv({git!r}, ["git", *sys.argv[1:]])
"""
HOSTILE = {
    "GIT_DIR": "/evil", "GIT_SSH_COMMAND": "evil", "GIT_SSH": "evil", "GIT_ASKPASS": "evil", "GIT_EXEC_PATH": "/evil", "GIT_TRACE": "1",
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.sshCommand", "GIT_CONFIG_VALUE_0": "evil", "GIT_CONFIG_PARAMETERS": "'a.b=c'",
    "GIT_PROXY_COMMAND": "evil", "GIT_EXTERNAL_DIFF": "evil", "GIT_PAGER": "evil", "GIT_OBJECT_DIRECTORY": "/evil", "GIT_NAMESPACE": "x",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/evil", "GIT_WORK_TREE": "/evil", "SSH_AUTH_SOCK": "/evil", "SSH_ASKPASS": "evil",
    "XDG_CONFIG_HOME": "/evil", "LD_PRELOAD": "", "EDITOR": "evil", "LANG": "de_DE.UTF-8", "SHIPSTONE_WEBHOOK__SECRET": "secret",
}  # fmt: skip


class Recorder:
    """What git was called with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.bin = folder / "calls", folder / "bin"
        self.bin.mkdir()
        program = self.bin / "git"
        program.write_text(RECORDER.format(python=sys.executable, log=str(self.log), git=shutil.which("git")))
        program.chmod(0o755)
        self.path = f"{self.bin}:{os.environ['PATH']}"
        monkeypatch.setenv("PATH", self.path)

    def calls(self) -> list[tuple[list[str], dict[str, str], str]]:
        rows = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        own = [(arguments, env, where) for arguments, env, where in rows if "GIT_DIR" in env]
        assert len(own) == len(rows)
        self.log.unlink(missing_ok=True)
        return own


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def recorder(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """After the first commit: what git is called for from now on is ours."""
    upstream.push({"sites/a.yaml": "1"})
    importlib.import_module("reconciler.world.git_runner")  # GitPython asks for `git version` when it is imported, and never again
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    for name in ("TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Recorder(tmp_path, monkeypatch)


def environment(recorder: Recorder, mirror: Path, protocols: str, **more: str) -> dict[str, str]:
    return {
        "PATH": recorder.path,
        "NO_PROXY": "127.0.0.1",
        "HOME": str(mirror.parent),
        "LC_ALL": "C",
        "GIT_DIR": str(mirror),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": f"{mirror.parent}/gitconfig",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TEMPLATE_DIR": "",
        **more,
    }


def the_rest(env: dict[str, str]) -> dict[str, str]:
    """Without what the shell and Python of the recorder set by themselves."""
    return {name: value for name, value in env.items() if name not in ("PWD", "SHLVL", "_", "LC_CTYPE", "OLDPWD")}


def test_the_calls_of_a_first_fetch_and_of_the_next(recorder: Recorder, upstream: Upstream, tmp_path: Path) -> None:
    """Arguments one by one; the environment is the same for each of them, and nothing of ours is in it."""
    mirror = tmp_path / "state" / "mirror.git"
    source = GitSource(str(upstream.bare), "main", "sites", mirror, allow_file=True)
    revision = source.fetch()
    assert revision.read("a.yaml") == b"1"
    taken = next((mirror / "refs/taken").iterdir()).name
    first = recorder.calls()
    ssh = {"GIT_SSH_COMMAND": SSH, "GIT_SSH_VARIANT": "ssh"}
    fetch = ["fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "--no-write-fetch-head", "--"]
    fetch += [str(upstream.bare), "+refs/heads/main:refs/heads/shipstone"]
    before = ["for-each-ref", "--format=%(objectname)", "--", f"refs/taken/{taken}"]
    newest = ["log", "-1", "--format=%H", "refs/heads/shipstone", "--"]
    assert [arguments for arguments, _, _ in first] == [
        ["init", "--bare", "--quiet"],
        fetch,
        before,
        newest,
        ["log", "-1", "--format=%an%x00%s%x00%ct", revision.id, "--"],
        ["--literal-pathspecs", "ls-tree", "-r", "-l", "-z", "--full-tree", "--", revision.id, "sites/"],
        ["update-ref", f"refs/taken/{taken}", revision.id],
        ["cat-file", "--batch"],
    ]
    talking = environment(recorder, mirror, "https:ssh:file:git", **ssh)
    for arguments, env, where in first:
        assert where == str(mirror.parent)
        expected = environment(recorder, mirror, "https:ssh:file:git") if arguments[0] == "cat-file" else talking
        assert the_rest(env) == expected, arguments
    assert source.fetch() is revision
    assert [arguments for arguments, _, _ in recorder.calls()] == [fetch, before, newest, ["gc", "--auto", "--quiet"]]
    source.close()


def test_the_configuration_of_every_call() -> None:
    """What no argument says."""
    assert dict(line.strip().split(" = ") for line in CONFIG.splitlines() if " = " in line) == {
        "directory": "*",
        "defaultBranch": "shipstone",
        "hooksPath": "/dev/null",
        "attributesFile": "/dev/null",
        "fsmonitor": "false",
        "bigFileThreshold": "16m",
        "threads": "1",
        "unpackLimit": "1",
        "recurseSubmodules": "false",
        "recurse": "false",
        "auto": "false",
        "autoDetach": "false",
        "lowSpeedLimit": "1000",
        "lowSpeedTime": "30",
        "followRedirects": "false",
    }


def test_a_login_is_in_the_environment_of_the_calls_that_need_it(recorder: Recorder, tmp_path: Path) -> None:
    """And in no argument."""
    mirror = tmp_path / "state" / "mirror.git"
    token = tmp_path / "token"
    token.write_text("s3cr3t\n")
    token.chmod(0o600)
    source = GitSource("https://127.0.0.1:1/x.git", "main", "", mirror, access=Access(credentials_file=str(token)), timeout=20.0)
    assert "cannot be reached" in refusal(source)
    calls = recorder.calls()
    login = ["-c", f"credential.helper={CREDENTIALS}"]
    assert [arguments[:2] for arguments, _, _ in calls] == [login, login]
    assert [arguments[2] for arguments, _, _ in calls] == ["init", "fetch"]
    given = {"SHIPSTONE_GIT_USERNAME": "x-access-token", "SHIPSTONE_GIT_PASSWORD": "s3cr3t"}
    for arguments, env, _ in calls:
        assert "s3cr3t" not in shlex.join(arguments)
        assert the_rest(env) == environment(
            recorder, mirror, "https:ssh",
            GIT_SSH_COMMAND=SSH, GIT_SSH_VARIANT="ssh", **given,
        )  # fmt: skip


def test_the_ssh_command_with_files_of_the_settings(tmp_path: Path) -> None:
    for name in ("key", "known"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    where = address("ssh://git@host/x", "main", "", allow_file=False)
    command = Access(f"{tmp_path}/key", f"{tmp_path}/known").ssh_command(where)
    assert command == f"{SSH} -i {tmp_path}/key -o UserKnownHostsFile={tmp_path}/known -o GlobalKnownHostsFile=/dev/null"


@pytest.mark.parametrize("verify", ["commit", "tag"])
def test_the_calls_for_signatures(recorder: Recorder, upstream: Upstream, tmp_path: Path, verify: str) -> None:
    source = GitSource(
        str(upstream.bare), "main", "", tmp_path / "state" / "mirror.git", allow_file=True,
        signers=Signers(verify),  # type: ignore[arg-type]
    )  # fmt: skip
    refused = refusal_of(source)
    rows = [arguments for arguments, _, _ in recorder.calls()]
    if verify == "commit":
        assert "it is not signed" in refused
        assert [row[:2] for row in rows[-1:]] == [["cat-file", "commit"]]
    else:
        assert "no tag of it is signed" in refused
        fmt = "--format=%(objecttype) %(objectname) %(taggerdate:unix) %(refname:strip=2)"
        assert rows[1][-2:] == ["+refs/heads/main:refs/heads/shipstone", "+refs/tags/*:refs/tags/*"]
        assert rows[-1] == ["for-each-ref", fmt, "--sort=-taggerdate", "--merged=refs/heads/shipstone", "--", "refs/tags"]


def refusal_of(source: GitSource) -> str:
    with pytest.raises(SourceError) as caught:
        source.fetch()
    return str(caught.value)


def test_a_git_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    source = GitSource("https://127.0.0.1:1/x.git", "main", "", tmp_path / "state" / "mirror.git")
    assert refusal(source).endswith("there is no git program. Install git (apt-get install git).")
