"""Files that hold a secret: refused where every user of this host can read them."""

import stat
from pathlib import Path

from reconciler.errors import ShipstoneError

MOST = 1024 * 1024
"""Bytes: what is larger is no secret."""


def read_secret(path: Path) -> bytes:
    """Its content. Raises ShipstoneError, FileNotFoundError where there is none."""
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            if mode & stat.S_IRWXO:
                raise ShipstoneError(f"cannot use {path}: every user of this host can read it, or write it. chmod o= {path}")
            data = file.read(MOST + 1)
    except NotADirectoryError:
        raise FileNotFoundError(path) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ShipstoneError(f"cannot read {path}: {error.strerror}. Let the user that runs Shipstone read it.") from None
    if len(data) > MOST:
        raise ShipstoneError(f"cannot use {path}: it is over {MOST // 1024} KiB. A secret is short.")
    return data


def one_line(data: bytes) -> str:
    """As text, without the line break that editors leave at the end. Raises ValueError where it is no text."""
    text = data.decode("utf-8")
    return text.removesuffix("\n").removesuffix("\r")
