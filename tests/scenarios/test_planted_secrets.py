"""Secrets planted everywhere a secret may be; nothing that Shipstone says, writes down or hands on has one in it."""

import base64
import inspect
import json
import re
import socket
import subprocess
import threading
import typing
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from lab.host import SHIPSTONE, Host, until

import reconciler.web
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
    "sops": "planted-0013-sops",
    "key": "planted-0014-key",
    "credentials": "planted-0015-credentials",
    "docker": "planted-0016-docker",
    "docker-login": base64.b64encode(b"ada:planted-0016-docker").decode(),
}
"""And the age identity, which is another one each time."""
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
    "plan --output markdown",
    "drift",
    "drift --output json",
    "drift --output markdown",
    "drift --output html",
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


PATHS = (
    "", "sites/shop", "sites/pulls1", "login", "api/status", "api/drift", "api/history", "api/history?site=shop", "metrics",
    "readyz", "healthz",
)  # fmt: skip
BESIDE = {"/assets/{version}/{name}", "/events"}
"""Files of the package; a number, again and again."""


def leaks(text: str, identity: str = "") -> list[str]:
    marks = MARKS | {"said": SAID} | ({"identity": identity} if identity else {})
    return [name for name, mark in marks.items() if mark in text]


def secret_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class Watch:
    """Looks at the command line of every process of this machine, again and again."""

    def __init__(self, identity: str) -> None:
        self.found: set[str] = set()
        self.seen: set[str] = set()
        self._identity, self._end = identity, threading.Event()

    @contextmanager
    def looking(self) -> Iterator["Watch"]:
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.05):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                except OSError:
                    continue
                self.found |= set(leaks(line, self._identity))
                self.seen |= {name for name in ("git fetch", "git-remote-https", "shipstone run") if name in line}


def test_no_secret_is_ever_said_or_written_down(host: Host, faulty_image: str) -> None:
    planted = Planted(host, faulty_image)
    host.daemon_under = ("env",)  # in full: a quick start has another command line
    with Watch(planted.identity).looking() as watch:
        host.start_daemon(**planted.environment)
        until(lambda: host.get(f"shop.{host.domain}") == (200, "one"), "it runs", 40)
        planted.only_where_asked()
        planted.fails()
        said = planted.said(watch)
        for path in PATHS:
            assert not planted.leaks(page(host.page, path)), path
        assert "***" in page(host.page, "sites/shop")
    for command, done in said.items():
        assert not planted.leaks(done.stdout + done.stderr), command
    assert watch.found == set(), "in the arguments of a process"
    assert watch.seen == {"git fetch", "git-remote-https", "shipstone run"}
    assert host.stop_daemon() == 0
    assert not planted.leaks(host.log_file.read_text())
    assert '"level": "debug"' in host.log_file.read_text()
    places = [host.state, host.dynamic, host.hosts, host.static]
    marks = "|".join([*MARKS.values(), SAID, planted.identity]).replace("+", r"\+")
    found = subprocess.run(["grep", "-rlaE", marks, *map(str, places)], capture_output=True, text=True)
    assert found.stdout == "", "in files of the state folder, the pins, the hosts file, traefik.toml"


class Planted:
    """A host with a secret in each place that takes one, and a site that asks for some of them."""

    def __init__(self, host: Host, image: str) -> None:
        self.host = host
        text, public = new_identity()
        self.identity = text.splitlines()[-1]
        secret_file(host.folder / "identity", text)
        for name in ("variable", "file"):
            secret_file(host.folder / "secrets/shop" / name, MARKS[name] + "\n")
        secret_file(host.folder / "secrets/shop/said", SAID)
        secret_file(host.folder / "bin/sops", '#!/bin/sh\ncat "$0.plain"\n').chmod(0o700)
        secret_file(host.folder / "bin/sops.plain", json.dumps({"shipstone_sites": "shop", "s": MARKS["sops"]}))
        self._settings()
        path = f"{host.folder}/bin:/usr/local/bin:/usr/bin:/bin"
        self.environment = {**ENVIRONMENT, "PATH": path, "DOCKER_CONFIG": str(self._docker()), "SHIPSTONE_DEBUG": "1"}
        sealed = seal(MARKS["age"].encode(), ["shop"], recipients_of([public], "x")).decode()
        rollout = "rollout: {min_healthy: 200ms, drain: 200ms, deadline: 60s}\nstop_grace_period: 1s\n"
        asked = "A: 'host:variable', B: 'age:secrets/b.age', C: 'sops:secrets/c.json#s', SAID: 'host:said', /run/secrets/f: 'host:file'"
        site = f"image: {image}\nport: 80\nenvironment: {{V: one, BOOT_MS: '1', WORK_MS: '5'}}\n{rollout}"
        self.site = f"{site}secrets: {{{asked}}}\n"
        files = {f"sites/pulls{n}.yaml": site.replace(image, f"127.0.0.1:{n}/team/app:1") for n in (1, 2)}
        files |= {"sites/shop.yaml": self.site, "secrets/b.age": sealed}
        files["secrets/c.json"] = json.dumps({"s": "ENC[x]", "sops": {"age": [{"recipient": public, "enc": "x"}], "mac": "x"}})
        host.repository.commit(files, "secrets")

    def _settings(self) -> None:
        folder = self.host.folder
        password = secret_file(folder / "password", MARKS["registry"])
        key = secret_file(folder / "key", MARKS["key"])
        self.host.config.write_text(
            self.host.config.read_text().replace("[source]\n", f'[source]\nssh_key = "{key}"\n')
            + f'\n[secrets]\ndir = "{folder}/secrets"\nidentity = "{folder}/identity"\n'
            f'[registries."127.0.0.1:1"]\nusername = "ada"\npassword_file = "{password}"\n'
            f'[webhooks]\nsecret_file = "{secret_file(folder / "hook", MARKS["webhook"])}"\n'
        )

    def _docker(self) -> Path:
        text = json.dumps({"auths": {"127.0.0.1:2": {"auth": MARKS["docker-login"]}}})
        return secret_file(self.host.folder / "docker/config.json", text).parent

    def leaks(self, text: str) -> list[str]:
        return leaks(text, self.identity)

    def only_where_asked(self) -> None:
        """What the engine knows of a container: its variables have what was asked for so, and nothing else has anything."""
        for row in self.host.containers("shop"):
            found = self.host.api.inspect_container(row["Id"])
            variables = found["Config"].pop("Env")
            assert sorted(self.leaks(json.dumps(variables))) == ["age", "said", "sops", "variable"]
            assert not self.leaks(json.dumps(found))
        labels = json.dumps([row["Labels"] for row in self.host.containers()])
        assert "shipstone.site" in labels
        assert not self.leaks(labels)

    def fails(self) -> None:
        """A release that says a secret and ends; two images that cannot be pulled, with the credential that was tried."""
        host = self.host
        secret_file(host.folder / "secrets/shop/variable", MARKS["changed"] + "\n")
        text = self.site + "command: [/faulty, exit, '3']\nrestart: 'no'\n"
        host.repository.commit({"sites/shop.yaml": text}, "it fails, and says a secret")
        until(lambda: any(row.get("event") == "release failed" for row in host.log()), "it failed", 60)
        reason = next(str(row["reason"]) for row in host.log() if row.get("event") == "release failed")
        assert "***" in reason
        for pulled in ("127.0.0.1:1/", "127.0.0.1:2/"):
            until(
                lambda name=pulled: any(f"cannot pull {name}" in str(row.get("event")) for row in host.log()), "nothing answers there", 60
            )

    def said(self, watch: Watch) -> dict[str, subprocess.CompletedProcess[str]]:
        """All commands; and some that fail because of what holds a secret."""
        quiet = {name: value for name, value in self.environment.items() if name != "SHIPSTONE_DEBUG"}
        said = {command: self.host.shipstone(*command.split(), **quiet) for command in COMMANDS}
        folder = self.host.folder
        other = {"SHIPSTONE_STATE__DIR": str(folder / "other"), "SHIPSTONE_SOURCE__TIMEOUT": "20s"}
        login = secret_file(folder / "login", f"https://ada:{MARKS['credentials']}@127.0.0.1:1\n")
        wrong = {
            "a url": {"SHIPSTONE_SOURCE__URL": f"https://ada:{MARKS['url']}@127.0.0.1:1/x.git"},
            "a login": {"SHIPSTONE_SOURCE__URL": "https://127.0.0.1:1/x.git", "SHIPSTONE_SOURCE__CREDENTIALS_FILE": str(login)},
            "a key": {"SHIPSTONE_SOURCE__URL": "ssh://git@127.0.0.1:1/x.git"},
            "a wrong setting": {"SHIPSTONE_WEBHOOKS__SECRET": MARKS["webhook"], "SHIPSTONE_WEBHOOKS__SEKRET": MARKS["webhook"]},
            "no json": {"SHIPSTONE_REGISTRIES": f'{{"x": {MARKS["registry"]}'},
        }
        for name, variables in wrong.items():
            said[name] = self.host.shipstone("plan", **other, **variables, SHIPSTONE_DEBUG="1")
            assert said[name].returncode == 1, name
        said["debug"] = self.host.shipstone("plan", **self.environment)
        self._hangs(login, other, watch)
        return said

    def _hangs(self, login: Path, other: dict[str, str], watch: Watch) -> None:
        """A git server that never answers, so that the programs which fetch from it are seen."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            where = f"127.0.0.1:{server.getsockname()[1]}"
            secret_file(login, f"https://ada:{MARKS['credentials']}@{where}\n")
            variables = {"SHIPSTONE_SOURCE__URL": f"https://{where}/x.git", "SHIPSTONE_SOURCE__CREDENTIALS_FILE": str(login)}
            command = [str(SHIPSTONE), "plan", "--config", str(self.host.config)]
            server.settimeout(60)
            process = subprocess.Popen(
                command, env={**self.environment, **other, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            asked, _ = server.accept()
            until(lambda: {"git fetch", "git-remote-https"} <= watch.seen, "git asks, and was seen", 10)
            asked.close()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert not self.leaks(out.decode())


def test_every_command_was_asked_in_every_form() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == {command.split()[0] for command in COMMANDS} | ELSEWHERE
    forms = {
        f"{name} --output {form}"
        for name, command in commands.items()
        for option in command.params
        if option.name == "output" and name not in ELSEWHERE
        for form in typing.get_type_hints(inspect.unwrap(command.callback))["output"]
        if form != "text"
    }
    assert len(forms) > 5
    assert forms <= set(COMMANDS)


def test_every_page_was_asked() -> None:
    files = Path(reconciler.web.__file__).parent.glob("*.py")
    lines = [line for file in files for line in file.read_text().splitlines() if 'methods=["POST"]' not in line]
    routes = {route for line in lines for route in re.findall(r'Route\("(/[^"]*)"', line)} - BESIDE
    assert len(routes) > 5
    for route in routes:
        form = re.sub(r"\{\w+\}", r"[^/]+", route)
        assert any(re.fullmatch(form, f"/{path.partition('?')[0]}") for path in PATHS), route


def page(port: int, path: str) -> str:
    """Whatever answers there; nothing is fine too."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
