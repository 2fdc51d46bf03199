"""The page as it changes under somebody's hands: the focus stays, by keyboard everything is reached, and it says when it is not live."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lab.browser import Browser
from lab.host import until
from lab.page import C1, Served, a_page, fleet, healthy, motion, tell
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reconciler.planning.events import Event
from tests.web.looking import opened, refreshed, shown, signed_in

pytestmark = pytest.mark.xdist_group("browser")


def test_it_is_live_and_keeps_what_a_person_is_doing(browser: Browser, served: Served) -> None:
    """A change is shown without loading again; the filter, the focus and what is unfolded stay."""
    tell(served.latest, fleet(10))
    opened(browser, served)
    browser.run("window.same = true; document.getElementById('site-shop').focus()")
    before = next(site for site in fleet(10) if site.name == "shop")
    done = replace(before, sync="synced", health="healthy", steps=(), message="")
    tell(served.latest, tuple(done if site.name == "shop" else site for site in fleet(10)))
    row = "return document.getElementById('site-shop').closest('tr').innerText"
    until(lambda: "progressing" not in browser.run(row), "the new state")
    assert browser.run("return [window.same, document.activeElement.id]") == [True, "site-shop"]
    browser.press("/", "sho")
    tell(served.latest, fleet(10))
    until(lambda: "progressing" in browser.run(row), "and back")
    assert shown(browser) == ["shop"]
    assert browser.run("return [document.activeElement.id, document.activeElement.value]") == ["q", "sho"]
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("path", "element"),
    [
        ("/", "#show-attention"),
        ("/", "td.hosts a[href*='www.blog']"),
        ("/sites/blog", "dd.hosts a"),
        ("/sites/blog", "//button[.='Suspend']"),
        ("/sites/blog", "summary"),
        ("/sites/blog", "details pre"),
    ],
)
def test_a_refresh_leaves_the_focus_where_it_is(browser: Browser, served: Served, path: str, element: str) -> None:
    a_failed_deploy(served)
    tell(served.latest, fleet(10))
    signed_in(browser, served)
    opened(browser, served, path)
    browser.run("document.querySelector('details')?.setAttribute('open', '')")
    one = browser.driver.find_element(By.XPATH if element.startswith("//") else By.CSS_SELECTOR, element)
    focused = "const one = document.activeElement; return [one.tagName, one.innerText]"
    browser.run("window.before = arguments[0]; window.before.focus()", one)
    before = browser.run(focused)
    a_failed_deploy(served)
    refreshed(browser, served, replace(healthy(0), ready=1, hosts=("new.example.org", *healthy(0).hosts)), *fleet(10)[1:])
    assert browser.run("return !window.before.isConnected"), "it is another element"
    assert browser.run(focused) == before
    assert browser.run("return document.querySelectorAll('details[open]').length") == (1 if path == "/sites/blog" else 0)


@pytest.mark.parametrize("path", ["/", "/sites/docs", "/sites/mail", "/sites/shop", "/sites/blog"])
def test_whatever_can_have_the_focus_has_an_id_of_its_own(browser: Browser, served: Served, path: str) -> None:
    a_failed_deploy(served)
    a_failed_deploy(served)
    tell(served.latest, fleet(10), problems=True)
    signed_in(browser, served)
    opened(browser, served, path)
    ids = browser.run(
        "return [...live.querySelectorAll('a, button, summary, input:not([type=hidden]), [tabindex]')]"
        ".map((one) => one.id || `none: ${one.outerHTML}`)"
    )
    assert [one for one in ids if one.startswith("none: ")] == []
    assert sorted(set(ids)) == sorted(ids)
    assert len(set(ids)) > 1


def test_an_answer_that_does_not_come_is_not_waited_for_and_it_says_so(browser: Browser, tmp_path: Path) -> None:
    going = threading.Event()
    going.set()

    def clock() -> float:
        """A site's page reads it: while it hangs, so does the answer."""
        going.wait()
        return time.time()

    with a_page(tmp_path, wall=clock) as served:
        tell(served.latest, fleet(10))
        opened(browser, served, "/sites/shop")
        browser.run("patience = 300")
        going.clear()
        try:
            tell(served.latest, fleet(10))
            until(lambda: "not live: no answer, asking again" in browser.text(), "it says that it is not live")
        finally:
            going.set()
        refreshed(browser, served, *fleet(10))
        until(lambda: browser.driver.find_element(By.ID, "connection").text == "live", "it is live again")


def test_everything_is_reached_by_keyboard_and_shows_the_focus(browser: Browser, served: Served) -> None:
    tell(served.latest, fleet(10))
    signed_in(browser, served)
    opened(browser, served)
    seen = tabbed(browser)
    assert seen[0] == "Skip to the sites"
    assert "q" in seen
    assert {"Want attention 3", "Sign out", "blog", "blog.example.org"} <= set(seen)
    opened(browser, served, "/sites/mail")
    assert {"All sites", "Retry the failed release", "Restart", "Suspend"} <= {one.removeprefix("← ") for one in tabbed(browser)}


def a_failed_deploy(served: Served) -> None:
    """Of the blog, whose history keeps the last log lines."""
    at = time.time()
    why = Event(at + 10, "failed", "blog", C1, "9f00aa11bb", "exited with 1", more={"log": [f"failed at {at}"]})
    served.store.history.record([*motion("blog", "9f00aa11bb", at, C1)[:5], why])


def tabbed(browser: Browser) -> list[str]:
    """What Tab comes to, one after the other: each with a visible outline."""
    found: list[str] = []
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(80):
        browser.press(Keys.TAB)
        text, ring, first = browser.run(
            "const one = document.activeElement; if (one === document.body) return ['', '', true];"
            "const again = one.dataset.tabbed; one.dataset.tabbed = 1;"
            "return [one.innerText || one.id, getComputedStyle(one).outlineStyle, Boolean(again)]"
        )
        if first and found:
            break
        if text:
            found.append(" ".join(text.split()))
            assert ring != "none", text
    return found
