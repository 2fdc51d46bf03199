"""One real host for all tests of this folder: they run in one worker, in the order of their files."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.images import ABRUPT
from lab.installed_host import set_up
from lab.real_host import PYTHONS, RealHost, a_real_host

PAGE = Path(__file__).parents[2] / "docs/install.md"


def steps() -> list[str]:
    """The shell blocks of docs/install.md, in their order: the program, the host, the repository, the start."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On Debian 12; with --soak on Debian 13 too."""
    if "suite" in metafunc.fixturenames:
        suites = list(PYTHONS) if metafunc.config.getoption("--soak") else ["bookworm"]
        metafunc.parametrize("suite", suites, scope="session")


@pytest.fixture(scope="session")
def bare_host(docker_socket: str, abrupt_image: str, suite: str) -> Iterator[RealHost]:  # noqa: ARG001  the image
    """Booted, and nothing of Shipstone on it yet."""
    with a_real_host(docker_socket, f"shipstone-host-{uuid.uuid4().hex[:8]}", suite) as host:
        host.load_image(ABRUPT)
        yield host


@pytest.fixture(scope="session")
def real_host(bare_host: RealHost) -> RealHost:
    """Installed by the commands of docs/install.md, and started."""
    set_up(bare_host, steps())
    return bare_host
