"""The marked block of a hosts file. Pure: text in, text out; everything outside the block is kept byte for byte."""

import re
from collections.abc import Iterable, Sequence

from reconciler.errors import ShipstoneError


def begin_mark(instance: str) -> str:
    return f"# BEGIN shipstone {instance} (generated: changes inside are overwritten)"


def end_mark(instance: str) -> str:
    return f"# END shipstone {instance}"


def hosts_block(instance: str, addresses: Sequence[str], names: Iterable[str]) -> str:
    """One line per address and name, base domain first as given; empty when there is nothing to say."""
    rows = [f"{address} {name}" for name in dict.fromkeys(names) for address in addresses]
    if not rows:
        return ""
    return "\n".join([begin_mark(instance), *rows, end_mark(instance)]) + "\n"


def with_block(text: str, instance: str, block: str) -> str:
    """`text` with this instance's block replaced, appended or, for an empty block, removed.

    Raises ShipstoneError when the markers are broken: a wrong guess could cut someone's lines.
    """
    newline = "\r\n" if "\r\n" in text or text.endswith("\r") else "\n"
    block = block.replace("\n", newline)
    lines = _lines(text)
    found = _block_lines(lines, instance)
    if found is None:
        if not block:
            return text
        gap = newline if text and not text.endswith("\n") else ""
        return text + gap + block
    return "".join([*lines[: found[0]], block, *lines[found[1] :]])


def block_in(text: str, instance: str) -> str:
    """This instance's block as hosts_block made it, whatever ends its lines; empty where there is none. Raises as with_block()."""
    lines = _lines(text)
    found = _block_lines(lines, instance)
    return "".join(line.rstrip("\r\n") + "\n" for line in lines[slice(*found)]) if found else ""


def _lines(text: str) -> list[str]:
    """As a resolver reads them, with their ends: what Unicode calls a line break is none."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _block_lines(lines: Sequence[str], instance: str) -> tuple[int, int] | None:
    """The number of its first line, and of the one after its last."""
    begins = [n for n, line in enumerate(lines) if line.rstrip("\r\n") == begin_mark(instance)]
    ends = [n for n, line in enumerate(lines) if line.rstrip("\r\n") == end_mark(instance)]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise ShipstoneError(
            f"cannot write the hosts file: its markers of instance {instance} are broken "
            f"({len(begins)} BEGIN, {len(ends)} END). Delete the lines from BEGIN to END, both included, and run again."
        )
    return begins[0], ends[0] + 1
