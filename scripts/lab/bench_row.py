"""What the measurements share: one number against its bar, a stopwatch, a table."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """`value` and `bar` in `unit`; the bar is an upper one, or with `at_least` a lower one. `detail` says what was compared."""

    name: str
    value: float
    bar: float
    unit: str
    detail: str
    at_least: bool = False

    @property
    def good(self) -> bool:
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def cells(self) -> tuple[str, ...]:
        sign = "green" if self.good else "red"
        return (
            self.name,
            f"[{sign}]{self.value:.2f} {self.unit}[/]",
            f"{'≥' if self.at_least else '≤'} {self.bar:g} {self.unit}",
            self.detail,
        )


def timed(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def show(names: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """A table on the terminal; a column without a name holds text."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name else "left")
    for cells in rows:
        table.add_row(*cells)
    with contextlib.suppress(BrokenPipeError):
        Console(highlight=False).print(table)
