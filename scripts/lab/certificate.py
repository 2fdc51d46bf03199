"""Certificates that sign themselves, for the servers of tests."""

import subprocess
from pathlib import Path

REQUEST = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")


def self_signed(key: Path, certificate: Path, name: str, *extensions: str) -> None:
    """PEM files for the common name `name`; `extensions` as `openssl req -addext` takes them. Raises CalledProcessError."""
    more = [word for extension in extensions for word in ("-addext", extension)]
    command = [*REQUEST, "-subj", f"/CN={name}", *more, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
