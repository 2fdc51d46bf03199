"""Secrets in SOPS files, where the program `sops` is installed. Only age keys: a file must not choose whom this host sends anything to."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from reconciler.errors import ShipstoneError

SITES = "shipstone_sites"
"""The key of a SOPS file that names the sites that may have what is in it."""
SECONDS = 30


def decrypt(data: bytes, path: str, identity: Path) -> dict[str, Any]:
    """All of it. Raises ShipstoneError with one line that shows nothing of it."""
    with tempfile.TemporaryDirectory(prefix="shipstone-sops-") as folder:
        file = Path(folder, f"file{Path(path).suffix}")
        file.write_bytes(data)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "SOPS_AGE_KEY_FILE": str(identity)}
        command = ["sops", "--decrypt", "--output-type", "json", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=SECONDS)
        except FileNotFoundError:
            raise ShipstoneError("the program sops is not on this host. Install it, or use age: instead of sops:") from None
        except subprocess.TimeoutExpired:
            raise ShipstoneError(f"sops did not end within {SECONDS} s") from None
    if done.returncode:
        raise ShipstoneError(f"sops cannot decrypt it (exit {done.returncode}). Try it by hand with the host's age identity")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise ShipstoneError("what sops gives is no map of keys") from None
    if not isinstance(found, dict):
        raise ShipstoneError("what sops gives is no map of keys")
    return found


def sites_of(document: dict[str, Any]) -> tuple[str, ...]:
    found = document.get(SITES, ())
    return tuple(found.split()) if isinstance(found, str) else tuple(str(site) for site in found)


def value_at(document: dict[str, Any], key: str) -> bytes | None:
    """The text or number at a dotted key; None where there is none."""
    here: Any = document
    for part in key.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    if isinstance(here, bool):
        return b"true" if here else b"false"
    return str(here).encode() if isinstance(here, str | int | float) else None
