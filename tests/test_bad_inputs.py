"""Each row of the list of bad input has its test."""

import pytest

from tests.bad_inputs import ROWS
from tests.cases import missing


@pytest.mark.parametrize(("what", "file", "test", "case"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_list_has_its_test(what: str, file: str, test: str, case: str) -> None:
    assert missing(file, test, case) == "", what


def test_no_row_is_there_twice() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert len({row[1:] for row in ROWS}) == len(ROWS)
