"""What scripts/bench merge counts as ours: the time in which nobody else had anything to do."""

import pytest
from lab.bench_merge import PARTS, Merge, covered


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([(1, 2)], 1.0),
        ([(1, 3), (2, 4)], 3.0),
        ([(1, 5), (2, 3)], 4.0),
        ([(3, 4), (1, 2)], 2.0),
        ([(-5, 1), (9, 20)], 2.0),
        ([(4, 3), (20, 30)], 0.0),
    ],
)
def test_what_spans_cover_counts_once(spans: list[tuple[float, float]], seconds: float) -> None:
    assert covered(spans, 0, 10) == seconds


def test_the_parts_that_are_ours_are_all_that_is_ours() -> None:
    """Ready may come after or before what Traefik knows: nothing is counted twice."""
    times = (0.01, 0.06, 0.07, 0.1, 0.5, 0.9, 0.7, 1.0, 1.2)
    merge = Merge(
        100.0,
        {part: 100 + at for part, at in zip(PARTS, times, strict=True)},
        ((100.1, 100.2), (100.3, 100.5), (100.5, 100.9), (101, 101.2)),
    )
    assert merge.all_ours() == pytest.approx(0.1 + 0.1 + 0.1)
    assert sum(merge.ours(part) for part in PARTS) == pytest.approx(merge.all_ours())
    assert merge.ours("started") == pytest.approx(0.1)
    assert merge.ours("known to Traefik") == 0
