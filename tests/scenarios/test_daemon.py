"""The daemon among people who stop it, kill it, start it twice, cut its git server off and push what cannot work."""

import signal
from collections.abc import Callable

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

Moment = Callable[[Host], object]


def deployed(host: Host, text: str) -> None:
    """One site, shop, beside another; it answers."""
    commit = host.repository.commit({"sites/shop.yaml": text}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "the first release runs", 60)


def pinned(host: Host) -> bool:
    return any(f"{host.instance}-shop" in path.read_text() for path in host.dynamic.glob("*.toml"))


def started(host: Host) -> bool:
    return len(host.containers("shop", running=True)) > 2


def switched(host: Host) -> bool:
    return host.get("shop.test.local") == (200, "two")


def stopping(host: Host) -> bool:
    return switched(host) and len(host.containers("shop", running=True)) < 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", [pinned, started, switched, stopping])
def test_ended_in_mid_rollout_it_goes_on_at_the_next_start(host: Host, site_text: SiteText, number: int, moment: Moment) -> None:
    """Parked or killed, at whatever moment: no request is lost, and the next start finishes."""
    deployed(host, site_text("one", replicas=2))
    with Load(host.web, "shop.test.local", clients=6, pause=0.02) as load:
        commit = host.repository.commit({"sites/shop.yaml": site_text("two", replicas=2, boot=800)}, "replace")
        until(lambda: moment(host), "the moment", 40)
        ended = host.stop_daemon(number)
        assert ended == (0 if number == signal.SIGTERM else -number)
        assert load.seen.lost == []
        host.start_daemon()
        until(lambda: host.converged(commit), "the second release runs", 60)
    assert load.seen.lost == []
    assert load.seen.answers[200, "two"] > 0
    assert len(host.containers("shop")) == 2
    assert not pinned(host)


def test_a_second_one_is_refused_and_told_who_the_first_is(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    daemon = host.start_daemon()
    until(lambda: host.containers("shop"), "it works", 40)
    for command in ("run", "apply"):
        done = host.shipstone(command)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"cannot start: instance {host.instance} is already run by process {daemon.pid} ")


def test_a_git_server_that_is_gone_stops_nothing_but_news(host: Host, site_text: SiteText) -> None:
    """What runs is healed meanwhile, and the next commit is taken when the server is back."""
    deployed(host, site_text("one"))
    away = host.repository.bare.with_name("away")
    host.repository.bare.rename(away)
    until(lambda: any("cannot fetch" in row.get("event", "") for row in host.log()), "the daemon says so", 30)
    victim = host.containers("shop")[0]["Id"]
    host.api.remove_container(victim, force=True)
    until(lambda: host.get("shop.test.local") == (200, "one"), "healed", 20)
    away.rename(host.repository.bare)
    host.repository.commit({"sites/shop.yaml": site_text("two")}, "replace")
    until(lambda: host.get("shop.test.local") == (200, "two"), "the next commit is live", 90)


def test_a_release_that_never_gets_ready_is_taken_away(host: Host, site_text: SiteText) -> None:
    """The old one was never touched; why is said; it is not tried again until its content changes."""
    deployed(host, site_text("one"))
    before = {row["Id"] for row in host.containers("shop")}
    with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
        never = site_text("two", boot=3_600_000).replace("deadline: 60s", "deadline: 2s")
        host.repository.commit({"sites/shop.yaml": never}, "never ready")
        until(lambda: any(row.get("event") == "release failed" for row in host.log()), "given up", 40)
        until(lambda: {row["Id"] for row in host.containers("shop")} == before, "only the old one is there", 20)
        site = host.status()["sites"]["shop"]
        assert site["sync"] == "out-of-sync"
        assert "not ready within 2 s" in site["message"]
        host.stop_daemon()
        host.start_daemon()
        until(lambda: sum(row.get("event") == "site" for row in host.log()) >= 2, "the next daemon has looked", 20)
        assert {row["Id"] for row in host.containers("shop")} == before
        commit = host.repository.commit({"sites/shop.yaml": site_text("three")}, "mended")
        until(lambda: host.converged(commit), "the mended one runs", 60)
    assert load.seen.lost == []
    assert load.seen.answers.keys() <= {(200, "one"), (200, "three")}


def test_of_many_pushes_the_newest_wins(host: Host, site_text: SiteText) -> None:
    """What was superseded never takes a request if it was not ready, and is taken away; nobody says that it is there before it is."""
    deployed(host, site_text("0"))
    with Load(host.web, "shop.test.local", clients=4, pause=0.02) as load:
        for n in range(1, 11):
            boot = 60_000 if n < 10 else 300
            commit = host.repository.commit({"sites/shop.yaml": site_text(str(n), boot=boot)}, f"version {n}")
            until(lambda: any(row.get("commit") == commit for row in host.log()), "it is fetched", 20)  # noqa: B023
            assert n % 3 or host.status()["sites"]["shop"]["sync"] == "out-of-sync"
        until(lambda: host.converged(commit), "the newest runs", 60)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "0"), (200, "10")}
    assert len(host.containers("shop")) == 1


def test_a_slow_site_never_delays_another(host: Host, site_text: SiteText) -> None:
    """The quick one is replaced while the slow one still comes up."""
    commit = host.repository.commit({f"sites/{name}.yaml": site_text("one") for name in ("quick", "slow")}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "both run", 60)
    commit = host.repository.commit({"sites/quick.yaml": site_text("two"), "sites/slow.yaml": site_text("two", boot=15_000)}, "replace")
    until(lambda: host.get("quick.test.local") == (200, "two"), "the quick one is replaced", 40)
    assert host.get("slow.test.local") == (200, "one")
    until(lambda: host.converged(commit), "the slow one comes too", 60)
