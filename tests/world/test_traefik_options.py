"""Every option of a middleware that a site may write is one that the real Traefik knows: else it drops the container in silence."""

import types
import typing
from pathlib import Path

import pytest
from lab.host import a_host, until

from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.middlewares import GUARDED, KINDS, Middleware, flat
from reconciler.desired.model import Model
from reconciler.desired.policy import Policy, Rules
from reconciler.desired.release import release_name
from reconciler.desired.spec import ContainerSpec, NewContainer, Route
from reconciler.desired.spec import Middleware as Written
from reconciler.planning.labels import container_labels
from reconciler.world.docker import DockerEngine

pytestmark = pytest.mark.docker

OPEN = Rules(Policy(middlewares=GUARDED))


def sample(model: type[Model]) -> dict[str, object]:
    """A value for every option, as a person writes it: 1s is a text, a time and no number."""
    return {name: value(field.annotation) for name, field in model.model_fields.items()}


def value(takes: object) -> object:
    if isinstance(takes, type) and issubclass(takes, Model):
        return sample(takes)
    origin = typing.get_origin(takes) or takes
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return value(typing.get_args(takes)[0])
    return {bool: "true", int: "1", str: "1s", list: ["a:$apr1$b:c", "d:$apr1$e:f"], dict: {"X-A": "1"}}[origin]  # type: ignore[index]


def test_traefik_knows_every_option(tmp_path: Path, docker_socket: str, abrupt_image: str, instance: str) -> None:
    rows = [{kind.__name__: sample(kind)} for kind in KINDS] + [{"compress": {}}, {"plugin": {"one": {"two": "3"}}}]
    written = tuple(Written(*flat(Middleware.model_validate(row, context=OPEN))) for row in rows)
    assert len(written) == len(KINDS) + 2
    with a_host(tmp_path, docker_socket, instance) as host:
        engine = DockerEngine(docker_socket, instance, host.network, str)
        engine.ensure_network()
        host.repository.commit({"shipstone.yaml": "domain: test\n"}, "begin")
        host.start_traefik()
        spec = ContainerSpec(image=abrupt_image, port=80)
        service = DesiredService("web", spec)
        site = DesiredSite("shop", "0123456789", Route(("shop.test",), middlewares=written), (service,))
        labels = container_labels(instance, host.network, "web", site, service, 1, abrupt_image)
        engine.create_and_start(NewContainer(f"{instance}-shop", abrupt_image, spec, tuple(sorted(labels.items())), host.network))
        names = [f"{release_name(instance, 'shop', site.release)}-m{n}" for n in range(len(written))]
        until(lambda: host.traefik(f"http/middlewares/{names[0]}@docker"), "Traefik has read the container's labels", 15)
        for name, row in zip(names, written, strict=True):
            found = host.traefik(f"http/middlewares/{name}@docker")
            assert row.kind in found, row
