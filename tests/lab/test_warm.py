"""Quick starts: what a test gets is what the command itself would give."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.engine import LabError
from lab.host import SHIPSTONE
from lab.warm import Started, Warm, warm

NOWHERE = {"SHIPSTONE_ENGINE__SOCKET": "unix:///nowhere.sock", "SHIPSTONE_HTTP__LISTEN": "", "SHIPSTONE_LOG": "json"}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("validate", "--source", "."), ("status",), ("no-such-command",), ("schema",), ("plan",)]
)
def test_a_command_says_and_ends_as_in_full(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "blog.yaml").write_text("image: [nginx]\n")
    environment = {**os.environ, **NOWHERE, "SHIPSTONE_STATE__DIR": str(tmp_path / "state")}
    command = [str(SHIPSTONE), *arguments]
    full = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    quick = warm().run(command, environment, 60, tmp_path)
    assert (quick.returncode, quick.stdout, quick.stderr) == (full.returncode, full.stdout, full.stderr)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Started]:
    settings = {**NOWHERE, "SHIPSTONE_STATE__DIR": str(tmp_path), "SHIPSTONE_TRAEFIK__DYNAMIC_DIR": str(tmp_path / "dynamic")}
    with (tmp_path / "log").open("wb") as log:
        environment = {**os.environ, **settings, "SHIPSTONE_SOURCE__URL": str(tmp_path)}
        started = warm().start([str(SHIPSTONE), "run"], environment, log.fileno(), log.fileno())
    yield started
    started.kill()
    started.wait(20)


def test_one_that_goes_on_leads_a_session_and_is_waited_for(daemon: Started) -> None:
    assert os.getsid(daemon.pid) == daemon.pid
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(0.1)
    assert daemon.poll() is None
    daemon.kill()
    assert daemon.wait(20) == daemon.poll() == -signal.SIGKILL
    daemon.terminate()  # nobody is there any more


def test_others_are_started_while_one_goes_on(daemon: Started) -> None:
    assert warm().run([str(SHIPSTONE), "--version"], os.environ, 60).returncode == 0
    assert daemon.poll() is None


def test_where_nobody_can_start_one_it_is_said() -> None:
    mine = Warm()
    mine.process.kill()
    mine.process.wait(20)
    with pytest.raises(LabError, match="cannot start shipstone --version: "):
        mine.run(["shipstone", "--version"], os.environ, 60)
