"""Each row of the list of bad input has its test."""

import importlib
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from tests.bad_inputs import ROWS


def cases_of(test: Any) -> set[str]:
    """Ids of a test's parameters, and their values as text."""
    found: set[str] = set()
    for mark in getattr(test, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        found |= set(map(str, mark.kwargs.get("ids") or ()))
        for row in mark.args[1]:
            values = row.values if isinstance(row, ParameterSet) else row if isinstance(row, tuple) else (row,)
            found |= {str(value) for value in values} | ({str(row.id)} if isinstance(row, ParameterSet) else set())
    return found


@pytest.mark.parametrize(("what", "file", "test", "case"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_list_has_its_test(what: str, file: str, test: str, case: str) -> None:
    module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
    function = getattr(module, test, None)
    assert function is not None, f"{what}: tests/{file} has no {test}"
    assert not case or case in cases_of(function), f"{what}: {test} has no case {case}"


def test_no_row_is_there_twice() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert len({row[1:] for row in ROWS}) == len(ROWS)
