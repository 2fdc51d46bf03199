"""A Traefik without the file provider, with its default throttle: with a healthcheck no request is lost, without one it converges."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lab.host import Host, a_host, until
from lab.load import Load

pytestmark = pytest.mark.docker

CHECK = "healthcheck: {test: [CMD, /faulty, listens, '80'], interval: 300ms, retries: 2}"
SICK = "healthcheck: {test: [CMD, /faulty, absent, /srv], interval: 200ms, retries: 2, start_period: 0s}"
SiteText = Callable[..., str]


@pytest.fixture(scope="module")
def text(faulty_image: str) -> SiteText:
    """A site's YAML whose answer is `version`; the server exits at once at SIGTERM."""

    def made(version: str, replicas: int = 2, check: str = CHECK, more: str = "") -> str:
        environment = f"{{V: {version}, BOOT_MS: '300', WORK_MS: '5'}}"
        rollout = "rollout: {min_healthy: 200ms, drain: 300ms, deadline: 60s}"
        return (
            f"image: {faulty_image}\nport: 80\nreplicas: {replicas}\nenvironment: {environment}\n"
            f"stop_grace_period: 1s\n{rollout}\n{check}\n{more}\n"
        )

    return made


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, text: SiteText) -> Iterator[Host]:
    """One site with a healthcheck, and one without."""
    folder = tmp_path_factory.mktemp("labels")
    with a_host(folder, docker_socket, f"t{uuid.uuid4().hex[:8]}", poll="5s", told=True, file_provider=False) as made:
        sites = {"sites/shop.yaml": text("one"), "sites/bare.yaml": text("one", check="")}
        commit = made.repository.commit({"shipstone.yaml": "domain: test.local\n", **sites}, "begin")
        made.start_traefik()
        made.start_daemon()
        until(lambda: made.converged(commit), "both sites run", 120)
        yield made


def rows(host: Host, site: str = "shop") -> list[dict[str, Any]]:
    return [host.api.inspect_container(row["Id"]) for row in host.containers(site)]


def ids(host: Host, site: str = "shop") -> set[str]:
    return {row["Id"] for row in host.containers(site)}


def deploy(host: Host, text: str, site: str = "shop") -> None:
    commit = host.repository.commit({f"sites/{site}.yaml": text}, "change")

    def there() -> bool:
        status = host.status()
        return status.get("revision") == commit and (status["sites"][site]["sync"], status["sites"][site]["health"]) == (
            "synced",
            "healthy",
        )

    until(there, "it is as written", 120)


def load(host: Host) -> Load:
    return Load(host.web, "shop.test.local", clients=6, pause=0.02)


def test_nothing_is_written_or_asked_of_a_file_provider(host: Host) -> None:
    providers = host.traefik("overview")["providers"]
    assert [name for name in providers if name in ("Docker", "File")] == ["Docker"]
    assert list(host.dynamic.iterdir()) == []
    assert host.shipstone("plan", "--output", "json").returncode == 0


def test_a_replace_loses_nothing(host: Host, text: SiteText) -> None:
    before = ids(host)
    with load(host) as asked:
        deploy(host, text("two"))
        assert host.get("shop.test.local") == (200, "two")
        deploy(host, text("three"))
    assert asked.seen.lost == []
    assert {body for _, body in asked.seen.answers} == {"one", "two", "three"}
    assert not ids(host) & before


def test_going_back_at_once_loses_nothing(host: Host, text: SiteText) -> None:
    """The new release may take requests already: what ran before comes back above it."""
    deploy(host, text("three"))
    with load(host) as asked:
        host.repository.commit({"sites/shop.yaml": text("four")}, "forth")
        until(lambda: host.get("shop.test.local") == (200, "four"), "the new release serves", 120)
        deploy(host, text("three"))
        assert host.get("shop.test.local") == (200, "three")
    assert asked.seen.lost == []


def test_a_restart_loses_nothing(host: Host) -> None:
    before = ids(host)
    with load(host) as asked:
        host.shipstone("restart", "shop", check=True)
        until(lambda: len(ids(host)) == 2 and not ids(host) & before, "other containers run", 120)
        until(host.converged, "it is at rest", 120)
    assert asked.seen.lost == []


def test_scaling_loses_nothing(host: Host, text: SiteText) -> None:
    """Up: the others stay. Down: one of a pool cannot leave it unnoticed, so all are replaced by fewer."""
    deploy(host, text("five"))
    before = ids(host)
    with load(host) as asked:
        deploy(host, text("five", replicas=3))
        assert before < ids(host)
        deploy(host, text("five", replicas=1))
        assert len(ids(host)) == 1
    assert asked.seen.lost == []


def test_what_a_hand_changed_is_replaced_without_a_loss(host: Host, text: SiteText) -> None:
    deploy(host, text("six", more="mem_limit: 64m"))
    victim = rows(host)[0]["Id"]
    with load(host) as asked:
        host.api.update_container(victim, mem_limit=128 << 20, memswap_limit=256 << 20)
        until(lambda: victim not in ids(host), "it is replaced", 120)
        until(host.converged, "it is at rest", 120)
    assert asked.seen.lost == []
    assert {row["HostConfig"]["Memory"] for row in rows(host)} == {64 << 20}


@pytest.mark.parametrize(
    ("more", "check"), [("command: [/faulty, exit, '3']\nrestart: 'no'", CHECK), ("", SICK)], ids=["exits", "is unhealthy"]
)
def test_a_release_that_fails_is_taken_away_and_the_old_one_serves_on(host: Host, text: SiteText, more: str, check: str) -> None:
    deploy(host, text("seven"))
    before = ids(host)
    with load(host) as asked:
        host.repository.commit({"sites/shop.yaml": text("eight", check=check, more=more)}, "a bad one")
        until(lambda: "failed" in host.told("shop").get("message", ""), "it is given up", 120)
        until(lambda: ids(host) == before, "only the old release is there", 120)
    assert asked.seen.lost == []
    assert asked.seen.answers.keys() == {(200, "seven")}


def test_without_a_healthcheck_it_converges(host: Host, text: SiteText) -> None:
    """What is sent to it before it listens is lost: nothing is promised here."""
    deploy(host, text("two", check=""), "bare")
    assert host.get("bare.test.local") == (200, "two")
    deploy(host, text("two", replicas=1, check=""), "bare")
    assert host.get("bare.test.local") == (200, "two")
    assert len(ids(host, "bare")) == 1


def test_status_and_doctor_say_who_is_promised_what(host: Host) -> None:
    (notice,) = (text for text in host.status()["notices"] if "is not Shipstone's" not in text)  # others on this engine have the same names
    lines = '[providers.file]\ndirectory = "/etc/traefik/dynamic"\nwatch = true'
    for said in (notice, host.shipstone("status").stderr, host.shipstone("doctor").stdout):
        flat = " ".join(said.split())
        assert "With a healthcheck, a deploy loses no request: shop." in flat
        assert "Without a healthcheck, no promise: bare." in flat
        assert " ".join(lines.split()) in flat
    assert notice in json.loads(host.shipstone("status", "--output", "json").stdout)["notices"]
