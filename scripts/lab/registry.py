"""An image registry on this host that wants a password."""

import contextlib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.engine import need
from lab.host import until
from lab.ports import Ports

CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "{name}"}}
auth: {{htpasswd: {{realm: lab, path: {folder}/users}}}}
"""


@dataclass(frozen=True)
class Registry:
    """`name` as images are written with; it takes `username` and `password` only."""

    name: str
    username: str
    password: str


@contextlib.contextmanager
def a_registry(folder: Path, username: str, password: str) -> Iterator[Registry]:
    """Debian's docker-registry, its images below `folder`."""
    need("docker-registry", "htpasswd")
    ports = Ports()
    name = f"127.0.0.1:{ports.take()}"
    folder.mkdir(parents=True)
    line = subprocess.run(["htpasswd", "-inB", username], input=password, capture_output=True, text=True, check=True).stdout
    (folder / "users").write_text(line)
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, name=name))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        until(lambda: _status(name) == 401, "the registry asks for a password", 20)
        yield Registry(name, username, password)
    finally:
        process.terminate()
        process.wait(20)
        ports.close()


def _status(name: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{name}/v2/", timeout=3) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
