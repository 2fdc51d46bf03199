"""Rows of the engine's API become our plain data."""

import datetime as dt
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.planning.observed import Container, ForeignContainer, Health
from reconciler.world.engine import Event

HEALTH: Mapping[str, Health] = {"(healthy)": "healthy", "(unhealthy)": "unhealthy", "(health: starting)": "starting"}
STATES = ("create", "start", "die", "oom", "pause", "unpause", "rename", "update", "destroy", "health_status", "connect", "disconnect")
"""Actions that change what Shipstone looks at. Each run of a healthcheck is three other events: the engine keeps them to itself."""
COMES_OR_GOES = ("start", "die", "destroy")
"""Actions after which a container of somebody else claims other things than before."""


def is_ours(row: Mapping[str, Any], instance: str) -> bool:
    return bool((row.get("Labels") or {}).get("shipstone.instance") == instance)


def is_on(row: Mapping[str, Any], network: str) -> bool:
    return network in _networks(row)


def fingerprint(row: Mapping[str, Any]) -> object:
    """Changes when something that is worth an inspection did."""
    return row["State"], _health(row), row["Names"], tuple((name, net.get("IPAddress")) for name, net in sorted(_networks(row).items()))


def container_of(row: Mapping[str, Any], inspected: Mapping[str, Any] | None, live: Mapping[str, Any] | None, now: float) -> Container:
    """One row of the list, completed by its inspection where there was one; `now` in seconds since 1970.

    For a moment after an event the list may say what was before: of a container that is renamed both names. An inspection waits.
    """
    labels = row["Labels"] or {}
    inspected = inspected or {}
    state = inspected.get("State", {})
    network = _networks(inspected or row).get(labels.get("traefik.docker.network", ""), {})
    return Container(
        id=row["Id"],
        name=(inspected.get("Name") or (row["Names"] or ["/"])[0]).lstrip("/"),
        state=row["State"],
        health=_health(row),
        labels=labels,
        address=network.get("IPAddress") or network.get("GlobalIPv6Address") or None,
        restarts=inspected.get("RestartCount", 0),
        exit_code=state.get("ExitCode", 0),
        oom_killed=state.get("OOMKilled", False),
        live=live,
        up=_seconds_since(state["StartedAt"], now) if state.get("Running") else 0.0,
    )


def _seconds_since(text: str, now: float) -> float:
    """Infinite for a time that is yet to come: the clock was set back."""
    seconds = now - dt.datetime.fromisoformat(text).timestamp()
    return seconds if seconds >= 0 else math.inf


def comes_back(c: Container) -> bool:
    """It ended, and a starting engine starts it again."""
    return c.state == "exited" and c.live is not None and c.live["restart"] in ("always", "unless-stopped")


def foreign_of(row: Mapping[str, Any]) -> ForeignContainer:
    """Traefik calls a container of Compose by its service and project."""
    every = row.get("Labels") or {}
    labels = tuple(sorted((key, value) for key, value in every.items() if key.startswith("traefik.")))
    compose = [every.get(f"com.docker.compose.{part}", "") for part in ("service", "project")]
    return ForeignContainer(row["Id"], (row["Names"] or ["/"])[0].lstrip("/"), labels, "_".join(compose) if all(compose) else "")


def event_of(row: Mapping[str, Any], instance: str, network: str, ours: Collection[str]) -> Event | None:
    """An event of one of our containers (`ours`: their ids), of our network, or of who may claim what is ours; None for all others.

    Engines ≥ 29 have only these fields.
    """
    actor, action = row.get("Actor") or {}, str(row.get("Action", ""))
    attributes = actor.get("Attributes") or {}
    if row.get("Type") == "container":
        if instance in (attributes.get("shipstone.instance"), attributes.get("shipstone.traefik")):
            return Event("container", action, actor.get("ID", ""), attributes.get("shipstone.site"))
        claims = action in COMES_OR_GOES and any(key.startswith("traefik.") for key in attributes)
        return Event("foreign", action, actor.get("ID", ""), None) if claims else None
    mine, container = attributes.get("name") == network, attributes.get("container", "")
    if action in ("connect", "disconnect"):
        return Event("container", f"{'' if mine else 'other '}network {action}", container, None) if mine or container in ours else None
    return Event("network", action, actor.get("ID", ""), None) if mine else None


def _health(row: Mapping[str, Any]) -> Health:
    match = re.search(r"\((?:healthy|unhealthy|health: starting)\)", row.get("Status") or "")
    return HEALTH[match[0]] if match else "none"


def _networks(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: net or {} for name, net in ((row.get("NetworkSettings") or {}).get("Networks") or {}).items()}
