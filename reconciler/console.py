"""What people see on a terminal: aligned, coloured only there, silent when there is nothing to say."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console as Rich
from rich.markup import escape
from rich.table import Table

from reconciler.desired.problem import Problem
from reconciler.world.journald import JournalLogger, entry

COLOURS = {
    "synced": "green",
    "healthy": "green",
    "out-of-sync": "yellow",
    "progressing": "cyan",
    "held": "yellow",
    "suspended": "yellow",
    "degraded": "red",
    "missing": "red",
}


class Console:
    """stdout for what was asked, stderr for what went wrong. NO_COLOR is honoured by rich."""

    def __init__(self) -> None:
        self._out = Rich(highlight=False, soft_wrap=True)
        self._err = Rich(stderr=True, highlight=False, soft_wrap=True)

    def line(self, text: str) -> None:
        self._out.print(escape(text))

    @contextmanager
    def live(self) -> Iterator[Callable[[str], None]]:
        """What is going on, in one line that changes; only on a terminal."""
        if not self._out.is_terminal:
            yield lambda _text: None
            return
        with self._out.status("looking") as status:
            yield lambda text: status.update(escape(text))

    def error(self, text: str) -> None:
        self._err.print(f"[red]{escape(text)}[/red]")

    def problems(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            colour = "red" if problem.severity == "error" else "yellow"
            self._err.print(f"[{colour}]{escape(str(problem))}[/{colour}]")

    def finding(self, what: str, verdict: str, found: str, mend: str) -> None:
        """One line of `doctor`, and what to do below it."""
        sign = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}[verdict]
        self._out.print(f"{sign} {what:<16} {escape(found)}")
        if mend:
            self._out.print(f"{'':<24} {escape(mend)}", style="bold")

    def notices(self, notices: Iterable[str]) -> None:
        """What a person should know."""
        for notice in notices:
            self._err.print(f"[yellow]{escape(notice)}[/yellow]")

    def status(self, rows: list[tuple[str, str, str, str, str, str]], revision: str, notices: Iterable[str]) -> None:
        """One line a site."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("site", "sync", "health", "replicas", "release", "hosts"):
            table.add_column(title, overflow="fold", no_wrap=title != "hosts")
        for name, sync, health, replicas, release, rest in rows:
            table.add_row(name, _coloured(sync), _coloured(health), replicas, release, escape(rest))
        self._out.print(table if rows else "no sites yet")
        self._out.print(f"revision {escape(revision)}", style="dim")
        self.notices(notices)


def _coloured(word: str) -> str:
    return f"[{COLOURS.get(word, 'default')}]{word}[/]"


def configure_log(level: int = logging.INFO) -> None:
    """For people on a terminal, one JSON object a line otherwise (SHIPSTONE_LOG=journal|json|console decides)."""
    kind = os.environ.get("SHIPSTONE_LOG") or ("console" if sys.stderr.isatty() else "json")
    said: list[Any] = [structlog.processors.add_log_level]
    wrapper = structlog.make_filtering_bound_logger(logging.DEBUG if os.environ.get("SHIPSTONE_DEBUG") else level)
    if kind == "journal":
        journal = JournalLogger()
        structlog.configure(processors=[*said, entry], wrapper_class=wrapper, logger_factory=lambda *_: journal)
        return
    last = structlog.dev.ConsoleRenderer() if kind == "console" else structlog.processors.JSONRenderer(ensure_ascii=False)
    said += [structlog.processors.TimeStamper(fmt="iso", utc=True), last]
    structlog.configure(processors=said, wrapper_class=wrapper, logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
