"""Faults: the state folder's disk is full, or read-only; the engine's is nearly full. What runs is not touched; with room it goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import pytest
from lab.host import until
from lab.images import make_abrupt
from lab.load import Load
from lab.own_engine import own_engine

from tests.faults.huge_image import a_huge_image
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("disk")]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own on `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with small_disk(folder / "state", "8m"), a_shop(folder, docker_socket, abrupt_image) as made:
        yield made
        made.host.stop_daemon()


def test_the_disk_of_the_state_folder_is_full(shop: Shop) -> None:
    """It says so, and heals all the same; the commit is live once there is room."""
    filler, ids, before = shop.host.state / "filler", shop.ids(), shop.serves()
    files = ("traefik.toml", "hosts", f"dynamic/{shop.host.instance}.toml")
    whole = {name: (shop.host.folder / name).read_text() for name in files}
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        fill(filler)
        commit = shop.release()
        until(lambda: any("disk of the state folder is full" in row["error"] for row in shop.said("cannot fetch")), "it says so", 30)
        assert (shop.ids(), shop.serves()) == (ids, before)
        shop.host.api.update_container(next(iter(ids)), mem_limit=64 << 20, memswap_limit=128 << 20)
        until(lambda: len(ids - shop.ids()) == 1 and len(shop.ids(running=True)) == 2 and not shop.pinned(), "healed without a disk", 30)
        assert {name: (shop.host.folder / name).read_text() for name in files} == whole
        filler.unlink()
        shop.settled(commit)
    assert load.seen.lost == []


def test_the_disk_of_the_state_folder_is_read_only(shop: Shop) -> None:
    """It does not start, and says why in one line; what runs serves on."""
    before, ids = shop.serves(), shop.ids()
    shop.host.stop_daemon()
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        subprocess.run(["mount", "-o", "remount,ro", str(shop.host.state)], check=True)
        try:
            done = shop.host.shipstone("apply")
            assert done.returncode == 1
            assert "Traceback" not in done.stderr
            assert "cannot " in done.stderr
            assert "state folder writable, or set [state] dir" in done.stderr
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(shop.host.state)], check=True)
        assert (shop.serves(), shop.ids()) == (before, ids)
        shop.host.start_daemon()
        shop.settled(shop.release())
    assert load.seen.lost == []


def test_the_disk_of_the_engine_gets_full_in_a_pull(tmp_path: Path, abrupt_image: str) -> None:
    """There was room when the release was begun. The pull fails, says why, and leaves nothing; the old release serves."""
    with own_engine() as engine, small_disk(engine.data, "1280m"), a_huge_image(engine.outside, 1536 << 20) as image:
        engine.registry = image.partition("/")[0]
        engine.start(live_restore=False)
        api = docker.APIClient(base_url=engine.socket, version="auto")
        make_abrupt(api)
        api.close()
        with a_shop(tmp_path, engine.socket, abrupt_image) as shop, Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
            before, ids = shop.serves(), shop.ids()
            shop.host.repository.commit({"sites/shop.yaml": f"image: {image}\nport: 80\n"}, "a huge image")
            full = until(lambda: text if "no space left on device" in (text := shop.told()) else "", "it says so", 30)
            assert full.startswith(f"cannot pull {image}: ")
            assert (shop.serves(), shop.ids(), shop.pinned()) == (before, ids, False)
            shop.settled(shop.release())
            assert load.seen.lost == []
            shop.host.stop_daemon()
        engine.stop()


def fill(path: Path) -> None:
    """Until nothing more can be written beside it."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"0" * 4096):
            pass
