"""What an installation sets up, said before it is done; the whole of it is tried on a real host in tests/host."""

import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from reconciler import install
from reconciler.desired.hosts_file import hosts_block
from reconciler.errors import ShipstoneError
from reconciler.settings import FilesSettings, Settings, StateSettings, TraefikSettings, load_settings
from reconciler.world.default_certificate import DefaultCertificate
from reconciler.world.host_setup import Folder
from reconciler.world.pins import PinFile

PROGRAM = Path("/opt/shipstone/.venv/bin/shipstone")


@pytest.mark.parametrize("command", ["/root/venv/bin/shipstone", "/home/ada/bin/shipstone", "/tmp/x/shipstone", "/opt/my venv/shipstone"])  # noqa: S108
def test_a_program_that_the_service_could_not_see_is_refused(command: str) -> None:
    with pytest.raises(ShipstoneError, match=f"the service could not see {command}"):
        install.refuse(Settings(), Path(command), dry_run=True)


def test_folders_that_the_units_cannot_have_are_refused() -> None:
    with pytest.raises(ShipstoneError, match=r"\[state\] dir is /srv/state"):
        install.refuse(Settings(state=StateSettings(dir="/srv/state")), PROGRAM, dry_run=True)
    with pytest.raises(ShipstoneError, match="a unit cannot name the folder /srv/a b"):
        install.refuse(Settings(traefik=TraefikSettings(dynamic_dir="/srv/a b")), PROGRAM, dry_run=True)
    with pytest.raises(ShipstoneError, match="/etc would become writable for the service"):
        install.refuse(Settings(files=FilesSettings(traefik="/etc/traefik.toml")), PROGRAM, dry_run=True)


def test_units_name_this_hosts_program_and_folders() -> None:
    settings = Settings(traefik=TraefikSettings(dynamic_dir="/srv/pins"), files=FilesSettings(traefik="/etc/traefik/traefik.toml"))
    text = install.unit_text("shipstone.service", settings, PROGRAM)
    assert f"\nExecStart={PROGRAM} run\n" in text
    assert "\nReadWritePaths=-/srv/pins -/etc/traefik\n" in text
    folders = [piece.target for piece in install.pieces(settings, PROGRAM) if piece.kind == "folder"]
    assert folders == ["/etc/shipstone", "/etc/shipstone/credentials", "/var/lib/shipstone", "/srv/pins", "/etc/traefik"]


def test_without_a_folder_for_pins_none_is_made() -> None:
    settings = Settings(traefik=TraefikSettings(dynamic_dir=""))
    assert "\nReadWritePaths=\n" in install.unit_text("shipstone.service", settings, PROGRAM)
    assert install.traefik_folders(settings) == ()


def test_a_program_in_a_folder_of_the_whole_host_goes_without_that_folder() -> None:
    for program, command in (("/opt/shipstone", "rm -r /opt/shipstone"), ("/usr/local", "/usr/local/bin/pip uninstall shipstone")):
        left = install.left(Settings(), Path(program, "bin/shipstone"))
        assert [row.command for row in left if row.what == "program"] == [command]


def test_the_first_settings_are_right_also_with_every_line_of_them(tmp_path: Path) -> None:
    """As they are, and with the comments taken off what is a setting."""
    text = install.text_of("config.toml")
    (tmp_path / "config.toml").write_text(text)
    assert load_settings(tmp_path / "config.toml").traefik.manage
    lines = [
        line.removeprefix("# ") if line.startswith(("# url", "# ssh_key", "# known_hosts", "# branch", "# [")) else line
        for line in text.splitlines()
    ]
    (tmp_path / "config.toml").write_text("\n".join(lines))
    assert load_settings(tmp_path / "config.toml").source.ssh_key == "ssh-key"


def test_a_dry_run_asks_and_does_nothing() -> None:
    class Undone:
        kind, target = "thing", "x"

        def due(self) -> str:
            return "made"

        def do(self) -> None:
            raise AssertionError("done in a dry run")

    (done,) = install.carry_out([Undone()], dry_run=True)
    assert done.due == "made"


def test_what_is_left_is_named_with_the_command_that_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is not there is not."""
    pins, hosts = tmp_path / "pins", tmp_path / "hosts"
    PinFile(pins, "blue", ("web",)).ensure()
    hosts.write_text(f"127.0.0.1 localhost\n{hosts_block('blue', ['::1'], ['a.b'])}::1 other\n")
    for name, value in (("HOSTS", hosts), ("STATE", tmp_path / "state"), ("DEFAULT", tmp_path / "etc/c"), ("USER", "nobody-at-all")):
        monkeypatch.setattr(install, name, value)
    settings = Settings(instance="blue", traefik=TraefikSettings(dynamic_dir=str(pins)))
    rows = {row.target: row.command for row in install.left(settings, PROGRAM)}
    assert rows.keys() - {str(hosts), f"{pins}/blue.toml", f"{pins}/.blue.toml.new", str(pins)} == {
        "/opt/shipstone/.venv",
        "go on running, with their Traefik",
        "are never removed",
    }
    for path in list(rows)[:4]:
        subprocess.run(rows[path], shell=True, check=True)  # noqa: S602  as a person would
    assert hosts.read_text() == "127.0.0.1 localhost\n::1 other\n"
    assert not pins.exists()
    assert tmp_path.exists()
    hosts.write_text(hosts_block("blue", ["::1"], ["a.b"]).partition("# END")[0])
    broken = {row.target: row.command for row in install.left(settings, PROGRAM)}[str(hosts)]
    assert broken.startswith("# cannot write the hosts file: its markers of instance blue are broken")


def test_a_purge_removes_the_same_and_leaves_what_others_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins, hosts, state = tmp_path / "etc-traefik/pins", tmp_path / "hosts", tmp_path / "state"
    for folder in (pins, state):
        folder.mkdir(parents=True)
    (state / "file").write_text("")
    PinFile(pins, "blue", ("web",)).ensure()
    DefaultCertificate(pins, "blue").ensure()
    (pins / "others.toml").write_text("")
    hosts.write_text(hosts_block("blue", ["::1"], ["a.b"]) + hosts_block("green", ["::1"], ["c.d"]))
    for name, value in (("HOSTS", hosts), ("STATE", state), ("DEFAULT", tmp_path / "etc/c"), ("USER", "nobody-at-all")):
        monkeypatch.setattr(install, name, value)
    settings = Settings(instance="blue", traefik=TraefikSettings(dynamic_dir=str(pins)))
    done = [row.piece.target for row in install.carry_out(install.purges(settings), dry_run=False) if row.due]
    assert done == [str(hosts), f"{pins}/blue.toml", f"{pins}/.blue.toml.new", f"{pins}/zz_blue.toml", str(state)]
    assert hosts.read_text() == hosts_block("green", ["::1"], ["c.d"])
    assert [path.name for path in pins.iterdir()] == ["others.toml"]
    (pins / "others.toml").unlink()
    assert [row.piece.target for row in install.carry_out(install.purges(settings), dry_run=False) if row.due] == [str(pins)]
    assert not pins.parent.exists()
    assert hosts.exists()


def test_a_purge_is_refused_while_containers_mount_what_it_would_remove() -> None:
    install.refuse_purge("blue", ())
    with pytest.raises(ShipstoneError, match="cannot purge: 2 containers mount what is in /var/lib/shipstone, blue-a-web-1 is one"):
        install.refuse_purge("blue", ("blue-a-web-1", "blue-traefik"))


def test_who_may_use_a_folder_gets_there_whatever_the_umask(tmp_path: Path) -> None:
    """As root has it on a hardened host; what was there before stays as it is."""
    there, wanted = tmp_path / "there", tmp_path / "there" / "above" / "pins"
    there.mkdir(mode=0o700)
    me, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    before = os.umask(0o077)
    try:
        Folder(wanted, me, group, 0o775).do()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (there, wanted.parent, wanted)] == [0o700, 0o755, 0o775]
