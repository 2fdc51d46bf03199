"""Chromium without a window, as people see a page on a phone or a desk."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

from lab.engine import need
from lab.host import until

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
CONTRASTS = """
const parts = (color) => { const n = color.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
const light = (c) => { const v = c.slice(0, 3).map((x) => { x /= 255; return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const under = (element) => { for (let one = element; one; one = one.parentElement) {
  const c = parts(getComputedStyle(one).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
const found = [];
const seen = (color, ground, least, what) => {
  const [a, b] = [light(parts(color)), light(ground)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  if (ratio < least) found.push(`${ratio.toFixed(2)} ${what.trim().slice(0, 40)}`);
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("title, noscript")) continue;
  const style = getComputedStyle(element), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
  seen(style.color, under(element), large ? 3 : 4.5, texts.currentNode.textContent);
}
const visible = (what) => [...document.querySelectorAll(what)].filter((one) => one.checkVisibility());
for (const one of visible("input:not([type=hidden])")) {
  seen(getComputedStyle(one).color, under(one), 4.5, "what is typed");
  if (one.placeholder) seen(getComputedStyle(one, "::placeholder").color, under(one), 4.5, one.placeholder);
  seen(getComputedStyle(one).borderTopColor, under(one.parentElement), 3, "the box to type in");
}
for (const one of visible("rect")) seen(getComputedStyle(one).fill, under(one), 3, `rect ${one.getAttribute("class")}`);
for (const one of visible(".key, .dot")) {
  const style = getComputedStyle(one), filled = parts(style.backgroundColor)[3] > 0, around = one.parentElement;
  seen(filled ? style.backgroundColor : style.borderTopColor, under(around), 3, `${one.className} ${around.className}`.trim());
}
return found;
"""
OVERLAPS = """
const found = [];
for (const row of document.querySelectorAll("tr, .top, .facts, .stages, .groups, .actions")) {
  const boxes = [...row.children].filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 1)
    .map((one) => [one, one.getBoundingClientRect()]);
  for (const [n, [one, a]] of boxes.entries()) for (const [other, b] of boxes.slice(n + 1))
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
      found.push(`${one.textContent.trim()} | ${other.textContent.trim()}`);
}
return found;
"""
WIDER = """
// A row that is not drawn cuts off what is too wide, and the page does not grow by it.
const drawn = new CSSStyleSheet();
drawn.replaceSync("* { content-visibility: visible !important }");
document.adoptedStyleSheets.push(drawn);
const found = [];
for (const one of document.querySelectorAll(":root, tr, th, td, li, dd, p, pre, button, summary, .chip, .note"))
  if (one.clientWidth && one.scrollWidth > one.clientWidth)
    found.push(`${one.tagName} by ${one.scrollWidth - one.clientWidth}: ${one.textContent.trim().slice(0, 40)}`);
document.adoptedStyleSheets.pop();
return found;
"""


class Browser:
    """`driver` is Selenium's."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        """As a phone below 600 px, else as a desk; in the colours that are asked for."""
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})

    def open(self, url: str) -> None:
        """Once more where Chromium gives up because an interface came or went, as with each container."""
        until(lambda: self._opened(url), f"{url} in Chromium")

    def _opened(self, url: str) -> bool:
        self.driver.get(url)
        return self.run("return location.protocol") != "chrome-error:"

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def style(self, css: str) -> None:
        """On top of the page's own."""
        self.run("const one = new CSSStyleSheet(); one.replaceSync(arguments[0]); document.adoptedStyleSheets.push(one)", css)

    @contextlib.contextmanager
    def clock(self, now: float) -> Iterator[None]:
        """Pages that are opened meanwhile take it to be this time, in seconds since 1970."""
        source = {"source": f"Date.now = () => {round(now * 1000)}"}
        script = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)

    def complaints(self) -> list[str]:
        """What the console said since the last call, but for interfaces that came and went."""
        said = [str(row["message"]) for row in self.driver.get_log("browser")]
        return [row for row in said if "ERR_NETWORK_CHANGED" not in row]

    def faint(self) -> list[str]:
        """Texts, inputs and parts of pictures whose contrast is below AA, from the computed styles."""
        return list(self.run(CONTRASTS))

    def overlaps(self) -> list[str]:
        """Neighbours that lie over each other."""
        return list(self.run(OVERLAPS))

    def too_wide(self) -> list[str]:
        """The page where it is wider than the screen, and what does not fit into its row or cell, by pixels."""
        return list(self.run(WIDER))


@contextlib.contextmanager
def a_browser(folder: Path) -> Iterator[Browser]:
    """With nothing in it from before; installed where it is missing."""
    need("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
