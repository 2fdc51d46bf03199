"""Small grey pictures of the page, to compare: blocks of ten pixels, text in boxes, so that fonts and Chromium's version play no part."""

import base64
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from lab.box_font import box_font
from lab.browser import Browser

BLOCK = 10
"""Pixels of the page that become one of the picture."""
AREA = 3
"""Blocks on a side over which two pictures are compared: what lies a pixel beside its place is no difference."""
LOCAL, ALL = 12.0, 1.0
"""Steps of 255 by which an area, and all areas together, may differ."""
IN_BOXES = """
const [font, done] = arguments;
const face = new FontFace("boxes", Uint8Array.from(atob(font), (c) => c.charCodeAt(0)));
face.load().then(() => {
  document.fonts.add(face);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`*, ::placeholder {
    font-family: boxes !important; font-synthesis: none !important; text-rendering: geometricPrecision !important; }`);
  document.adoptedStyleSheets.push(sheet);
  requestAnimationFrame(() => requestAnimationFrame(() => done("")));
}).catch((error) => done(String(error)));
"""
BLOCKS = """
const [picture, block, done] = arguments;
createImageBitmap(new Blob([Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))])).then((image) => {
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const all = canvas.getImageData(0, 0, image.width, image.height).data, size = block * devicePixelRatio, rows = [];
  for (let y = 0; y + size <= image.height; y += size) {
    const row = [];
    for (let x = 0; x + size <= image.width; x += size) {
      let sum = 0;
      for (let v = y; v < y + size; v++) for (let u = x; u < x + size; u++) {
        const at = 4 * (v * image.width + u);
        sum += 0.299 * all[at] + 0.587 * all[at + 1] + 0.114 * all[at + 2];
      }
      row.push(Math.round(sum / size / size));
    }
    rows.push(row);
  }
  done(rows);
});
"""


@dataclass(frozen=True)
class Picture:
    """Rows of grey values, 0 to 255."""

    rows: tuple[bytes, ...]

    def write(self, path: Path) -> None:
        """As PNG."""
        header = struct.pack(">2I 5B", len(self.rows[0]), len(self.rows), 8, 0, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self.rows), 9)
        chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
        parts = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))

    @classmethod
    def read(cls, path: Path) -> "Picture":
        """As `write` wrote it, nothing else."""
        data = path.read_bytes()
        width, height = struct.unpack(">2I", data[16:24])
        (size,) = struct.unpack(">I", data[33:37])
        pixels = zlib.decompress(data[41 : 41 + size])
        return cls(tuple(pixels[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)))

    def area(self, x: int, y: int) -> float:
        """How light it is there, on the whole."""
        return sum(sum(row[x : x + AREA]) for row in self.rows[y : y + AREA]) / AREA**2

    def unlike(self, other: "Picture") -> str:
        """Where and how far two differ; empty if they are alike."""
        if [len(row) for row in self.rows] != [len(row) for row in other.rows]:
            return "the sizes differ"
        places = [(x, y) for y in range(len(self.rows) - AREA + 1) for x in range(len(self.rows[0]) - AREA + 1)]
        apart = [(abs(self.area(x, y) - other.area(x, y)), x * BLOCK, y * BLOCK) for x, y in places]
        worst, x, y = max(apart)
        mean = sum(row[0] for row in apart) / len(apart)
        if worst <= LOCAL and mean <= ALL:
            return ""
        return f"{worst:.1f} of 255 at x {x}, y {y} (at most {LOCAL:g}), {mean:.2f} on the whole (at most {ALL:g})"


def in_boxes(browser: Browser) -> None:
    """The page's text, from now on."""
    font = base64.b64encode(box_font()).decode()
    if problem := browser.driver.execute_async_script(IN_BOXES, font):
        raise RuntimeError(f"the page's text cannot be shown in boxes: {problem}")


def picture_of(browser: Browser) -> Picture:
    """What is on the screen."""
    taken = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    return Picture(tuple(map(bytes, browser.driver.execute_async_script(BLOCKS, taken, BLOCK))))
