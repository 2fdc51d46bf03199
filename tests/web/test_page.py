"""The page in Chromium: on a phone and on a desk, light and dark, with 200 sites, with a held one, with none."""

import time
from dataclasses import replace

import pytest
from lab.browser import Browser
from lab.host import until
from lab.page import Served, fleet, healthy, tell
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reconciler.planning.describe import SitePlan
from tests.web.looking import DESK, opened, shown, signed_in

pytestmark = pytest.mark.xdist_group("browser")

PHONE = (360, 740)
LONG = replace(healthy(0), name="a" * 60, hosts=(f"{'b' * 63}.{'c' * 63}.example.org",), message="x" * 300)


FLEETS: dict[str, tuple[SitePlan, ...]] = {"none": (), "few": (*fleet(10), LONG), "200": fleet(200)}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("sites", FLEETS)
def test_nothing_is_too_wide_too_faint_or_over_another(
    browser: Browser, served: Served, sites: str, size: tuple[int, int], dark: bool
) -> None:
    tell(served.latest, FLEETS[sites], problems=sites == "few", notices=("restart needed: Traefik runs with an older traefik.toml.",))
    browser.screen(*size, dark=dark)
    pages = ["/", "/sites/none"] + (["/sites/docs", "/sites/mail", "/sites/shop", "/login"] if sites == "few" else [])
    if sites == "few":
        signed_in(browser, served)
    for path in pages:
        browser.open(served.url + path)
        assert browser.too_wide() == [], path
        assert browser.faint() == [], path
        assert browser.overlaps() == [], path
    assert [row for row in browser.complaints() if not row.startswith(f"{served.url}/sites/none - ")] == []


def test_what_is_cut_off_in_a_row_far_below_is_noticed(browser: Browser, served: Served) -> None:
    last = replace(healthy(0), name="z", hosts=(f"{'b' * 63}.{'c' * 63}.example.org",))
    tell(served.latest, (*fleet(200), last))
    browser.screen(*PHONE)
    browser.open(served.url)
    assert browser.too_wide() == []
    browser.style(".sites td { overflow-wrap: normal }")
    assert {row.partition(" by ")[0] for row in browser.too_wide()} >= {"TD", "TR"}


def test_what_is_faint_is_noticed_also_where_it_is_no_text(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10))
    browser.open(served.url)
    browser.style(".tools input { color: var(--line); border-color: var(--line) } .tools input::placeholder { color: var(--line) }")
    assert {row.partition(" ")[2] for row in browser.faint()} == {"what is typed", "name, host, state, author …", "the box to type in"}
    browser.open(f"{served.url}/sites/docs")
    browser.style("rect.s-drained, rect.closed { fill: var(--line) } .key.s-drained, .bad .dot { background: var(--line) }")
    assert {row.partition(" ")[2] for row in browser.faint()} == {
        "rect s-drained",
        "rect closed",
        "key s-drained",
        "dot state bad",
    }


def test_before_the_first_pass_and_with_nothing_deployed_it_says_so(browser: Browser, served: Served) -> None:
    opened(browser, served)
    assert "The first pass has not come to its end yet." in browser.text()
    tell(served.latest, ())
    until(lambda: "Nothing is deployed yet." in browser.text(), "the empty page")


def test_a_held_site_says_why_with_file_and_line(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10), problems=True)
    opened(browser, served)
    assert "sites/wiki.yaml:7:3" in browser.text()
    browser.driver.find_element(By.ID, "site-wiki").send_keys(Keys.ENTER)
    until(lambda: browser.driver.current_url.endswith("/sites/wiki"), "the site's page")
    assert "held" in browser.text()
    assert "YAML read 22:22 as 1342." in browser.text()


def test_the_filter_takes_words_and_groups_and_is_in_the_address(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(200))
    opened(browser, served)
    assert len(shown(browser)) == 200
    browser.press("/", "site-01 GRACE")
    until(lambda: 0 < len(shown(browser)) < 10, "only what fits")
    assert browser.driver.current_url.endswith("/?q=site-01+GRACE")
    browser.open(f"{served.url}/?show=attention")
    assert shown(browser) == ["docs", "mail", "wiki"]
    browser.open(f"{served.url}/?q=mail")
    assert shown(browser) == ["mail"], "the server filters too"
    browser.press("/", Keys.END, *[Keys.BACKSPACE] * 4)
    until(lambda: len(shown(browser)) == 200, "all again")
    browser.press("nothing like it")
    until(lambda: "No site fits the filter." in browser.text(), "it says so")


def test_a_sites_page_has_the_deploys_as_pictures_and_the_last_words(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10))
    opened(browser, served, "/sites/shop")
    bars = browser.driver.find_elements(By.CSS_SELECTOR, ".deploys svg")
    assert [bar.get_attribute("aria-label") for bar in bars][1].startswith("committed, fetched after 4.0 s, started after ")
    stages = [[row.get_attribute("class") for row in bar.find_elements(By.TAG_NAME, "rect")] for bar in bars]
    assert stages == [
        ["s-fetched", "s-started", "s-until-now"],
        ["s-fetched", "s-started", "s-ready", "s-switched", "s-drained", "s-at-rest"],
    ]
    widths = [row.rect["width"] for row in bars[1].find_elements(By.TAG_NAME, "rect")]
    assert min(widths) > 2
    assert abs(sum(widths) - bars[1].rect["width"]) < 2
    opened(browser, served, "/sites/mail")
    assert "cannot open the database" in browser.driver.find_element(By.TAG_NAME, "pre").text
    opened(browser, served, "/sites/docs")
    assert [row.get_attribute("class") for row in browser.driver.find_elements(By.CSS_SELECTOR, ".drift rect")] == [
        "open",
        "closed",
        "closed",
    ]


def test_what_was_changed_around_the_sites_is_on_the_overview(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10))
    opened(browser, served)
    assert "Drift of the host" not in browser.text(), "that of sites is on theirs"
    served.store.history.record_drift({("", "", "", "network", "shipstone_net", ""): ""}, {}, time.time() - 7300)
    tell(served.latest, fleet(10))
    until(lambda: "Drift of the host over time" in browser.text(), "it is shown")
    assert browser.driver.find_element(By.CSS_SELECTOR, ".drift tbody td").text.strip() == "network nothing should be shipstone_net"
    assert [row.get_attribute("class") for row in browser.driver.find_elements(By.CSS_SELECTOR, ".drift rect")] == ["open"]
    assert browser.too_wide() + browser.faint() + browser.overlaps() == []


def test_a_signed_in_person_suspends_a_site_by_its_button(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10))
    signed_in(browser, served)
    opened(browser, served, "/sites/blog")
    browser.driver.find_element(By.XPATH, "//button[.='Suspend']").send_keys(Keys.ENTER)
    until(lambda: [(row.kind, row.site) for row in served.store.said()] == [("suspend", "blog")], "the word is kept")
    until(lambda: "suspend, by the page" in browser.text(), "and shown")
    assert len(served.looked) == 1
    browser.driver.find_element(By.XPATH, "//button[.='Resume']").send_keys(Keys.ENTER)
    until(lambda: served.store.said() == (), "it is taken back")


def test_what_a_commit_says_is_text_and_nothing_else(browser: Browser, served: Served) -> None:
    bad = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    tell(served.latest, (replace(healthy(0), message=bad, release="<b>"), *fleet(5)[1:]), notices=(bad,))
    opened(browser, served)
    assert bad in browser.text()
    assert browser.driver.find_elements(By.CSS_SELECTOR, "main img, main b b, main script") == []
    assert "owned" not in browser.driver.title
    assert browser.complaints() == []
