"""Doing what plans say, beside the engine in memory: images that many sites share, and resting while steps are under way."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.apply import Apply, Outcome
from reconciler.desired.desired import Desired
from reconciler.errors import EngineError
from reconciler.images import FRESH, Images
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan, SitePlan
from reconciler.planning.steps import Pull
from reconciler.world.files import FileStore
from reconciler.world.memory import Behaviour, MemoryEngine
from reconciler.world.pins import PinFile


class SlowRegistry(MemoryEngine):
    """A pull of `slow` goes on until `here` is set."""

    def __init__(self) -> None:
        super().__init__("test", "test_net")
        self.here = threading.Event()

    def resolve(self, image: str, *, timeout: float) -> str:
        assert image != "slow" or self.here.wait(10)
        return super().resolve(image, timeout=timeout)


def test_sites_that_want_one_image_at_once_share_the_answer_and_the_error() -> None:
    """A registry that refuses is asked once for a hundred sites, and again a moment later."""
    now = [0.0]
    engine = MemoryEngine("test", "test_net")
    engine.images["nginx"] = Behaviour()
    engine.fail("resolve", EngineError("cannot pull nginx: the registry is tired"))
    images = Images(engine, lambda: now[0], timeout=5)

    def resolved(_: int) -> str:
        try:
            return images.resolve("nginx")
        except EngineError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(resolved, range(100))) == {"cannot pull nginx: the registry is tired"}
        now[0] = FRESH + 0.1
        assert set(pool.map(resolved, range(100))) == {"sha256:nginx"}


def test_an_image_of_one_name_does_not_wait_for_another() -> None:
    engine = SlowRegistry()
    engine.images["slow"] = Behaviour()
    images = Images(engine, time.monotonic, timeout=5)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(images.resolve, "slow")
        with pytest.raises(EngineError, match="no such image"):
            images.resolve("other")
        assert not slow.done()
        engine.here.set()
        assert slow.result(10) == "sha256:slow"


@pytest.mark.parametrize("sites", [1, 20])
def test_a_rest_ends_when_the_last_step_under_way_has(tmp_path: Path, sites: int) -> None:
    engine = SlowRegistry()
    engine.images["slow"] = Behaviour()
    pins = PinFile(tmp_path / "dynamic", "test", ("web",))
    apply = Apply(engine, pins, FileStore(tmp_path / "files"), parallel=4, clock=time.monotonic, wall=time.time)
    ended: list[Outcome] = []
    pull = Pull("slow", "for it")
    plans = {f"s{n}": SitePlan(f"s{n}", "out-of-sync", "missing", "r", "", (), 0, 1, (pull,)) for n in range(sites)}
    apply.submit(Plan(plans, Memory(), network=True), Desired("", {}), ended.append)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(apply.rest, 60)
        assert len(apply.busy) == sites
        assert not ended
        engine.here.set()
        resting.result(10)
    assert len(ended) == sites
    assert all(outcome.images == {("r", "slow"): "sha256:slow"} for outcome in ended)
    assert apply.close(1)
