"""`hosts-write`: root takes into the hosts file what the daemon left for it, and believes none of it before it has looked."""

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.desired.hosts_file import begin_mark, end_mark, with_block
from reconciler.desired.names import host_name
from reconciler.desired.refusal import Refusal
from reconciler.errors import ShipstoneError
from reconciler.world.files import HostsFile

MAX_BYTES = 1024 * 1024
MEND = "Look who else writes there."


@dataclass(frozen=True)
class Written:
    """`left_out`: names that the hosts file itself gives outside of the block: a site must not take them from the host."""

    changed: bool
    left_out: tuple[str, ...] = ()


def write_hosts(source: Path, target: Path, instance: str, addresses: Collection[str]) -> Written:
    """The block of `source` becomes that of `target`, but for names that the host has itself. No block in `source`: none in `target`.

    Raises ShipstoneError, and changes nothing, where a line is not one of `addresses` and one host name.
    """
    block = _text_of(source)
    if not block:
        return Written(HostsFile(target, instance).sync(""))
    first, *lines = block.split("\n")
    if first != begin_mark(instance) or lines[-2:] != [end_mark(instance), ""]:
        raise ShipstoneError(f"cannot use {source}: it is not the whole block of instance {instance}. {MEND}")
    rows = [(line, _name_in(line, addresses, f"{source}:{number}")) for number, line in enumerate(lines[:-2], 2)]
    taken = set(_names_outside(target, instance))
    ours = [line for line, name in rows if name not in taken]
    fresh = "\n".join([first, *ours, end_mark(instance), ""]) if ours else ""
    return Written(HostsFile(target, instance).sync(fresh), tuple(dict.fromkeys(name for _, name in rows if name in taken)))


def _text_of(path: Path) -> str:
    """Of a plain file: the folder belongs to somebody with fewer rights than ours, so nothing is followed. Not there is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ShipstoneError(f"cannot read {path}: {error.strerror}. {MEND}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ShipstoneError(f"cannot use {path}: it is no plain file, or has more than {MAX_BYTES >> 20} MiB. {MEND}")
        try:
            return file.read(MAX_BYTES).decode("ascii")
        except UnicodeDecodeError:
            raise ShipstoneError(f"cannot use {path}: it holds more than ASCII. {MEND}") from None


def _name_in(line: str, addresses: Collection[str], where: str) -> str:
    address, _, name = line.partition(" ")
    try:
        right = address in addresses and host_name(name) == name
    except Refusal:
        right = False
    if not right:
        raise ShipstoneError(f"cannot use {where}: it is not one of {', '.join(addresses)} and one host name. {MEND}")
    return name


def _names_outside(target: Path, instance: str) -> Iterator[str]:
    """Names that the hosts file gives outside of our block."""
    try:
        text = target.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        text = ""
    for line in with_block(text, instance, "").splitlines():
        yield from (name.lower() for name in re.split(r"\s+", line.partition("#")[0].strip())[1:])
