"""The guard: what a commit may take away at once."""

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Entry, Revision
from reconciler.planning.guard import Guard, removals
from tests.planning.test_plan import plan, running, site


@pytest.mark.parametrize(
    ("unwanted", "total", "free"),
    [
        (1, 3, True),
        (2, 3, False),
        (2, 10, True),
        (3, 10, False),
        (200, 1000, True),
        (201, 1000, False),
        (1, 1, False),
        (0, 5, True),
    ],
)
def test_more_than_one_and_more_than_a_fifth_wait(unwanted: int, total: int, free: bool) -> None:
    """And so does every site where nothing is left."""
    names = frozenset(f"s{n}" for n in range(unwanted))
    found = removals(names, total, Guard(), approved=(), going=())
    assert (found.going, found.held) == ((names, frozenset()) if free else (frozenset(), names))


def test_what_was_approved_goes_and_a_later_commit_does_not_undo_that() -> None:
    """What it removes besides is looked at by itself."""
    approved = {"a", "b", "c"}
    assert removals({"a", "b", "c"}, 5, Guard(), approved=approved, going=()).going == approved
    assert removals({"a", "b", "c", "d"}, 5, Guard(), approved=approved, going=()).going == {"a", "b", "c", "d"}
    more = removals({"a", "b", "c", "d", "e"}, 8, Guard(), approved=approved, going=())
    assert (more.going, more.held) == (approved, {"d", "e"})


def test_what_was_let_go_is_not_held_on_the_way() -> None:
    found = removals({"a", "b"}, 5, Guard(), approved=(), going={"a"})
    assert (found.going, found.held) == ({"a", "b"}, frozenset())


def test_the_reason_lists_them_and_says_what_to_do() -> None:
    found = removals({f"s{n:02}" for n in range(12)}, 20, Guard(), approved=(), going=())
    assert found.reason.startswith("its removal waits: 12 of 20 sites would go (s00, s01, ")
    assert "s09 and 2 more" in found.reason
    assert "`shipstone approve`" in found.reason


def test_a_removal_waits_while_a_file_has_a_name_that_no_site_may_have() -> None:
    """It may be what the site was renamed to: nothing of it can be read, and the old one goes on."""
    files = {
        "shipstone.yaml": b"domain: t.local\n",
        "sites/my_shop.yaml": b"image: app:1\n",
        "sites/other.yaml": b"image: app:1\nport: 80\n",
    }
    entries = {path: Entry(path, "file", len(text)) for path, text in files.items()}
    written = Compiler(Policy()).compile(Revision("2", entries, files.__getitem__), None, {})
    assert written.misnamed == {"sites/my_shop.yaml"}
    found = plan(written, running(site("shop")))
    assert found.held_removals == {"shop"}
    assert "renamed to sites/my_shop.yaml" in found.sites["shop"].message
    assert found.sites["shop"].steps == ()


def test_both_numbers_are_settings() -> None:
    assert removals({"a", "b", "c"}, 9, Guard(count=3, share=0), approved=(), going=()).held == frozenset()
    assert removals({"a", "b", "c"}, 9, Guard(count=0, share=0.5), approved=(), going=()).held == frozenset()
    assert removals({"a"}, 9, Guard(count=0, share=0), approved=(), going=()).held == {"a"}
