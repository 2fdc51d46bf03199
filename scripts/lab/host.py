"""One installation of Shipstone in a folder of its own: repository, settings, Traefik, daemon; taken away without a trace."""

import contextlib
import json
import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker

from lab.certificate import self_signed
from lab.engine import LabError
from lab.images import traefik_binary
from lab.ports import Ports
from lab.warm import Started, warm

ANY_CERTIFICATE = ssl._create_unverified_context()  # noqa: S323  Traefik's own, signed by itself
SHIPSTONE = Path(sys.executable).parent / "shipstone"
Process = subprocess.Popen[bytes] | Started
WARM = "LAB_WARM" in os.environ
"""Whether starts are quick, see warm.py: scripts/test says so."""
ANSWER = 15
"""Seconds for one answer, as in load.py: a machine that stalls has lost nothing."""
LINES = 40
"""Of the daemon's log, for who looks why a test failed."""
PATIENCE = 3
"""Times what a quiet machine needs: tests share two cores, and the disk with whatever is installed meanwhile."""


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait for a condition; its first true value. Raises TimeoutError that says what did not come, PATIENCE times `seconds` later."""
    begun = time.monotonic()
    while True:
        asked = time.monotonic()
        if value := condition():
            return value
        now = time.monotonic()
        if now > begun + PATIENCE * seconds:
            raise TimeoutError(f"not within {PATIENCE * seconds:g} s: {what}")
        time.sleep(pause(waited=now - begun, took=now - asked))


def pause(waited: float, took: float) -> float:
    """Seconds to the next look, after so many of waiting, where one look takes so long: they leave half of a core to who is waited for."""
    return max(min(0.02 + waited / 50, 0.1), min(took, 0.5))


def shipstone(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float = 60.0, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in `folder` (else in this process's), until it has ended. Raises subprocess.TimeoutExpired."""
    command = [str(SHIPSTONE), *arguments]
    if WARM:
        return warm().run(command, environment, timeout, folder)
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout, cwd=folder)


class Repository:
    """A bare repository and a work tree that pushes to it; `pushed` is called then, as a hook of the repository would be."""

    def __init__(self, folder: Path, pushed: Callable[[], None] = lambda: None) -> None:
        self.bare, self.tree, self._pushed = folder / "remote.git", folder / "work", pushed
        folder.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), cwd=folder)
        self._git("init", "--quiet", "--initial-branch=main", str(self.tree), cwd=folder)
        self._git("remote", "add", "origin", str(self.bare))

    def commit(self, files: Mapping[str, str | None], message: str = "change", *, force: bool = False) -> str:
        """Write files (None deletes one), commit, push to main; the commit."""
        for name, text in files.items():
            path = self.tree / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return self.push(message, force=force)

    def replace(self, files: Mapping[str, str | None], message: str = "begin anew") -> str:
        """Commit as commit() does, without a parent, in the place of main."""
        self._git("checkout", "--quiet", "--orphan", f"anew-{secrets.token_hex(4)}")
        return self.commit(files, message, force=True)

    def push(self, message: str, *, force: bool = False) -> str:
        """Commit what is in the work tree and push it."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        self._git("push", "--quiet", *(["--force"] if force else []), "origin", "HEAD:main")
        self._pushed()
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str, cwd: Path | None = None) -> str:
        who = {
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *arguments], cwd=cwd or self.tree, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"cannot run git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


class Host:
    """`folder` holds everything but the containers and the network; those carry `instance` in their names. Without `file_provider`
    Traefik is as someone else may have set it up: labels alone route, and it throttles as it does by default. A daemon is `told` of each
    commit by a signal: looking three times a second costs more than all else that it does."""

    def __init__(
        self,
        folder: Path,
        engine: str,
        instance: str,
        network: str = "",
        *,
        manage: bool = False,
        poll: str = "1s",
        told: bool = False,
        tls: bool = False,
        file_provider: bool = True,
    ) -> None:
        self.folder, self.engine, self.instance = folder, engine, instance
        self.network = network or f"{instance}_net"
        self._ports = Ports()
        self.web, self.console, self.page, self.tls = *(self._ports.take() for _ in range(3)), self._ports.take() if tls else 0
        self.repository = Repository(folder / "git", self._tell) if told else Repository(folder / "git")
        self.state, self.dynamic, self.hosts = folder / "state", folder / "dynamic", folder / "hosts"
        self.static = folder / "traefik.toml"
        self.config = folder / "config.toml"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.dynamic.mkdir()
        self.api = docker.APIClient(base_url=engine, version="auto", timeout=60)
        self.daemon_under: tuple[str, ...] = ()
        """A command that the daemon is started by, with the daemon's own after it."""
        self._file_provider = file_provider
        self.config.write_text(self._settings(manage, poll))
        self._traefik: subprocess.Popen[bytes] | None = None
        self._daemon: Process | None = None

    def _settings(self, manage: bool, poll: str) -> str:
        return f"""instance = "{self.instance}"

[source]
url = "{self.repository.bare}"
allow_file = true
poll = "{poll}"

[engine]
socket = "{self.engine}"
network = "{self.network}"

[traefik]
manage = {str(manage).lower()}
dynamic_dir = "{self.dynamic if self._file_provider else ""}"
http_address = "127.0.0.1"
http_port = {self.web}
console_port = {self.console}
https_port = {self.tls}

[files]
hosts = "{self.hosts}"
traefik = "{self.static}"

[http]
listen = "127.0.0.1:{self.page}"

[state]
dir = "{self.state}"
"""

    @property
    def domain(self) -> str:
        """One that no other test on the same engine has."""
        return f"{self.instance}.test"

    def shipstone(self, *arguments: str, check: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command with this installation's settings."""
        done = shipstone((arguments[0], "--config", str(self.config), *arguments[1:]), {**os.environ, **environment}, 300)
        if check and done.returncode:
            raise LabError(f"shipstone {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def start_traefik(self, *, alone: bool = True) -> None:
        """A Traefik process of this host from the generated traefik.toml; `alone` routes nothing but this installation's containers, for
        others on this engine may have the same host names."""
        text = self.shipstone("traefik-toml", check=True).stdout
        self.static.write_text(text)
        if not self._file_provider:
            text = text.replace('providersThrottleDuration = "100ms"\n', "")
        own = self.folder / "traefik-alone.toml" if alone else self.static
        if alone:
            only = f"[providers.docker]\nconstraints = 'Label(`shipstone.instance`, `{self.instance}`)'"
            own.write_text(text.replace("[providers.docker]", only))
        if self._file_provider:
            give_certificate(self.dynamic)
        with (self.folder / "traefik.log").open("ab") as log:
            command = [str(traefik_binary()), f"--configFile={own}"]
            # In Traefik DOCKER_HOST counts more than the endpoint of its file.
            environment = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
            self._traefik = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        until(lambda: self.traefik("overview"), "Traefik's API answers")

    def traefik(self, path: str) -> Any:
        """What Traefik's API says; None where it does not answer or knows no such thing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.console}/api/{path}", timeout=ANSWER) as answer:
                return json.load(answer)
        except OSError:
            return None

    def start_daemon(self, **environment: str) -> Process:
        """In full where a test says under what it runs, or what is loaded before it."""
        with self.log_file.open("ab") as log:
            command = [*self.daemon_under, str(SHIPSTONE), "run", "--config", str(self.config)]
            whole = {**os.environ, "SHIPSTONE_LOG": "json", **environment}
            if WARM and not self.daemon_under and "LD_PRELOAD" not in environment:
                self._daemon = warm().start(command, whole, log.fileno(), log.fileno())
            else:
                self._daemon = subprocess.Popen(command, stdout=log, stderr=log, env=whole, start_new_session=True)
        return self._daemon

    @property
    def log_file(self) -> Path:
        return self.folder / "daemon.log"

    def log(self) -> list[dict[str, Any]]:
        """The daemon's log so far, one row a line."""
        rows = []
        for line in self.said():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return rows

    def said(self) -> list[str]:
        """The same as lines, with what is no row, such as a traceback."""
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []

    def tail(self) -> str:
        """The end of what it said, for people."""
        return "\n".join(self.said()[-LINES:])

    def signal_daemon(self, number: int) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(number)

    def _tell(self) -> None:
        """One that is not ready to hear it has yet to fetch for the first time."""
        if self._daemon is not None and hears(self._daemon.pid, signal.SIGHUP):
            self.signal_daemon(signal.SIGHUP)

    def stop_daemon(self, number: int = signal.SIGTERM) -> int:
        process, self._daemon = self._daemon, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(60)

    def stop_traefik(self) -> None:
        process, self._traefik = self._traefik, None
        if process is not None:
            process.terminate()
            process.wait(20)

    def containers(self, site: str = "", *, running: bool = False) -> list[dict[str, Any]]:
        """Rows of the engine's list."""
        labels = [f"shipstone.instance={self.instance}", *([f"shipstone.site={site}"] if site else [])]
        return list(self.api.containers(all=not running, filters={"label": labels}))

    def status(self) -> dict[str, Any]:
        done = self.shipstone("status", "--output", "json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {"sites": {}}

    def converged(self, revision: str = "") -> bool:
        """Every site as its newest commit says, and no pin left. The daemon's page is asked first: that costs less than a command, and what
        it says of a revision is the end of the matter."""
        told = self.page_status() if self._daemon else None
        if told is not None and revision:
            return at_rest(told, revision)
        return (told is None or at_rest(told, revision)) and at_rest(self.status(), revision)

    def page_status(self) -> dict[str, Any] | None:
        """What status says, as the daemon's newest pass saw it; None where its page does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/api/status", timeout=ANSWER) as answer:
                return dict(json.load(answer))
        except OSError:
            return None

    def told(self, site: str) -> dict[str, Any]:
        """What the daemon's page says of a site, which costs less than a command; nothing before it knows of it."""
        return dict((self.page_status() or {"sites": {}})["sites"].get(site, {}))

    def get(self, host: str, path: str = "/", *, tls: bool = False) -> tuple[int, str]:
        """(status, body) of one request through Traefik; (0, why) when there is no answer."""
        status, body, _ = self.ask(host, path, tls=tls)
        return status, body

    def ask(self, host: str, path: str = "/", *, tls: bool = False) -> tuple[int, str, Mapping[str, str]]:
        """(status, body, headers) of one request through Traefik; its certificate is not looked at."""
        where = f"https://127.0.0.1:{self.tls}" if tls else f"http://127.0.0.1:{self.web}"
        request = urllib.request.Request(f"{where}{path}", headers={"Host": host})  # noqa: S310  http or https
        try:
            with urllib.request.urlopen(request, timeout=ANSWER, context=ANY_CERTIFICATE) as answer:  # noqa: S310  from this host
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)
        except OSError as error:
            return 0, str(error), {}

    def close(self) -> None:
        """Take away what was made: processes, containers by id, the network."""
        for stop in (self.stop_daemon, self.stop_traefik):
            with contextlib.suppress(subprocess.TimeoutExpired):
                stop()
        try:
            take_away(self.api, self.instance, self.network)
        except LabError as error:
            warnings.warn(str(error), stacklevel=1)  # what was to be shown was shown
        self.api.close()
        self._ports.close()

    def detach(self) -> int:
        """Leave the daemon running when this process ends; its pid."""
        process, self._daemon = self._daemon, None
        return process.pid if process else 0


def give_certificate(folder: Path) -> None:
    """As docs/settings.md says to do for a Traefik of one's own: without one it makes a new key at each change."""
    key, certificate = folder / "default.key", folder / "default.crt"
    self_signed(key, certificate, "default")
    named = f'certFile = "{certificate}"\nkeyFile = "{key}"\n'
    (folder / "default.toml").write_text(f"[tls.stores.default.defaultCertificate]\n{named}")


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler for that signal."""
    with contextlib.suppress(OSError):
        caught = re.search(r"^SigCgt:\t([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
    return False


def at_rest(status: Mapping[str, Any], revision: str) -> bool:
    """Every site as its newest commit says; that commit is `revision`, where one is named."""
    sites = status["sites"].values()
    right = all(site["sync"] == "synced" and site["health"] == "healthy" for site in sites)
    return bool(sites) and right and (not revision or status["revision"] == revision)


def take_away(api: docker.APIClient, instance: str, network: str) -> None:
    """Containers of an instance and its Traefik, by id, and the network that it made."""

    def gone() -> bool:
        labels = f"shipstone.instance={instance}", f"shipstone.traefik={instance}"
        rows = [row for label in labels for row in api.containers(all=True, filters={"label": label})]
        for row in rows:
            with contextlib.suppress(docker.errors.APIError):  # it goes already
                api.remove_container(row["Id"], force=True)
        return not rows

    until(gone, "its containers are gone", 20)
    remove_network(api, instance, network)


def remove_network(api: docker.APIClient, instance: str, name: str) -> None:
    """Where the instance made it. An engine lets go of a container that it removed a moment later; some it never lets go of, and then
    LabError says whom."""
    left: list[str] = []

    def gone() -> bool:
        rows = [row for row in api.networks(names=[name]) if (row.get("Labels") or {}).get("shipstone.network") == instance]
        for row in rows:
            try:
                api.remove_network(row["Id"])
            except docker.errors.APIError as error:
                left[:] = str(error.explanation), *_put_out(api, row["Id"])
        return not rows

    try:
        until(gone, f"the network {name} is gone", 5)
    except TimeoutError:
        raise LabError(
            f"cannot remove the network {name}: {'; '.join(left)}. `docker network rm {name}` after the engine's next start."
        ) from None


def _put_out(api: docker.APIClient, network: str) -> list[str]:
    """Whoever is still in a network leaves it; their names."""
    names: list[str] = []
    with contextlib.suppress(docker.errors.APIError):  # it went
        for row in api.inspect_network(network)["Containers"].values():
            names.append(row["Name"])
            with contextlib.suppress(docker.errors.APIError):
                api.disconnect_container_from_network(row["Name"], network, force=True)
    return names


@contextlib.contextmanager
def a_host(folder: Path, engine: str, instance: str, **options: Any) -> Iterator[Host]:
    host = Host(folder, engine, instance, **options)
    try:
        yield host
    except BaseException as error:
        error.add_note("the end of the daemon's log:\n" + host.tail())
        raise
    finally:
        host.close()
