"""What a test is tried with: for lists that name their tests."""

import importlib
from typing import Any

from _pytest.mark.structures import ParameterSet


def cases_of(test: Any) -> set[str]:
    """Ids of a test's parameters, and their values as text."""
    found: set[str] = set()
    for mark in getattr(test, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        ids = mark.kwargs.get("ids") or ()
        found |= set() if callable(ids) else set(map(str, ids))
        for row in mark.args[1]:
            values = row.values if isinstance(row, ParameterSet) else row if isinstance(row, tuple) else (row,)
            found |= {getattr(value, "__name__", str(value)) for value in values}
            found |= {str(row.id)} if isinstance(row, ParameterSet) else set()
    return found


def missing(file: str, test: str, case: str) -> str:
    """What there is not of it, in `file` below tests/; empty where all is there. `case` is empty where the test is meant as a whole."""
    module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
    function = getattr(module, test, None)
    if function is None or not test.startswith("test_"):
        return f"tests/{file} has no {test}"
    return f"{test} has no case {case}" if case and case not in cases_of(function) else ""
