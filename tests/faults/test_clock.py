"""Faults: the clock jumps by a day, forth and back, while a release drains. Waits are monotonic: none ends early, none hangs."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.engine import lab_lock
from lab.host import until
from lab.images import compiler
from lab.load import Load

from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("clock")]

DAY = 86_400
DRAIN = 5.0
"""Seconds that the old release has after the switch."""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seconds that are written there are added to the time of day of a daemon that is told of it."""
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str, clock: Path) -> Iterator[Shop]:
    """libfaketime 0.9.10 also breaks monotonic sleeps; jump.c does no more than is needed."""
    with lab_lock():
        compiler()
    library = clock.with_name("jump.so")
    subprocess.run(
        ["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("jump.c"))], check=True
    )
    clock.write_text("0")
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image) as made:
        made.host.stop_daemon()
        made.host.start_daemon(LD_PRELOAD=str(library), CLOCK_OFFSET=str(clock))
        yield made


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_the_clock_jumps_while_the_old_release_drains(shop: Shop, clock: Path, jump: int) -> None:
    old = shop.ids()
    logged = len(shop.host.log())
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        commit = shop.release(rollout=f"{{min_healthy: 0s, drain: {DRAIN:g}s, deadline: 60s}}")
        until(lambda: shop.serves() == shop.version, "it was switched to", 40)
        switched = time.monotonic()
        clock.write_text(str(jump))
        until(lambda: not old <= shop.ids(), "the old release is stopped", 40)
        assert time.monotonic() - switched > DRAIN / 2, "the drain did not end early"
        shop.settled(commit)
        jumped = shop.release()
        shop.settled(jumped)
        clock.write_text("0")
        shop.settled(shop.release())
    assert load.seen.lost == []
    assert jumps(shop, logged), "the daemon's own clock jumped"


def jumps(shop: Shop, logged: int) -> bool:
    """Its log tells the time of day: some rows are a day from the others."""
    days = {str(row.get("timestamp", ""))[:10] for row in shop.host.log()[logged:]}
    return len(days) > 1
