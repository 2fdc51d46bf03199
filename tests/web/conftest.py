"""One Chromium for all tests of the page, and a page for each."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.browser import Browser, a_browser
from lab.page import Served, a_page, remember

from tests.web.looking import DESK, TOKEN


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """On a desk, with no page of another test."""
    chromium.driver.get("about:blank")
    chromium.driver.delete_all_cookies()
    chromium.complaints()
    chromium.screen(*DESK)
    yield chromium
    chromium.driver.get("about:blank")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with a_page(tmp_path, TOKEN) as page:
        remember(page.store, time.time())
        yield page
