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
