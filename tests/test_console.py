"""What people see on a terminal, and in a pipe."""

import time

import pytest

from reconciler.console import Console, StatusRow
from reconciler.planning.events import Event

SHOP: StatusRow = ("shop", "synced", "healthy", "1/1", "aa11", "shop.test")


def test_history_is_aligned_and_a_line_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is, and whatever looks like markup in it."""
    at = time.time()
    Console().history(
        [
            Event(at, "revision", commit="c" * 40, what="[bold]create[/bold]", more={"author": "Ada"}),
            Event(at, "step", "shop", what="start shop-1", seconds=0.52, more={"reason": "x" * 200}),
            Event(at, "rest", "a-longer-name", what="as it should be"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert [line[19:] for line in lines] == [
        f"  {'':13}  revision  {'c' * 12} [bold]create[/bold], Ada",
        f"  {'shop':13}  {'step':8}  start shop-1  {'x' * 200}  (0.5 s)",
        f"  {'a-longer-name':13}  {'rest':8}  as it should be",
    ]
    Console().history([])
    assert capsys.readouterr().out == "nothing yet\n"


def test_watching_shows_in_place_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Console().watching() as show:
        show([SHOP], "abc123", ("a notice",))
        show([(*SHOP[:1], "out-of-sync", *SHOP[2:])], "abc123", ())
    out = capsys.readouterr().out
    assert out.startswith("\x1b[?1049h"), "a screen of its own"
    assert out.rstrip().endswith("\x1b[?1049l")
    for text in ("shop", "synced", "abc123", "a notice", "out-of-sync"):
        assert text in out


def test_watching_in_a_pipe_says_only_what_changed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with Console().watching() as show:
        for _ in range(3):
            show([SHOP], "abc123", ())
        show([], "abc124", ())
    lines = capsys.readouterr().out.splitlines()
    assert sum("shop" in line for line in lines) == 1
    assert lines[-2:] == ["no sites yet", "revision abc124"]


def test_a_place_in_a_file_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    Console().line("sites/web1.yaml:100:5 image: see 127.0.0.1:100:8080 :warning:")
    assert capsys.readouterr().out == "sites/web1.yaml:100:5 image: see 127.0.0.1:100:8080 :warning:\n"
