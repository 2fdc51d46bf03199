"""What the engine is told of a healthcheck: what nobody said is filled in, by what the engine knows."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.desired.spec import Check, ContainerSpec, NewContainer
from reconciler.world.docker_config import container_config

NEW = NewContainer("x", "image", ContainerSpec("image", 80), (), "net", deadline=60.0)
TEST = ("CMD", "/check")
S = 10**9


@pytest.mark.parametrize(
    ("check", "of_image", "modern", "old"),
    [
        (None, None, None, None),
        (None, {"Test": ["NONE"]}, None, None),
        (Check(("NONE",)), {"Test": ["CMD", "/own"]}, {"Test": ["NONE"]}, {"Test": ["NONE"]}),
        (None, {"Test": ["CMD", "/own"]}, {"StartPeriod": 60 * S, "StartInterval": S // 2}, {"StartPeriod": 60 * S, "Interval": 2 * S}),
        (None, {"Test": ["CMD", "/own"], "Interval": 9 * S}, {"StartPeriod": 60 * S, "StartInterval": S // 2}, {"StartPeriod": 60 * S}),
        (None, {"Test": ["CMD", "/own"], "StartInterval": S}, {"StartPeriod": 60 * S}, {"StartPeriod": 60 * S, "Interval": 2 * S}),
        (
            Check(TEST),
            None,
            {"Test": ["CMD", "/check"], "StartPeriod": 60 * S, "StartInterval": S // 2},
            {"Test": ["CMD", "/check"], "StartPeriod": 60 * S, "Interval": 2 * S},
        ),
        (
            Check(TEST, interval=5.0, timeout=1.0, retries=4, start_period=7.0, start_interval=2.0),
            {"Test": ["CMD", "/own"]},
            {"Test": ["CMD", "/check"], "Interval": 5 * S, "Timeout": S, "Retries": 4, "StartPeriod": 7 * S, "StartInterval": 2 * S},
            {"Test": ["CMD", "/check"], "Interval": 5 * S, "Timeout": S, "Retries": 4, "StartPeriod": 7 * S, "StartInterval": 2 * S},
        ),
    ],
)
def test_a_healthcheck(check: Check | None, of_image: dict[str, Any] | None, modern: Any, old: Any) -> None:
    """`modern` engines know StartInterval, `old` ones do not."""
    new = replace(NEW, spec=replace(NEW.spec, healthcheck=check))
    for knows, wanted in ((True, modern), (False, old)):
        assert container_config(new, str, of_image, start_interval=knows).get("Healthcheck") == wanted


def test_the_deadline_is_no_part_of_the_release() -> None:
    """Only the engine hears of it: the labels describe what is written."""
    assert replace(NEW, deadline=5.0).spec == NEW.spec
