"""A registry that wants a password: the credential of the settings, of Docker's configuration, of its helper, and none."""

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from lab.registry import Registry, a_registry

from reconciler.errors import EngineError
from reconciler.images import Images
from reconciler.world.docker import DockerEngine
from reconciler.world.registry_logins import Login, Logins
from tests.scenarios.test_images import nothing

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("registry")]

PASSWORD = "s3cret-of-the-registry"  # noqa: S105  planted
WRONG = "another-s3cret"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with a_registry(tmp_path_factory.mktemp("registry") / "r", "ada", PASSWORD) as made:
        yield made


@pytest.fixture
def image(registry: Registry, docker_socket: str, abrupt_image: str) -> Iterator[str]:
    """In the registry, and not on the engine."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    name = f"{registry.name}/team/app"
    api.tag(abrupt_image, name, "1")
    said = api.push(name, tag="1", auth_config={"username": registry.username, "password": registry.password})
    assert "error" not in said, said
    api.remove_image(f"{name}:1")
    yield f"{name}:1"
    with contextlib.suppress(docker.errors.ImageNotFound):
        api.remove_image(f"{name}:1")
    api.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Docker's configuration lies; nothing is there yet."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_an_image_that_is_pulled_is_looked_at_for_labels_of_its_own(registry: Registry, docker_socket: str) -> None:
    """With these it would route, or be another site's."""
    name, login = f"{registry.name}/team/routes", {"username": registry.username, "password": registry.password}
    with contextlib.closing(docker.APIClient(base_url=docker_socket, version="auto")) as api:
        api.import_image_from_data(nothing(), repository=name, tag="1", changes=['LABEL Traefik.enable="true"'])
        assert "error" not in api.push(name, tag="1", auth_config=login)
        api.remove_image(f"{name}:1")
        engine = DockerEngine(docker_socket, "t", "t_net", str, logins=Logins({registry.name: Login(**login)}))
        with pytest.raises(EngineError, match=f"cannot run {name}:1: the image itself has the label Traefik.enable. Build it without"):
            Images(engine, time.monotonic, 30).resolve(f"{name}:1")
        assert api.images(name), "it was pulled"
        api.remove_image(api.images(name)[0]["Id"])


def refused(socket: str, image: str, logins: Logins) -> str:
    with pytest.raises(EngineError) as error:
        DockerEngine(socket, "t", "t_net", str, logins=logins).resolve(image, timeout=30)
    assert PASSWORD not in str(error.value)
    assert WRONG not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def pulled(socket: str, image: str, logins: Logins) -> bool:
    return "@sha256:" in DockerEngine(socket, "t", "t_net", str, logins=logins).resolve(image, timeout=30)


def write_auths(home: Path, registry: Registry, password: str) -> None:
    auth = base64.b64encode(f"{registry.username}:{password}".encode()).decode()
    (home / "config.json").write_text(json.dumps({"auths": {registry.name: {"auth": auth}}}))


def test_without_a_credential(registry: Registry, image: str, docker_socket: str, home: Path) -> None:
    said = refused(docker_socket, image, Logins({}))
    assert said.startswith(f"cannot pull {image}: ")
    where = f'[registries."{registry.name}"] or ~/.docker/config.json'
    assert said.endswith(f"It was asked without a credential: there is none for {registry.name} in {where}.")
    assert os.environ["DOCKER_CONFIG"] == str(home)


def test_of_the_settings(registry: Registry, image: str, docker_socket: str, home: Path) -> None:
    """They count more than what Docker's configuration has."""
    write_auths(home, registry, WRONG)
    wrong = Logins({registry.name: Login("ada", WRONG)})
    assert f'It was asked as ada of [registries."{registry.name}"].' in refused(docker_socket, image, wrong)
    assert pulled(docker_socket, image, Logins({registry.name: Login("ada", PASSWORD)}))


def test_of_dockers_configuration_which_is_read_anew_each_time(registry: Registry, image: str, docker_socket: str, home: Path) -> None:
    write_auths(home, registry, WRONG)
    assert f"It was asked as ada of {home / 'config.json'}." in refused(
        docker_socket, image, Logins({"other.example.com": Login("x", "y")})
    )
    write_auths(home, registry, PASSWORD)
    assert pulled(docker_socket, image, Logins({}))


def test_of_a_credential_helper(registry: Registry, image: str, docker_socket: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.json").write_text(json.dumps({"credHelpers": {registry.name: "lab"}}))
    assert "credential of" in refused(docker_socket, image, Logins({}))
    helper = home / "docker-credential-lab"
    answer = json.dumps({"ServerURL": registry.name, "Username": "ada", "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    assert pulled(docker_socket, image, Logins({}))


def test_a_login_does_not_print_its_password() -> None:
    assert PASSWORD not in f"{Login('ada', PASSWORD)!r} {Logins({'r': Login('ada', PASSWORD)})!r}"
