"""What root takes from the daemon into the hosts file, and what it refuses."""

import os
from pathlib import Path

import pytest

from reconciler.desired.hosts_file import hosts_block
from reconciler.errors import ShipstoneError
from reconciler.hosts_write import write_hosts

ADDRESSES = ("127.0.0.1", "::1")
BLOCK = hosts_block("shipstone", ADDRESSES, ["shop.example.org"])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n192.0.2.7 db.example.org DB # ours\n")
    path.chmod(0o664)
    return path


def test_the_block_comes_in_and_goes_again(tmp_path: Path, target: Path) -> None:
    source, before = tmp_path / "block", target.read_text()
    source.write_text(BLOCK)
    assert write_hosts(source, target, "shipstone", ADDRESSES)
    assert target.read_text() == before + BLOCK
    assert target.stat().st_mode & 0o777 == 0o664
    assert not write_hosts(source, target, "shipstone", ADDRESSES)
    source.unlink()
    assert write_hosts(source, target, "shipstone", ADDRESSES)
    assert target.read_text() == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("192.0.2.66 shop.example.org", "it is not one of"),
        ("127.0.0.1 shop.example.org other.example.org", "it is not one of"),
        ("127.0.0.1  shop.example.org", "it is not one of"),
        ("127.0.0.1 Shop.example.org", "it is not one of"),
        ("127.0.0.1 *.example.org", "it is not one of"),
        ("127.0.0.1 a.example.org\x0b192.0.2.66 b.example.org", "it is not one of"),
        ("127.0.0.1 a.example.org\r", "it is not one of"),
        ("# END shipstone shipstone", "it is not one of"),
        ("", "it is not one of"),
        ("127.0.0.1 localhost", "it is not one of"),
        ("127.0.0.1 db.example.org", "this host names db.example.org itself"),
        ("127.0.0.1 db", "this host names db itself"),
        ("127.0.0.1 é.example.org", "more than ASCII"),
    ],
)
def test_a_line_that_is_not_ours_is_refused(tmp_path: Path, target: Path, line: str, why: str) -> None:
    source, before = tmp_path / "block", target.read_text()
    begin, *rest = BLOCK.splitlines()
    source.write_text("\n".join([begin, line, *rest]) + "\n")
    with pytest.raises(ShipstoneError, match=why):
        write_hosts(source, target, "shipstone", ADDRESSES)
    assert target.read_text() == before


@pytest.mark.parametrize("text", [BLOCK + "192.0.2.66 a.b\n", "192.0.2.66 a.b\n" + BLOCK, BLOCK.rstrip("\n"), "x", BLOCK * 2])
def test_what_is_not_one_whole_block_is_refused(tmp_path: Path, target: Path, text: str) -> None:
    (tmp_path / "block").write_text(text)
    with pytest.raises(ShipstoneError):
        write_hosts(tmp_path / "block", target, "shipstone", ADDRESSES)
    assert "192.0.2.66" not in target.read_text()


def test_a_link_a_pipe_and_a_flood_are_not_read(tmp_path: Path, target: Path) -> None:
    """The folder belongs to somebody with fewer rights."""
    (tmp_path / "secret").write_text(BLOCK)
    link, pipe, flood = (tmp_path / name for name in ("link", "pipe", "flood"))
    link.symlink_to(tmp_path / "secret")
    os.mkfifo(pipe)
    flood.write_text(BLOCK + "#" * (1 << 20))
    for source in (link, pipe, flood):
        with pytest.raises(ShipstoneError, match=r"cannot (read|use)"):
            write_hosts(source, target, "shipstone", ADDRESSES)
    assert BLOCK not in target.read_text()
