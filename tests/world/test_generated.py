"""Generated files: what a hand changed since they were written is told, line by line, and put right; news are no drift."""

from pathlib import Path

import pytest

from reconciler.desired.hosts_file import hosts_block
from reconciler.errors import ShipstoneError
from reconciler.world.files import HostsFile, text_of, write_if_changed
from reconciler.world.generated import GeneratedFiles, Part

TOML = "a = 1\nb = 2\n"
BLOCK = hosts_block("t", ["127.0.0.1"], ["a.test", "b.test"])


def files(tmp_path: Path) -> GeneratedFiles:
    hosts, toml = HostsFile(tmp_path / "hosts", "t"), tmp_path / "traefik.toml"
    return GeneratedFiles(
        (
            Part("hosts", tmp_path / "hosts", hosts.block, hosts.sync),
            Part("traefik.toml", toml, lambda: text_of(toml), lambda text: write_if_changed(toml, text)),
        ),
        tmp_path / "state" / "written",
    )


def rows(found: GeneratedFiles) -> list[tuple[str, str, str]]:
    return [(row.field, row.desired, row.actual) for row in found.differences()]


def written(tmp_path: Path) -> GeneratedFiles:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    made = files(tmp_path)
    assert rows(made) == [], "before the first time nothing is expected"
    made.write({"hosts": BLOCK, "traefik.toml": TOML})
    assert rows(made) == []
    return made


def test_lines_that_a_hand_changed_are_told_until_they_are_put_right(tmp_path: Path) -> None:
    """By another process too; then not again."""
    made = written(tmp_path)
    hosts = tmp_path / "hosts"
    hosts.write_text(hosts.read_text().replace("127.0.0.1 a.test", "10.6.6.6 a.test") + "10.0.0.1 outside\n")
    expected = [("hosts", "127.0.0.1 a.test", ""), ("hosts", "", "10.6.6.6 a.test")]
    assert rows(made) == rows(files(tmp_path)) == expected
    made.write({"hosts": BLOCK, "traefik.toml": TOML})
    assert rows(made) == rows(files(tmp_path)) == []
    assert hosts.read_text() == f"127.0.0.1 localhost\n{BLOCK}10.0.0.1 outside\n"


def test_what_is_put_right_before_anyone_looked_is_told_once(tmp_path: Path) -> None:
    made = written(tmp_path)
    (tmp_path / "traefik.toml").write_text("a = 1\nb = 3\n")
    made.write({"hosts": BLOCK, "traefik.toml": TOML})
    assert (tmp_path / "traefik.toml").read_text() == TOML
    assert rows(made) == [("traefik.toml", "b = 2", ""), ("traefik.toml", "", "b = 3")]
    assert rows(made) == []


def test_another_text_that_shipstone_writes_is_no_drift(tmp_path: Path) -> None:
    made = written(tmp_path)
    made.write({"hosts": "", "traefik.toml": "a = 2\n"})
    assert rows(made) == []
    assert (tmp_path / "hosts").read_text() == "127.0.0.1 localhost\n"


def test_a_file_that_is_gone_and_a_block_that_is_gone(tmp_path: Path) -> None:
    made = written(tmp_path)
    (tmp_path / "traefik.toml").unlink()
    (tmp_path / "hosts").write_text("")
    assert rows(made) == [("hosts", "present", ""), ("traefik.toml", "present", "")]


def test_lines_in_another_order_and_very_many(tmp_path: Path) -> None:
    made = written(tmp_path)
    toml = tmp_path / "traefik.toml"
    toml.write_text("b = 2\na = 1\n")
    assert rows(made) == [("traefik.toml", "its lines in order", "the same lines otherwise")]
    toml.write_text(TOML + "".join(f"x{n} = 1\n" for n in range(100)))
    assert [actual for _, _, actual in rows(made)] == ["x0 = 1", "x1 = 1", "x2 = 1", "x3 = 1", "96 more lines"]


def test_markers_that_are_broken_are_told_and_left(tmp_path: Path) -> None:
    """The other file is written all the same."""
    made = written(tmp_path)
    hosts, toml = tmp_path / "hosts", tmp_path / "traefik.toml"
    hosts.write_text(BLOCK.splitlines()[0])
    toml.write_text("")
    with pytest.raises(ShipstoneError, match="markers of instance t are broken"):
        made.write({"hosts": BLOCK, "traefik.toml": TOML})
    assert toml.read_text() == TOML
    assert hosts.read_text() == BLOCK.splitlines()[0]
    (row,) = (row for row in made.differences() if row.field == "hosts")
    assert row.action.startswith("left: cannot write the hosts file: its markers of instance t are broken")


def test_bytes_that_are_no_text_are_told_and_put_right(tmp_path: Path) -> None:
    """In our block, and in what was kept of it: as text that can be written down."""
    made = written(tmp_path)
    hosts, kept = tmp_path / "hosts", tmp_path / "state" / "written" / "hosts"
    hosts.write_bytes(hosts.read_bytes().replace(b"a.test", b"b\xfcro.test"))
    assert rows(made) == [("hosts", "127.0.0.1 a.test", ""), ("hosts", "", "127.0.0.1 b\ufffdro.test")]
    kept.write_bytes(b"\xff\xfe\n")
    assert rows(made)[0] == ("hosts", "\ufffd\ufffd", "")
    made.write({"hosts": BLOCK, "traefik.toml": TOML})
    assert BLOCK in hosts.read_text()
    assert rows(files(tmp_path)) == []


def test_nothing_is_read_that_did_not_change(tmp_path: Path) -> None:
    reads: list[int] = []
    toml = tmp_path / "traefik.toml"
    part = Part("traefik.toml", toml, lambda: reads.append(1) or text_of(toml), lambda text: write_if_changed(toml, text))
    made = GeneratedFiles((part,), tmp_path / "written")
    made.write({"traefik.toml": TOML})
    for _ in range(5):
        made.differences()
    assert len(reads) == 1
