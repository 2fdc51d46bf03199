"""What the daemon writes while neither git server, engine nor a receiver of messages is there: a real process."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from lab.host import SHIPSTONE, until


def log_of(folder: Path, form: str) -> str:
    """Its log until it could not fetch, nor see the engine."""
    environment = {
        "SHIPSTONE_LOG": form,
        "SHIPSTONE_STATE__DIR": str(folder / "state"),
        "SHIPSTONE_SOURCE__URL": "https://ada:secret-token@127.0.0.1:9/team/secret-path.git",
        "SHIPSTONE_ENGINE__SOCKET": f"unix://{folder}/none.sock",
        "SHIPSTONE_TRAEFIK__DYNAMIC_DIR": str(folder / "dynamic"),
        "SHIPSTONE_HTTP__LISTEN": "",
        "SHIPSTONE_NOTIFY__URLS": '["json://127.0.0.1:9/secret-token"]',
        "SHIPSTONE_NOTIFY__HEARTBEAT": "http://127.0.0.1:9/secret-uuid",
    }
    file = folder / "log"
    with file.open("wb") as out:
        process = subprocess.Popen([SHIPSTONE, "run"], cwd=folder, env={**os.environ, **environment}, stdout=out, stderr=out)
        try:
            until(
                lambda: {"cannot fetch", "the pass failed"} <= {w for w in ("cannot fetch", "the pass failed") if w in file.read_text()},
                form,
            )
        finally:
            process.terminate()
            assert process.wait(60) == 0
    return file.read_text()


def test_a_program_reads_one_object_a_line(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in log_of(tmp_path, "json").splitlines()]
    assert all(row["level"] == "warning" and row["timestamp"].endswith("Z") for row in rows)
    (fetch, *_) = [row for row in rows if row["event"].startswith("cannot fetch")]
    assert fetch["error"]


def test_a_person_reads_lines(tmp_path: Path) -> None:
    line = log_of(tmp_path, "console").splitlines()[0]
    assert "warning" in line
    assert "{" not in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_password_or_token_is_in_it(tmp_path: Path, form: str) -> None:
    said = log_of(tmp_path, form)
    assert "127.0.0.1" in said
    assert "secret-token" not in said
    assert "secret-uuid" not in said
