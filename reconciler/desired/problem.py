"""A problem in the input: where it is, what it is and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
MOST = 100
"""Problems of one file that people get to see."""


@dataclass(frozen=True, order=True)
class Problem:
    """One error or warning in a file; line and column count from 1, 0 where the file has no such place."""

    file: str
    line: int
    column: int
    key: str
    code: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place} {self.key}: {self.message}" if self.key else f"{place} {self.message}"

    def as_json(self) -> dict[str, str | int]:
        """The form in which `validate`, `plan` and `drift` print it."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "key": self.key,
            "code": self.code,
            "message": self.message,
            "severity": self.severity,
        }


def errors(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Those that hold a site; warnings do not."""
    return tuple(problem for problem in problems if problem.severity == "error")


def few(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each once, in the order of the file; of very many the first, errors before warnings, and a last one that says so."""
    rows = sorted(set(problems))
    if len(rows) <= MOST:
        return tuple(rows)
    chosen = sorted(rows, key=lambda row: row.severity)
    last = chosen[MOST]
    message = f"only the first {MOST} problems of this file are shown. Mend these, then look again."
    return (*sorted(chosen[:MOST]), Problem(last.file, last.line, last.column, "", "SS-Y19", message, last.severity))
