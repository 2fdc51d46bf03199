"""Faults: an engine that is slow, that answers 500 and 409, that does what it was asked and fails to say so, whose events break off, whose
socket is gone or denied. Not ready while it lasts, ever longer pauses, no request lost; then as it should be, with nothing twice."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from lab.host import until
from lab.load import Load

from tests.faults.engine_relay import EngineRelay, Harm, relayed
from tests.faults.shop import Shop, a_shop

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("engine-calls")]

TIMEOUT = 4
"""Seconds that the daemon gives one call."""
HARMS = {
    "500, then 409": [Harm(500), Harm(409)],
    "done, and not said": [Harm(500, done=True)],
    "too late": [Harm(late=TIMEOUT + 1)],
}
"""What the next calls of each kind get."""
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Started so, even root has no more rights on a file than its mode says."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, docker_socket: str) -> Iterator[EngineRelay]:
    """Between the daemon and the engine; commands and tests ask the engine itself."""
    with relayed(tmp_path_factory.mktemp("engine") / "s", docker_socket) as made:
        yield made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str, line: EngineRelay) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop"), docker_socket, abrupt_image, volume=True) as made:
        made.host.stop_daemon()
        made.host.daemon_under = WITHOUT_RIGHTS
        made.host.start_daemon(SHIPSTONE_ENGINE__SOCKET=line.url, SHIPSTONE_ENGINE__TIMEOUT=f"{TIMEOUT}s")
        until(lambda: readyz(made)[0] == 200, "it is ready", 20)
        yield made


def readyz(shop: Shop) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{shop.host.page}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def not_ready(shop: Shop, why: str) -> None:
    """It says so with the reason, and tries again after ever longer pauses."""
    until(lambda: readyz(shop)[0] == 503 and why in readyz(shop)[1], f"not ready: {why}", 30)
    failed = len(shop.said("the pass failed"))
    until(lambda: len(shop.said("the pass failed")) > failed, "tried again", 30)
    assert why in shop.said("the pass failed")[-1]["error"]
    assert float(shop.said("the pass failed")[-1]["again_in"].split()[0]) > 0


def test_an_engine_whose_every_call_is_slow(shop: Shop, line: EngineRelay) -> None:
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        line.late = 0.2
        commit = shop.release()
        shop.settled(commit)
        line.late = 0.0
    assert load.seen.lost == []


def test_an_engine_that_is_slower_than_a_call_may_be(shop: Shop, line: EngineRelay) -> None:
    before, ids = shop.serves(), shop.ids(running=True)
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        line.late = TIMEOUT + 1
        commit = shop.release()
        not_ready(shop, "does not answer (")
        assert (shop.serves(), shop.ids(running=True)) == (before, ids)
        line.late = 0.0
        shop.settled(commit)
        until(lambda: readyz(shop) == (200, "ready\n"), "ready again", 20)
    assert load.seen.lost == []


@pytest.mark.parametrize("how", HARMS)
def test_calls_that_fail_in_a_rollout_are_made_again(shop: Shop, line: EngineRelay, how: str) -> None:
    """Of each kind, and the removal of what did not start too: the site backs off, and nothing is made twice or left over."""
    logged = len(shop.host.log())
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        for call in ("list", "inspect", "create", "start", "stop", "remove"):
            line.harms[call] = HARMS[how] * (2 if call == "remove" else 1)
        commit = shop.release()
        until(lambda: not any(line.harms.values()), "each of them failed", 60)
        shop.settled(commit)
    assert load.seen.lost == []
    said = [str(row.get("error") or row.get("event")) for row in shop.host.log()[logged:]]
    for call in ("list", "create", "start"):  # stops and removals are side by side, and the first that failed is said
        assert any(text.startswith(f"cannot {call} ") for text in said), f"{call}: {said}"


def test_an_engine_that_answers_every_list_with_500(shop: Shop, line: EngineRelay) -> None:
    before, ids = shop.serves(), shop.ids(running=True)
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        line.refused.add("list")
        commit = shop.release()
        not_ready(shop, "cannot list the containers: the test stands in the way")
        assert (shop.serves(), shop.ids(running=True)) == (before, ids)
        line.refused.clear()
        shop.settled(commit)
    assert load.seen.lost == []


def test_events_that_break_off_are_made_up_for_by_a_look_at_everything(shop: Shop, line: EngineRelay) -> None:
    """What a hand does while there are none is seen all the same."""
    commit, victim = shop.host.containers()[0]["Labels"]["shipstone.commit"], min(shop.ids())
    line.refused.add("events")
    line.cut()
    until(lambda: shop.said("the engine's events broke off"), "it says so", 20)
    shop.host.api.update_container(victim, mem_limit=64 << 20, memswap_limit=128 << 20)
    until(lambda: victim not in shop.ids() and len(shop.ids(running=True)) == 2, "another one in its place", 8)
    line.refused.clear()
    shop.settled(commit)


@pytest.mark.parametrize(("how", "why"), [("denied", "Permission denied"), ("gone", "No such file or directory")])
def test_the_socket_is_denied_or_gone(shop: Shop, line: EngineRelay, how: str, why: str) -> None:
    before, ids = shop.serves(), shop.ids(running=True)
    with Load(shop.host.web, shop.name, clients=4, pause=0.05) as load:
        if how == "denied":
            os.chmod(line.path, 0)
            line.cut()
        else:
            line.close()
        commit = shop.release()
        not_ready(shop, why)
        assert (shop.serves(), shop.ids(running=True)) == (before, ids)
        if how == "denied":
            os.chmod(line.path, 0o700)
        else:
            line.open()
        shop.settled(commit)
        until(lambda: readyz(shop) == (200, "ready\n"), "ready again", 20)
    assert load.seen.lost == []
