"""What an installation sets up, said before it is done; the whole of it is tried on a real host in tests/host."""

from pathlib import Path

import pytest

from reconciler import install
from reconciler.errors import ShipstoneError
from reconciler.settings import FilesSettings, Settings, StateSettings, TraefikSettings, load_settings

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
