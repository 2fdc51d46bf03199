"""The log as systemd's journal takes it: a line for people, and each value as a field that journalctl finds."""

import contextlib
import socket
from collections.abc import MutableMapping
from typing import Any

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
MAX_VALUE = 16_000
"""Characters of one value: a message must fit into one datagram."""


class JournalLogger:
    """What structlog writes to; `journalctl SHIPSTONE_SITE=blog` finds what was said of a site."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def msg(self, data: bytes) -> None:
        """One entry; a journal that is away, or does not read, must not stop the work."""
        with contextlib.suppress(OSError):
            self._channel.sendto(data, socket.MSG_DONTWAIT, self._path)

    debug = info = warning = error = critical = exception = msg


def entry(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    """structlog's last processor: what was said, in the journal's own protocol."""
    level, said = event.pop("level", "info"), str(event.pop("event", ""))
    words = [said, *(f"{key}={value}" for key, value in event.items() if value not in ("", None))]
    fields = {"MESSAGE": " ".join(words), "PRIORITY": PRIORITIES.get(level, 6), "SYSLOG_IDENTIFIER": "shipstone", "SHIPSTONE_EVENT": said}
    return b"".join(_field(key, str(value)) for key, value in {**fields, **{_name(key): value for key, value in event.items()}}.items())


def _name(key: str) -> str:
    return "SHIPSTONE_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper())


def _field(name: str, value: str) -> bytes:
    """Values of several lines are sent with their length."""
    data = value[:MAX_VALUE].encode("utf-8", "replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
