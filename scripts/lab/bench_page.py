"""scripts/bench page: how soon a browser paints the page of 200 sites, asked from loopback, and what making it costs."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from lab.bench_row import Row, timed
from lab.browser import Browser, a_browser
from lab.page import Served, a_page, fleet, remember, tell

SITES, BAR = 200, 300.0
PAINT = """
const done = arguments[arguments.length - 1];
const told = () => {
  const [one] = performance.getEntriesByName("first-contentful-paint");
  if (one) done(one.startTime); else setTimeout(told, 5);
};
told();
"""


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Milliseconds, medians. The first paint is Chromium's own first-contentful-paint, counted from the click."""
    with a_page(folder) as served, a_browser(folder / "chromium") as browser:
        tell(served.latest, fleet(SITES), problems=True)
        remember(served.store, time.time())
        browser.screen(1280, 900)
        paints = [paint(browser, served) for _ in range(rounds + 1)][1:]
        yield Row(f"page: first paint of {SITES} sites", statistics.median(paints), BAR, "ms", f"slowest {max(paints):.0f} ms of {rounds}")
        with httpx.Client(base_url=served.url) as client:
            size = len(client.get("/").content)
            made = statistics.median(timed(lambda: client.get("/")) for _ in range(rounds)) * 1000
        yield Row("page: the answer itself", made, BAR, "ms", f"{size / 1024:.0f} KiB")


def paint(browser: Browser, served: Served) -> float:
    """From an empty page, nothing cached."""
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.driver.get(served.url)
    return float(browser.driver.execute_async_script(PAINT))
