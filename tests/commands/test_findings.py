"""What plan, drift, status and apply say of a real host, as text, as JSON and as exit codes."""

import json
import os
import time
from typing import Any

import pytest
from lab.host import Host, until

from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """With host names that no other test claims: here it matters who else does."""
    return f"{instance}.test"


def finding(host: Host, command: str, *, code: int) -> dict[str, Any]:
    done = host.shipstone(command, "--output", "json")
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def test_apply_does_it_once_and_then_nothing(host: Host, site_text: SiteText) -> None:
    """plan says before what apply will do; after it nothing is left, and says so."""
    commit = host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    before = finding(host, "plan", code=2)
    assert before["revision"] == commit
    assert before["problems"] == before["foreign"] == []
    shop = before["sites"]["shop"]
    assert shop["state"] == "out-of-sync"
    assert [step["step"] for step in shop["steps"]] == ["pull", "wait", "pin", "create", "wait", "start", "wait", "pin"]
    assert all(step.keys() == {"step", "target", "reason"} for step in shop["steps"])
    (difference,) = shop["differences"]
    assert difference.keys() == {"service", "container", "field", "desired", "actual", "cause", "since", "action"}
    assert (difference["service"], difference["field"], difference["desired"], difference["cause"]) == ("web", "replicas", "1", "commit")

    done = host.shipstone("apply", check=True)
    assert "1 of 1 sites as " in done.stdout
    assert host.get(f"shop.{host.domain}") == (200, "one")
    ids = {row["Id"] for row in host.containers()}

    after = finding(host, "plan", code=0)
    assert after["sites"]["shop"] == {"state": "synced", "release": shop["release"], "differences": [], "steps": []}
    assert host.shipstone("plan").stdout == "nothing to do\n"
    assert finding(host, "drift", code=0)["sites"]["shop"]["differences"] == []
    again = host.shipstone("apply", check=True)
    assert again.stdout.splitlines() == [again.stdout.strip()], "no step is told"
    assert {row["Id"] for row in host.containers()} == ids


def test_apply_listens_for_who_answers_slowly(host: Host, site_text: SiteText) -> None:
    """A look waits a second for an answer; who runs as it should and takes longer is no failure."""
    host.repository.commit({"sites/shop.yaml": site_text("one").replace("WORK_MS: '5'", "WORK_MS: '2500'")}, "create")
    host.shipstone("apply", check=True)
    again = host.shipstone("apply")
    assert (again.returncode, again.stderr) == (0, "")


def test_status_says_how_each_site_stands(host: Host, site_text: SiteText) -> None:
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", replicas=2)}, "create")
    host.shipstone("apply", check=True)

    def looked() -> dict[str, Any] | None:
        """Who does not answer within a second is not called healthy."""
        found = finding(host, "status", code=0)
        return found if found["sites"]["shop"]["health"] == "healthy" else None

    found = until(looked, "both answered", 20)
    assert found["revision"] == commit
    assert found["notices"] == []
    shop = found["sites"]["shop"]
    release = shop.pop("release")
    assert shop == {
        "sync": "synced",
        "health": "healthy",
        "commit": commit,
        "hosts": [f"shop.{host.domain}"],
        "replicas": {"ready": 2, "desired": 2},
        "message": "",
    }
    row = ["shop", "synced", "healthy", "2/2", release, f"shop.{host.domain}"]
    until(lambda: host.shipstone("status").stdout.splitlines()[1].split() == row, "the same in words", 20)


def test_drift_is_named_and_apply_heals_it(host: Host, site_text: SiteText) -> None:
    """A limit that a hand changed: field by field, exit 2; the replica is replaced."""
    host.repository.commit({"sites/shop.yaml": site_text("one", extra="mem_limit: 64m")}, "create")
    host.shipstone("apply", check=True)
    victim = host.containers("shop")[0]
    host.api.update_container(victim["Id"], mem_limit=128 * 1024**2, memswap_limit=256 * 1024**2)
    (row,) = finding(host, "drift", code=2)["sites"]["shop"]["differences"]
    assert row["container"] == victim["Names"][0].removeprefix("/")
    assert (row["field"], row["desired"], row["actual"], row["cause"]) == ("mem_limit", "67108864", "134217728", "drift")
    text = host.shipstone("drift").stdout
    assert text.startswith("1 difference on 1 site at ")
    assert "mem_limit  128 MiB, should be 64 MiB  since " in text
    assert text.rstrip().endswith("healed: another one takes its place")
    assert "| mem\\_limit | 128 MiB | 64 MiB |" in host.shipstone("drift", "--output", "markdown").stdout
    assert '<code class="is">128 MiB</code>' in host.shipstone("drift", "--output", "html").stdout
    host.shipstone("apply", check=True)
    assert victim["Id"] not in {row["Id"] for row in host.containers("shop")}
    assert host.shipstone("drift").stdout == "no drift\n"


def test_a_held_site_is_exit_1_whatever_else_there_is(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one"), "sites/other.yaml": site_text("other")}, "create")
    host.shipstone("apply", check=True)
    host.repository.commit({"sites/shop.yaml": site_text("two") + "nonsense: 1\n", "sites/other.yaml": site_text("new")}, "half broken")
    found = finding(host, "plan", code=1)
    assert [problem["file"] for problem in found["problems"]] == ["sites/shop.yaml"]
    assert (found["sites"]["shop"]["state"], found["sites"]["shop"]["steps"]) == ("held", [])
    done = host.shipstone("apply")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert host.get(f"shop.{host.domain}") == (200, "one")
    assert host.get(f"other.{host.domain}") == (200, "new")


def test_a_stranger_on_our_host_name_is_told_and_left_alone(host: Host, site_text: SiteText, abrupt_image: str) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    host.shipstone("apply", check=True)
    labels = {"traefik.enable": "true", "traefik.http.routers.mine.rule": f"Host(`shop.{host.domain}`)"}
    stranger = host.api.create_container(abrupt_image, name=f"{host.instance}-stranger", labels=labels)["Id"]
    try:
        host.api.start(stranger)
        (claim,) = finding(host, "plan", code=0)["foreign"]
        assert claim == {
            "container": f"{host.instance}-stranger",
            "router": "mine",
            "rule": f"Host(`shop.{host.domain}`)",
            "host": f"shop.{host.domain}",
            "site": "shop",
            "kind": "host",
            "name": "",
            "service": "",
            "field": "claim.host",
            "desired": "",
            "actual": f"shop.{host.domain} by router mine",
            "cause": "drift",
            "since": None,
            "action": "left: remove that container or its traefik.* labels, or give the site another host name",
        }
        assert f"claims shop.{host.domain} of site shop" in host.shipstone("status").stderr
        assert host.shipstone("apply").returncode == 0
        assert host.api.inspect_container(stranger)["State"]["Running"]
        told = [finding(host, "drift", code=2)["foreign"][0]["since"] for _ in range(2)]
        assert told[0] == told[1] is not None
    finally:
        host.api.remove_container(stranger, force=True)


@pytest.mark.parametrize(
    ("labels", "routed", "claimed"),
    [
        ({"traefik.enable": "true"}, True, True),
        ({"traefik.enable": "true", "traefik.http.routers.{site}.rule": "HostRegexp(`^{site}[.].+$`)"}, True, True),
        ({"traefik.enable": "true", "traefik.http.routers.{site}.rule": "PathPrefix(`/x`) && !Host(`{site}.{domain}`)"}, True, False),
        ({"traefik.http.routers.{site}.rule": "Host(`{site}.{domain}`)"}, False, False),
    ],
    ids=["default-rule", "regexp", "not", "not-enabled"],
)
def test_what_a_stranger_claims_is_what_traefik_routes_to_it(
    host: Host, site_text: SiteText, abrupt_image: str, labels: dict[str, str], routed: bool, claimed: bool
) -> None:
    """The stranger has the name of the site, which the generated default rule makes a host name of."""
    site = f"{host.instance}-shop"
    host.repository.commit({f"sites/{site}.yaml": site_text("one")}, "create")
    host.stop_traefik()
    host.start_traefik(alone=False)
    host.shipstone("apply", check=True)
    filled = {key.replace("{site}", site): text.replace("{site}", site).replace("{domain}", host.domain) for key, text in labels.items()}
    service = {f"traefik.http.services.{site}.loadbalancer.server.port": "80"}
    stranger = host.api.create_container(abrupt_image, name=site, labels=filled | service)["Id"]
    other = host.api.create_container(abrupt_image, name=f"{site}-2", labels={"traefik.enable": "true"} | service)["Id"]
    try:
        host.api.start(stranger)
        host.api.start(other)
        until(lambda: host.traefik(f"http/routers/{site}-2@docker"), "Traefik has read who came last", 30)
        assert bool(host.traefik(f"http/routers/{site}@docker")) == routed
        found = finding(host, "drift", code=2 if claimed else 0)["foreign"]
        assert [(row["container"], row["router"], row["host"]) for row in found] == [(site, site, f"{site}.{host.domain}")] * claimed
    finally:
        host.api.remove_container(stranger, force=True)
        host.api.remove_container(other, force=True)


def test_another_traefik_may_read_a_stranger_that_does_not_say_so(host: Host, site_text: SiteText, abrupt_image: str) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    host.shipstone("apply", check=True)
    labels = {"traefik.http.routers.mine.rule": f"Host(`shop.{host.domain}`)"}
    stranger = host.api.create_container(abrupt_image, name=f"{host.instance}-stranger", labels=labels)["Id"]
    try:
        host.api.start(stranger)
        assert finding(host, "drift", code=0)["foreign"] == []
        host.config.write_text(host.config.read_text().replace(f'traefik = "{host.static}"', ""))
        (claim,) = finding(host, "drift", code=2)["foreign"]
        assert (claim["router"], claim["host"]) == ("mine", f"shop.{host.domain}")
    finally:
        host.api.remove_container(stranger, force=True)


def test_a_traefik_that_read_an_older_file_is_told(host: Host, site_text: SiteText) -> None:
    """Shipstone wrote another traefik.toml while Traefik ran: restart needed, until that was done."""
    host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    host.shipstone("apply", check=True)
    assert finding(host, "status", code=0)["notices"] == []
    host.repository.commit({"shipstone.yaml": "domain: other.local\n", "sites/shop.yaml": site_text("two")}, "another domain")
    done = host.shipstone("apply", check=True)
    assert "restart needed: " in done.stderr
    assert host.get("shop.other.local") == (200, "two"), "sites go on meanwhile"
    host.stop_traefik()
    host.start_traefik()
    until(lambda: finding(host, "status", code=0)["notices"] == [], "no notice after the restart", 30)


def test_what_stands_in_the_way_is_said_and_the_rest_is_done(host: Host, site_text: SiteText) -> None:
    """An image that cannot be had: that site fails in a line, the other is there, exit 1."""
    absent = site_text("one").replace("image: ", "image: 127.0.0.1:1/")
    host.repository.commit({"sites/good.yaml": site_text("good"), "sites/absent.yaml": absent}, "create")
    begun = time.monotonic()
    done = host.shipstone("apply", "--timeout", "40")
    assert done.returncode == 1
    assert time.monotonic() - begun < 200
    (line,) = [row for row in done.stderr.splitlines() if row.startswith("absent: ")]
    assert "cannot pull 127.0.0.1:1/" in line
    assert host.get(f"good.{host.domain}") == (200, "good")


def test_without_rights_on_the_socket_it_says_so(host: Host) -> None:
    done = host.shipstone("plan", SHIPSTONE_ENGINE__SOCKET=f"unix://{os.devnull}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("cannot list the networks: the Docker Engine at ")
