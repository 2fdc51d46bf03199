"""The pin file: what is written is what is read back, and Traefik's templates have no say in it."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.spec import SESSION_COOKIE, Cookie, Route
from reconciler.planning.observed import Pin
from reconciler.planning.pin_file import HEADER, parse_pins, read_pins, render_pins
from reconciler.planning.pinning import route_pin

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-pin-[0-9])?", fullmatch=True)
TARGETS = st.lists(st.tuples(NAMES, st.integers(0, 100)), max_size=3).map(tuple)


@st.composite
def pins(draw: st.DrawFn) -> Pin:
    """A pin as planning makes them: what says how requests are treated is there only where somebody takes them."""
    rules = sorted(draw(st.sets(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3)))
    where = {rule: draw(st.sampled_from(["plain", "secure", "both"])) for rule in rules}
    targets = tuple((rule, draw(TARGETS)) for rule in rules if where[rule] != "secure")
    secure = tuple((rule, draw(TARGETS)) for rule in rules if where[rule] != "plain")
    rows = [rows for _, rows in targets + secure]
    sticky = draw(st.booleans()) and any(len(names) > 1 for names in rows)
    cookie = Cookie(draw(st.booleans()), draw(st.sampled_from(["", "lax"])), draw(st.integers(0, 9))) if sticky else SESSION_COOKIE
    middlewares = tuple(f"m{n}" for n in range(draw(st.integers(0, 2)))) if any(rows) else ()
    return Pin(targets, tuple((rule, draw(st.integers(1, 10**6))) for rule in rules), sticky, cookie, middlewares, secure)


@given(st.dictionaries(NAMES, pins(), max_size=3))
def test_pins_survive_the_file(drawn: dict[str, Pin]) -> None:
    """Whatever the rules hold: quotes, braces, line breaks; with TLS and without, with middlewares of the site's own."""
    written = {site: replace(pin, middlewares=tuple(f"shop-{site}-r-{name}" for name in pin.middlewares)) for site, pin in drawn.items()}
    text, digest = render_pins("shop", ["web"], written)
    assert parse_pins("shop", text) == (written, digest)
    assert digest in text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_a_value_never_becomes_a_template(rule: str) -> None:
    """The only braces that Traefik's template engine sees are those that print braces."""
    text, _ = render_pins("shop", ["web"], {"a": Pin(((rule, ()),), ((rule, 1),))})
    assert "{{" not in text.replace('{{"{{"}}', "")


def test_the_sentinel_changes_with_the_pins() -> None:
    """One look at it in Traefik's API tells whether this very file is loaded."""
    pin = Pin((("Host(`a`)", (("shop-a-1", 1),)),), (("Host(`a`)", 19),))
    (empty, of_empty), one = render_pins("shop", ["web"], {}), render_pins("shop", ["web"], {"a": pin})
    other = render_pins("shop", ["web"], {"a": Pin(pin.targets, pin.priorities, sticky=False)})
    assert of_empty != one[1]
    assert one == other
    assert tomllib.loads(empty)["http"]["middlewares"]["shop-sentinel"]["headers"]["customResponseHeaders"][HEADER] == of_empty


def test_nobody_is_a_service_without_servers() -> None:
    """Traefik answers 503 for it, where a missing service would let the labels route."""
    text, _ = render_pins("shop", ["web"], {"a": Pin((("Host(`a`)", ()),), (("Host(`a`)", 19),))})
    assert tomllib.loads(text)["http"]["services"]["shop-a-pin-0"] == {"loadBalancer": {"servers": []}}


RULE = "Host(`a`)"
TO_ONE, TO_TWO = (("shop-a-r", 1),), (("shop-a-r-web-1", 1), ("shop-a-r-web-2", 3))
SITE = Route(("a",))


def http(pin: Pin) -> dict[str, Any]:
    """What Traefik reads of a pin of site a."""
    return dict(tomllib.loads(render_pins("shop", ["web"], {"a": pin}, ["safe"])[0])["http"])


def test_requests_to_a_release_go_through_its_middlewares() -> None:
    """Those to nobody through none: they need not exist."""
    pin = route_pin(TO_ONE, (SITE,), (SITE, Route(("b",))), ("shop-a-r-m0", "shop-a-r-m1"))
    routers = http(pin)["routers"]
    assert routers["shop-a-pin-0"]["middlewares"] == ["shop-a-r-m0@docker", "shop-a-r-m1@docker"]
    assert "middlewares" not in routers["shop-a-pin-1"]
    nobody = route_pin((), (), (SITE,), ("shop-a-r-m0",))
    assert nobody.middlewares == ()
    assert "middlewares" not in http(nobody)["routers"]["shop-a-pin-0"]


def test_a_rule_with_tls_is_another_one() -> None:
    """From plain to TLS: each serves until the switch, and is nobody's on the other side of it."""
    safe = replace(SITE, tls=True)
    before, after = route_pin(TO_ONE, (SITE,), (SITE, safe), ()), route_pin(TO_ONE, (safe,), (SITE, safe), ())
    assert before == Pin(((RULE, TO_ONE),), ((RULE, 19),), secure=((RULE, ()),))
    assert after == Pin(((RULE, ()),), ((RULE, 19),), secure=((RULE, TO_ONE),))
    assert before.services == after.services == {"shop-a-r"}
    plain, secure = (http(after)["routers"][name] for name in ("shop-a-pin-0", "shop-a-pin-tls-0"))
    assert (plain["entryPoints"], secure["entryPoints"]) == (["web"], ["safe"])
    assert "tls" not in plain
    assert secure["tls"] == {}


@pytest.mark.parametrize(("before", "after"), [("/", "/api"), ("/api", "/"), ("/api", "/api/v2")])
def test_a_path_that_grows_or_shrinks_is_served_where_old_and_new_both_answer(before: str, after: str) -> None:
    """The rule of the longer path would else be nobody's, before the switch or after it."""
    old, new = replace(SITE, path=before), replace(SITE, path=after)
    longer = max(before, after)
    for serving in (old, new):
        pin = dict(route_pin(TO_ONE, (serving,), (old, new), ()).targets)
        assert pin[f"Host(`a`) && PathPrefix(`{longer}`)"] == TO_ONE
        assert sorted(pin.values()) == sorted([TO_ONE, () if len(serving.path) == len(longer) else TO_ONE])


def test_a_rule_stays_while_what_was_stopped_may_still_be_routed_by_it() -> None:
    """To whoever answers there now: else the label router of what was stopped would take the requests."""
    kept = route_pin(TO_ONE, (replace(SITE, path="/api"),), (replace(SITE, path="/api"), replace(SITE, tls=True)), ())
    pin = route_pin(TO_TWO, (SITE,), (SITE,), (), kept)
    assert dict(pin.targets) == {RULE: TO_TWO, "Host(`a`) && PathPrefix(`/api`)": TO_TWO}
    assert dict(pin.secure) == {RULE: ()}
    assert {rule for rule, _ in pin.priorities} == dict(pin.targets).keys()


def test_a_sticky_pin_has_the_cookies_options() -> None:
    """Where there is something to choose from."""
    sticky = replace(SITE, sticky=True, cookie=Cookie(secure=True, same_site="lax", max_age=60))
    pin = route_pin(TO_TWO, (sticky,), (sticky,), ())
    cookie = http(pin)["services"]["shop-a-pin-0"]["weighted"]["sticky"]["cookie"]
    assert cookie == {"name": "shop-a-pin", "httpOnly": True, "secure": True, "sameSite": "lax", "maxAge": 60}
    assert route_pin(TO_ONE, (sticky,), (sticky,), ()) == route_pin(TO_ONE, (SITE,), (SITE,), ())


def test_what_an_entry_point_adds_to_a_router_is_no_part_of_the_pin() -> None:
    """Traefik's API lists the entry point's middlewares before the router's own, and its TLS."""
    pin = route_pin(TO_ONE, (SITE,), (SITE,), ("shop-a-r-m0",))
    file = http(pin)
    router = file["routers"]["shop-a-pin-0"]
    router |= {"middlewares": ["secure@file", "shop-b-r-m0@docker", *router["middlewares"]], "tls": {"options": "default"}}
    assert read_pins("shop", {"shop-a-pin-0": router}, file["services"]) == {"a": pin}


def test_what_is_no_pin_file_holds_no_pins() -> None:
    """A hand's edit is not taken for a pin; the next motion writes the file anew."""
    assert parse_pins("shop", "not toml = = ") == ({}, "")
    assert parse_pins("shop", "") == ({}, "")
    assert parse_pins("other", render_pins("shop", ["web"], {})[0]) == ({}, "")
