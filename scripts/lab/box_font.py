"""A font in which every character is the same box: a page in it looks the same whatever fonts a host has."""

import struct

EM, WIDE, HIGH, LOW = 1000, 560, 800, -200
EVERY = ((0x00, 0x20, 2), (0x21, 0x9F, 1), (0xA0, 0xA0, 2), (0xA1, 0xFFFF, 1))
"""Ranges of characters, and their glyph: 1 is the box, 2 empty; 0 would ask another font."""


def box_font() -> bytes:
    """TrueType."""
    box = struct.pack(">5h H H 4B 4h 4h", 1, 60, 0, 500, 560, 3, 0, 1, 1, 1, 1, 60, 0, 440, 0, 0, 560, 0, -560)
    box += b"\0" * (-len(box) % 4)
    groups = b"".join(struct.pack(">3I", *row) for row in EVERY)
    os2 = struct.pack(">H h 2H H 11h", 3, WIDE, 400, 5, 0, *[0] * 11) + b"\0" * 10 + b"\0" * 16 + b"NONE"
    os2 += struct.pack(">3H 3h 2H 2I 2h 3H", 0x40, 0x20, 0xFFFF, HIGH, LOW, 0, HIGH, -LOW, 0, 0, 500, 700, 0, 0x20, 1)
    tables = {
        b"OS/2": os2,
        b"cmap": struct.pack(">4H I", 0, 1, 3, 10, 12) + struct.pack(">2H 3I", 13, 0, 16 + len(groups), 0, len(EVERY)) + groups,
        b"glyf": box,
        b"head": struct.pack(">4I 2H 2q 4h 2H 3h", 0x10000, 0, 0, 0x5F0F3CF5, 3, EM, 0, 0, 60, 0, 500, 560, 0, 8, 2, 0, 0),
        b"hhea": struct.pack(">I 3h H 11h H", 0x10000, HIGH, LOW, 0, WIDE, 0, 0, 500, 1, 0, 0, 0, 0, 0, 0, 0, 1),
        b"hmtx": struct.pack(">H 3h", WIDE, 0, 60, 0),
        b"loca": struct.pack(">4H", 0, 0, len(box) // 2, len(box) // 2),
        b"maxp": struct.pack(">I 14H", 0x10000, 3, 4, 1, 0, 0, 1, *[0] * 8),
        b"name": struct.pack(">3H", 0, 0, 6),
        b"post": struct.pack(">2I 2h 5I", 0x30000, 0, -100, 50, 1, 0, 0, 0, 0),
    }
    head, body, at = struct.pack(">I 4H", 0x10000, len(tables), 128, 3, len(tables) * 16 - 128), b"", 12 + 16 * len(tables)
    for name, data in tables.items():
        padded = data + b"\0" * (-len(data) % 4)
        head += struct.pack(">4s 3I", name, sum(struct.unpack(f">{len(padded) // 4}I", padded)) % 2**32, at + len(body), len(data))
        body += padded
    return head + body
