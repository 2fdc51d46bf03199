"""What an image brings with it."""

import io
import tarfile

import pytest
from lab.host import Host, until
from lab.images import ABRUPT

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def test_an_image_that_routes_itself_is_refused(host: Host, site_text: SiteText, instance: str) -> None:
    """Labels of an image merge into its containers'; such a release never starts, and the old one serves on."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    image = f"shipstone-test/{instance}:1"
    host.api.import_image_from_data(
        empty.getvalue(), repository=f"shipstone-test/{instance}", tag="1", changes=["LABEL traefik.enable=true"]
    )
    try:
        first = host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
        host.start_daemon()
        until(lambda: host.converged(first), "the site runs", 40)
        host.repository.commit({"sites/shop.yaml": site_text("two").replace(ABRUPT, image)}, "an image with labels")
        until(lambda: any("has the label traefik.enable" in str(row) for row in host.log()), "the refusal in the log", 30)
        assert host.get("shop.test.local") == (200, "one")
        assert len(host.containers("shop")) == 1
    finally:
        host.api.remove_image(image)


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
