"""Whatever a commit changes about a site, under load: no request is lost, and what was written is what is there."""

import contextlib
import http.client
import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest
import yaml
from lab.host import Host, a_host, until
from lab.images import ABRUPT, NGINX, make_nginx, provide
from lab.load import Load

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("every-change")]

Keys = dict[str, Any]
ONE, TWO = (f"shipstone-test/tags-{uuid.uuid4().hex[:8]}:{tag}" for tag in ("one", "two"))
ROLLOUT = {"min_healthy": "200ms", "drain": "300ms", "deadline": "300s"}
CONF = (
    "pid /tmp/nginx.pid; events {} http { access_log off; server { listen 80; listen 8080; "
    "location / { default_type text/plain; return 200 'VERSION $host$request_uri'; } } }\n"
)
PAGES = {f"conf/{version}.conf": CONF.replace("VERSION", version) for version in ("one", "two")}


def abrupt(version: str = "one", **keys: Any) -> Keys:
    """It listens late, and exits at once at SIGTERM."""
    environment = {"V": version, "BOOT_MS": "200", "WORK_MS": "5"}
    return {"image": ABRUPT, "port": 80, "environment": environment, "stop_grace_period": "1s", "rollout": ROLLOUT, **keys}


def nginx(version: str = "one", **keys: Any) -> Keys:
    """It says for which host and path it was asked, on two ports."""
    files = {"/etc/nginx/nginx.conf": f"conf/{version}.conf"}
    return {"image": NGINX, "port": 80, "files": files, "stop_grace_period": "1s", "rollout": ROLLOUT, **keys}


def header(value: str) -> Keys:
    return {"headers": {"customResponseHeaders": {"X-Change": value}}}


@dataclass(frozen=True)
class Site:
    """One of them, as a test looks at it."""

    host: Host
    name: str
    path: str = "/"
    tls: bool = False

    @property
    def domain(self) -> str:
        return f"{self.name}.test.local"

    def get(self) -> tuple[int, str]:
        return self.host.get(self.domain, self.path, tls=self.tls)

    def headers(self) -> Mapping[str, str]:
        return self.host.ask(self.domain, self.path)[2]

    def containers(self) -> list[dict[str, Any]]:
        """Without what goes while it is looked at."""
        found = []
        for row in self.host.containers(self.name):
            with contextlib.suppress(docker.errors.NotFound):
                found.append(self.host.api.inspect_container(row["Id"]))
        return found

    def spec(self) -> dict[str, Any]:
        return dict(json.loads(self.containers()[0]["Config"]["Labels"]["shipstone.spec"])["spec"])

    def servers(self) -> list[str]:
        """Addresses that Traefik sends requests to."""
        release = self.containers()[0]["Config"]["Labels"]["shipstone.release"]
        service = self.host.traefik(f"http/services/{self.host.instance}-{self.name}-{release}@docker") or {}
        return [row["url"] for row in service.get("loadBalancer", {}).get("servers", [])]

    def services(self) -> Counter[str]:
        return Counter(row["Config"]["Labels"]["shipstone.service"] for row in self.containers())

    def answers(self) -> Counter[str]:
        return Counter(self.get()[1] for _ in range(40))


@dataclass(frozen=True)
class Change:
    """`there` is true when the change has come; `path` and `tls`: how it is asked; `ids` is true of the containers before and after."""

    name: str
    before: Keys
    after: Keys
    there: Callable[[Site], object]
    path: str = "/"
    tls: bool = False
    ids: Callable[[set[str], set[str]], bool] = set.isdisjoint


def pair(version: str = "one", **weights: int) -> Keys:
    """Two services, of which b answers `b`."""
    b = {"environment": {"V": "b"}}
    return abrupt(version, services={name: {"weight": weight, **(b if name == "b" else {})} for name, weight in weights.items()})


CHANGES = [
    Change("image", abrupt(image=ONE), abrupt(image=TWO), lambda s: s.spec()["image"] == TWO),
    Change("command", abrupt(), abrupt(command=["/srv", "two"]), lambda s: s.containers()[0]["Config"]["Cmd"] == ["/srv", "two"]),
    Change("environment", abrupt(), abrupt("two"), lambda s: s.get() == (200, "two")),
    Change("files", nginx(), nginx("two"), lambda s: s.get()[1].startswith("two ")),
    Change(
        "healthcheck",
        nginx(),
        nginx(healthcheck={"test": ["CMD", "/usr/sbin/nginx", "-t"], "interval": "300ms"}),
        lambda s: s.containers()[0]["State"].get("Health", {}).get("Status") == "healthy",
    ),
    Change("port", nginx(), nginx(port=8080), lambda s: [url.rpartition(":")[2] for url in s.servers()] == ["8080"]),
    Change(
        "hosts",
        abrupt(hosts=["hosts.test.local", "old.test.local"]),
        abrupt(hosts=["hosts.test.local", "new.test.local"]),
        lambda s: (s.host.get("new.test.local")[0], s.host.get("old.test.local")[0]) == (200, 404),
    ),
    Change("path", nginx(), nginx(path="/api"), lambda s: s.host.get(s.domain)[0] == 404, path="/api/x"),
    Change("path-wider", nginx(path="/api"), nginx(), lambda s: s.host.get(s.domain)[0] == 200, path="/api/x"),
    Change("middleware-new", abrupt(), abrupt(middlewares=[header("new")]), lambda s: s.headers().get("X-Change") == "new"),
    Change(
        "middleware-changed",
        abrupt(middlewares=[header("old")]),
        abrupt(middlewares=[{"compress": {}}, header("new")]),
        lambda s: s.headers().get("X-Change") == "new",
    ),
    Change("middleware-gone", abrupt(middlewares=[header("old")]), abrupt(), lambda s: "X-Change" not in s.headers()),
    Change(
        "middleware-path",
        nginx(path="/api"),
        nginx(path="/api", middlewares=[{"stripPrefix": {"prefixes": ["/api"]}}]),
        lambda s: s.get()[1].endswith(".test.local/x"),
        path="/api/x",
    ),
    Change(
        "sticky", abrupt(replicas=2), abrupt(replicas=2, sticky={"maxage": "1h"}), lambda s: "Max-Age" in s.headers().get("Set-Cookie", "")
    ),
    Change(
        "sticky-gone",
        abrupt(replicas=2, sticky={"maxage": "1h"}),
        abrupt(replicas=2),
        lambda s: "Max-Age" not in s.headers().get("Set-Cookie", ""),
    ),
    Change("weights", pair(a=1, b=1), pair(a=3, b=1), lambda s: s.answers() == {"one": 30, "b": 10}),
    Change(
        "loadbalancer",
        nginx(replicas=2),
        nginx(replicas=2, loadbalancer={"strategy": "p2c", "pass_host_header": False}),
        lambda s: s.domain not in s.get()[1],
    ),
    Change(
        "loadbalancer-gone",
        nginx(replicas=2, loadbalancer={"strategy": "p2c", "pass_host_header": False}),
        nginx(replicas=2),
        lambda s: s.domain in s.get()[1],
    ),
    Change("replicas-up", abrupt(replicas=1), abrupt(replicas=3), lambda s: len(s.servers()) == 3, ids=set.__lt__),
    Change("replicas-down", abrupt(replicas=3), abrupt(replicas=1), lambda s: len(s.servers()) == len(s.containers()) == 1, ids=set.__gt__),
    Change(
        "extra-hosts",
        abrupt(),
        abrupt(extra_hosts={"db": "10.0.0.5"}),
        lambda s: s.containers()[0]["HostConfig"]["ExtraHosts"] == ["db:10.0.0.5"],
    ),
    Change("service-new", pair(a=1), pair(a=1, b=1), lambda s: s.answers() == {"one": 20, "b": 20}),
    Change("service-gone", pair(a=1, b=1), pair(a=1), lambda s: (s.services(), s.answers()) == ({"a": 1}, {"one": 40})),
    Change("limits", abrupt(mem_limit="32m"), abrupt(mem_limit="48m"), lambda s: s.containers()[0]["HostConfig"]["Memory"] == 48 << 20),
    Change("labels", abrupt(), abrupt(labels={"team": "b"}), lambda s: s.containers()[0]["Config"]["Labels"].get("team") == "b"),
    Change(
        "tls",
        abrupt(tls=True, middlewares=[{"compress": {}}]),
        abrupt("two", tls=True, middlewares=[{"compress": {}}]),
        lambda s: s.get() == (200, "two"),
        tls=True,
    ),
]


SHARED = {"root": nginx(hosts=["shared.test.local"]), "api": nginx(hosts=["shared.test.local"], path="/api")}
"""Two sites on one host name."""
ENTRIES = {"to-tls": abrupt(), "to-plain": abrupt(tls=True)}
"""Sites that move to the other entry point."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str) -> Iterator[Host]:
    """Every site as it is before its change."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, NGINX, make_nginx)
    for image in (ONE, TWO):
        api.tag(abrupt_image, image)
    try:
        with a_host(tmp_path_factory.mktemp("every"), docker_socket, f"t{uuid.uuid4().hex[:8]}", poll="5s", told=True, tls=True) as made:
            made.config.write_text(f'{made.config.read_text()}\n[policy]\nshared_hosts = ["shared.*"]\nports = ["127.0.0.1:1024-65535"]\n')
            sites = {f"sites/{change.name}.yaml": yaml.safe_dump(change.before) for change in CHANGES}
            sites |= {f"sites/{name}.yaml": yaml.safe_dump(keys) for name, keys in {**SHARED, **ENTRIES}.items()}
            commit = made.repository.commit({"shipstone.yaml": "domain: test.local\n", **PAGES, **sites}, "before")
            made.start_traefik()
            made.start_daemon()
            until(lambda: made.converged(commit), "every site as it is before", 120)
            yield made
    finally:
        for image in (ONE, TWO):
            api.remove_image(image)
        api.close()


@contextlib.contextmanager
def asked(site: Site, change: Change) -> Iterator[list[object]]:
    """The site is asked all the while, in keep-alive and, where it has a path or TLS, request by request; yields what was lost."""
    lost: list[object] = []
    if change.path == "/" and not change.tls:
        method = "GET" if change.before["image"] == NGINX else ""
        with Load(site.host.web, site.domain, clients=4, pause=0.02, method=method) as load:
            yield load.seen.lost
        assert load.seen.sent > 20
        return
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            status, why = site.get()
            if status != 200:
                lost.append((status, why))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_a_change_loses_no_request(host: Host, change: Change) -> None:
    site = Site(host, change.name, change.path, change.tls)
    assert not change.there(site), "not before it is written"
    before = {row["Id"] for row in site.containers()}
    with asked(site, change) as lost:
        commit = host.repository.commit({f"sites/{change.name}.yaml": yaml.safe_dump(change.after)}, change.name)
        until(lambda: host.converged(commit), "it is as written", 40)
    until(lambda: change.there(site), "the change is there", 20)  # weights are counted where nobody else asks
    assert lost == []
    assert change.ids(before, {row["Id"] for row in site.containers()})


@pytest.mark.parametrize("name", SHARED)
def test_one_of_two_sites_on_a_host_name_changes_and_the_other_notices_nothing(host: Host, name: str) -> None:
    """Whichever has the longer path; each path is answered by its own site all the while."""
    other = Site(host, *{"root": ("api", "/api/x"), "api": ("root", "/")}[name])
    stays, wrong, stop = {row["Id"] for row in other.containers()}, list[object](), threading.Event()
    paths = {"root": "/", "api": "/api/x"}
    says = {path: host.get("shared.test.local", path)[1].partition(" ")[0] for path in paths.values()}
    assert says[paths[name]] == "one"

    def ask(path: str, *right: str) -> None:
        while not stop.is_set():
            answer = host.get("shared.test.local", path)
            if answer not in [(200, f"{version} shared.test.local{path}") for version in right]:
                wrong.append(answer)

    asked = [(paths[name], "one", "two"), (other.path, says[other.path])]
    threads = [threading.Thread(target=ask, args=row, daemon=True) for row in asked]
    for thread in threads:
        thread.start()
    commit = host.repository.commit({f"sites/{name}.yaml": yaml.safe_dump({**SHARED[name], **nginx("two")})}, name)
    until(lambda: host.converged(commit), "it is as written", 40)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert host.get("shared.test.local", paths[name]) == (200, f"two shared.test.local{paths[name]}")
    assert {row["Id"] for row in other.containers()} == stays


@pytest.mark.parametrize("name", ENTRIES)
def test_a_site_moves_to_the_other_entry_point_in_one_change(host: Host, name: str) -> None:
    """Whoever is not answered on the one any more is answered on the other in that moment."""
    site, to_tls = Site(host, name), name == "to-tls"
    lost, stop = list[object](), threading.Event()
    assert [host.get(site.domain, tls=tls)[0] for tls in (not to_tls, to_tls)] == [200, 404]

    def ask() -> None:
        while not stop.is_set():
            answers = [host.get(site.domain, tls=not to_tls)]
            answers += [host.get(site.domain, tls=to_tls)] if answers[0] != (200, "one") else []
            if answers[-1] not in ((200, "one"), (200, "two")):
                lost.append(answers)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    commit = host.repository.commit({f"sites/{name}.yaml": yaml.safe_dump(abrupt("two", tls=to_tls))}, name)
    until(lambda: host.converged(commit), "it is as written", 40)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert lost == []
    assert [host.get(site.domain, tls=tls)[0] for tls in (not to_tls, to_tls)] == [404, 200]


def test_a_site_that_has_a_port_of_the_host_is_replaced_stop_first(host: Host) -> None:
    """The promise's stated exception: to have the port costs nothing; from then on nobody answers (503) while one takes it over."""
    site, port = Site(host, "ported"), host._ports.take()
    ports = [f"127.0.0.1:{port}:80"]
    commit = host.repository.commit({"sites/ported.yaml": yaml.safe_dump(abrupt())}, "without")
    until(lambda: host.converged(commit), "it runs", 40)
    with Load(host.web, site.domain, clients=4, pause=0.02) as load:
        commit = host.repository.commit({"sites/ported.yaml": yaml.safe_dump(abrupt(ports=ports))}, "with a port")
        until(lambda: host.converged(commit), "it has the port", 40)
        assert load.seen.lost == []
        commit = host.repository.commit({"sites/ported.yaml": yaml.safe_dump(abrupt("two", ports=ports))}, "the next")
        until(lambda: host.converged(commit), "it took the port over", 40)
    assert {each.why for each in load.seen.lost} == {"status 503"}
    assert site.get() == (200, "two")
    assert site.containers()[0]["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    assert any("stop-first: both would have port" in str(row.get("reason", "")) for row in host.log())


@dataclass
class Visitor:
    """One that keeps its cookies, and notes which server answered."""

    port: int
    domain: str
    cookies: dict[str, str] = field(default_factory=dict)
    servers: list[str] = field(default_factory=list)

    def ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request("GET", "/", headers={"Host": self.domain, "Cookie": cookie})
        answer = connection.getresponse()
        body = answer.read().decode()
        for row in answer.msg.get_all("Set-Cookie") or ():
            name, _, value = row.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        self.servers.append(body.partition(" ")[0] if answer.status == 200 else str(answer.status))
        return self.servers[-1]


def test_a_sticky_visitor_is_back_at_its_server_after_scaling_if_that_is_still_there(host: Host) -> None:
    """While a pin names replicas by themselves it has a cookie of its own, so a visitor may be sent elsewhere."""
    site = Site(host, "visited")
    sticky = nginx("name", sticky=True, replicas=3)
    commit = host.repository.commit(
        {"conf/name.conf": CONF.replace("VERSION", "$hostname"), "sites/visited.yaml": yaml.safe_dump(sticky)}, "sticky"
    )
    until(lambda: host.converged(commit), "it runs", 40)
    visitors = [Visitor(host.web, site.domain) for _ in range(9)]
    homes = [visitor.ask() for visitor in visitors]
    assert [visitor.ask() for visitor in visitors] == homes
    assert {name for visitor in visitors for name in visitor.cookies} == {f"{host.instance}-visited"}
    commit = host.repository.commit({"sites/visited.yaml": yaml.safe_dump({**sticky, "replicas": 2})}, "one less")
    stop = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            for visitor in visitors:
                visitor.ask()

    thread = threading.Thread(target=visit, daemon=True)
    thread.start()
    until(lambda: host.converged(commit), "one is gone", 40)
    stop.set()
    thread.join(30)
    there = {row["Config"]["Hostname"] for row in site.containers()}
    after = [visitor.ask() for visitor in visitors]
    assert [now for now, home in zip(after, homes, strict=True) if home in there] == [home for home in homes if home in there]
    assert {name for visitor in visitors for name in visitor.cookies} == {f"{host.instance}-visited", f"{host.instance}-visited-pin"}
    assert {server for visitor in visitors for server in visitor.servers} <= {*homes}, "no request is lost"


def test_a_middleware_that_traefik_refuses_never_takes_a_request(host: Host) -> None:
    """A wrong regular expression is seen by nobody but Traefik: its release is given up with Traefik's reason, the old one serves on."""
    site = Site(host, "refused")
    commit = host.repository.commit({"sites/refused.yaml": yaml.safe_dump(abrupt())}, "right")
    until(lambda: host.converged(commit), "it is as written", 40)
    before = {row["Id"] for row in site.containers()}
    wrong = abrupt("two", middlewares=[header("two"), {"stripPrefixRegex": {"regex": ["/api("]}}])
    with Load(host.web, site.domain, clients=4, pause=0.02) as load:
        host.repository.commit({"sites/refused.yaml": yaml.safe_dump(wrong)}, "wrong")
        until(lambda: "Traefik refuses its router" in host.told("refused").get("message", ""), "Traefik's reason is said", 40)
        until(lambda: {row["Id"] for row in site.containers()} == before, "only the old release is there", 20)
        commit = host.repository.commit({"sites/refused.yaml": yaml.safe_dump(abrupt("three"))}, "right again")
        until(lambda: host.converged(commit), "it is as written", 40)
    assert load.seen.lost == []
    assert load.seen.answers.keys() == {(200, "one"), (200, "three")}
