"""The pin file: what is written is what is read back, and Traefik's templates have no say in it."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from reconciler.planning.observed import Pin
from reconciler.planning.pin_file import HEADER, parse_pins, render_pins

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-pin-[0-9])?", fullmatch=True)
TARGETS = st.lists(st.tuples(NAMES, st.integers(0, 100)), max_size=3).map(tuple)


@st.composite
def pins(draw: st.DrawFn) -> Pin:
    rules = sorted(draw(st.sets(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3)))
    targets = tuple((rule, draw(TARGETS)) for rule in rules)
    sticky = draw(st.booleans()) and any(len(rows) > 1 for _, rows in targets)
    return Pin(targets, tuple((rule, draw(st.integers(1, 10**6))) for rule in rules), sticky)


@given(st.dictionaries(NAMES, pins(), max_size=3))
def test_pins_survive_the_file(written: dict[str, Pin]) -> None:
    """Whatever the rules hold: quotes, braces, line breaks."""
    text = render_pins("shop", ["web"], written)
    read, digest = parse_pins("shop", text)
    assert read == written
    assert digest in text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_a_value_never_becomes_a_template(rule: str) -> None:
    """The only braces that Traefik's template engine sees are those that print braces."""
    text = render_pins("shop", ["web"], {"a": Pin(((rule, ()),), ((rule, 1),))})
    assert "{{" not in text.replace('{{"{{"}}', "")


def test_the_sentinel_changes_with_the_pins() -> None:
    """One look at it in Traefik's API tells whether this very file is loaded."""
    pin = Pin((("Host(`a`)", (("shop-a-1", 1),)),), (("Host(`a`)", 19),))
    empty, one = render_pins("shop", ["web"], {}), render_pins("shop", ["web"], {"a": pin})
    other = render_pins("shop", ["web"], {"a": Pin(pin.targets, pin.priorities, sticky=False)})
    assert parse_pins("shop", empty)[1] != parse_pins("shop", one)[1]
    assert one == other
    assert tomllib.loads(empty)["http"]["middlewares"]["shop-sentinel"]["headers"]["customResponseHeaders"][HEADER]


def test_nobody_is_a_service_without_servers() -> None:
    """Traefik answers 503 for it, where a missing service would let the labels route."""
    text = render_pins("shop", ["web"], {"a": Pin((("Host(`a`)", ()),), (("Host(`a`)", 19),))})
    assert tomllib.loads(text)["http"]["services"]["shop-a-pin-0"] == {"loadBalancer": {"servers": []}}


def test_what_is_no_pin_file_holds_no_pins() -> None:
    """A hand's edit is not taken for a pin; the next motion writes the file anew."""
    assert parse_pins("shop", "not toml = = ") == ({}, "")
    assert parse_pins("shop", "") == ({}, "")
    assert parse_pins("other", render_pins("shop", ["web"], {})) == ({}, "")
