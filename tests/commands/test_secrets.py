"""shipstone secrets: from a new identity to a file that only its host reads; plain text is never shown."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.world.age_files import identities_of, unseal

SHIPSTONE = Path(sys.executable).parent / "shipstone"
MARK = "m4rked-secret"


class Desk:
    """A repository, an identity, and whoever works there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.identity = folder, folder / "id"
        self.config = folder / "config.toml"
        self.config.write_text(f'[secrets]\nidentity = "{self.identity}"\n')
        (folder / "secrets").mkdir()

    def do(self, *arguments: str, stdin: str = "", wanted: int = 0, **environment: str) -> str:
        command = [str(SHIPSTONE), "secrets", *arguments]
        done = subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == wanted, done.stderr
        assert MARK not in done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    def opened(self, file: str = "secrets/db.age", identity: str = "id") -> tuple[tuple[str, ...], bytes]:
        return unseal((self.folder / file).read_bytes(), identities_of((self.folder / identity).read_bytes(), identity))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    public = made.do("keygen", "--config", str(made.config))
    (tmp_path / "secrets/recipients.txt").write_text(f"# this host\n{public}\n")
    return made


def test_an_identity_is_for_its_owner_alone_and_never_made_twice(desk: Desk) -> None:
    assert stat.S_IMODE(desk.identity.stat().st_mode) == 0o600
    before = desk.identity.read_text()
    assert "it is there already" in desk.do("keygen", "--config", str(desk.config), wanted=1)
    assert desk.identity.read_text() == before


def test_a_secret_is_encrypted_for_its_sites(desk: Desk) -> None:
    said = desk.do("encrypt", "secrets/db.age", "--site", "shop", "--site", "blog", stdin=f"{MARK}\n")
    assert said == "secrets/db.age: for shop, blog, as age:PATH in its secrets:"
    assert MARK not in (desk.folder / "secrets/db.age").read_text()
    assert desk.opened() == (("shop", "blog"), f"{MARK}\n".encode())


def test_it_is_edited_and_keeps_its_sites(desk: Desk) -> None:
    desk.do("encrypt", "secrets/db.age", "--site", "shop", stdin="before\n")
    first = (desk.folder / "secrets/db.age").read_bytes()
    assert desk.do("edit", "secrets/db.age", "--config", str(desk.config), EDITOR="true") == "secrets/db.age: unchanged"
    assert (desk.folder / "secrets/db.age").read_bytes() == first
    assert desk.do("edit", "secrets/db.age", "--config", str(desk.config), EDITOR=f"sed -i s/before/{MARK}/") == "secrets/db.age: changed"
    assert desk.opened() == (("shop",), f"{MARK}\n".encode())
    assert "the editor ended with 1. Nothing was changed" in desk.do("edit", "secrets/db.age", "--identity", "id", EDITOR="false", wanted=1)


def test_a_host_that_came_can_read_it_after_a_rekey(desk: Desk) -> None:
    desk.do("encrypt", "secrets/db.age", "--site", "shop", stdin=MARK)
    public = desk.do("keygen", "--out", "other")
    with (desk.folder / "secrets/recipients.txt").open("a") as file:
        file.write(public + "\n")
    assert desk.do("rekey", "secrets/db.age", "--identity", "id") == "secrets/db.age: encrypted again"
    assert desk.opened(identity="other") == desk.opened() == (("shop",), MARK.encode())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encrypt", "secrets/db.age", "--site", "shop"), "nothing stands on stdin"),
        (("encrypt", "/nowhere/db.age", "--site", "shop"), "there is no recipients.txt beside it or above"),
        (("encrypt", "secrets/db.age", "--site", "shop", "--recipients", "id"), "is no public key of age or ssh"),
        (("rekey", "secrets/absent.age", "--identity", "id"), "cannot read secrets/absent.age"),
        (("rekey", "secrets/recipients.txt", "--identity", "id"), "it is no age file, or damaged"),
        (("rekey", "secrets/recipients.txt", "--identity", "absent"), "there is no identity at absent"),
        (("edit", "secrets/recipients.txt", "--identity", "config.toml"), "every user of this host can read it"),
    ],
)
def test_what_is_wrong_is_one_line(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.config.chmod(0o644)
    said = desk.do(*arguments, wanted=1)
    assert message in said
    assert "\n" not in said
    assert "AGE-SECRET-KEY" not in said
