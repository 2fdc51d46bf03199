"""Ranks: where labels alone route, each release outranks the one before it; fixed in its routers' priorities when it is made. Pure."""

import re
from collections.abc import Iterable, Iterator

from reconciler.desired.traefik_v3 import rank_in
from reconciler.planning.observed import Container

PRIORITY = re.compile(r"(traefik\.http\.routers\.[^.]+)\.priority")


def rank_of(container: Container) -> int | None:
    """None for one that was made where there are pins."""
    return next((rank_in(rule, priority) for rule, priority in _routers(container)), None)


def rank_for(containers: Iterable[Container], release: str, *, pins: bool) -> int | None:
    """The rank with which containers of `release` are made: the one that it has, for all of a release must agree; else the next one."""
    there = tuple(containers)
    if mine := next((c for c in there if c.release == release), None):
        return rank_of(mine)
    return None if pins else 1 + max((height_of(c) for c in there), default=-1)


def height_of(container: Container) -> int:
    """The rank; below all others where there is none."""
    rank = rank_of(container)
    return -1 if rank is None else rank


def heights(containers: Iterable[Container]) -> dict[str, int]:
    """Rule → the highest priority that a router by labels has."""
    found: dict[str, int] = {}
    for c in containers:
        for rule, priority in _routers(c):
            found[rule] = max(priority, found.get(rule, 0))
    return found


def _routers(container: Container) -> Iterator[tuple[str, int]]:
    for key, value in container.labels.items():
        if (match := PRIORITY.fullmatch(key)) and value.isascii() and value.isdigit():
            yield container.labels.get(f"{match[1]}.rule", ""), int(value)
