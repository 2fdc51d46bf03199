"""A real engine for the tests that need one, with images of the tests' own."""

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import docker
import pytest
from lab.engine import an_engine
from lab.engines import engine_of
from lab.host import Host, a_host
from lab.images import ABRUPT, FAULTY, make_abrupt, make_faulty, provide
from lab.modern_engine import a_modern_engine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="kill the daemon ten times as often, try more hosts")


def pytest_configure() -> None:
    """Each worker has an engine of its own, where scripts/test started them."""
    if url := engine_of(os.environ.get("PYTEST_XDIST_WORKER", "")):
        os.environ["DOCKER_HOST"] = url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the daemon of a failed test said: a machine elsewhere shows nothing else."""
    report = yield
    fixtures = getattr(item, "funcargs", {}).values() if report.failed else ()
    shops = [getattr(each, "shop", each) for each in fixtures]
    hosts = [each for each in (getattr(shop, "host", shop) for shop in shops) if isinstance(each, Host)]
    report.sections += [("the end of the daemon's log", host.tail()) for host in hosts]
    return report


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """How much more than usual is asked of tests that draw lots or repeat."""
    return 10 if request.config.getoption("--soak") else 1


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """The URL of an engine that answers."""
    with an_engine() as engine:
        yield engine.socket


@pytest.fixture(scope="session")
def modern_socket() -> Iterator[str]:
    """The URL of an engine 26.1, beside the one that answers."""
    with a_modern_engine() as engine:
        yield engine.socket


@pytest.fixture(scope="session")
def abrupt_image(docker_socket: str) -> str:
    """A server that listens late ($BOOT_MS), answers $V and exits at once at SIGTERM."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, ABRUPT, make_abrupt)
    api.close()
    return ABRUPT


@pytest.fixture(scope="session")
def faulty_image(docker_socket: str) -> str:
    """The same server, and a program that makes it fail (tests/servers/faulty.c)."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, FAULTY, make_faulty)
    api.close()
    return FAULTY


@pytest.fixture
def instance() -> str:
    """A name that no other test has on the same engine."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def domain() -> str:
    """Of the sites of `host`. Its Traefik routes nothing else; who tests what others claim has a domain of its own."""
    return "test.local"


@pytest.fixture
def told() -> bool:
    """Whether the daemon of `host` is told of each commit. Where it is not it finds them by its poll, once a second."""
    return True


@pytest.fixture
def host(
    tmp_path: Path,
    docker_socket: str,
    abrupt_image: str,  # noqa: ARG001  it is to be there
    instance: str,
    domain: str,
    told: bool,
) -> Iterator[Host]:
    """An installation with a Traefik of its own, nothing deployed yet."""
    with a_host(tmp_path, docker_socket, instance, poll="5s" if told else "1s", told=told) as made:
        made.repository.commit({"shipstone.yaml": f"domain: {domain}\n"}, "begin")
        made.start_traefik()
        yield made


SiteText = Callable[..., str]


@pytest.fixture
def site_text(abrupt_image: str) -> SiteText:
    """A site's YAML whose answer is `version`."""

    def text(version: str, replicas: int = 1, boot: int = 300, extra: str = "") -> str:
        environment = f"{{V: {version}, BOOT_MS: '{boot}', WORK_MS: '5'}}"
        rollout = "rollout: {min_healthy: 500ms, drain: 500ms, deadline: 60s}"
        return (
            f"image: {abrupt_image}\nport: 80\nreplicas: {replicas}\nenvironment: {environment}\nstop_grace_period: 2s\n{rollout}\n{extra}"
        )

    return text
