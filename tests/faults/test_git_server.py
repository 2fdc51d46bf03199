"""Faults: the git server accepts and never answers; it sends 1 kB a second; the mirror of it is corrupt, or locked by a fetch that was
killed. Healing goes on; then the newest is live."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest
from lab.host import until
from lab.load import Load
from lab.ports import Ports

from tests.faults.relay import Relay
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("git-server")]

TIMEOUT = 6
"""Seconds that one fetch may take."""


@pytest.fixture(scope="module")
def line() -> Relay:
    """Between Shipstone and the git server."""
    return Relay()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str, line: Relay) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image) as made:
        made.host.stop_daemon()
        ports = Ports()
        line.target = ports.take()
        bare = made.host.repository.bare
        where = ["--listen=127.0.0.1", f"--port={line.target}", f"--base-path={bare.parent}"]
        server = subprocess.Popen(["git", "daemon", "--export-all", "--reuseaddr", *where], start_new_session=True)
        text = made.host.config.read_text()
        made.host.config.write_text(
            text.replace(f'url = "{bare}"', f'url = "git://127.0.0.1:{line.port}/{bare.name}"\ntimeout = "{TIMEOUT}s"')
        )
        commit = made.release()
        made.host.start_daemon()
        try:
            made.settled(commit)
            yield made
        finally:
            made.host.stop_daemon()
            os.killpg(server.pid, 15)
            server.wait(20)
            ports.close()


def test_a_git_server_that_accepts_and_never_answers(shop: Shop, line: Relay) -> None:
    """Each fetch ends at its deadline; meanwhile what runs is healed, and no commit is claimed that was not seen."""
    before, logged = shop.version, len(shop.said("cannot fetch"))
    line.silent = True
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = shop.release()
        until(lambda: len(shop.said("cannot fetch")) > logged, "it says so", 30)
        assert f"no answer within {TIMEOUT} s" in shop.said("cannot fetch")[-1]["error"]
        heal(shop)
        assert shop.serves() == before
        assert claimed(shop) not in ("", commit)
        line.silent = False
        shop.settled(commit)
    assert load.seen.lost == []


def test_a_git_server_that_sends_a_kilobyte_a_second(shop: Shop, line: Relay) -> None:
    """Its commits are live later; healing does not wait for them."""
    line.rate, passed = 1000, line.passed
    commit = shop.release()
    until(lambda: line.passed > passed, "a slow fetch is under way", 30)
    heal(shop)
    shop.settled(commit)
    line.rate = 0
    shop.settled(shop.release())


@pytest.mark.parametrize("daemon", ["runs", "is started"])
def test_a_corrupt_mirror_is_made_anew(shop: Shop, daemon: str) -> None:
    """With locks and half a pack, as a fetch leaves them that was killed."""
    mirror, serves = shop.host.state / "mirror.git", shop.serves()
    if daemon == "is started":
        shop.host.stop_daemon(signal.SIGKILL)
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        for path in [path for path in (mirror / "objects").rglob("*") if path.is_file()]:
            with suppress(FileNotFoundError):  # it is made anew already
                path.chmod(0o644)
                path.write_bytes(b"rubbish")
        for name in ("HEAD.lock", "shallow.lock", "objects/pack/tmp_pack_x"):
            with suppress(FileNotFoundError):
                (mirror / name).write_text("")
        assert shop.serves() == serves
        commit = shop.release()
        if daemon == "is started":
            shop.host.start_daemon()
        shop.settled(commit)
    assert load.seen.lost == []
    assert not [*mirror.rglob("*.lock"), *mirror.rglob("tmp_pack_*")]
    subprocess.run(["git", "-C", str(mirror), "fsck", "--strict"], check=True, capture_output=True)


def claimed(shop: Shop) -> str:
    """The revision that the daemon says it runs."""
    return str((shop.host.page_status() or {})["revision"])


def heal(shop: Shop) -> None:
    """A hand changes a replica: another one takes its place."""
    victim = next(iter(shop.ids()))
    shop.host.api.update_container(victim, mem_limit=64 << 20, memswap_limit=128 << 20)
    until(lambda: victim not in shop.ids(), "another one in its place", 30)
