"""scripts/sbom: every locked requirement with its exact version and the hashes of its files, as CycloneDX 1.6."""

import datetime
import json
import os
import re
import sys
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[2] / "requirements.lock"
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*(?:\\|$)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """One a requirement, in the order of the lock file; each hash is that of one of its files."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if entry := ENTRY.match(line):
            name, exact, marker = entry.groups()
            purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{exact}"
            row: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": exact, "purl": purl}
            if marker:
                row["properties"] = [{"name": "shipstone:marker", "value": marker.strip()}]
            found.append({**row, "externalReferences": []})
        for digest in HASH.findall(line):
            one = {"type": "distribution", "url": found[-1]["purl"], "hashes": [{"alg": "SHA-256", "content": digest}]}
            found[-1]["externalReferences"].append(one)
    return found


def bom(lock: str, shipstone: str, at: int) -> dict[str, Any]:
    """The whole document; `at` is its time in seconds since 1970. The same lock gives the same bytes."""
    parts = components(lock)
    root = f"pkg:pypi/shipstone@{shipstone}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + lock)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": root, "name": "shipstone", "version": shipstone, "purl": root},
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


if __name__ == "__main__":
    made = bom(LOCK.read_text(encoding="utf-8"), version("shipstone"), int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    json.dump(made, sys.stdout, indent=2)
    sys.stdout.write("\n")
