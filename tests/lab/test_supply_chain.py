"""What a host installs: the wheel is the same wherever it is built, and the bill of materials names all that is locked."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

from cyclonedx.model.bom import Bom
from lab.audit import verdict
from lab.real_host import ROOT, build_wheel
from lab.sbom import LOCK, bom

EPOCH = "1700000000"


def test_two_builds_in_two_places_are_the_same_bytes(tmp_path: Path) -> None:
    """Another folder, other times and other rights of the files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "reconciler"):
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, elsewhere / name, ignore=ignored) if source.is_dir() else shutil.copy(source, elsewhere / name)
    for path in elsewhere.rglob("*.py"):
        path.chmod(0o600)
    one = build_wheel(tmp_path / "one", epoch=EPOCH)
    other = build_wheel(tmp_path / "other", epoch=EPOCH, root=elsewhere)
    assert hashlib.sha256(one.read_bytes()).hexdigest() == hashlib.sha256(other.read_bytes()).hexdigest()


def test_the_wheel_holds_the_units_and_nothing_of_the_lab(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())
    units = {path.name for path in (ROOT / "reconciler/systemd").iterdir()}
    assert {f"reconciler/systemd/{name}" for name in units} <= names
    assert len(units) == 6
    assert {name.split("/")[0].split("-")[0] for name in names} == {"reconciler", "shipstone"}


def test_the_bill_of_materials_names_every_locked_requirement_and_hash() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    text = json.dumps(bom(lock, "1.2.3", 0))
    read = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]  it comes from a decorator
    wanted = set(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    assert {(part.name, part.version) for part in read.components} == wanted
    assert set(re.findall(r"[0-9a-f]{64}", text)) == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    assert text == json.dumps(bom(lock, "1.2.3", 0))


def test_an_advisory_fails_and_a_service_that_is_away_does_not() -> None:
    """What could not be asked about is not called clean."""
    clean = {"name": "a", "version": "1", "vulns": []}
    away = {"name": "b", "skip_reason": "not found"}
    bad = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1", "3.0"]}]}
    assert verdict([clean]) == (0, [])
    assert verdict([away]) == verdict([]) == (0, ["audit: skipped, the advisory service cannot be asked"])
    assert verdict([clean, away]) == (0, ["audit: 1 of 2 requirements could not be asked about"])
    code, lines = verdict([clean, away, bad])
    assert (code, lines[0]) == (1, "audit: c 2: CVE-1, mended in 2.1, 3.0")
