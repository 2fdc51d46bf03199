"""One request through Traefik after the switch: when, and what counts as a failure."""

from dataclasses import replace

import pytest

from reconciler.planning.memory import SiteMemory
from reconciler.planning.question import Answer, Question, verdict
from reconciler.planning.rollout import plan_site
from reconciler.planning.seen import Seen
from reconciler.planning.steps import Ask, GiveUp, due
from tests.planning.test_rollout import NAMES, NEW, NEW_TWO, OLD, OLD_TWO, TO_NEW, TO_OLD, seen, words

ASKED = replace(NAMES, asked=frozenset({False}))
MEMORY = SiteMemory(begun=NEW.release, begun_at=90.0, pin=TO_NEW, pin_since=99.9, pinned=True)
QUESTION = Question("blog.test", "/", tls=False, address="10.0.0.1", port=80)
NOT_FOUND, GATEWAY = Answer(404, "404 page not found"), Answer(502, "Bad Gateway")


def switched(**changes: object) -> Seen:
    """Traefik has just confirmed the switch."""
    return seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_NEW, names=ASKED, **changes)  # type: ignore[arg-type]


def test_it_is_asked_once_after_the_switch() -> None:
    (step,) = due(plan_site(switched(), MEMORY).steps)
    assert isinstance(step, Ask)
    assert step.question == QUESTION
    assert words(plan_site(switched(asked=(NEW.release, "")), MEMORY)) == []
    assert words(plan_site(switched(asked=(OLD.release, "")), MEMORY)) == ["ask blog.test"]


def test_it_is_not_asked_before_the_switch_nor_where_nothing_can_be_gone_back_to() -> None:
    before = seen(NEW, *OLD_TWO, *NEW_TWO, pin=TO_OLD, names=ASKED)
    assert not any(isinstance(step, Ask) for step in due(plan_site(before, SiteMemory()).steps))
    first = seen(NEW, *NEW_TWO, pin=TO_NEW, names=ASKED)
    assert not any(isinstance(step, Ask) for step in plan_site(first, MEMORY).steps)


def test_it_is_not_asked_where_nobody_knows_where_traefik_answers() -> None:
    assert not any(isinstance(step, Ask) for step in plan_site(replace(switched(), names=NAMES), MEMORY).steps)


def test_a_release_that_traefik_does_not_reach_is_given_up() -> None:
    *_, step = plan_site(switched(asked=(NEW.release, "Traefik answers 502")), MEMORY).steps
    assert isinstance(step, GiveUp)
    assert (step.release, step.reason) == (NEW.release, "Traefik answers 502")


@pytest.mark.parametrize(
    ("through", "direct"),
    [
        (Answer(200, "one"), None),
        (Answer(404, "404 page not found"), Answer(404, "404 page not found")),
        (Answer(404, "<h1>no such post</h1>"), Answer(200, "")),
        (Answer(401, "401 Unauthorized"), Answer(200, "")),
        (Answer(308, "Permanent Redirect"), Answer(200, "")),
        (Answer(500, "oh"), Answer(500, "oh")),
        (Answer(502, "<h1>my own gateway</h1>"), Answer(200, "")),
        (GATEWAY, Answer(502, "")),
        (GATEWAY, None),
        (None, Answer(200, "")),
    ],
)
def test_what_the_application_or_a_middleware_answers_is_no_failure(through: Answer | None, direct: Answer | None) -> None:
    assert verdict(QUESTION, through, direct) == ""


def test_what_traefik_answers_itself_is_one() -> None:
    """A middleware may ask the container for another path, so that a 404 tells nothing there; a gateway's error does."""
    why = "Traefik answers 404 (404 page not found) for blog.test/, while the container itself answers 200"
    assert verdict(QUESTION, NOT_FOUND, Answer(200, "")) == why
    changed = replace(QUESTION, changed=True)
    assert verdict(changed, NOT_FOUND, Answer(200, "")) == ""
    assert verdict(changed, GATEWAY, Answer(200, "")).startswith("Traefik answers 502 (Bad Gateway) for blog.test/")
