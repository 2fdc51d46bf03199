"""What the tests of the page do in a browser."""

from lab.browser import Browser
from lab.host import until
from lab.page import Served, tell
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reconciler.planning.describe import SitePlan

TOKEN = "correct horse battery staple"  # noqa: S105  of these tests
DESK = (1280, 900)


def shown(browser: Browser) -> list[str]:
    """The names of the sites that are on the screen."""
    names = "return [...document.querySelectorAll('tr[data-group] th a')].filter((one) => one.checkVisibility()).map((one) => one.text)"
    return list(browser.run(names))


def opened(browser: Browser, served: Served, path: str = "/") -> None:
    """Loaded, and live."""
    browser.open(served.url + path)
    until(lambda: browser.driver.find_element(By.ID, "connection").text == "live", "the page is live")


def signed_in(browser: Browser, served: Served) -> None:
    browser.open(f"{served.url}/login")
    browser.driver.find_element(By.ID, "token").send_keys(TOKEN, Keys.ENTER)
    until(lambda: browser.driver.find_elements(By.ID, "live"), "the overview after signing in")


def refreshed(browser: Browser, served: Served, *sites: SitePlan) -> None:
    """Something changes, and the page has it."""
    tell(served.latest, sites)
    number = str(served.latest.now.number)
    until(lambda: browser.run("return document.getElementById('live').dataset.number") == number, "the page is refreshed")
