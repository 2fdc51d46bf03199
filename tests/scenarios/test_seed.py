"""The example in desired-state/, whole: two sites with two weighted nginx backends each, behind a Traefik that Shipstone runs.

That routes what else is on the engine too, so the domain is each test's own.
"""

import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from lab.host import Host, a_host, until
from lab.images import NGINX, TRAEFIK, make_nginx, make_traefik, provide

pytestmark = pytest.mark.docker

SEED = Path(__file__).parents[2] / "desired-state"
REQUESTS = 1500


@pytest.fixture
def seed(tmp_path: Path, docker_socket: str, instance: str) -> Iterator[Host]:
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, NGINX, make_nginx)
    provide(api, TRAEFIK, make_traefik)
    api.close()
    with a_host(tmp_path, docker_socket, instance, manage=True) as host:
        shutil.copytree(SEED, host.repository.tree, dirs_exist_ok=True)
        for file in [host.repository.tree / "shipstone.yaml", *host.repository.tree.glob("sites/*.yaml")]:
            file.write_text(file.read_text().replace("shipstone.local", domain(instance)))
        commit = host.repository.push("the example")
        host.start_daemon()
        until(lambda: host.converged(commit), "both sites run", 60)
        yield host


def domain(instance: str) -> str:
    return f"{instance}.local"


def test_the_example_runs_as_it_says(seed: Host) -> None:
    """Weights, pages, network, hosts block, Traefik from the generated file."""
    own = domain(seed.instance)
    web1, web2 = backends(seed, f"web1.{own}"), backends(seed, f"web2.{own}")
    assert abs(web1["1A"] / REQUESTS - 10 / 15) < 0.02
    assert abs(web1["1B"] / REQUESTS - 5 / 15) < 0.02
    assert abs(web2["2A"] / REQUESTS - 1 / 2) < 0.02
    assert sum(web1.values()) == sum(web2.values()) == REQUESTS
    assert [net["Name"] for net in seed.api.networks(names=[seed.network]) if net["Name"] == seed.network] == [seed.network]
    names = (own, f"web1.{own}", f"web2.{own}")
    lines = seed.hosts.read_text().splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert lines[2:-1] == [f"{address} {name}" for name in names for address in ("127.0.0.1", "::1")]
    overview = seed.traefik("overview")
    assert set(overview["providers"]) == {"Docker", "File"}
    for kind, count in (("routers", 2), ("services", 6)):
        rows = seed.traefik(f"http/{kind}?search={seed.instance}-web&per_page=1000")
        assert [row["status"] for row in rows if row["name"].endswith("@docker")] == ["enabled"] * count
    assert seed.traefik("version")["Version"].startswith("3.7")
    assert tomllib.loads(seed.static.read_text())["providers"]["docker"]["network"] == seed.network


def test_the_console_is_for_this_host_only(seed: Host) -> None:
    """Published on the loopback address; sites do not serve it."""
    row = seed.api.inspect_container(f"{seed.instance}-traefik")
    assert row["NetworkSettings"]["Ports"]["8080/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(seed.console)}]
    assert "dashboard" not in seed.get(domain(seed.instance), "/dashboard/")[1]


def backends(host: Host, name: str) -> Counter[str]:
    """Site and backend, as each page says of itself."""
    seen: Counter[str] = Counter()
    for _ in range(REQUESTS):
        status, page = host.get(name)
        found = re.search(r'class="site">web(\d).*?<h1>Backend (.)</h1>', page, re.DOTALL)
        assert status == 200
        assert found
        seen[found[1] + found[2]] += 1
    return seen
