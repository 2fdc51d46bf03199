"""The marked block: everything outside it is kept byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.hosts_file import begin_mark, block_in, end_mark, hosts_block, with_block
from reconciler.errors import ShipstoneError

BLOCK = hosts_block("shipstone", ["127.0.0.1", "::1"], ["shipstone.local", "web1.shipstone.local"])


def test_a_block_has_every_name_at_every_address() -> None:
    assert BLOCK.splitlines()[1:-1] == [
        "127.0.0.1 shipstone.local",
        "::1 shipstone.local",
        "127.0.0.1 web1.shipstone.local",
        "::1 web1.shipstone.local",
    ]


def test_no_names_no_block() -> None:
    assert hosts_block("shipstone", ["127.0.0.1"], []) == ""


def test_a_last_line_without_newline_is_kept_apart() -> None:
    assert with_block("127.0.0.1 localhost", "shipstone", BLOCK) == "127.0.0.1 localhost\n" + BLOCK


def test_windows_line_ends_stay() -> None:
    assert "\n" not in with_block("1.2.3.4 a\r\n", "shipstone", BLOCK).replace("\r\n", "")


@pytest.mark.parametrize(
    "text",
    [
        begin_mark("shipstone") + "\n",
        end_mark("shipstone") + "\n",
        end_mark("shipstone") + "\n" + begin_mark("shipstone") + "\n",
        BLOCK + BLOCK,
    ],
)
def test_broken_markers_stop_with_a_message(text: str) -> None:
    with pytest.raises(ShipstoneError, match="markers of instance shipstone are broken"):
        with_block(text, "shipstone", BLOCK)


def test_another_instance_has_a_block_of_its_own() -> None:
    other = hosts_block("demo", ["127.0.0.1"], ["demo.local"])
    assert with_block(with_block("", "demo", other), "shipstone", BLOCK) == other + BLOCK


@pytest.mark.parametrize("text", ["\r", end_mark("shipstone") + "\x0b\n", "a\u2028" + begin_mark("shipstone") + "\n", "a\r\r"])
def test_what_is_no_line_end_to_a_resolver_is_none(text: str) -> None:
    """So the same lines are ours when it is written and when it is read."""
    written = with_block(text, "shipstone", BLOCK)
    assert block_in(written, "shipstone") == BLOCK
    assert with_block(written, "shipstone", BLOCK) == written


outside = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=80)


@given(outside, outside)
def test_what_is_outside_is_kept(before: str, after: str) -> None:
    text = before + ("" if before.endswith("\n") or not before else "\n")
    written = with_block(text, "shipstone", BLOCK) + after
    assert with_block(written, "shipstone", "") == text + after
    assert with_block(written, "shipstone", BLOCK) == written
