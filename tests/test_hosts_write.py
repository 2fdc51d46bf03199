"""What root takes from the daemon into the hosts file, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.desired.hosts_file import hosts_block
from reconciler.errors import ShipstoneError
from reconciler.hosts_write import Written, write_hosts

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
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=True)
    assert target.read_text() == before + BLOCK
    assert target.stat().st_mode & 0o777 == 0o664
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=False)
    source.unlink()
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=True)
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


def test_a_name_that_the_host_has_is_left_out_and_the_others_come_in(tmp_path: Path, target: Path) -> None:
    """Else one site could keep the names of all others away."""
    source, before = tmp_path / "block", target.read_text()
    source.write_text(hosts_block("shipstone", ADDRESSES, ["db.example.org", "shop.example.org", "db"]))
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=True, left_out=("db.example.org", "db"))
    assert target.read_text() == before + BLOCK
    source.write_text(hosts_block("shipstone", ADDRESSES, ["db.example.org"]))
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=True, left_out=("db.example.org",))
    assert target.read_text() == before


def test_the_command_says_what_it_left_out_and_fails(tmp_path: Path, target: Path) -> None:
    source, config = tmp_path / "block", tmp_path / "config.toml"
    source.write_text(hosts_block("shipstone", ADDRESSES, ["db.example.org", "shop.example.org"]))
    config.write_text(f'[files]\nhosts = "{source}"\naddresses = ["127.0.0.1", "::1"]\n')
    command = [Path(sys.executable).with_name("shipstone"), "hosts-write", "--config", str(config), "--to", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, f"{target}: written\n")
    why = f"cannot take db.example.org into {target}: this host names it itself. Give the site another host name."
    assert why in " ".join(done.stderr.split())
    assert "shop.example.org" in target.read_text()


@pytest.mark.parametrize("gone", ["# BEGIN", "# END"])
def test_broken_marks_of_the_target_stop_it_and_nothing_is_cut(tmp_path: Path, target: Path, gone: str) -> None:
    source = tmp_path / "block"
    source.write_text(BLOCK)
    write_hosts(source, target, "shipstone", ADDRESSES)
    broken = "".join(line for line in target.read_text().splitlines(keepends=True) if not line.startswith(gone)) + "192.0.2.9 printer\n"
    target.write_text(broken)
    with pytest.raises(ShipstoneError, match=r"markers of instance shipstone are broken .* Delete the lines from BEGIN to END"):
        write_hosts(source, target, "shipstone", ADDRESSES)
    assert target.read_text() == broken


def test_a_hand_inside_the_block_is_put_right_and_outside_it_is_kept(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "block"
    source.write_text(BLOCK)
    write_hosts(source, target, "shipstone", ADDRESSES)
    right = target.read_text()
    hand = right.replace("127.0.0.1 shop", "192.0.2.66 shop").replace("# ours", "# theirs") + "192.0.2.9 printer\n"
    target.write_text(hand)
    assert write_hosts(source, target, "shipstone", ADDRESSES) == Written(changed=True)
    assert target.read_text() == right.replace("# ours", "# theirs") + "192.0.2.9 printer\n"


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
