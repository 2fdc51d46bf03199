"""A command that goes on, beside a test."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

from lab.host import SHIPSTONE, Host


@contextlib.contextmanager
def said_by(host: Host, *arguments: str) -> Iterator[list[str]]:
    """The lines of a command that goes on, as they come; it is ended at the end."""
    out = host.folder / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [str(SHIPSTONE), arguments[0], "--config", str(host.config), *arguments[1:]], stdout=file, stderr=file, env=dict(os.environ)
        )

    class Lines(list[str]):
        def __iter__(self) -> Iterator[str]:
            return iter(out.read_text().splitlines())

    try:
        yield Lines()
    finally:
        process.terminate()
        process.wait(20)
