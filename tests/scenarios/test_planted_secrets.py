"""Secrets planted everywhere a secret may be; nothing that Shipstone says, writes down or hands on has one in it."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from lab.host import Host, until

from reconciler.cli import app
from reconciler.world.age_files import new_identity, recipients_of, seal

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """What commands say of the whole host must be of this test alone."""
    return f"{instance}.test"


SAID = "cannot open the database"
"""What the program of tests/servers/faulty.c says when it fails: here it is a secret."""
MARKS = {
    "variable": "planted-0001-variable",
    "file": "planted-0002-file",
    "age": "planted-0003-age",
    "registry": "planted-0004-registry",
    "url": "planted-0005-url",
    "webhook": "planted-0006-webhook",
    "changed": "planted-0008-changed",
    "token": "planted-0009-token",
    "forge": "planted-0010-forge",
    "notices": "planted-0011-notices",
    "heartbeat": "planted-0012-heartbeat",
}
ENVIRONMENT = {
    "SHIPSTONE_HTTP__TOKEN": MARKS["token"],
    "SHIPSTONE_FORGE__KIND": "gitea",
    "SHIPSTONE_FORGE__API": "http://127.0.0.1:1/api/v1",
    "SHIPSTONE_FORGE__REPOSITORY": "team/sites",
    "SHIPSTONE_FORGE__TOKEN": MARKS["forge"],
    "SHIPSTONE_NOTIFY__URLS": f'["json://127.0.0.1:1/{MARKS["notices"]}"]',
    "SHIPSTONE_NOTIFY__HEARTBEAT": f"http://127.0.0.1:1/{MARKS['heartbeat']}",
}
"""Nobody answers there: what cannot be reached is named in errors."""
COMMANDS = (
    "plan",
    "plan --output json",
    "drift",
    "drift --output json",
    "status",
    "status --output json",
    "validate",
    "validate --output json",
    "render",
    "hosts",
    "traefik-toml",
    "doctor",
    "suspend shop",
    "resume shop",
    "restart shop",
    "retry shop",
    "rollback shop",
    "approve",
    "report",
    "history",
    "history --output json",
    "notify-test",
    "traefik-restart",
    "apply --timeout 1",
)
ELSEWHERE = {"run", "schema", "init", "install", "uninstall", "hosts-write", "secrets", "logs"}
"""The daemon itself; what reads no settings; what makes secrets, see tests/commands; what prints the words of programs, as Docker does."""


def leaks(text: str) -> list[str]:
    return [name for name, mark in {**MARKS, "said": SAID}.items() if mark in text]


def secret_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def processes(host: Host) -> Iterator[str]:
    """The command lines of the daemon and of all that it started, now."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(host.folder) in line:
            yield line


def test_no_secret_is_ever_said_or_written_down(host: Host, faulty_image: str) -> None:
    text, public = new_identity()
    secret_file(host.folder / "identity", text)
    for name in ("variable", "file"):
        secret_file(host.folder / "secrets/shop" / name, MARKS[name] + "\n")
    secret_file(host.folder / "secrets/shop/said", SAID)
    host.config.write_text(
        f'{host.config.read_text()}\n[secrets]\ndir = "{host.folder}/secrets"\nidentity = "{host.folder}/identity"\n'
        f'[registries."127.0.0.1:1"]\nusername = "ada"\npassword = "{MARKS["registry"]}"\n'
        f'[webhooks]\nsecret_file = "{secret_file(host.folder / "hook", MARKS["webhook"])}"\n'
    )
    sealed = seal(MARKS["age"].encode(), ["shop"], recipients_of([public], "x")).decode()
    rollout = "rollout: {min_healthy: 200ms, drain: 200ms, deadline: 60s}\nstop_grace_period: 1s\n"
    site = (
        f"image: {faulty_image}\nport: 80\nenvironment: {{V: one, BOOT_MS: '1', WORK_MS: '5'}}\n{rollout}"
        "secrets: {A: 'host:variable', B: 'age:secrets/b.age', SAID: 'host:said', /run/secrets/f: 'host:file'}\n"
    )
    absent = site.replace(faulty_image, "127.0.0.1:1/team/app:1").partition("secrets:")[0]
    files = {"sites/shop.yaml": site, "sites/pulls.yaml": absent, "secrets/b.age": sealed}
    host.repository.commit(files, "secrets")
    host.start_daemon(**ENVIRONMENT)
    until(lambda: host.get(f"shop.{host.domain}") == (200, "one"), "it runs", 40)
    assert not leaks("\n".join(processes(host)))
    secret_file(host.folder / "secrets/shop/variable", MARKS["changed"] + "\n")
    host.repository.commit({"sites/shop.yaml": site + "command: [/faulty, exit, '3']\nrestart: 'no'\n"}, "it fails, and says a secret")
    until(lambda: any(row.get("event") == "release failed" for row in host.log()), "it failed", 60)
    reason = next(str(row["reason"]) for row in host.log() if row.get("event") == "release failed")
    assert "***" in reason
    until(lambda: any("cannot pull 127.0.0.1:1/" in str(row.get("event")) for row in host.log()), "nothing answers there", 60)
    said = {command: host.shipstone(*command.split(), **ENVIRONMENT) for command in COMMANDS}
    url = f"https://ada:{MARKS['url']}@127.0.0.1:1/x.git"
    said["a url"] = host.shipstone("plan", SHIPSTONE_SOURCE__URL=url, SHIPSTONE_STATE__DIR=str(host.folder / "other"))
    said["debug"] = host.shipstone("plan", SHIPSTONE_DEBUG="1", **ENVIRONMENT)
    said["a wrong setting"] = host.shipstone(
        "plan", SHIPSTONE_WEBHOOKS__SECRET=MARKS["webhook"], SHIPSTONE_WEBHOOKS__SEKRET=MARKS["webhook"]
    )
    assert said["a url"].returncode == 1
    assert said["a wrong setting"].returncode == 1
    for command, done in said.items():
        assert not leaks(done.stdout + done.stderr), command
    labels = json.dumps([row["Labels"] for row in host.containers()])
    assert labels
    assert not leaks(labels)
    for path in ("", "sites/shop", "sites/pulls", "login", "api/status", "api/drift", "api/history", "metrics", "readyz", "healthz"):
        assert not leaks(page(host.page, path)), path
    assert "***" in page(host.page, "sites/shop")
    assert host.stop_daemon() == 0
    assert not leaks(host.log_file.read_text())
    places = [host.state, host.dynamic, host.hosts, host.static]
    found = subprocess.run(["grep", "-rlaE", "|".join([*MARKS.values(), SAID]), *map(str, places)], capture_output=True, text=True)
    assert found.stdout == "", "in files of the state folder, the pins, the hosts file, traefik.toml"


def test_every_command_was_asked() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert known == {command.split()[0] for command in COMMANDS} | ELSEWHERE


def page(port: int, path: str) -> str:
    """Whatever answers there; nothing is fine too."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
