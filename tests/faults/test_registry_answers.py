"""Faults: a registry that answers 429, that is slow, whose tag moves in mid-rollout. Its site waits while it serves on, and others go live;
a release keeps the exact image that it was begun with."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest
from lab.host import Host, a_host, until
from lab.load import Load
from lab.registry import Registry, a_registry

from tests.faults.busy_registry import BusyRegistry, a_busy_registry

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("registry-answers")]

TIMES = "stop_grace_period: 1s\nrollout: {min_healthy: 200ms, drain: 200ms, deadline: 60s}\n"


@dataclass
class Pulled:
    """A site, shop, whose image comes from a registry through `front`, and another one, whose image is here."""

    host: Host
    front: BusyRegistry
    registry: Registry
    image: str

    @property
    def name(self) -> str:
        return f"shop.{self.host.domain}"

    def push(self, tag: str, answer: str) -> None:
        """An image that answers so, under this tag in the registry, and not on the engine."""
        api, repository = self.host.api, f"{self.registry.name}/team/app"
        base = api.create_container(self.image)["Id"]
        api.commit(base, repository=repository, tag=tag, changes=f"ENV V={answer}")
        api.remove_container(base)
        login = {"username": self.registry.username, "password": self.registry.password}
        said = api.push(repository, tag=tag, auth_config=login)
        assert "error" not in said, said
        api.remove_image(f"{repository}:{tag}")

    def site(self, tag: str, *, replicas: int = 1, boot: int = 100) -> str:
        image = f"{self.front.name}/team/app:{tag}"
        return f"image: {image}\nport: 80\nreplicas: {replicas}\nenvironment: {{BOOT_MS: '{boot}', WORK_MS: '5'}}\n{TIMES}"

    def other(self, answer: str) -> str:
        return f"image: {self.image}\nport: 80\nenvironment: {{V: {answer}, BOOT_MS: '100'}}\n{TIMES}"

    def other_goes_live(self, answer: str) -> str:
        """By a commit of its own; that commit."""
        commit = self.host.repository.commit({"sites/other.yaml": self.other(answer)}, answer)
        until(lambda: self.host.get(f"other.{self.host.domain}") == (200, answer), "the other site is live", 20)
        return commit

    def images(self) -> dict[str, str]:
        """Container → the exact image that it was made of."""
        return {row["Id"]: row["Labels"]["shipstone.digest"] for row in self.host.containers("shop")}


@pytest.fixture(autouse=True)
def quiet(pulled: Pulled) -> Iterator[None]:
    """The next test finds a registry that answers."""
    yield
    pulled.front.busy, pulled.front.rate = False, 0


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Pulled]:
    folder, instance = tmp_path_factory.mktemp("pulled"), f"t{uuid.uuid4().hex[:8]}"
    with (
        a_registry(folder / "registry", "ada", uuid.uuid4().hex) as registry,
        a_busy_registry(registry) as front,
        a_host(folder / "host", docker_socket, instance, poll="5s", told=True) as host,
    ):
        made = Pulled(host, front, registry, abrupt_image)
        made.push("1", "one")
        files = {"shipstone.yaml": f"domain: {host.domain}\n", "sites/shop.yaml": made.site("1"), "sites/other.yaml": made.other("first")}
        commit = host.repository.commit(files, "create")
        host.start_traefik()
        host.start_daemon(SHIPSTONE_ENGINE__PARALLEL="1")
        until(lambda: host.converged(commit), "both run", 60)
        yield made
        host.close()
        api = docker.APIClient(base_url=docker_socket, version="auto")
        for row in api.images(f"{front.name}/team/app"):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_image(row["Id"], force=True)
        api.close()


def test_a_registry_that_answers_429_is_asked_again_later(pulled: Pulled) -> None:
    host, front, before = pulled.host, pulled.front, pulled.images()
    pulled.push("2", "two")
    with Load(host.web, pulled.name, clients=4, pause=0.05) as load:
        front.busy = True
        host.repository.commit({"sites/shop.yaml": pulled.site("2")}, "an image that cannot be had now")
        why = f"cannot pull {front.name}/team/app:2: "
        until(lambda: [row for row in host.log() if str(row.get("event")).startswith(why)], "the error names the image", 30)
        pulled.other_goes_live("while the registry refuses")
        refused = front.refused
        until(lambda: front.refused > refused, "it is asked again", 30)
        site = host.status()["sites"]["shop"]
        assert (site["sync"], pulled.images()) == ("out-of-sync", before)
        assert site["message"] == f"{why}toomanyrequests: You have reached your pull rate limit."
        front.busy = False
        until(lambda: host.get(pulled.name) == (200, "two"), "its commit is live, without a word of anybody", 90)
        until(host.converged, "all is as it should be", 40)
    assert load.seen.lost == []


def test_a_registry_that_is_slow_holds_up_nobody_else(pulled: Pulled) -> None:
    host, front, before = pulled.host, pulled.front, pulled.images()
    pulled.push("3", "three")
    with Load(host.web, pulled.name, clients=4, pause=0.05) as load:
        front.rate = 20
        host.repository.commit({"sites/shop.yaml": pulled.site("3")}, "a slow image")
        until(lambda: front.answering, "it is being pulled", 30)
        commit = pulled.other_goes_live("while the registry is slow")
        assert front.answering
        assert pulled.images() == before
        front.rate = 0
        until(lambda: host.converged(commit), "all is as it should be", 60)
    assert load.seen.lost == []
    assert host.get(pulled.name) == (200, "three")


def test_a_tag_that_moves_in_mid_rollout_moves_no_release(pulled: Pulled) -> None:
    """Not even when the new image comes to the host by a hand, nor for a replica that joins; a restart asks for it."""
    host, front = pulled.host, pulled.front
    pulled.push("4", "four")
    with Load(host.web, pulled.name, clients=4, pause=0.05) as load:
        host.repository.commit({"sites/shop.yaml": pulled.site("4", replicas=2, boot=2500)}, "it starts slowly")
        until(lambda: len(host.containers("shop", running=True)) > 1, "the new release is being started", 30)
        pulled.push("4", "moved")
        host.api.pull(f"{front.name}/team/app", tag="4")
        until(host.converged, "as the commit says", 60)
        first = pulled.images()
        assert (len(first), len(set(first.values())), host.get(pulled.name)) == (2, 1, (200, "four"))
        commit = host.repository.commit({"sites/shop.yaml": pulled.site("4", replicas=3, boot=2500)}, "one more")
        until(lambda: host.converged(commit), "it joined", 60)
        assert set(pulled.images().values()) == set(first.values())
        assert first.keys() < pulled.images().keys()
        assert load.seen.answers[200, "moved"] == 0
        host.shipstone("restart", "shop", check=True)
        until(lambda: host.get(pulled.name) == (200, "moved"), "restarted, it is the image of now", 60)
        until(host.converged, "and at rest", 40)
    assert load.seen.lost == []
    assert set(pulled.images().values()).isdisjoint(first.values())
