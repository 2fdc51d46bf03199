"""An image whose own labels would route its containers, or name them otherwise, is refused before one is made."""

import pytest

from reconciler.errors import EngineError
from reconciler.images import Images
from reconciler.world.memory import Behaviour, MemoryEngine


def resolved(**labels: str) -> str:
    engine = MemoryEngine("t", "t_net")
    engine.images["app:1"] = Behaviour(labels=tuple(labels.items()))
    return Images(engine, lambda: 0.0, 10).resolve("app:1")


@pytest.mark.parametrize("label", ["traefik.enable", "Traefik.HTTP.routers.x.rule", "shipstone.site", "SHIPSTONE.instance"])
def test_a_reserved_label_is_named(label: str) -> None:
    with pytest.raises(EngineError) as error:
        resolved(**{label: "x", "maintainer": "Ada"})
    assert str(error.value) == f"cannot run app:1: the image itself has the label {label}. Build it without traefik.* and shipstone.*."


@pytest.mark.parametrize("label", ["traefikish", "com.example.traefik.enable", "org.opencontainers.image.title"])
def test_any_other_is_the_images_own_business(label: str) -> None:
    assert resolved(**{label: "x"}) == "sha256:app:1"
