"""The screens as they were looked at, compared with stored pictures. CONTRIBUTING.md says how to renew them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab.browser import Browser
from lab.page import a_page, fleet, remember, tell
from lab.picture import Picture, in_boxes, picture_of

from reconciler.planning.describe import SitePlan
from tests.web.looking import DESK, opened

pytestmark = pytest.mark.xdist_group("browser")

NOW = 1_795_726_800.0
STORED = Path(__file__).parent / "screens"
SIZES = {"phone": (390, 844), "desk": DESK}
SCENES: dict[str, tuple[str, tuple[SitePlan, ...]]] = {
    "few": ("/", fleet(10)),
    "many": ("/", fleet(200)),
    "held": ("/sites/wiki", fleet(10)),
    "deploys-and-drift": ("/sites/docs", fleet(10)),
    "nothing-yet": ("/", ()),
}
BROKEN = {
    "a column is missing": ("few", ".sites .states { visibility: hidden }"),
    "a text lies over another": ("few", ".sites .states { margin-top: -1.2rem }"),
    "rows are apart": ("few", ".sites tbody tr { padding-bottom: 12px !important }"),
    "cards have no ground": ("held", ".note, .facts, .problems li { background: none; border-color: transparent }"),
    "a bar has lost its colours": ("deploys-and-drift", "rect { fill: none !important }"),
    "a text is as faint as the ground": ("nothing-yet", ".empty { color: transparent }"),
}


@contextmanager
def on_the_screen(browser: Browser, folder: Path, scene: str, size: str, *, dark: bool = False) -> Iterator[None]:
    """At one moment, with text in boxes: nothing that differs from host to host."""
    path, sites = SCENES[scene]
    browser.screen(*SIZES[size], dark=dark)
    with a_page(folder, wall=lambda: NOW) as served, browser.clock(NOW):
        remember(served.store, NOW)
        tell(served.latest, sites, problems=scene == "held", now=NOW)
        opened(browser, served, path)
        in_boxes(browser)
        yield


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", SCENES)
def test_a_screen_is_as_it_was_looked_at(browser: Browser, tmp_path: Path, scene: str, size: str, dark: bool) -> None:
    stored = STORED / f"{scene}-{size}-{'dark' if dark else 'light'}.png"
    with on_the_screen(browser, tmp_path, scene, size, dark=dark):
        taken = picture_of(browser)
        if os.environ.get("SCREENS") == "renew":
            taken.write(stored)
        browser.driver.save_screenshot(str(tmp_path / "screen.png"))
    assert taken.unlike(Picture.read(stored)) == "", (
        f"look at {tmp_path}/screen.png; if it is meant: SCREENS=renew scripts/test tests/web/test_screens.py"
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_noticed(browser: Browser, tmp_path: Path, what: str, size: str) -> None:
    scene, css = BROKEN[what]
    with on_the_screen(browser, tmp_path, scene, size):
        browser.style(css)
        assert picture_of(browser).unlike(Picture.read(STORED / f"{scene}-{size}-light.png"))
