"""Containers of others that claim our host names."""

from dataclasses import replace

import pytest

from reconciler.desired.desired import Desired, DesiredSite, Timing
from reconciler.desired.spec import Route
from reconciler.planning.foreign import claims
from reconciler.planning.memory import Memory
from reconciler.planning.observed import Container, ForeignContainer, Observed, TraefikView
from reconciler.planning.plan import make_plan
from reconciler.planning.seen import Names

SITES = {"shop.test": "shop", "www.shop.test": "shop"}


def foreign(**labels: str) -> tuple[ForeignContainer, ...]:
    return (ForeignContainer("1" * 64, "other", tuple((key.replace("__", "."), value) for key, value in labels.items())),)


@pytest.mark.parametrize(
    ("rule", "hosts"),
    [
        ("Host(`shop.test`)", ["shop.test"]),
        ("Host(`SHOP.test`) && PathPrefix(`/a`)", ["shop.test"]),
        ("Host(`x.test`) || Host(`www.shop.test`)", ["www.shop.test"]),
        ("Host(`shop.test`, `www.shop.test`)", ["shop.test", "www.shop.test"]),
        ('host("shop.test")', ["shop.test"]),
        ("Host(`a.shop.test`)", []),
        ("PathPrefix(`/shop.test`)", []),
        ("Host(", []),
        ("!Host(`shop.test`)", []),
        ("! Host(`shop.test`) || Host(`www.shop.test`)", ["www.shop.test"]),
        ("PathPrefix(`/a`) && !(Host(`x.test`) || Host(`shop.test`))", []),
        ("!(!Host(`shop.test`))", ["shop.test"]),
        ("!PathPrefix(`/a`) && (Host(`shop.test`))", ["shop.test"]),
        ("Path(`Host(`) && Host(`shop.test`)", ["shop.test"]),
        ("HostRegexp(`^.+\\.shop\\.test$`)", ["www.shop.test"]),
        ("HostRegexp(`shop`)", ["shop.test", "www.shop.test"]),
        ("!HostRegexp(`shop`)", []),
        ("HostRegexp(`(`) || HostRegexp(`^((a*)*)*x$`)", []),
    ],
)
def test_a_rule_that_names_our_host_is_a_claim(rule: str, hosts: list[str]) -> None:
    found = claims(foreign(traefik__http__routers__r1__rule=rule), SITES)
    assert [(claim.container, claim.router, claim.rule, claim.host, claim.site) for claim in found] == [
        ("other", "r1", rule, host, "shop") for host in hosts
    ]


@pytest.mark.parametrize(
    ("enable", "generated", "elsewhere"),
    [("", False, True), ("true", True, True), ("1", True, True), ("False", False, False), ("0", False, False), ("perhaps", False, True)],
)
def test_the_generated_traefik_reads_only_who_says_so_another_one_may_read_all(enable: str, generated: bool, elsewhere: bool) -> None:
    labels = {"traefik__enable": enable} if enable else {}
    others = foreign(**labels, traefik__http__routers__r1__rule="Host(`shop.test`)")
    assert bool(claims(others, SITES, domain="test")) == generated
    assert bool(claims(others, SITES)) == elsewhere
    name = foreign(**labels, **{"traefik__http__services__t-shop__x": "1"})
    ours = [Container("2" * 64, "t-1", "running", "none", {"shipstone.site": "shop", "traefik.http.services.t-shop.y": "1"}, None)]
    assert bool(claims(name, SITES, "t", ours, "test")) == generated


@pytest.mark.parametrize(
    ("name", "called", "labels", "claimed"),
    [
        ("shop", "", {}, "shop.test"),
        ("www_shop", "", {}, ""),
        ("x_1", "Shop", {}, "shop.test"),
        ("shop_1", "", {}, ""),
        ("/shop.", "", {}, "shop.test"),
        ("shop", "", {"http.routers.r1.entrypoints": "web"}, "shop.test"),
        ("shop", "", {"http.routers.r1.rule": "Host(`x.test`)"}, ""),
        ("shop", "", {"http.routers.r1.rule": "Host(`x.test`)", "http.routers.r2.priority": "9"}, "shop.test"),
        ("shop", "", {"http.services.s1.loadbalancer.server.port": "1"}, "shop.test"),
        ("shop", "", {"http.services.s1.loadbalancer.server.port": "1", "http.services.s2.loadbalancer.server.port": "1"}, ""),
        ("shop", "", {"tcp.routers.r1.rule": "HostSNI(`*`)"}, ""),
        ("shop", "", {"tcp.routers.r1.rule": "HostSNI(`*`)", "http.middlewares.m.compress": "true"}, "shop.test"),
    ],
)
def test_who_has_no_rule_has_the_generated_default_rule(name: str, called: str, labels: dict[str, str], claimed: str) -> None:
    """Elsewhere nobody knows the default rule."""
    rows = (("traefik.enable", "true"), *((f"traefik.{key}", value) for key, value in labels.items()))
    others = (ForeignContainer("1" * 64, name, rows, called),)
    assert [claim.host for claim in claims(others, SITES, domain="test")] == ([claimed] if claimed else [])
    assert claims(others, SITES) == ()


def test_the_plan_says_who_and_what_to_do() -> None:
    site = DesiredSite("shop", "0123456789", Route(("shop.test",)), (), Timing(), heal=True, commit="c")
    others = foreign(traefik__http__routers__r1__rule="Host(`shop.test`)")
    observed = Observed((), network=True, pins={}, traefik=TraefikView(reachable=True), foreign=others)
    names = Names("t", "t_net", "web")
    assert make_plan(Desired("c", {"shop": site}, {}), observed, Memory(), 0.0, replace(names, own_traefik=True)).notices == ()
    (notice,) = make_plan(Desired("c", {"shop": site}, {}), observed, Memory(), 0.0, names).notices
    assert notice.startswith("other is not Shipstone's and claims shop.test of site shop (router r1).")


def test_an_older_static_configuration_is_a_notice() -> None:
    observed = Observed((), network=True, pins={}, traefik=TraefikView(reachable=True), proxy="restart needed")
    (notice,) = make_plan(Desired("c", {}, {}), observed, Memory(), 0.0, Names("t", "t_net", "web")).notices
    assert notice.startswith("restart needed: ")
