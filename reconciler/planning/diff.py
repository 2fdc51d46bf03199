"""Differences, field by field. Desired against what a container was made of: a commit did it. That against what is live: a hand did."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.desired.desired import DesiredSite
from reconciler.desired.release import container_name
from reconciler.desired.spec import ContainerSpec, Middleware
from reconciler.planning.labels import applied_of
from reconciler.planning.observed import Container

Cause = Literal["commit", "drift"]


@dataclass(frozen=True)
class Difference:
    """One field. `container` is empty where it concerns the whole service; `since` is ISO 8601, or empty when it was not seen before."""

    service: str
    container: str
    field: str
    desired: str
    actual: str
    cause: Cause
    since: str = ""

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
            rows.append(Difference("", "", field.name, _text(want), _text(have), "commit"))
    theirs = {service.name: service for service in running.services}
    for service in desired.services:
        if other := theirs.pop(service.name, None):
            rows += _changed(service.name, service.spec, other.spec)
        else:
            rows.append(Difference(service.name, "", "service", "present", "", "commit"))
    rows += [Difference(name, "", "service", "", "present", "commit") for name in theirs]
    return tuple(rows)


def counted(site: DesiredSite, containers: tuple[Container, ...]) -> tuple[Difference, ...]:
    """Replicas of the desired release that are missing, surplus or not running."""
    rows: list[Difference] = []
    for service in site.services:
        mine = [c for c in containers if c.release == site.release and c.service == service.name]
        running = sum(c.state == "running" for c in mine)
        rows += [
            Difference(service.name, c.name, "state", "running", c.state, "drift") for c in mine if c.state not in ("running", "created")
        ]
        if len(mine) != service.replicas or (running != service.replicas and not rows):
            rows.append(Difference(service.name, "", "replicas", str(service.replicas), str(running), "drift"))
    return tuple(rows)


def drifted(container: Container, instance: str) -> tuple[Difference, ...]:
    """Fields that someone changed on a live container, against what it was made of; defaults of the image and the engine subtracted."""
    if container.live is None:
        return ()
    applied = applied_of(container)
    wanted = container_name(instance, container.site, container.service, container.release, container.replica)
    rows = [
        Difference(container.service, container.name, field, desired, actual, "drift")
        for field, desired, actual in _live_rows(applied.spec, container.live, wanted, container.name, container.labels)
        if desired != actual
    ]
    return tuple(rows)


def _live_rows(
    spec: ContainerSpec, live: Mapping[str, Any], wanted: str, name: str, labels: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    yield "name", wanted, name
    if "networks" in live:
        network = labels.get("traefik.docker.network", "")
        yield "networks", network, _text(tuple(live["networks"]))
    if "image" in live:
        yield "image", labels.get("shipstone.digest", live["image"]), live["image"]
    if "restart" in live:
        yield "restart", spec.restart, live["restart"] or "no"
    for field in ("mem_limit", "pids_limit", "cpus"):
        if field in live:
            yield field, _text(getattr(spec, field) or None), _text(live[field] or None)
    if "environment" in live:
        yield from _environment(spec, live)


def _environment(spec: ContainerSpec, live: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The value itself may be a secret: only the name is shown."""
    image = (live.get("image_defaults") or {}).get("environment") or {}
    wanted, actual = {**image, **dict(spec.environment)}, live["environment"]
    secret = {row.target for row in spec.secrets}
    for key in sorted(wanted.keys() | actual.keys()):
        if wanted.get(key) != actual.get(key) and key not in secret:
            yield f"environment.{key}", "set" if key in wanted else "", "another value" if key in actual else ""


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
            rows.append(Difference(service, "", field.name, _text(desired), _text(actual), "commit"))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Middleware):
        return " ".join([value.kind, *(f"{name}={'…' if name == 'users' else text}" for name, text in value.options)])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ":".join(_text(getattr(value, field.name)) for field in dataclasses.fields(value) if getattr(value, field.name) is not None)
    return f"{value:g}" if isinstance(value, float) else str(value)
