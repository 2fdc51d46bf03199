"""What may be wrong with the host's settings or around them: one clear line, exit code 1, and nothing is touched."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab.host import shipstone
from lab.ports import Ports

from tests.world.test_lock import HOLD

Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """The one line that a command ends with, with exit code 1."""
    state = tmp_path / "state"

    def said(text: str, *command: str, config: str = "config.toml", **variables: str) -> str:
        (tmp_path / "config.toml").write_text(
            f'[state]\ndir = "{state}"\n[traefik]\ndynamic_dir = "{tmp_path}/dynamic"\n[http]\nlisten = ""\n{text}'
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHIPSTONE_")}
        arguments = [*(command or ("validate",)), "--config", str(tmp_path / config)]
        done = shipstone(arguments, {**environment, "COLUMNS": "100", **variables}, folder=tmp_path)
        assert done.returncode == 1, done
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0].replace(str(tmp_path), "…")

    return said


def test_an_unknown_key(said: Said) -> None:
    expected = "…/config.toml: source.brnach: there is no such setting (did you mean branch?). docs/settings.md lists them all."
    assert said('[source]\nbrnach = "main"\n') == expected


def test_what_would_command_a_terminal_is_said_without(said: Said) -> None:
    assert said('[source]\n"\\u001b[2Jbrnach" = "main"\n').startswith("…/config.toml: source. [2Jbrnach: there is no such setting")


def test_a_wrong_type(said: Said) -> None:
    assert said('[engine]\nparallel = "many"\n') == (
        "…/config.toml: engine.parallel: Input should be a valid integer, unable to parse string as an integer."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SHIPSTONE_REGISTRIES", 'this is no JSON. A list is written as \'["a", "b"]\'.'),
        ("SHIPSTONE_POLICY__REGISTRIES", 'this is no JSON. A list is written as \'["a", "b"]\'.'),
        ("SHIPSTONE_NOTIFY__URLS", 'this is no JSON. Write one a line, or \'["a", "b"]\'.'),
    ],
)
def test_a_variable_that_is_no_json(said: Said, name: str, message: str) -> None:
    """Named, and not shown: it may be a secret."""
    assert said("", **{name: "[m4rked-secret"}) == f"{name}: {message}"


def test_a_variable_that_means_a_setting_and_is_none(said: Said) -> None:
    """A policy that nobody reads would be open."""
    assert said("", SHIPSTONE_POLICY_REGISTRIES='["m4rked"]') == (
        "SHIPSTONE_POLICY_REGISTRIES: there is no such setting. Between section and name are two underscores, "
        "as SHIPSTONE_POLICY__REGISTRIES; docs/settings.md lists them all."
    )


def test_what_is_no_toml(said: Said) -> None:
    assert said("[source\n").startswith("cannot read …/config.toml: ")
    assert said("[source\n").endswith("Mend the TOML.")


def test_a_file_that_is_not_there(said: Said) -> None:
    assert said("", config="no.toml") == "cannot read …/no.toml: No such file or directory. Give another file with --config."


def test_an_unreadable_file(said: Said, tmp_path: Path) -> None:
    """A folder: root, who runs tests, may read every file."""
    (tmp_path / "folder").mkdir()
    assert said("", config="folder") == "cannot read …/folder: Is a directory. Give another file with --config."


def test_a_secret_that_others_can_read(said: Said, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("m4rked")
    secret.chmod(0o644)
    line = said(f'[webhooks]\nsecret_file = "{secret}"\n')
    assert line == (
        "…/config.toml: webhooks: secret_file: cannot use …/secret: every user of this host can read it, or write it. chmod o= …/secret."
    )


def test_signatures_without_signers(said: Said) -> None:
    assert said('[source]\nverify = "commit"\n') == (
        '…/config.toml: source: verify = "commit" needs allowed_signers or gpg_keyring: say whose signatures count.'
    )


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "desired/sites").mkdir(parents=True)
    (tmp_path / "desired/sites/a.yaml").write_text("image: app:1\nport: 80\n")
    return str(tmp_path / "desired")


def test_a_socket_that_does_not_answer(said: Said, tmp_path: Path, folder: str) -> None:
    line = said(f'[engine]\nsocket = "unix://{tmp_path}/none.sock"\n', "plan", "--source", folder)
    first, _, rest = line.partition(": ")
    assert first.startswith("cannot list the "), "whatever is asked for first"
    assert rest == (
        "the Docker Engine at unix://…/none.sock does not answer (No such file or directory). Start it, or correct [engine] socket."
    )


def test_a_port_in_use(said: Said, folder: str, tmp_path: Path) -> None:
    ports = Ports()
    with socket.create_server(("127.0.0.1", ports.take())) as taken:
        port = taken.getsockname()[1]
        line = said("", "run", "--source", folder, config=listening(tmp_path, port))
    ports.close()
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")
    assert "[http] listen" in line


def listening(tmp_path: Path, port: int) -> str:
    """A settings file of its own: the fixture's has no port."""
    (tmp_path / "listening.toml").write_text(
        f'[state]\ndir = "{tmp_path}/state"\n[traefik]\ndynamic_dir = "{tmp_path}/dynamic"\n[http]\nlisten = "127.0.0.1:{port}"\n'
    )
    return "listening.toml"


def test_a_second_instance_names_the_first(said: Said, tmp_path: Path, folder: str) -> None:
    lock = tmp_path / "state" / "lock"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        line = said("", "run", "--source", folder)
        holder.kill()
    assert f" is already run by process {holder.pid} " in line
