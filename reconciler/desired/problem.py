"""A problem in the input: where it is, what it is and what to do."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


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
