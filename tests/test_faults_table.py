"""Each fault of the list has its test, and each row's promises are checked by one of them."""

import pytest

from tests.cases import missing
from tests.faults_table import PROMISES, ROWS, Fault

FAULTS = [(row, fault) for row, (_, faults) in ROWS.items() for fault in faults]


@pytest.mark.parametrize(("row", "fault"), FAULTS, ids=[f"{row}: {fault[0]}" for row, fault in FAULTS])
def test_each_fault_has_its_test(row: str, fault: Fault) -> None:
    what, checks, *where = fault
    assert missing(*where) == "", f"{row}: {what}"
    assert checks
    assert set(checks.split()) <= PROMISES.keys()


@pytest.mark.parametrize("row", ROWS)
def test_what_must_hold_is_checked(row: str) -> None:
    must, faults = ROWS[row]
    assert set(must.split()) <= {promise for fault in faults for promise in fault[1].split()}


def test_every_promise_is_asked_for_and_no_fault_is_there_twice() -> None:
    assert {promise for must, _ in ROWS.values() for promise in must.split()} == PROMISES.keys()
    named = [(row, *fault[2:]) for row, fault in FAULTS]
    assert len(set(named)) == len(named)
