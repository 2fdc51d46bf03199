"""What the policy says: each key allowed, refused, and left out. A refusal says whom to ask for what."""

import json
from dataclasses import replace

import pytest

from reconciler.desired.compile import container_spec
from reconciler.desired.parse import parse_fleet, parse_site
from reconciler.desired.policy import Grant, Limits, Policy
from reconciler.desired.site import Fleet, ServiceKeys
from reconciler.desired.spec import ContainerSpec, Device, Port, canonical, spec_from_json
from tests.desired.rows import CLOSED, FLEET, assert_only, problems_of

DIGEST = "@sha256:" + "a" * 64
GUARDED = [
    ("privileged: true", "1:1 privileged", "SS-C01", "privileged", Policy(privileged=True)),
    ("pid: host", "1:1 pid", "SS-C01", "namespaces", Policy(namespaces=("pid",))),
    ("ipc: host", "1:1 ipc", "SS-C01", "namespaces", Policy(namespaces=("ipc",))),
    ("uts: host", "1:1 uts", "SS-C01", "namespaces", Policy(namespaces=("uts",))),
    ("userns_mode: host", "1:1 userns_mode", "SS-C01", "namespaces", Policy(namespaces=("userns",))),
    ("devices: [/dev/ttyUSB0]", "1:1 devices", "SS-C01", "devices", Policy(devices=("/dev/ttyUSB*",))),
    ("ports: [5432:5432]", "1:1 ports", "SS-C02", "ports", Policy(ports=("5432",))),
    ("cap_add: [NET_ADMIN]", "1:11 cap_add[0]", "SS-C04", "capabilities", Policy(capabilities=("NET_ADMIN",))),
    ("volumes: [/srv/a:/a:ro]", "1:11 volumes[0]", "SS-C06", "bind_roots", Policy(bind_roots=("/srv",))),
]

BOUNDED = Policy(
    privileged=True,
    namespaces=("pid",),
    devices=("/dev/ttyUSB*",),
    ports=("8000-8009", "127.0.0.1:9000"),
    taken=(8001,),
    capabilities=("NET_RAW",),
)


@pytest.mark.parametrize(("text", "place", "code", "setting", "opened"), GUARDED, ids=[row[0] for row in GUARDED])
def test_a_right_is_refused_unless_the_policy_gives_it(text: str, place: str, code: str, setting: str, opened: Policy) -> None:
    assert_only(text, place, code, f"ask the host's administrator for [policy] {setting}, or [policy.sites.blog] {setting}")
    assert problems_of(text, opened) == ()
    gives = {name: value for name, value in vars(opened).items() if value != vars(CLOSED)[name]}
    assert problems_of(text, Policy(grants=(Grant("blo*", gives),))) == ()
    assert_only(text, place, code, "ask", Policy(grants=(Grant("shop", gives),)))


def test_the_rights_reach_the_spec() -> None:
    policy = Policy(privileged=True, namespaces=("pid", "uts"), devices=("/dev/*",), ports=("5000-5999",))
    text = (
        "privileged: true\npid: host\nuts: host\ndevices: [/dev/fuse, '/dev/kvm:/dev/x:r']\nports: [5432:5432, '127.0.0.1:5353:53/udp']\n"
    )
    site, _ = parse_site("sites/blog.yaml", text.encode(), FLEET, policy)
    assert site is not None
    spec = container_spec(site, ())
    assert spec == ContainerSpec(
        "",
        0,
        privileged=True,
        namespaces=("pid", "uts"),
        devices=(Device("/dev/fuse", "/dev/fuse"), Device("/dev/kvm", "/dev/x", "r")),
        ports=(Port(5353, 53, "udp", "127.0.0.1"), Port(5432, 5432)),
    )
    assert spec_from_json(json.loads(canonical(spec))) == spec, "as the label says it"
    assert canonical(ContainerSpec("a", 1)) == '{"image":"a","port":1}', "a right that is not had changes no fingerprint"


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("privileged: 'yes'", "1:13 privileged", "SS-Y17", "true or false", id="privileged"),
        pytest.param("pid: container:x", "1:6 pid", "SS-Y17", "Write host", id="pid-of-a-container"),
        pytest.param("ipc: host", "1:1 ipc", "SS-C01", "[policy] namespaces", id="another-namespace"),
        pytest.param("devices: [/dev/sda]", "1:11 devices[0]", "SS-C30", "is none of /dev/ttyUSB*", id="device"),
        pytest.param("devices: ['/dev/ttyUSB/../sda']", "1:11 devices[0]", "SS-C24", "is not a device", id="device-dots"),
        pytest.param("devices: ['/dev/ttyUSB0:/dev/x:q']", "1:11 devices[0]", "SS-C24", "is not a device", id="device-rights"),
        pytest.param("ports: [80]", "1:9 ports[0]", "SS-C31", "Write HOST:CONTAINER", id="no-host-port"),
        pytest.param("ports: ['22:22']", "1:9 ports[0]", "SS-C31", "port 22 of this host is none of 8000-8009, 127.0.0.1:9000", id="port"),
        pytest.param("ports: [8010:80]", "1:9 ports[0]", "SS-C31", "is none of", id="port-after-the-range"),
        pytest.param("ports: [9000:80]", "1:9 ports[0]", "SS-C31", "port 9000", id="port-of-all-addresses"),
        pytest.param("ports: ['10.0.0.1:9000:80']", "1:9 ports[0]", "SS-C31", "port 10.0.0.1:9000", id="port-of-another-address"),
        pytest.param("ports: ['8000:٣']", "1:9 ports[0]", "SS-C31", "is not a published port", id="port-arabic"),
        pytest.param("ports: ['8000:0']", "1:9 ports[0]", "SS-C13", "out of range", id="port-0"),
        pytest.param("ports: ['8000:65536']", "1:9 ports[0]", "SS-C13", "out of range", id="port-65536"),
        pytest.param("ports: ['8001:80']", "1:9 ports[0]", "SS-C31", "8001 is Traefik's own port", id="taken"),
        pytest.param("ports: ['8000-8002:80']", "1:9 ports[0]", "SS-C31", "is not a published port", id="a-range"),
        pytest.param("ports: ['8000:80']\nreplicas: 2", "1:1 ports", "SS-C31", "2 replicas cannot share", id="replicas"),
        pytest.param(
            "services:\n  a: {ports: ['8000:80']}\n  b: {ports: ['8000:81']}", "3:7 services.b.ports", "SS-C31", "service a too", id="twice"
        ),
        pytest.param("cap_add: [NET_ADMIN]", "1:11 cap_add[0]", "SS-C04", "NET_ADMIN is not among", id="another-capability"),
    ],
)
def test_what_a_policy_gives_has_bounds(text: str, place: str, code: str, fragment: str) -> None:
    assert_only(text, place, code, fragment, BOUNDED)


@pytest.mark.parametrize("text", ["ports: ['8009:80']", "ports: [8000:80/udp]", "ports: ['127.0.0.1:9000:80']", "privileged: false"])
def test_what_lies_inside_them_is_right(text: str) -> None:
    assert problems_of(text, Policy(ports=("8000-8009", "127.0.0.1:9000"))) == ()


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("nginx", "nginx:1.27", "nginx-evil:1"),
        ("nginx:1.*", "nginx:1.27", "nginx:2"),
        ("docker.io/library/nginx", "nginx:1", "team/nginx:1"),
        ("docker.io/library/nginx", "docker.io/library/nginx:1", "r.io/library/nginx:1"),
        ("nginx", "index.docker.io/library/nginx:1", "index.r.io/library/nginx:1"),
        ("team/*", "docker.io/team/app:1", "ghcr.io/team/app:1"),
        ("ghcr.io/team/*", "ghcr.io/team/app:1" + DIGEST, "ghcr.io/teams/app:1"),
        ("r.io:5000/*", "r.io:5000/a/b:1", "r.io/a/b:1"),
    ],
)
def test_the_policy_may_name_the_images(pattern: str, right: str, wrong: str) -> None:
    policy = Policy(images=(pattern,))
    assert problems_of(f"image: {right}", policy) == ()
    assert_only(f"image: {wrong}", "1:8 image", "SS-C32", "[policy] images", policy)
    assert problems_of(f"image: {wrong}") == ()


def test_the_policy_may_want_a_digest() -> None:
    policy = Policy(require_digest=True)
    assert problems_of(f"image: nginx:1{DIGEST}", policy) == ()
    assert_only("image: nginx:1", "1:8 image", "SS-C11", "has no digest, and this host wants one", policy)
    assert problems_of("image: nginx:1", replace(policy, grants=(Grant("blog", {"require_digest": False}),))) == ()


def test_an_image_of_the_defaults_is_looked_at_for_each_site() -> None:
    policy = Policy(grants=(Grant("blog", {"images": ("blog",)}),))
    assert_only("{}", "1:1", "SS-C32", "image of shipstone.yaml: nginx:1.27-alpine is none of blog", policy)


def test_a_link_below_a_bind_root_is_followed() -> None:
    leads = {"/srv/data/way-out": "/etc", "/srv/data/in": "/srv/data/other", "/srv/data/engine": "/run", "/srv/sock": "/run/docker.sock"}
    policy = Policy(bind_roots=("/srv",), resolve=lambda path: leads.get(path, path))
    assert_only(
        "volumes: [/srv/data/way-out:/a:ro]", "1:11 volumes[0]", "SS-C06", "/srv/data/way-out leads to /etc, which is outside", policy
    )
    assert_only(
        "volumes: [/srv/data/engine:/a:ro]", "1:11 volumes[0]", "SS-C05", "leads to /run, which gives the container the engine", policy
    )
    assert_only("volumes: [/srv/sock:/a:ro]", "1:11 volumes[0]", "SS-C05", "and so root on this host", policy)
    assert problems_of("volumes: [/srv/data/in:/a:ro]", policy) == ()


def test_a_device_may_be_a_link_to_another_device_and_to_nothing_else() -> None:
    leads = {"/dev/ttyUSB0": "/dev/serial0", "/dev/ttyUSB1": "/etc/shadow", "/dev/ttyUSB2": "/mnt/dev/mem"}
    policy = Policy(devices=("/dev/ttyUSB*",), resolve=lambda path: leads.get(path, path))
    assert problems_of("devices: [/dev/ttyUSB0]", policy) == ()
    for path in ("/dev/ttyUSB1", "/dev/ttyUSB2"):
        assert_only(f"devices: [{path}]", "1:11 devices[0]", "SS-C30", f"{path} is none of /dev/ttyUSB*", policy)


def test_a_bind_root_may_itself_be_a_link() -> None:
    policy = Policy(bind_roots=("/srv",), resolve=lambda path: path.replace("/srv", "/mnt/disk", 1))
    assert problems_of("volumes: [/srv/a:/a:ro]", policy) == ()
    moved = replace(policy, resolve=lambda path: {"/srv": "/mnt/disk", "/srv/a": "/mnt/diskette"}.get(path, path))
    assert_only("volumes: [/srv/a:/a:ro]", "1:11 volumes[0]", "SS-C06", "leads to /mnt/diskette, which is outside /mnt/disk", moved)


def test_a_socket_that_the_host_reaches_by_a_link_is_known_by_both_names() -> None:
    policy = Policy(bind_roots=("/data",), sockets=("/var/run/docker.sock",), resolve=lambda path: path.replace("/var/run", "/data/run"))
    assert_only("volumes: [/data/run:/a:ro]", "1:11 volumes[0]", "SS-C05", "gives the container the engine", policy)


class TestHosts:
    """Who may use which host names."""

    policy = Policy(
        domains=("example.com",),
        hosts=("{site}.shipstone.local", "*.{site}.example.com"),
        grants=(Grant("shop", hosts=("shop.example.org", "*.Pay.example.com")),),
    )

    def problems(self, site: str, host: str, policy: Policy | None = None) -> list[tuple[str, str]]:
        text = f"hosts: [{host}]" if host else "{}"
        _, found = parse_site(f"sites/{site}.yaml", text.encode(), FLEET, policy or self.policy)
        return [(problem.code, problem.message) for problem in found]

    @pytest.mark.parametrize(
        ("site", "host"),
        [
            ("blog", "blog.shipstone.local"),
            ("blog", "a.blog.example.com"),
            ("shop", "shop.example.org"),
            ("shop", "eu.pay.example.com"),
            ("blog", ""),
        ],
    )
    def test_right(self, site: str, host: str) -> None:
        assert self.problems(site, host) == []

    @pytest.mark.parametrize(
        ("site", "host", "code", "fragment"),
        [
            ("blog", "shop.example.org", "SS-N18", "is kept for shop by the host's policy"),
            ("blog", "EU.Pay.example.com", "SS-N18", "[policy.sites.blog] hosts"),
            ("blog", "other.shipstone.local", "SS-N18", "is none of blog.shipstone.local, *.blog.example.com"),
            ("shop", "x.elsewhere.net", "SS-N10", "[policy] domains, or [policy.sites.shop] hosts"),
        ],
    )
    def test_refused(self, site: str, host: str, code: str, fragment: str) -> None:
        ((found, message),) = self.problems(site, host)
        assert found == code
        assert fragment in message

    def test_by_default_any_name_under_the_domain(self) -> None:
        assert self.problems("blog", "any.shipstone.local", CLOSED) == []
        assert self.problems("blog", "any.example.com", CLOSED)[0][0] == "SS-N10"

    def test_the_name_that_a_site_has_without_writing_it_counts_too(self) -> None:
        policy = Policy(grants=(Grant("shop", hosts=("blog.shipstone.local",)),))
        assert [code for code, _ in self.problems("blog", "", policy)] == ["SS-N18"]


class TestLimits:
    """A site's containers together."""

    policy = Policy(limits=Limits(replicas=4, memory=512 * 2**20, cpus=2.0, pids=1000, default_pids=100))
    frugal = "mem_limit: 64m\ncpus: 0.25\n"

    def test_right(self) -> None:
        assert problems_of(self.frugal + "replicas: 4\npids_limit: 250", self.policy) == ()
        assert problems_of("replicas: 1000\nmem_limit: 900g\ncpus: 900") == (), "there is none by default"

    @pytest.mark.parametrize(
        ("text", "place", "fragment"),
        [
            ("replicas: 5", "3:1 replicas", "may take 5 replicas, and this host allows 4 replicas to a site. Take less, or ask"),
            ("replicas: 3\npids_limit: 400", "4:1 pids_limit", "1200 processes"),
            ("services: {a: {}, b: {mem_limit: 449m}}", "3:23 services.b.mem_limit", "513 MiB of memory"),
            ("services: {a: {cpus: 2}, b: {}}", "3:16 services.a.cpus", "[policy.sites.blog] max_cpus"),
        ],
    )
    def test_too_much(self, text: str, place: str, fragment: str) -> None:
        problems = problems_of(self.frugal + text, self.policy)
        assert [(problem.code, f"{problem.line}:{problem.column} {problem.key}") for problem in problems] in (
            [("SS-C33", place)],
            [("SS-C33", "1:1 mem_limit")],
            [("SS-C33", "2:1 cpus")],
        )
        assert fragment in problems[0].message

    def test_none_written(self) -> None:
        assert_only("cpus: 1", "1:1", "SS-C33", "each container needs a limit. Write mem_limit:.", self.policy)

    def test_a_grant_takes_the_place_of_a_limit(self) -> None:
        more = replace(self.policy, grants=(Grant("blog", {"limits": Limits(replicas=9)}),))
        assert problems_of(self.frugal + "replicas: 8", more) == ()


def test_raw_labels_of_traefik_only_where_the_policy_names_them() -> None:
    policy = Policy(labels=("traefik.http.middlewares.*",))
    text = "labels: {Traefik.HTTP.middlewares.mine.compress: 'true'}"
    assert problems_of(text, policy) == ()
    place = "1:10 labels.Traefik.HTTP.middlewares.mine.compress"
    assert_only(text, place, "SS-C09", "ask the host's administrator for [policy] labels")
    assert_only("labels: {traefik.http.routers.x.rule: a}", "1:10 labels.traefik.http.routers.x.rule", "SS-C09", "is reserved", policy)
    assert_only("labels: {shipstone.site: a}", "1:10 labels.shipstone.site", "SS-C09", "is reserved", Policy(labels=("*",)))


def test_the_fleet_has_no_more_rights_than_any_site() -> None:
    fleet, problems = parse_fleet("shipstone.yaml", b"defaults: {privileged: true}", Policy(grants=(Grant("*", {"privileged": True}),)))
    assert fleet is None
    assert [problem.code for problem in problems] == ["SS-C01"]


def test_what_defaults_give_is_judged_by_the_site_limits() -> None:
    fleet = Fleet(domain="shipstone.local", defaults=ServiceKeys(image="nginx:1", port=80, replicas=9))
    assert_only("{}", "1:1", "SS-C33", "9 replicas", Policy(limits=Limits(replicas=4)), fleet)


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ("['8000:80', '8000:81']", "port 8000 is published twice. Use another one."),
        ("['127.0.0.1:8000:80', '8000:81']", "port 8000 is published twice. Use another one."),
        ("['127.0.0.1:8000:80', '127.0.0.2:8000:80', '8000:80/udp']", ""),
    ],
)
def test_a_port_of_the_host_is_published_once_on_each_address(ports: str, message: str) -> None:
    problems = problems_of(f"ports: {ports}", Policy(ports=("1-65535",)))
    assert [problem.message for problem in problems] == ([message] if message else [])
