"""Makes the pictures of docs/page.md: PYTHONPATH=scripts .venv/bin/python -m lab.screenshots"""

import tempfile
import time
from pathlib import Path

from lab.browser import a_browser
from lab.host import until
from lab.page import a_page, fleet, remember, tell

DOCS = Path(__file__).parents[2] / "docs"
DESK, PHONE = (1040, 700), (390, 844)


def main() -> None:
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        a_page(Path(folder)) as served,
        a_browser(Path(folder, "chromium")) as browser,
    ):
        remember(served.store, time.time())
        tell(served.latest, fleet(10), problems=True)
        for name, size, dark in (("page.png", DESK, False), ("page-dark.png", DESK, True), ("page-phone.png", PHONE, False)):
            browser.screen(*size, dark=dark)
            browser.open(served.url)
            until(lambda: "live" in browser.text(), "the page is live")
            browser.driver.save_screenshot(str(DOCS / name))


if __name__ == "__main__":
    main()
