"""scripts/audit: pip-audit on the locked requirements, and what to make of its report: it calls what it could not ask about clean."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[2] / "requirements.lock"
SECONDS = 120


def verdict(rows: Sequence[dict[str, Any]]) -> tuple[int, list[str]]:
    """(exit code, lines to print) from the report's dependencies: 1 where one of them has an advisory."""
    found = [
        f"audit: {row['name']} {row['version']}: {vuln['id']}, mended in {', '.join(vuln['fix_versions']) or 'no version yet'}"
        for row in rows
        for vuln in row.get("vulns", ())
    ]
    if found:
        return 1, [*found, "audit: take the mended versions: scripts/lock"]
    skipped = sum("skip_reason" in row for row in rows)
    if skipped == len(rows):
        return 0, ["audit: skipped, the advisory service cannot be asked"]
    return 0, [f"audit: {skipped} of {len(rows)} requirements could not be asked about"] if skipped else []


def report() -> list[dict[str, Any]]:
    """pip-audit's rows; none where it could not do its work."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "report.json")
        options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10", "--format", "json"]
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), *options, "--output", str(written)]
        try:
            subprocess.run(command, capture_output=True, timeout=SECONDS)
            return list(json.loads(written.read_text(encoding="utf-8"))["dependencies"])
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return []


if __name__ == "__main__":
    code, lines = verdict(report())
    print("\n".join(lines), end="\n" if lines else "")
    sys.exit(code)
