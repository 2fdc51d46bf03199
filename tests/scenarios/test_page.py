"""The page of a real daemon: what it shows while it deploys, and that a word said there is heard at once."""

from pathlib import Path

import httpx
import pytest
from lab.browser import Browser, a_browser
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

TOKEN = "correct horse battery staple"  # noqa: S105  of this test


def stages(browser: Browser) -> list[list[str]]:
    """The words of each picture, the newest deploy first."""
    told = browser.run("return [...document.querySelectorAll('.deploys svg')].map((one) => one.getAttribute('aria-label'))")
    return [[part.split(" after ")[0] for part in text.split(", ")] for text in told]


def test_a_deploy_is_seen_as_it_goes_and_a_word_is_heard(host: Host, site_text: SiteText, tmp_path: Path) -> None:
    first = host.repository.commit({"sites/shop.yaml": site_text("one")}, "create the shop")
    host.start_daemon(SHIPSTONE_HTTP__TOKEN=TOKEN)
    page = f"http://127.0.0.1:{host.page}"
    with (
        httpx.Client(base_url=page, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60.0) as client,
        a_browser(tmp_path / "chromium") as browser,
    ):
        until(lambda: host.converged(first), "the first release runs", 60)
        browser.open(page)
        until(lambda: "create the shop" in browser.text(), "the commit")
        assert "shop.test.local" in browser.text()
        assert browser.run("return document.querySelector('.hosts a').href") == f"http://shop.test.local:{host.web}/"
        with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
            host.repository.commit({"sites/shop.yaml": site_text("two", boot=12_000)}, "a second shop")  # longer than the page may be blind
            until(lambda: "progressing" in browser.text(), "it moves, without loading again", 30)
            until(lambda: "a second shop" in browser.text() and "progressing" not in browser.text(), "at rest", 60)
        assert load.seen.lost == []
        browser.open(f"{page}/sites/shop")
        words = ["committed", "fetched", "started", "ready", "switched", "drained", "at rest"]
        until(lambda: stages(browser)[:1] == [words], "the deploy as a picture")
        assert len(stages(browser)) == 2

        assert client.post("/api/sites/shop/suspend").status_code == 202
        until(lambda: client.get("/api/status").json()["sites"]["shop"]["sync"] == "suspended", "heard", 20)
        until(lambda: "suspended" in browser.text(), "and shown")
        assert client.post("/api/sites/shop/resume").status_code == 202
        until(lambda: client.get("/api/status").json()["sites"]["shop"]["sync"] == "synced", "heard again", 20)
        kinds = {row["kind"] for row in client.get("/api/history", params={"site": "shop"}).json()["events"]}
        assert {"plan", "step", "rest", "said"} <= kinds
        assert browser.complaints() == []
        assert host.stop_daemon() == 0, "an open page does not hold the daemon up"
