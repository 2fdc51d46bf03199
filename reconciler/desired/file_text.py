"""Bytes → text that is safe to read and to print."""

from reconciler.desired.problem import Problem

MAX_BYTES = 64 * 1024


def too_large(file: str, size: int) -> Problem:
    """Of a file with `size` bytes, which nobody needs to read."""
    message = f"the file has {size} bytes, more than {MAX_BYTES}. Move large content into files of its own and mount them with files:."
    return Problem(file, 1, 1, "", "SS-Y10", message)


def decode(file: str, data: bytes) -> tuple[str | None, Problem | None]:
    """The text of a file, or what is wrong with it."""
    if len(data) > MAX_BYTES:
        return None, too_large(file, len(data))
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = _place(before, len(before))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        return None, Problem(file, line, column, "", "SS-Y12", message)
    if not text.isascii() or not text.isprintable():
        for index, char in enumerate(text):
            if char not in "\n\r\t" and _control(char):
                line, column = _place(text, index)
                message = f"control character U+{ord(char):04X}. Delete it, or write it as an escape inside double quotes."
                return None, Problem(file, line, column, "", "SS-Y11", message)
    return text, None


def _control(char: str) -> bool:
    """Control characters, other line ends, and what turns the direction of text."""
    code = ord(char)
    return code < 0x20 or 0x7F <= code < 0xA0 or char in "\ufeff\u2028\u2029" or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def _place(text: str, index: int) -> tuple[int, int]:
    lines = text[:index].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1
