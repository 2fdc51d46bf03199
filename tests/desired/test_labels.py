"""The labels that a site compiles to. Those of a site that uses no newer key are what they always were: nothing is rolled by an update."""

import hashlib
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import DesiredSite
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Entry, Revision
from reconciler.desired.spec import Cookie, Middleware, Route, canonical, route_from_json
from reconciler.planning.labels import container_labels

OLD_SITE = """\
image: app:1
port: 8080
hosts: [shop.shipstone.local, www.shop.shipstone.local]
path: /store
sticky: true
environment: {V: "1"}
services: {a: {weight: 9}, b: {}}
"""
NEW_SITE = """\
image: app:1
port: 80
replicas: 2
sticky: {secure: true, samesite: lax, maxage: 1h}
tls: {certresolver: letsencrypt}
middlewares:
- stripPrefix: {prefixes: [/api, /v1]}
- headers: {customResponseHeaders: {X-Frame: "1", X-Empty: ""}, frameDeny: true}
- compress: {}
- rateLimit: {average: 100, period: 1m, sourceCriterion: {ipStrategy: {depth: 2}}}
loadbalancer: {strategy: p2c, pass_host_header: false, flush_interval: 50ms}
"""


def compiled(text: str) -> DesiredSite:
    entry = Entry(hashlib.sha256(text.encode()).hexdigest(), "file", len(text))
    desired = Compiler(Policy()).compile(Revision("commit", {"sites/shop.yaml": entry}, lambda _: text.encode()))
    assert desired.problems == ()
    return desired.sites["shop"]


def labels(site: DesiredSite, entry_point: str = "web") -> dict[str, str]:
    return container_labels("shipstone", "shipstone_net", entry_point, site, site.services[0], 1, "sha256:1")


def traefik(found: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in found.items() if key.startswith("traefik.http.")}


def test_an_older_site_keeps_its_fingerprint_and_every_label() -> None:
    """Literal values of the version before middlewares, tls and loadbalancer; since then a digest of the labels came to them."""
    whole = "shipstone-shop-9ca1a44803"
    route = '{"hosts":["shop.shipstone.local","www.shop.shipstone.local"],"path":"/store","sticky":true}'
    spec = '{"environment":[["V","1"]],"image":"app:1","port":8080,"weight":9}'
    assert labels(compiled(OLD_SITE)) == {
        "traefik.enable": "true",
        "traefik.docker.network": "shipstone_net",
        f"traefik.http.services.{whole}.loadbalancer.server.port": "8080",
        f"traefik.http.services.{whole}.loadbalancer.server.weight": "9",
        f"traefik.http.services.{whole}-a-1.loadbalancer.server.port": "8080",
        f"traefik.http.services.{whole}.loadbalancer.sticky.cookie.name": "shipstone-shop",
        f"traefik.http.services.{whole}.loadbalancer.sticky.cookie.httponly": "true",
        f"traefik.http.routers.{whole}-0.rule": "Host(`shop.shipstone.local`) && PathPrefix(`/store`)",
        f"traefik.http.routers.{whole}-0.priority": "104",
        f"traefik.http.routers.{whole}-0.entrypoints": "web",
        f"traefik.http.routers.{whole}-0.service": whole,
        f"traefik.http.routers.{whole}-1.rule": "Host(`www.shop.shipstone.local`) && PathPrefix(`/store`)",
        f"traefik.http.routers.{whole}-1.priority": "112",
        f"traefik.http.routers.{whole}-1.entrypoints": "web",
        f"traefik.http.routers.{whole}-1.service": whole,
        "shipstone.instance": "shipstone",
        "shipstone.site": "shop",
        "shipstone.service": "a",
        "shipstone.release": "9ca1a44803",
        "shipstone.replica": "1",
        "shipstone.commit": "commit",
        "shipstone.digest": "sha256:1",
        "shipstone.grace": "10",
        "shipstone.scheme": "1",
        "shipstone.spec": f'{{"route":{route},"spec":{spec},"timing":{{}}}}',
        "shipstone.labels": "948fc7cf59db1bb6",
    }


def test_what_is_written_like_its_default_makes_no_new_release() -> None:
    same = "tls: false\nmiddlewares: []\nloadbalancer: {strategy: wrr, pass_host_header: true}\n"
    assert compiled(OLD_SITE + same).release == compiled(OLD_SITE).release == "9ca1a44803"
    cookie = OLD_SITE.replace("sticky: true", "sticky: {secure: false}")
    assert compiled(cookie).release == "9ca1a44803"


def test_every_newer_key_makes_a_new_release() -> None:
    rows = ["tls: true", "middlewares: [{compress: {}}]", "loadbalancer: {strategy: hrw}", "loadbalancer: {flush_interval: 1s}"]
    releases = {compiled(f"{OLD_SITE}{row}\n").release for row in rows} | {compiled(OLD_SITE).release}
    releases.add(compiled(OLD_SITE.replace("sticky: true", "sticky: {maxage: 1h}")).release)
    assert len(releases) == len(rows) + 2


def test_newer_keys_as_labels() -> None:
    """Middlewares are the release's own, and the router lists them in order; a replica's own service passes requests on like the whole."""
    site = compiled(NEW_SITE)
    whole = f"shipstone-shop-{site.release}"
    service, alone = f"traefik.http.services.{whole}.loadbalancer", f"traefik.http.services.{whole}-web-1.loadbalancer"
    router, middleware = f"traefik.http.routers.{whole}-0", f"traefik.http.middlewares.{whole}-m"
    assert traefik(labels(site, "websecure")) == {
        f"{service}.server.port": "80",
        f"{service}.server.weight": "1",
        f"{service}.strategy": "p2c",
        f"{service}.passhostheader": "false",
        f"{service}.responseforwarding.flushinterval": "50ms",
        f"{service}.sticky.cookie.name": "shipstone-shop",
        f"{service}.sticky.cookie.httponly": "true",
        f"{service}.sticky.cookie.secure": "true",
        f"{service}.sticky.cookie.samesite": "lax",
        f"{service}.sticky.cookie.maxage": "3600",
        f"{alone}.server.port": "80",
        f"{alone}.passhostheader": "false",
        f"{alone}.responseforwarding.flushinterval": "50ms",
        f"{middleware}0.stripprefix.prefixes": "/api,/v1",
        f"{middleware}1.headers.customresponseheaders.X-Frame": "1",
        f"{middleware}1.headers.customresponseheaders.X-Empty": "",
        f"{middleware}1.headers.framedeny": "true",
        f"{middleware}2.compress": "true",
        f"{middleware}3.ratelimit.average": "100",
        f"{middleware}3.ratelimit.period": "60000ms",
        f"{middleware}3.ratelimit.sourcecriterion.ipstrategy.depth": "2",
        f"{router}.rule": "Host(`shop.shipstone.local`)",
        f"{router}.priority": "56",
        f"{router}.entrypoints": "websecure",
        f"{router}.service": whole,
        f"{router}.middlewares": ",".join(f"{whole}-m{n}" for n in range(4)),
        f"{router}.tls": "true",
        f"{router}.tls.certresolver": "letsencrypt",
    }


TEXT = st.text("abcXYZ/.,$:`\"'", max_size=8)
ROUTES = st.builds(
    Route,
    hosts=st.lists(TEXT, min_size=1, max_size=2).map(tuple),
    path=st.sampled_from(["/", "/a"]),
    sticky=st.booleans(),
    cookie=st.builds(Cookie, st.booleans(), st.sampled_from(["", "lax"]), st.integers(0, 9)),
    middlewares=st.lists(st.builds(Middleware, TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)), max_size=2).map(tuple),
    tls=st.booleans(),
    certresolver=TEXT,
    strategy=st.sampled_from(["wrr", "hrw"]),
    pass_host_header=st.booleans(),
    flush_interval=st.sampled_from(["", "50ms"]),
)


@given(ROUTES)
def test_a_route_survives_its_label(route: Route) -> None:
    assert route_from_json(json.loads(canonical(route))) == route


def test_a_route_of_another_version_is_read() -> None:
    """An older one has less, a newer one may have more."""
    assert route_from_json({"hosts": ["a"], "sticky": True}) == replace(Route(("a",)), sticky=True)
    assert route_from_json({"hosts": ["a"], "shape": "round"}) == Route(("a",))
