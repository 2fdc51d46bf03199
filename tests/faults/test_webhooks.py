"""A daemon that is told of pushes, and one that is flooded by requests that nobody signed."""

from pathlib import Path

import pytest
from lab.flood import flooding
from lab.forge import TOKEN, a_forge
from lab.host import Host, Process, a_host, until
from lab.load import Load
from lab.push import tell

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

SECRET = "correct horse battery staple"  # noqa: S105  of these tests


@pytest.fixture
def host(tmp_path: Path, docker_socket: str, abrupt_image: str, instance: str):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """One that is asked by itself once in ten minutes only."""
    with a_host(tmp_path, docker_socket, instance, poll="600s") as made:
        made.repository.commit({"shipstone.yaml": "domain: test.local\n"}, "begin")
        made.start_traefik()
        yield made


def deployed(host: Host, text: str) -> Process:
    host.repository.commit({"sites/shop.yaml": text}, "create")
    daemon = host.start_daemon(SHIPSTONE_WEBHOOKS__SECRET=SECRET)
    until(lambda: host.get("shop.test.local") == (200, "one"), "the first release is live", 60)
    return daemon


def memory(process: Process, row: str) -> float:
    """MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{row}:")) / 1024


def passed_at(host: Host) -> str:
    return str((host.page_status() or {}).get("observed_at", ""))


def test_a_push_is_live_long_before_the_next_poll(host: Host, site_text: SiteText) -> None:
    deployed(host, site_text("one"))
    host.repository.commit({"sites/shop.yaml": site_text("two")}, "replace")
    assert tell(host, SECRET, branch="other") == (202, "ignored\n")
    assert tell(host, "another secret") == (401, "unauthorized\n")
    assert tell(host, SECRET) == (202, "accepted\n")
    until(lambda: host.get("shop.test.local") == (200, "two"), "the second release is live", 60)
    said = host.log_file.read_text()
    assert "its x-gitea-signature is not made with our secret" in said
    assert SECRET not in said


def test_a_flood_costs_no_memory_no_request_and_no_pass(host: Host, site_text: SiteText) -> None:
    """Unsigned and oversized requests, 400 a second; a push among them is taken, and deployed."""
    daemon = deployed(host, site_text("one"))
    before, then = memory(daemon, "VmRSS"), passed_at(host)
    with Load(host.web, "shop.test.local", clients=4, pause=0.05) as load:
        with flooding(host.page, 400, 4) as flooded:
            host.repository.commit({"sites/shop.yaml": site_text("two")}, "replace")
            assert tell(host, SECRET)[0] == 202
            until(lambda: host.get("shop.test.local") == (200, "two"), "the second release is live", 60)
        until(lambda: passed_at(host) > then, "passes go on", 60)
    assert set(flooded.answers) == {"401", "413"}
    assert sum(flooded.answers.values()) == 1600
    assert memory(daemon, "VmHWM") - before < 20
    assert load.seen.lost == []
    refused = [row for row in host.log() if row.get("event") == "webhook refused"]
    assert {row["status"] for row in refused} == {401, 413}
    assert len(refused) <= 2 * (1 + flooded.seconds // 60), "each reason is said once a minute"


@pytest.mark.parametrize(("kind", "failure"), [("github", "failure"), ("gitlab", "failed"), ("gitea", "failure")])
def test_a_commit_gets_its_status_at_the_forge(host: Host, site_text: SiteText, kind: str, failure: str) -> None:
    """Pending and live, and a healing is no news; then a release that cannot start: failure with the reason, and the old one serves on."""
    page = "https://shipstone.example.com/"
    with a_forge(kind) as forge:
        place = {"API": forge.url, "REPOSITORY": "team/desired-state", "TOKEN": TOKEN, "KIND": kind, "PAGE_URL": page}
        environment = {f"SHIPSTONE_FORGE__{key}": value for key, value in place.items()}
        first = host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
        host.start_daemon(SHIPSTONE_WEBHOOKS__SECRET=SECRET, **environment)
        until(lambda: forge.states(first) == ["pending", "success"], "the first commit is live, and its status says so", 60)
        host.api.remove_container(host.containers("shop")[0]["Id"], force=True)
        until(lambda: host.containers("shop", running=True) and host.converged(first), "it is healed", 60)
        broken = host.repository.commit({"sites/shop.yaml": site_text("two") + "entrypoint: [/nowhere]\n"}, "break")
        tell(host, SECRET)
        until(lambda: forge.states(broken)[-1:] == [failure], "the second commit failed, and its status says so", 90)
        assert forge.taken[-1][1]["description"].startswith("shop: ")
        assert host.get("shop.test.local") == (200, "one")
        wrong = host.repository.commit({"sites/shop.yaml": site_text("three") + "nonsense: 1\n"}, "no YAML for us")
        tell(host, SECRET)
        until(lambda: forge.states(wrong)[-1:] == [failure], "the third commit is held, and its status says so", 60)
        assert forge.taken[-1][1]["description"].startswith("sites/shop.yaml:")
        assert forge.wrong == []
        assert forge.states(first) == ["pending", "success"]
        assert {body["target_url"] for _, body in forge.taken} == {page}
        assert TOKEN not in host.log_file.read_text()
