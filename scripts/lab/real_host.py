"""A whole Debian host in a container: systemd as PID 1, a Docker Engine and an ssh server of its own, and Shipstone installed from a
wheel as an administrator does it."""

import contextlib
import hashlib
import io
import json
import os
import platform
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker

from lab.engine import LabError, lab_lock, need
from lab.host import until
from lab.images import TRAEFIK, have, make_traefik, provide
from lab.modern_engine import CACHE
from lab.network import run

ROOT = Path(__file__).parents[2]
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian 12 has systemd 252 and Docker 20.10, Debian 13 has systemd 257 and Docker 26.1; each its own Python."""
PACKAGES = (
    "systemd,systemd-sysv,dbus,libnss-systemd,python3,python3-venv,git,openssh-client,openssh-server,docker.io,iptables,iproute2,"
    "ca-certificates,curl"
)
PROGRAM = "/opt/shipstone/bin/shipstone"
INIT = """
for controller in /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$controller" 2>/dev/null; done
for file in hosts hostname resolv.conf; do umount /etc/$file 2>/dev/null; done
[ -s /etc/hosts ] || printf '127.0.0.1 localhost\\n::1 localhost\\n' > /etc/hosts
[ -s /etc/hostname ] || echo host > /etc/hostname
mount --make-rshared /
chmod 644 /etc/hosts
exec /sbin/init
"""
"""What Docker mounts over these files cannot be renamed over, which a host's own files can. Credentials need mounts that are shared."""
GIT = "/srv/desired.git"


class RealHost:
    """`run` is a root shell on it. Nothing of it reaches the machine outside but through Docker."""

    def __init__(self, api: docker.APIClient, container: str, suite: str) -> None:
        self._api, self._id, self.suite = api, container, suite

    def run(self, script: str, *, check: bool = True, user: str = "root") -> str:
        """What a shell script printed, both streams; LabError where it failed."""
        code, text = self.tried(script, user=user)
        if check and code:
            raise LabError(f"on the host, `{script}` ended with {code}: {text}")
        return text

    def tried(self, script: str, *, user: str = "root") -> tuple[int, str]:
        """(exit code, what it printed)."""
        made = self._api.exec_create(self._id, ["sh", "-c", script], user=user)["Id"]
        # exec_start() loses what comes together with the header of its answer: it asks for an upgrade, and reads below the buffer.
        answer = self._api._post_json(self._api._url("/exec/{0}/start", made), data={"Detach": False, "Tty": False}, stream=True)
        text = b"".join(self._api._multiplexed_response_stream_helper(answer)).decode("utf-8", "replace")
        return int(self._api.exec_inspect(made)["ExitCode"]), text.strip()

    def put(self, files: Mapping[str, str | bytes], folder: str = "/", mode: int = 0o644) -> None:
        """Files by path below `folder`, as root's."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), mode
                tar.addfile(member, io.BytesIO(data))
        self._api.put_archive(self._id, folder, packed.getvalue())

    def put_folder(self, local: Path, folder: str) -> None:
        """A folder's files into one of the host's, which is made."""
        self.run(f"mkdir -p {folder}")
        with tempfile.TemporaryFile() as packed:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                for path in sorted(local.iterdir()):
                    tar.add(path, path.name)
            packed.seek(0)
            self._api.put_archive(self._id, folder, packed)

    def load_image(self, image: str) -> None:
        """An image of the engine outside into the host's own."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            for chunk in self._api.get_image(image):
                file.write(chunk)
            file.flush()
            with tempfile.TemporaryFile() as packed:
                with tarfile.open(fileobj=packed, mode="w") as tar:
                    tar.add(file.name, "image.tar")
                packed.seek(0)
                self._api.put_archive(self._id, "/root", packed)
        self.run("docker load --quiet --input /root/image.tar && rm /root/image.tar")

    def booted(self) -> None:
        """Until systemd has started what starts with the host, and the engine answers."""
        until(lambda: self.tried("systemctl is-system-running")[1] in ("running", "degraded"), "the host is up", 60)
        until(lambda: self.tried("docker info")[0] == 0, "its engine answers", 60)

    def reboot(self) -> None:
        """Everything ends as at a power-off, and the host starts anew. What was running in memory is gone."""
        self._api.restart(self._id, timeout=60)
        self.booted()

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """What systemd says of a unit."""
        text = self.run(f"systemctl show {name} --property={','.join(properties)}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def get(self, host: str, path: str = "/") -> str:
        """The body of one request by the site's name, as any program on the host makes it; empty where there is no good answer."""
        code, text = self.tried(f"curl --silent --fail --max-time 5 http://{host}{path}")
        return text if code == 0 else ""

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Into the git repository that the ssh server gives out; the commit."""
        self.put({f"srv/work/{name}": text for name, text in files.items()})
        self.run(
            f"cd /srv/work && git add --all && git -c user.name=Ada -c user.email=ada@example.org commit --quiet -m {shlex.quote(message)}"
            f" && git push --quiet {GIT} HEAD:main"
        )
        return self.run("git -C /srv/work rev-parse HEAD")

    def status(self) -> dict[str, Any]:
        code, text = self.tried("shipstone status --output json")
        return dict(json.loads(text)) if code == 0 else {"sites": {}}


def wheels(python: str) -> Path:
    """A folder with the wheels of all that Shipstone needs, for a version of Python; fetched once for each lock file."""
    lock = ROOT / "requirements.lock"
    key = hashlib.sha256(lock.read_bytes() + python.encode()).hexdigest()[:12]
    folder = CACHE / f"wheels-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with lab_lock(CACHE):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="wheels-", dir=CACHE) as fresh:
                kinds = [f"--platform=manylinux{kind}_{platform.machine()}" for kind in ("2014", "_2_17", "_2_28", "_2_34")]
                exact = ["--require-hashes", "--only-binary=:all:", "--no-deps", f"--python-version={python}", *kinds]
                run(sys.executable, "-m", "pip", "--quiet", "download", *exact, "--dest", f"{fresh}/wheels", "--requirement", str(lock))
                Path(fresh, "wheels").rename(folder)
    return folder


def build_wheel(folder: Path, *, epoch: str = "", root: Path = ROOT) -> Path:
    """The checkout at `root` as a wheel in `folder`."""
    command = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(root)]
    environment = {**os.environ, **({"SOURCE_DATE_EPOCH": epoch} if epoch else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise LabError(f"cannot build the wheel: {done.stderr.strip().splitlines()[-1:]}")
    (made,) = folder.glob("shipstone-*.whl")
    return made


def image_of(suite: str) -> str:
    return f"shipstone-test/host-{suite}:1"


def make_host_image(api: docker.APIClient, suite: str) -> None:
    """Debian with systemd, Docker, git, ssh and Python, about 500 MB; a minute or two."""
    with tempfile.TemporaryDirectory(prefix="host-", dir=CACHE) as folder:
        tar, more = f"{folder}/root.tar", "" if suite == "bookworm" else ",docker-cli"
        run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}{more}", suite, tar)
        name, _, tag = image_of(suite).partition(":")
        api.import_image_from_file(tar, repository=name, tag=tag)


@contextlib.contextmanager
def a_real_host(socket: str, name: str, suite: str = "bookworm") -> Iterator[RealHost]:
    """Booted, with its engine and the images that sites need; taken away with its volume."""
    need("mmdebstrap")
    api = docker.APIClient(base_url=socket, version="auto", timeout=900)
    CACHE.mkdir(parents=True, exist_ok=True)
    with lab_lock(CACHE):
        if not have(api, image_of(suite)):
            make_host_image(api, suite)
    provide(api, TRAEFIK, make_traefik)
    made = api.create_container_from_config(_config(suite), name=name)["Id"]
    try:
        api.start(made)
        host = RealHost(api, made, suite)
        host.booted()
        host.load_image(TRAEFIK)
        yield host
    finally:
        api.remove_container(made, force=True, v=True)
        api.close()


def _config(suite: str) -> dict[str, Any]:
    """As lab machines need it: every capability but SYS_RESOURCE, which is missing where the tests may run."""
    return {
        "Image": image_of(suite),
        "Cmd": ["sh", "-c", INIT],
        "Hostname": "host",
        "StopSignal": "SIGRTMIN+3",
        "Volumes": {"/var/lib/docker": {}},
        "Env": ["container=docker"],
        "HostConfig": {
            "CgroupnsMode": "private",
            "CapAdd": ["ALL"],
            "CapDrop": ["SYS_RESOURCE"],
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
            "DeviceCgroupRules": ["a *:* rwm"],
            "Tmpfs": {"/run": "exec", "/run/lock": "", "/tmp": "exec"},  # noqa: S108
        },
    }
