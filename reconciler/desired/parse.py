"""One file's bytes → its model, and every problem in it with its place. Never raises."""

from typing import TypeVar

from pydantic import ValidationError

from reconciler.desired.complaints import complaint
from reconciler.desired.limits import beyond_policy
from reconciler.desired.merge import merged_services
from reconciler.desired.model import Model
from reconciler.desired.names import site_name, twins
from reconciler.desired.policy import CLOSED, Policy, Rules
from reconciler.desired.problem import MOST, Problem, errors, few
from reconciler.desired.site import Fleet, Site
from reconciler.desired.whole_site import across, floating_images, missing_keys, service_paths, shared_volumes
from reconciler.desired.yaml_text import Node, read_yaml

__all__ = ["merged_services", "parse_fleet", "parse_site", "site_name", "twins"]

EMPTY_SITE = "the file is empty. To remove the site delete the file; to keep it write at least image: and port:."
EMPTY_FLEET = "the file is empty. Write at least domain:, or delete the file."

Kind = TypeVar("Kind", bound=Model)


def parse_fleet(file: str, data: bytes, policy: Policy = CLOSED) -> tuple[Fleet | None, tuple[Problem, ...]]:
    """`shipstone.yaml`; None only where there is an error. `policy` holds for its defaults as it does for sites."""
    top, problems = read_yaml(file, data, empty=EMPTY_FLEET)
    if top is None:
        return None, few(problems)
    fleet, found = _validate(file, top, Fleet, Rules(policy))
    found += floating_images(file, top, [("defaults",)]) + shared_volumes(file, top, [("defaults",)])
    return _result(fleet, problems, found)


def parse_site(file: str, data: bytes, fleet: Fleet, policy: Policy) -> tuple[Site | None, tuple[Problem, ...]]:
    """One site's file; None only where there is an error. `fleet` fills in what the site leaves out."""
    top, problems = read_yaml(file, data, empty=EMPTY_SITE)
    if top is None:
        return None, few(problems)
    name = site_name(file)
    rules = Rules(policy.of_site(name), fleet.domain, name) if isinstance(name, str) else Rules(policy, fleet.domain)
    site, found = _validate(file, top, Site, rules)
    found += missing_keys(file, top, fleet, found)
    paths = list(dict.fromkeys([(), *service_paths(top)]))
    found += floating_images(file, top, paths) + shared_volumes(file, top, paths)
    if site is not None:
        found += across(file, top, site, fleet) + beyond_policy(file, top, site, fleet, rules)
    return _result(site, problems, found)


def _validate(file: str, top: Node, model: type[Kind], rules: Rules) -> tuple[Kind | None, list[Problem]]:
    try:
        return model.model_validate(top.data(), context=rules), []
    except ValidationError as error:
        rows = error.errors(include_url=False, include_input=False)
        return None, [complaint(file, top, model, row) for row in rows[: MOST + 1]]


def _result(parsed: Kind | None, problems: tuple[Problem, ...], found: list[Problem]) -> tuple[Kind | None, tuple[Problem, ...]]:
    """Each problem once, in the order of the file: an alias leads to the same wrong text from several keys, and what YAML already
    complained of cannot be right for its key either. Where an error is, a warning says nothing more."""
    wrong = {(problem.line, problem.column) for problem in found if problem.severity == "error"}
    found = [row for row in found if row.severity == "error" or (row.line, row.column) not in wrong]
    unreadable = {(problem.line, problem.column) for problem in problems}
    once: dict[tuple[int, int, str, str], Problem] = {}
    for problem in sorted([*problems, *(row for row in found if (row.line, row.column) not in unreadable)]):
        once.setdefault((problem.line, problem.column, problem.code, problem.message), problem)
    rows = tuple(once.values())
    return (None if errors(rows) else parsed), few(rows)
