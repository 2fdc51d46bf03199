"""What an image brings with it."""

import io
import tarfile

import pytest
from lab.host import Host, until
from lab.images import ABRUPT

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


RESERVED = {
    "traefik.enable": "true",
    "traefik.http.routers.bank.rule": "Host(`bank.test.local`)",
    "Traefik.HTTP.middlewares.x.redirectregex.regex": ".*",
    "shipstone.site": "other",
    "shipstone.instance": "other",
}
"""Labels of an image merge into its containers': with these it would route, or be another site's."""


def test_an_image_that_routes_or_names_itself_is_refused(host: Host, site_text: SiteText, instance: str) -> None:
    """Such a release never starts, though the name is one that runs already and whose image was exchanged; the old one serves on."""
    name = f"shipstone-test/{instance}"
    host.api.tag(ABRUPT, name, "1")
    try:
        first = host.repository.commit({"sites/shop.yaml": site_text("one").replace(ABRUPT, f"{name}:1")}, "create")
        host.start_daemon()
        until(lambda: host.converged(first), "the site runs", 40)
        before = [row["Id"] for row in host.containers("shop")]
        for number, (label, value) in enumerate(RESERVED.items()):
            host.api.remove_image(f"{name}:1", noprune=True)
            host.api.import_image_from_data(nothing(), repository=name, tag="1", changes=[f'LABEL {label}="{value}"'])
            host.repository.commit({"sites/shop.yaml": site_text(f"n{number}").replace(ABRUPT, f"{name}:1")}, "the same name")
            refused = f"cannot run {name}:1: the image itself has the label {label}. Build it without"
            until(lambda why=refused: any(why in str(row) for row in host.log()), f"{label} is refused", 30)
        assert host.get("shop.test.local") == (200, "one")
        assert [row["Id"] for row in host.containers()] == before
        assert host.get("bank.test.local")[0] == 404
        assert "the image itself has the label" in host.status()["sites"]["shop"]["message"]
    finally:
        host.stop_daemon()
        for row in host.containers("shop"):
            host.api.remove_container(row["Id"], force=True)
        host.api.remove_image(f"{name}:1")


def nothing() -> bytes:
    """A root without files."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    return empty.getvalue()


def test_an_anonymous_volume_of_an_image_outlives_its_container(host: Host, site_text: SiteText, instance: str) -> None:
    """What is in it may be the only copy of something; see docs/decisions/0006."""
    half_made = host.api.create_container(ABRUPT)["Id"]
    image = f"shipstone-test/{instance}:volume"
    host.api.commit(half_made, repository=f"shipstone-test/{instance}", tag="volume", changes="VOLUME /data")
    host.api.remove_container(half_made)
    left: list[str] = []
    try:
        first = host.repository.commit({"sites/shop.yaml": site_text("one").replace(ABRUPT, image)}, "create")
        host.start_daemon()
        until(lambda: host.converged(first), "the site runs", 40)
        left += volumes(host)
        assert len(left) == 1
        second = host.repository.commit({"sites/shop.yaml": site_text("two").replace(ABRUPT, image)}, "replace")
        until(lambda: host.converged(second), "the next release runs alone", 40)
        left += volumes(host)
        assert host.api.inspect_volume(left[0])["Name"] == left[0]
    finally:
        host.stop_daemon()
        for row in host.containers("shop"):
            host.api.remove_container(row["Id"], force=True)
        for name in dict.fromkeys(left):
            host.api.remove_volume(name)
        host.api.remove_image(image)


def volumes(host: Host) -> list[str]:
    (row,) = host.containers("shop")
    return [mount["Name"] for mount in host.api.inspect_container(row["Id"])["Mounts"] if mount["Type"] == "volume"]
