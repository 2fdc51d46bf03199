"""What systemd is told of this process, and where it puts credentials; nothing of either where it did not start us."""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

CREDENTIALS = Path("/etc/shipstone/credentials")
"""Where an administrator puts keys and tokens, one a file."""


class Notifier:
    """Messages to the service manager; `every` is how often it wants to hear that we are alive, in seconds (0: never)."""

    def __init__(self, address: str = "", every: float = 0.0) -> None:
        self._address, self.every = address, every
        self._status = ""

    def ready(self) -> None:
        """The start is over."""
        self._send("READY=1")

    def alive(self) -> None:
        """Said only by the loop itself, as it goes on: whoever says it elsewhere hides that it hangs."""
        if self.every:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows; nothing is sent when it is the same."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        where = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message.encode(), where)


def notifier_of(environment: Mapping[str, str], pid: int) -> Notifier:
    """As systemd's variables say: NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID is `pid` or is not there."""
    address = environment.get("NOTIFY_SOCKET", "")
    micros = environment.get("WATCHDOG_USEC", "")
    ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
    every = int(micros) / 2_000_000 if address and ours and micros.isdigit() else 0.0
    return Notifier(address if address[:1] in ("/", "@") else "", every)


def credential(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The file of a credential: what systemd loaded for this service, else the administrator's own file. It need not be there."""
    loaded = Path(environment.get("CREDENTIALS_DIRECTORY", "/"), f"shipstone_{name}")
    return loaded if os.access(loaded, os.R_OK) else CREDENTIALS / name
