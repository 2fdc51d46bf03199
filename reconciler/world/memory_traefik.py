"""What Traefik would route, over the in-memory engine: measured behaviour, modelled. Its two providers lag behind, each by itself."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from reconciler.planning.labels import router_names
from reconciler.planning.observed import Container, Pin, TraefikView
from reconciler.planning.question import Answer, Question
from reconciler.world.memory import MemoryEngine


@dataclass(frozen=True)
class Router:
    """`targets`: services with weights; `site` where it is a pin; `tls`: it is on that entry point."""

    rule: str
    priority: int
    targets: tuple[tuple[str, int], ...]
    site: str = ""
    middlewares: tuple[str, ...] = ()
    tls: bool = False


@dataclass(frozen=True)
class Configuration:
    """What Traefik holds: routers and services by name; a service is addresses with weights; conflicting names are gone."""

    routers: Mapping[str, Router] = field(default_factory=dict)
    services: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    pins: Mapping[str, Pin] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


class TieError(AssertionError):
    """Two routers of one priority match: Traefik would choose at random."""


class MemoryTraefik:
    """`pins` is what is written; `view` and `route` speak of what was learnt so far."""

    def __init__(self, engine: MemoryEngine, pins: Mapping[str, Pin]) -> None:
        self._engine, self._pins = engine, pins
        self._routers: dict[str, Router] = {}
        self._servers: dict[str, tuple[tuple[str, int], ...]] = {}
        self._middlewares: set[str] = set()
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
        middlewares: dict[str, set[tuple[tuple[str, str], ...]]] = {}
        for c in self._engine.containers():
            if (
                c.state in ("running", "paused")
                and c.health in ("none", "healthy")
                and c.labels.get("traefik.enable") == "true"
                and c.address
            ):
                _read(c, routers, services)
                for name, options in _middlewares_of(c).items():
                    middlewares.setdefault(name, set()).add(options)
        self._routers = {name: next(iter(rows)) for name, rows in routers.items() if len(rows) == 1}
        self._servers = {name: tuple(sorted(rows.items())) for name, rows in services.items()}
        self._middlewares = {name for name, rows in middlewares.items() if len(rows) == 1 and _is_right(next(iter(rows)))}
        self._load()

    def _load(self) -> None:
        """A router that names what is not there is disabled; a pin is followed when all its routers are."""
        every = {f"{name}@docker": router for name, router in self._routers.items()}
        every |= {name: router for site, pin in self._pinned.items() for name, router in _pin_routers(site, pin).items()}
        refused = {name: why for name, router in every.items() if (why := self._refusal(router))}
        lost = {every[name].site for name in refused}
        pins = {site: pin for site, pin in self._pinned.items() if site not in lost}
        enabled = {name: router for name, router in every.items() if name not in refused}
        self._loaded = Configuration(enabled, self._servers, pins, refused)

    def _refusal(self, router: Router) -> str:
        missing = [f"service {name}" for name, _ in router.targets if name not in self._servers]
        missing += [f"middleware {name}" for name in router.middlewares if name not in self._middlewares]
        return f"{missing[0]} does not exist or is invalid" if missing else ""

    def view(self, moving: Collection[str]) -> TraefikView:
        """As TraefikApi.view."""
        starts = tuple(f"{self._engine.instance}-{site}-" for site in moving)
        counts = {name: len(rows) for name, rows in self._loaded.services.items() if name.startswith(starts)}
        pins = {site: pin for site, pin in self._loaded.pins.items() if site in moving}
        labelled = frozenset(name.removesuffix("@docker") for name in self._loaded.routers if name.endswith("@docker"))
        return TraefikView(reachable=True, pins=pins, services=counts, refused=self._loaded.refused, routers=labelled)

    def route(self, host: str, path: str = "/", *, tls: bool = False) -> tuple[str, ...] | None:
        """Addresses that a request may be sent to; empty is 503, None is 404."""
        best = self._best(host, path, tls=tls)
        if best is None:
            return None
        return tuple(sorted({address for name, _ in best.targets for address, _ in self._loaded.services[name]}))

    def ask(self, question: Question) -> tuple[Answer | None, Answer | None]:
        """As ThroughTraefik.ask."""
        direct = Answer(200, "") if self._engine.answers(question.address, question.port) else None
        addresses = self.route(question.host, question.path, tls=question.tls)
        if addresses is None:
            return Answer(404, "404 page not found"), direct
        if not addresses:
            return Answer(503, "no available server"), direct
        return (Answer(200, ""), None) if self._engine.answers(addresses[0], question.port) else (Answer(502, "Bad Gateway"), direct)

    def passes(self, host: str, path: str = "/", *, tls: bool = False) -> tuple[str, ...]:
        """The middlewares that a request goes through."""
        best = self._best(host, path, tls=tls)
        return best.middlewares if best else ()

    def _best(self, host: str, path: str, *, tls: bool) -> Router | None:
        matching = [router for router in self._loaded.routers.values() if router.tls is tls and _matches(router.rule, host, path)]
        if not matching:
            return None
        top = max(router.priority for router in matching)
        best = [router for router in matching if router.priority == top]
        if len({router.targets for router in best}) > 1:
            raise TieError(f"{host}{path}: {sorted(best, key=str)}")
        return best[0]


def _read(c: Container, routers: dict[str, set[Router]], services: dict[str, dict[str, int]]) -> None:
    """One container's labels: servers of one service add up, routers of one name must agree."""
    names = router_names(c.labels)
    for name in names:
        start = f"traefik.http.routers.{name}"
        rule, priority, service = (c.labels[f"{start}.{key}"] for key in ("rule", "priority", "service"))
        names_of = tuple(filter(None, c.labels.get(f"{start}.middlewares", "").split(",")))
        router = Router(rule, int(priority), ((service, 1),), "", names_of, f"{start}.tls" in c.labels)
        routers.setdefault(name, set()).add(router)
    for key in c.labels:
        if match := re.fullmatch(r"traefik\.http\.services\.(.+)\.loadbalancer\.server\.port", key):
            weight = c.labels.get(f"traefik.http.services.{match[1]}.loadbalancer.server.weight", "1")
            services.setdefault(match[1], {})[c.address or ""] = int(weight)


def _middlewares_of(c: Container) -> dict[str, tuple[tuple[str, str], ...]]:
    """By name: what the container's labels say of it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key, value in sorted(c.labels.items()):
        if match := re.fullmatch(r"traefik\.http\.middlewares\.([^.]+)\.(.+)", key):
            found.setdefault(match[1], []).append((match[2], value))
    return {name: tuple(rows) for name, rows in found.items()}


def _is_right(options: tuple[tuple[str, str], ...]) -> bool:
    """Traefik compiles regular expressions; what else it looks at is not modelled."""
    try:
        return all(re.compile(value) for key, value in options if key.endswith(".regex"))
    except re.error:
        return False


def _pin_routers(site: str, pin: Pin) -> dict[str, Router]:
    priorities = dict(pin.priorities)
    rows = [(*row, False) for row in pin.targets] + [(*row, True) for row in pin.secure]
    return {
        f"{site}-pin-{n}@file": Router(rule, priorities[rule], targets, site, pin.middlewares if targets else (), tls)
        for n, (rule, targets, tls) in enumerate(rows)
    }


def _matches(rule: str, host: str, path: str) -> bool:
    match = re.fullmatch(r"Host\(`([^`]+)`\)(?: && PathPrefix\(`([^`]+)`\))?", rule)
    return bool(match and match[1] == host and path.startswith(match[2] or "/"))
