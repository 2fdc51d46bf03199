"""What Traefik would route, over the in-memory engine: measured behaviour, modelled. Its two providers lag behind, each by itself."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from reconciler.planning.observed import Container, Pin, TraefikView
from reconciler.world.memory import MemoryEngine


@dataclass(frozen=True)
class Router:
    """`targets`: services with weights; `site` where it is a pin."""

    rule: str
    priority: int
    targets: tuple[tuple[str, int], ...]
    site: str = ""


@dataclass(frozen=True)
class Configuration:
    """What Traefik holds: routers and services by name; a service is addresses with weights; conflicting names are gone."""

    routers: Mapping[str, Router] = field(default_factory=dict)
    services: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    pins: Mapping[str, Pin] = field(default_factory=dict)


class TieError(AssertionError):
    """Two routers of one priority match: Traefik would choose at random."""


class MemoryTraefik:
    """`pins` is what is written; `view` and `route` speak of what was learnt so far."""

    def __init__(self, engine: MemoryEngine, pins: Mapping[str, Pin]) -> None:
        self._engine, self._pins = engine, pins
        self._routers: dict[str, Router] = {}
        self._servers: dict[str, tuple[tuple[str, int], ...]] = {}
        self._pinned: dict[str, Pin] = {}
        self._loaded = Configuration()

    def refresh(self) -> None:
        """Traefik takes up what runs and what is pinned now."""
        self.learn_containers()
        self.learn_pins()

    def learn_pins(self) -> None:
        """Its file provider takes up what is pinned."""
        self._pinned = dict(self._pins)
        self._load()

    def learn_containers(self) -> None:
        """Its Docker provider takes up what runs."""
        routers: dict[str, set[Router]] = {}
        services: dict[str, dict[str, int]] = {}
        for c in self._engine.containers():
            if (
                c.state in ("running", "paused")
                and c.health in ("none", "healthy")
                and c.labels.get("traefik.enable") == "true"
                and c.address
            ):
                _read(c, routers, services)
        self._routers = {name: next(iter(rows)) for name, rows in routers.items() if len(rows) == 1}
        self._servers = {name: tuple(sorted(rows.items())) for name, rows in services.items()}
        self._load()

    def _load(self) -> None:
        servers = self._servers
        labelled = {name: router for name, router in self._routers.items() if all(target in servers for target, _ in router.targets)}
        pins = {site: pin for site, pin in self._pinned.items() if all(name in servers for _, rows in pin.targets for name, _ in rows)}
        self._loaded = Configuration({**labelled, **_pin_routers(self._pinned, servers)}, servers, pins)

    def view(self, moving: Collection[str]) -> TraefikView:
        """As TraefikApi.view."""
        counts = {name: len(rows) for name, rows in self._loaded.services.items()}
        pins = {site: pin for site, pin in self._loaded.pins.items() if site in moving}
        return TraefikView(reachable=True, pins=pins, services=counts)

    def route(self, host: str, path: str = "/") -> tuple[str, ...] | None:
        """Addresses that a request may be sent to; empty is 503, None is 404."""
        matching = [router for router in self._loaded.routers.values() if _matches(router.rule, host, path)]
        if not matching:
            return None
        top = max(router.priority for router in matching)
        best = [router for router in matching if router.priority == top]
        if len({router.targets for router in best}) > 1:
            raise TieError(f"{host}{path}: {sorted(best, key=str)}")
        return tuple(sorted({address for name, _ in best[0].targets for address, _ in self._loaded.services[name]}))


def _read(c: Container, routers: dict[str, set[Router]], services: dict[str, dict[str, int]]) -> None:
    """One container's labels: servers of one service add up, routers of one name must agree."""
    names = {key.split(".")[3] for key in c.labels if key.startswith("traefik.http.routers.")}
    for name in names:
        start = f"traefik.http.routers.{name}"
        router = Router(c.labels[f"{start}.rule"], int(c.labels[f"{start}.priority"]), ((c.labels[f"{start}.service"], 1),))
        routers.setdefault(name, set()).add(router)
    for key in c.labels:
        if match := re.fullmatch(r"traefik\.http\.services\.(.+)\.loadbalancer\.server\.port", key):
            weight = c.labels.get(f"traefik.http.services.{match[1]}.loadbalancer.server.weight", "1")
            services.setdefault(match[1], {})[c.address or ""] = int(weight)


def _pin_routers(pins: Mapping[str, Pin], servers: Mapping[str, object]) -> dict[str, Router]:
    """A pin to something that does not exist is disabled, and labels route."""
    found = {}
    for site, pin in pins.items():
        priorities = dict(pin.priorities)
        for n, (rule, targets) in enumerate(pin.targets):
            if all(name in servers for name, _ in targets):
                found[f"{site}-pin-{n}@file"] = Router(rule, priorities[rule], targets, site)
    return found


def _matches(rule: str, host: str, path: str) -> bool:
    match = re.fullmatch(r"Host\(`([^`]+)`\)(?: && PathPrefix\(`([^`]+)`\))?", rule)
    return bool(match and match[1] == host and path.startswith(match[2] or "/"))
