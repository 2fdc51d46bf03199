"""Differences, field by field. Desired against what a container was made of: a commit did it. That against what is live: a hand did, see
drift.py. Pure."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.desired.desired import DesiredSite
from reconciler.desired.spec import ContainerSpec, Middleware
from reconciler.planning.observed import Container

Cause = Literal["commit", "drift"]
DifferenceKey = tuple[str, str, str, str, str, str]
"""Site, service, container, field, desired, actual."""
ENDED = ("exited", "dead", "removing")


@dataclass(frozen=True)
class Difference:
    """One field. `container` is empty where it concerns the whole service; `since` is ISO 8601, or empty when it was not seen before.

    `action`: what is done about it, or why nothing is.
    """

    service: str
    container: str
    field: str
    desired: str
    actual: str
    cause: Cause
    since: str = ""
    action: str = ""

    def key(self, site: str) -> DifferenceKey:
        """What makes it the same difference at another look; `site` is empty where it is no site's."""
        return site, self.service, self.container, self.field, self.desired, self.actual

    def __str__(self) -> str:
        where = self.container or self.service
        return f"{where} {self.field}: {self.actual or 'nothing'}, should be {self.desired or 'nothing'} ({self.cause})"


def committed(desired: DesiredSite, running: DesiredSite | None) -> tuple[Difference, ...]:
    """What a commit changed between the running release and the desired one."""
    if running is None:
        return tuple(Difference(s.name, "", "replicas", str(s.replicas), "0", "commit") for s in desired.services)
    if desired.release == running.release:
        return ()
    rows: list[Difference] = []
    for field in dataclasses.fields(desired.route):
        want, have = getattr(desired.route, field.name), getattr(running.route, field.name)
        if want != have:
            rows.append(Difference("", "", field.name, as_text(want), as_text(have), "commit"))
    theirs = {service.name: service for service in running.services}
    for service in desired.services:
        if other := theirs.pop(service.name, None):
            rows += _changed(service.name, service.spec, other.spec)
        else:
            rows.append(Difference(service.name, "", "service", "present", "", "commit"))
    rows += [Difference(name, "", "service", "", "present", "commit") for name in theirs]
    return tuple(rows)


def counted(
    site: DesiredSite, containers: Iterable[Container], before: Mapping[str, int] | None = None, wrong: Collection[str] = ()
) -> tuple[Difference, ...]:
    """Replicas of the desired release that are missing, surplus, not running or not well.

    `before`: how many there were of each service when it was last whole, where that is known: another number was written since.
    `wrong`: ids of those that are being replaced: each counts as there until its replacement is.
    """
    rows: list[Difference] = []
    for service in site.services:
        mine = [c for c in containers if c.release == site.release and c.service == service.name]
        running = sum(c.state == "running" for c in mine)
        if running >= service.replicas:  # what ended beside enough others is only taken away
            mine = [c for c in mine if c.state not in ENDED]
        halted = [c for c in mine if c.state not in ("running", "created")]
        ill = [c for c in mine if c.state == "running" and c.health == "unhealthy"]
        rows += [Difference(service.name, c.name, "state", "running", c.state, "drift") for c in halted]
        rows += [Difference(service.name, c.name, "health", "healthy", c.health, "drift") for c in ill]
        right = sum(c.id not in wrong for c in mine)
        count = max(right, min(len(mine), service.replicas))
        if count != service.replicas or (running < service.replicas and not halted):
            cause: Cause = "commit" if before is not None and before.get(service.name) != service.replicas else "drift"
            rows.append(Difference(service.name, "", "replicas", str(service.replicas), str(min(running, count)), cause))
    return tuple(rows)


def _changed(service: str, want: ContainerSpec, have: ContainerSpec) -> list[Difference]:
    rows: list[Difference] = []
    for field in dataclasses.fields(want):
        desired, actual = getattr(want, field.name), getattr(have, field.name)
        if desired == actual:
            continue
        if field.name == "secrets":
            told = {row.target for row in {*desired} ^ {*actual}}
            rows += [Difference(service, "", f"secrets.{target}", "changed", "", "commit") for target in sorted(told)]
        elif field.name == "environment":
            keys = dict(desired).keys() | dict(actual).keys()
            changed = sorted(key for key in keys if dict(desired).get(key) != dict(actual).get(key))
            rows += [Difference(service, "", f"environment.{key}", "changed", "", "commit") for key in changed]
        else:
            rows.append(Difference(service, "", field.name, as_text(desired), as_text(actual), "commit"))
    return rows


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(as_text(item) for item in value)
    if isinstance(value, Middleware):
        return " ".join([value.kind, *(f"{name}={'…' if name == 'users' else text}" for name, text in value.options)])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = (getattr(value, field.name) for field in dataclasses.fields(value))
        return ":".join(as_text(part) for part in parts if part is not None)
    return f"{value:g}" if isinstance(value, float) else str(value)
