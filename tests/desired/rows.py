"""One row of a table of bad input: a file's text and the one problem that it must give."""

from reconciler.desired.parse import parse_site
from reconciler.desired.policy import Policy
from reconciler.desired.problem import Problem
from reconciler.desired.site import Fleet, ServiceKeys

FLEET = Fleet(domain="shipstone.local", defaults=ServiceKeys(image="nginx:1.27-alpine", port=80))
CLOSED = Policy()


def problems_of(text: str | bytes, policy: Policy = CLOSED, fleet: Fleet = FLEET) -> tuple[Problem, ...]:
    """All that is wrong with sites/blog.yaml of this text."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    site, problems = parse_site("sites/blog.yaml", data, fleet, policy)
    assert (site is None) == any(problem.severity == "error" for problem in problems)
    return problems


def assert_only(text: str | bytes, place: str, code: str, fragment: str, policy: Policy = CLOSED, fleet: Fleet = FLEET) -> None:
    """The file has exactly one problem, at `place` (line:column key), and its message has `fragment` in it."""
    problems = problems_of(text, policy, fleet)
    assert [(f"{p.line}:{p.column} {p.key}".rstrip(), p.code) for p in problems] == [(place, code)], [str(p) for p in problems]
    assert fragment in problems[0].message
    assert str(problems[0]).startswith(f"sites/blog.yaml:{place}")
