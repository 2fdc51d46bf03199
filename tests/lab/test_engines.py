"""Engines of the tests' own: which worker has which, and what one has from another."""

import uuid
from contextlib import closing
from typing import Any

import docker
import pytest
from lab.engines import ENGINES, engine_of, engines, urls
from lab.images import make_image, provide


def client(url: str) -> Any:
    return docker.APIClient(base_url=url, version="auto", timeout=120)


@pytest.mark.docker
def test_the_one_that_is_asked_for_is_the_only_one(monkeypatch: pytest.MonkeyPatch, docker_socket: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_socket)
    with engines(3) as there:
        assert there == [docker_socket]
    with closing(client(docker_socket)) as api:
        assert api.ping(), "it was not started here, so it is not stopped"


def test_each_worker_has_its_own_as_far_as_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES, "unix:///a unix:///b")
    assert [engine_of(worker) for worker in ("gw0", "gw1", "gw2", "")] == ["unix:///a", "unix:///b", "unix:///a", "unix:///a"]
    monkeypatch.delenv(ENGINES)
    assert engine_of("gw0") is None


@pytest.mark.docker
def test_an_image_that_another_one_has_is_not_made_again(docker_socket: str, abrupt_image: str) -> None:
    others = [url for url in urls() if url != docker_socket]
    if not others:
        pytest.skip("scripts/test started one engine")
    name = f"shipstone-test/copied-{uuid.uuid4().hex[:8]}:1"

    def make(_api: docker.APIClient) -> None:
        raise AssertionError("it is made, though it is there")

    with closing(client(docker_socket)) as mine, closing(client(others[0])) as other:
        made = make_image(mine, abrupt_image, name)
        try:
            assert provide(other, name, make) == "copied"
            assert other.inspect_image(name)["Id"] == made
        finally:
            mine.remove_image(name)
            other.remove_image(name)
