"""What people see on a terminal: aligned, coloured only there, silent when there is nothing to say."""

import datetime as dt
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console as Rich
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reconciler.desired.problem import Problem
from reconciler.errors import in_one_line, printable
from reconciler.log import log
from reconciler.planning.events import Event
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
KINDS = {
    "failed": "red",
    "error": "red",
    "drift": "yellow",
    "healed": "green",
    "rest": "green",
    "said": "cyan",
    "revision": "bold",
    "waits": "yellow",
}
WIDE = 100_000
"""Characters of a line where there is no terminal whose width could be too little."""
StatusRow = tuple[str, str, str, str, str, str]
"""Site, sync, health, ready/wanted, release, hosts or the message."""


class Console:
    """stdout for what was asked, stderr for what went wrong. NO_COLOR is honoured by rich. What it is given may hold what would command a
    terminal, and is shown without."""

    def __init__(self) -> None:
        self._out = Rich(highlight=False, soft_wrap=True, emoji=False)
        self._err = Rich(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        if not self._out.is_terminal:
            self._out.width = WIDE

    def line(self, text: str) -> None:
        self._out.print(_shown(text))

    @contextmanager
    def live(self) -> Iterator[Callable[[str], None]]:
        """What is going on, in one line that changes; only on a terminal."""
        if not self._out.is_terminal:
            yield lambda _text: None
            return
        with self._out.status("looking") as status:
            yield lambda text: status.update(_shown(text))

    def error(self, text: str) -> None:
        self._err.print(f"[red]{_shown(text)}[/red]")

    def problems(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            colour = "red" if problem.severity == "error" else "yellow"
            self._err.print(f"[{colour}]{_shown(str(problem))}[/{colour}]")

    def finding(self, what: str, verdict: str, found: str, mend: str) -> None:
        """One line of `doctor`, and what to do below it."""
        sign = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}[verdict]
        self._out.print(f"{sign} {what:<19} {_shown(found)}")
        if mend:
            self._out.print(f"{'':<27} {_shown(mend)}", style="bold")

    def notices(self, notices: Iterable[str]) -> None:
        """What a person should know."""
        for notice in notices:
            self._err.print(f"[yellow]{_shown(in_one_line(notice))}[/yellow]")

    def status(self, rows: list[StatusRow], revision: str, notices: Iterable[str]) -> None:
        """One line a site."""
        self._out.print(_status(rows, revision))
        self.notices(notices)

    @contextmanager
    def watching(self) -> Iterator[Callable[[list[StatusRow], str, tuple[str, ...]], None]]:
        """The same in place, as often as it is shown; where this is no terminal, again whenever it changed."""
        if not self._out.is_terminal:
            shown: list[object] = []

            def again(rows: list[StatusRow], revision: str, notices: tuple[str, ...]) -> None:
                if shown != [rows, revision, notices]:
                    shown[:] = [rows, revision, notices]
                    self.status(rows, revision, notices)

            yield again
            return
        with Live(console=self._out, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
            yield lambda rows, revision, notices: live.update(
                Group(_status(rows, revision), *(Text(in_one_line(notice), style="yellow") for notice in notices)), refresh=True
            )

    def history(self, rows: Iterable[Event]) -> None:
        """One line for each thing that happened, in local time; below a release that failed the last lines of its log."""
        shown = list(rows)
        site, kind = (max((len(text) for text in texts), default=0) for texts in ([r.site for r in shown], [r.kind for r in shown]))
        for row in shown:
            at = dt.datetime.fromtimestamp(row.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            colour = KINDS.get(row.kind, "default")
            self._out.print(f"{at}  {row.site:<{site}}  [{colour}]{row.kind:<{kind}}[/]  {_shown(_told(row))}".rstrip())
            for text in row.more.get("log", ()):
                self._out.print(f"{'':<{len(at) + site + kind + 6}}{_shown(text)}", style="dim")
        if not shown:
            self._out.print("nothing yet")


def _told(row: Event) -> str:
    which = f"{row.more['step']} {row.more['target']}, " if row.kind == "error" and row.more.get("step") else ""
    took = f"  ({which}{row.seconds:.1f} s)" if row.more.get("step") or row.kind == "step" else ""
    reason = f"  {in_one_line(row.more['reason'])}" if row.more.get("reason") else ""
    commit = f"{row.commit[:12]} " if row.kind == "revision" else ""
    author = f", {row.more['author']}" if row.more.get("author") else ""
    return f"{commit}{in_one_line(row.what)}{author}{reason}{took}"


def _shown(text: str) -> str:
    return escape(printable(text))


def _status(rows: list[StatusRow], revision: str) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("site", "sync", "health", "replicas", "release", "hosts"):
        table.add_column(title, overflow="fold")
    for name, sync, health, replicas, release, rest in rows:
        table.add_row(_shown(name), _coloured(sync), _coloured(health), replicas, _shown(release), _shown(rest))
    return Group(table if rows else "no sites yet", Text(f"revision {revision}", style="dim"))


def _coloured(word: str) -> str:
    return f"[{COLOURS.get(word, 'default')}]{word}[/]"


def configure_log(level: int = logging.INFO) -> None:
    """For people on a terminal, one JSON object a line otherwise (SHIPSTONE_LOG=journal|json|console decides)."""
    level = logging.DEBUG if os.environ.get("SHIPSTONE_DEBUG") else level
    log.configure(level, partial(_prepare_log, level))


def _prepare_log(level: int) -> None:
    import structlog
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks(())  # what is tried again is said by whoever does it, once
    kind = os.environ.get("SHIPSTONE_LOG") or ("console" if sys.stderr.isatty() else "json")
    said: list[Any] = [structlog.processors.add_log_level]
    wrapper = structlog.make_filtering_bound_logger(level)
    if kind == "journal":
        journal = JournalLogger()
        structlog.configure(processors=[*said, entry], wrapper_class=wrapper, logger_factory=lambda *_: journal)
        return
    last = (
        [_for_a_terminal, structlog.dev.ConsoleRenderer()] if kind == "console" else [structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    said += [structlog.processors.TimeStamper(fmt="iso", utc=True), *last]
    structlog.configure(processors=said, wrapper_class=wrapper, logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))


def _for_a_terminal(_logger: Any, _method: str, row: MutableMapping[str, Any]) -> dict[str, Any]:
    return {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}
