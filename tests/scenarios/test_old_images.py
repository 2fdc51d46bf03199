"""Images of old releases, on a real engine: our own and unused ones go, every other stays."""

import contextlib
from collections.abc import Iterator

import docker
import pytest
from lab.host import Host, until
from lab.images import have, make_image

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def images(host: Host, abrupt_image: str) -> Iterator[dict[str, str]]:
    """Six images of this test's own, a to f."""
    names = {letter: f"{host.instance}/{letter}:1" for letter in "abcdef"}
    for name in names.values():
        make_image(host.api, abrupt_image, name)
    others = [f"{host.instance}/kept:1"]
    host.api.tag(names["b"], *others[0].split(":"))
    yield names
    for name in [*names.values(), *others]:
        with contextlib.suppress(docker.errors.ImageNotFound):
            host.api.remove_image(name, force=True)


def test_images_of_old_releases_go_when_nobody_needs_them(
    host: Host, site_text: SiteText, images: dict[str, str], abrupt_image: str
) -> None:
    """Of four that are too old one has another name, one is used by a container of somebody else, one is wanted by another site."""
    host.config.write_text(host.config.read_text().replace("[engine]", "[engine]\nkeep_images = 2"))
    plain = site_text("one", boot=0)

    def using(*letters: str) -> str:
        return plain + "services:\n" + "".join(f"  {letter}: {{image: '{images[letter]}'}}\n" for letter in letters)

    def gone() -> set[str]:
        return {letter for letter, name in images.items() if not have(host.api, name)}

    foreign = host.api.create_container(images["c"])["Id"]
    try:
        other = plain.replace(abrupt_image, images["d"])
        host.repository.commit({"sites/shop.yaml": using("a", "b", "c", "d"), "sites/blog.yaml": other}, "one")
        host.shipstone("apply", check=True)
        first = str(host.status()["sites"]["shop"]["release"])
        for n, letter in enumerate("ef"):
            assert all(have(host.api, name) for name in images.values()), f"nothing is old after {n + 1} releases"
            host.repository.commit({"sites/shop.yaml": using(letter)}, letter)
            host.shipstone("apply", check=True)
        until(lambda: gone() == {"a"}, "the one that nobody needs is gone", 20)
    finally:
        host.api.remove_container(foreign)
    host.shipstone("apply", check=True)
    until(lambda: gone() == {"a", "c"}, "so is the one that was used", 20)
    done = host.shipstone("rollback", "shop", first)
    assert (done.returncode, done.stderr.partition(" Kept: ")[0]) == (1, f"cannot roll back shop: {first} is not kept.")
