"""Secrets in SOPS files, where the program `sops` is installed. Only age keys: a file must not choose whom this host sends anything to."""

import json
import os
import subprocess
import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from reconciler.errors import ShipstoneError

SITES = "shipstone_sites"
"""The key of a SOPS file that names the sites that may have what is in it."""
SECONDS = 30
TYPES = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
DEPTH = 100
PLAIN = {"age", "lastmodified", "mac", "version", "mac_only_encrypted"}
"""What may be in the metadata besides what says which values are encrypted; another key with anything in it makes sops ask somebody."""
NO_PROXY = "http://127.0.0.1:1"
"""Nobody answers there: whatever sops might still ask, it reaches no other host."""
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PassingError(ShipstoneError):
    """It may go another time: the program is there by then, or quicker."""


def check_metadata(data: bytes, kind: str) -> None:
    """Refuse a file whose keys are not only age: sops would ask whomever it names. Raises ShipstoneError."""
    try:
        document = json.loads(data, object_pairs_hook=_once) if kind == "json" else _read_yaml(data)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ShipstoneError(f"it is no plain {kind}: one document, each key once, no aliases") from None
    names = [key for key in document if str(key).casefold() == "sops"] if isinstance(document, dict) else []
    found = document["sops"] if names == ["sops"] else None
    if not isinstance(found, dict) or not found.get("age"):
        raise ShipstoneError("it has no metadata of sops with an age key. Encrypt it with: sops --encrypt --age RECIPIENT")
    others = sorted(str(key) for key, value in found.items() if value and key not in PLAIN and not str(key).endswith(("_suffix", "_regex")))
    if others:
        raise ShipstoneError(f"its metadata has {', '.join(others)[:100]}, and only age keys are used here. Encrypt it for age alone")


def _once(rows: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(rows)
    if len(found) != len(rows):
        raise ValueError
    return found


def _read_yaml(data: bytes) -> Any:
    """Keys and whether there is anything at them, read so plainly that no other reader sees something else in it."""
    depth = 0
    for event in yaml.parse(data, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH or isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ValueError
    return _plain(yaml.compose(data, Loader))


def _plain(node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _once([(_key(key), _plain(value)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value


def _key(node: yaml.Node) -> Hashable:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:merge":
        raise ValueError
    return str(node.value)


def decrypt(data: bytes, path: str, identity: Path) -> dict[str, Any]:
    """All of it. Raises ShipstoneError with one line that shows nothing of it."""
    kind = TYPES.get(Path(path).suffix)
    if kind is None:
        raise ShipstoneError("it is no .yaml or .json file. Encrypt it as one of these")
    check_metadata(data, kind)
    with tempfile.TemporaryDirectory(prefix="shipstone-sops-") as folder:
        file = Path(folder, f"file.{kind}")
        file.write_bytes(data)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "SOPS_AGE_KEY_FILE": str(identity)}
        environment |= {"HTTP_PROXY": NO_PROXY, "HTTPS_PROXY": NO_PROXY}
        command = ["sops", "--decrypt", "--input-type", kind, "--output-type", "json", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=SECONDS)
        except FileNotFoundError:
            raise PassingError("the program sops is not on this host. Install it, or use age: instead of sops:") from None
        except subprocess.TimeoutExpired:
            raise PassingError(f"sops did not end within {SECONDS} s") from None
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
    """A list, or text with spaces between; a site may be called 2048."""
    found = document.get(SITES)
    return tuple(str(site) for site in found) if isinstance(found, list) else tuple(str(found).split()) if found is not None else ()


def value_at(document: dict[str, Any], key: str) -> bytes | None:
    """The text or number at a dotted key; None where there is none."""
    here: Any = document
    for part in key.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    if isinstance(here, bool):
        return b"true" if here else b"false"
    return str(here).encode() if isinstance(here, str | int | float) else None
