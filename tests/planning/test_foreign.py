"""Containers of others that claim our host names."""

import pytest

from reconciler.desired.desired import Desired, DesiredSite, Timing
from reconciler.desired.spec import Route
from reconciler.planning.foreign import claims
from reconciler.planning.memory import Memory
from reconciler.planning.observed import ForeignContainer, Observed, TraefikView
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
    ],
)
def test_a_rule_that_names_our_host_is_a_claim(rule: str, hosts: list[str]) -> None:
    found = claims(foreign(traefik__http__routers__r1__rule=rule), SITES)
    assert [(claim.container, claim.router, claim.rule, claim.host, claim.site) for claim in found] == [
        ("other", "r1", rule, host, "shop") for host in hosts
    ]


def test_a_container_that_traefik_does_not_read_claims_nothing() -> None:
    assert claims(foreign(traefik__enable="False", traefik__http__routers__r1__rule="Host(`shop.test`)"), SITES) == ()


def test_the_plan_says_who_and_what_to_do() -> None:
    site = DesiredSite("shop", "0123456789", Route(("shop.test",)), (), Timing(), heal=True, commit="c")
    others = foreign(traefik__http__routers__r1__rule="Host(`shop.test`)")
    observed = Observed((), network=True, pins={}, traefik=TraefikView(reachable=True), foreign=others)
    (notice,) = make_plan(Desired("c", {"shop": site}, {}), observed, Memory(), 0.0, Names("t", "t_net", "web")).notices
    assert notice.startswith("other is not Shipstone's and claims shop.test of site shop (router r1).")


def test_an_older_static_configuration_is_a_notice() -> None:
    observed = Observed((), network=True, pins={}, traefik=TraefikView(reachable=True), proxy="restart needed")
    (notice,) = make_plan(Desired("c", {}, {}), observed, Memory(), 0.0, Names("t", "t_net", "web")).notices
    assert notice.startswith("restart needed: ")
