"""What people see on a terminal, and in a pipe."""

import logging
import time

import pytest
import structlog

from reconciler.console import Console, StatusRow, configure_log
from reconciler.desired.problem import Problem
from reconciler.log import log
from reconciler.planning.events import Event
from reconciler.planning.foreign import Claim

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


@pytest.mark.parametrize("columns", ["80", "50", "20"])
@pytest.mark.parametrize("colour", [None, "1"])
def test_nothing_of_a_row_is_cut_however_narrow_it_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, colour: str | None
) -> None:
    """In a pipe a site is one line; a terminal that is too narrow shows it on several."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", colour) if colour else monkeypatch.delenv("FORCE_COLOR", raising=False)
    row: StatusRow = ("q" * 40, "out-of-sync", "progressing", "10/10", "7" * 13, f"{'z' * 50} {'!' * 50}")
    Console().status([row, SHOP], "abc123", ())
    out = capsys.readouterr().out
    assert [out.count(sign) for sign in "q7z!"] == [40, 13, 50, 50]
    if not colour:
        assert [line.split() for line in out.splitlines()[1:3]] == [[*row[:5], *row[5].split()], list(SHOP)]


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\ttext"


def test_nothing_that_is_shown_commands_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Last lines of a container's log, names that others gave; of a release that failed before they were kept without, too."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    console, at = Console(), time.time()
    claim = Claim("other", f"r{EVIL}\nforged: line", "", "shop.test", "shop")
    console.line(EVIL)
    console.error(f"shop: {EVIL}\n{EVIL}")
    console.finding("engine", "error", EVIL, EVIL)
    console.problems([Problem("sites/shop.yaml", 1, 1, "", "x", EVIL)])
    console.status([(*SHOP[:5], EVIL)], "abc123", (str(claim),))
    with console.watching() as show:
        show([(*SHOP[:5], EVIL)], "abc123", (str(claim),))
    more = {"log": [EVIL], "reason": EVIL, "step": "stop", "target": EVIL, "author": EVIL}
    console.history([Event(at, kind, "shop", what=f"{EVIL}\nforged: line", more=more) for kind in ("failed", "error", "drift")])
    said = capsys.readouterr()
    assert [sign for sign in said.out + said.err if not sign.isprintable() and sign != "\n"] == []
    assert "]0;owned" in said.out
    assert not [line for line in (said.out + said.err).splitlines() if line.startswith("forged")]
    assert len(said.err.splitlines()) == 5, "a log keeps its lines"


def test_nor_does_a_line_of_the_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPSTONE_LOG", "console")
    monkeypatch.setenv("NO_COLOR", "1")
    configure_log()
    try:
        log.info(EVIL, difference="\x1b]0;owned\x07")
        log.debug("nobody wants to know")
    finally:
        structlog.reset_defaults()
        log.configure(logging.NOTSET, lambda: None)
    said = capsys.readouterr().err
    assert said.count("]0;owned") == 2
    assert "nobody" not in said
    assert not [row for row in (EVIL[:2], "\x07", "\x9b", "\t") if row in said]
