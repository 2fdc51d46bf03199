"""A Docker Engine in memory: the same contract as docker.py, time that a test moves, hands that do harm, faults on demand."""

import itertools
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from reconciler.desired.spec import NewContainer
from reconciler.errors import EngineError, NotFoundError
from reconciler.planning.capacity import ALIVE
from reconciler.planning.images import StoredImage
from reconciler.planning.observed import Capacity, Container, ForeignContainer, Health, State
from reconciler.world.docker_rows import COMES_OR_GOES
from reconciler.world.engine import Event


@dataclass(frozen=True)
class Behaviour:
    """What containers of an image do: answer `boot` seconds after their start, end with `exit_code` after `life` seconds, have a health."""

    boot: float = 0.0
    life: float | None = None
    exit_code: int = 0
    health: Health = "none"
    labels: tuple[tuple[str, str], ...] = ()


@dataclass
class Running:
    """One container as the engine holds it."""

    id: str
    name: str
    labels: dict[str, str]
    image: str
    state: State
    address: str | None
    networks: tuple[str, ...]
    new: NewContainer | None = None
    started_at: float = 0.0
    health: Health = "none"
    exit_code: int = 0
    restarts: int = 0
    mem_limit: int | None = None
    log: list[str] = field(default_factory=list)
    mounts: frozenset[str] = frozenset()
    """Named volumes."""


class MemoryEngine:
    """An Engine (see engine.py). `clock` gives seconds; `images` are present, `pullable` can be had."""

    def __init__(self, instance: str, network: str, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.instance, self._network, self._clock = instance, network, clock
        self.images: dict[str, Behaviour] = {}
        self.pullable: dict[str, Behaviour] = {}
        self.tags: dict[str, str] = {}
        """More names of images: name → the one in `images`."""
        self.limits = Capacity()
        """What the host takes in all, where that is limited; `disk` is what is free of it."""
        self.volumes: set[str] = set()
        self.network = False
        self._all: dict[str, Running] = {}
        self._ids = itertools.count(1)
        self._listeners: list[queue.SimpleQueue[Event | None]] = []
        self._faults: dict[str, list[EngineError]] = {}

    def containers(self, busy: frozenset[str] = frozenset()) -> tuple[Container, ...]:
        self._fault("containers")
        self._live()
        return tuple(
            self._container(c, inspected=c.state != "created" and c.labels.get("shipstone.site") not in busy)
            for c in self._all.values()
            if c.labels.get("shipstone.instance") == self.instance
        )

    def foreign(self) -> tuple[ForeignContainer, ...]:
        rows = (c for c in self._all.values() if c.state == "running" and c.labels.get("shipstone.instance") != self.instance)
        found = (
            ForeignContainer(c.id, c.name, tuple(sorted((k, v) for k, v in c.labels.items() if k.startswith("traefik.")))) for c in rows
        )
        return tuple(container for container in found if container.labels)

    def capacity(self) -> Capacity:
        there = [c for c in self._all.values() if c.state in ALIVE]
        ports, memory = self.limits.ports, self.limits.memory
        return Capacity(
            None if ports is None else ports - sum(self._network in c.networks for c in there),
            None if memory is None else memory - sum(c.mem_limit or 0 for c in there),
            self.limits.disk,
        )

    def resync(self) -> None:
        """Nothing is remembered here."""

    def present(self, image: str) -> str | None:
        return f"sha256:{image}" if image in self.images else None

    def resolve(self, image: str, *, timeout: float) -> str:
        self._fault("resolve")
        if image not in self.images and image in self.pullable:
            self.images[image] = self.pullable[image]
        if image not in self.images:
            raise EngineError(f"cannot pull {image}: there is no such image, in {timeout:g} s.")
        return f"sha256:{image}"

    def image_labels(self, reference: str) -> dict[str, str]:
        return dict(self._behaviour(reference).labels)

    def image(self, reference: str) -> StoredImage | None:
        first = self._first_name(reference)
        if first not in self.images:
            return None
        names = (first, *(name for name, of in self.tags.items() if of == first))
        return StoredImage(f"sha256:{first}", names, any(self._first_name(c.image) == first for c in self._all.values()))

    def remove_image(self, reference: str) -> bool:
        self._fault("remove_image")
        if self.tags.pop(reference, None) is not None:
            return True
        stored = self.image(reference)
        if stored is not None and (stored.used or len(stored.names) > 1):
            return False
        self.images.pop(self._first_name(reference), None)
        return True

    def volume_users(self, volume: str) -> tuple[tuple[str, str, str], ...]:
        users = [c for c in self._all.values() if volume in c.mounts]
        labels = [c.labels if c.labels.get("shipstone.instance") == self.instance else {} for c in users]
        return tuple(
            (c.name, mine.get("shipstone.site", ""), mine.get("shipstone.release", "")) for c, mine in zip(users, labels, strict=True)
        )

    def ensure_network(self) -> bool:
        self._fault("network")
        if self.network:
            return False
        self.network = True
        self._say(Event("network", "create", self._network, None))
        return True

    def network_exists(self) -> bool:
        return self.network

    def create_and_start(self, new: NewContainer) -> str:
        made = self.create(new)
        self.start_new(made, new)
        return made

    def create(self, new: NewContainer) -> str:
        self._fault("create")
        self._behaviour(new.image)
        if not self.network:
            raise NotFoundError(f"cannot create {new.name}: network {new.network} not found")
        if owner := next((c for c in self._all.values() if c.name == new.name), None):
            whose = "the name is already in use"
            if owner.labels.get("shipstone.instance") != self.instance:
                whose = f"a container that is not Shipstone's has this name: {owner.id[:12]} of image {owner.image}. Rename or remove it"
            raise EngineError(f"cannot create {new.name}: {whose}.")
        made = self._create(new.name, dict(new.labels), new.image, new)
        self._mount(made, *(volume.source for volume in new.spec.volumes if volume.kind == "volume"))
        return made

    def start_new(self, made: str, new: NewContainer) -> None:  # noqa: ARG002  start() knows it
        try:
            self.start(made)
        except EngineError:
            self._all.pop(made, None)
            raise

    def start(self, container_id: str) -> None:
        self._fault("start")
        c = self._get(container_id)
        if c.new and c.new.spec.entrypoint and c.new.spec.entrypoint[0].startswith("/nonexistent"):
            raise EngineError(f"cannot start {c.name}: {c.new.spec.entrypoint[0]}: no such file or directory")
        if (left := self.capacity().ports) is not None and left <= 0:
            raise EngineError(f"cannot start {c.name}: adding interface to bridge failed: exchange full")
        if c.state != "running":
            c.state, c.address, c.started_at, c.exit_code = "running", self._free_address(), self._clock(), 0
            self._tell(c.id, "start")

    def stop(self, container_id: str, *, grace: float) -> None:  # noqa: ARG002  nothing here takes time to end
        self._fault("stop")
        if (c := self._all.get(container_id)) and c.state in ("running", "paused", "restarting"):
            self._end(c, 0)

    def remove(self, container_id: str) -> None:
        self._fault("remove")
        c = self._all.get(container_id)
        if c is None:
            return
        if c.state == "running":
            raise EngineError(f"cannot remove {c.name}: it is running")
        self.destroy(container_id)

    def logs(self, container_id: str, *, lines: int) -> tuple[str, ...]:
        return tuple(self._get(container_id).log[-lines:])

    def events(self) -> Iterator[Event]:
        mine: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._listeners.append(mine)
        while (event := mine.get()) is not None:
            yield event
        raise EngineError("cannot listen to the engine's events any more: the stream ended.")

    def answers(self, address: str, port: int, errors_too: bool = True) -> bool:  # noqa: ARG002  nothing here gives errors
        """Whether the container that has this address now would answer on any port; what readiness asks."""
        self._live()
        c = next((c for c in self._all.values() if c.address == address and c.state == "running"), None)
        return c is not None and port > 0 and self._clock() >= c.started_at + self._behaviour(c.image).boot

    def fail(self, operation: str, error: EngineError, times: int = 1) -> None:
        """The next `times` calls of `operation` (containers, resolve, network, create, start, stop, remove, remove_image) raise `error`."""
        self._faults.setdefault(operation, []).extend([error] * times)

    def cut(self) -> None:
        """End every event stream."""
        for listener in self._listeners:
            listener.put(None)
        self._listeners.clear()

    # What a hand does, named as docker's own commands.

    def run(self, name: str, image: str, labels: dict[str, str], *volumes: str) -> str:
        """A container that is not ours."""
        made = self._create(name, labels, image, None)
        self._mount(made, *volumes)
        self.start(made)
        return made

    def kill(self, container_id: str) -> None:
        self._end(self._get(container_id), 137)

    def crash(self, container_id: str) -> None:
        """Its process ends by itself; its restart policy starts it again at once."""
        c = self._get(container_id)
        self._end(c, 137)
        if c.new and c.new.spec.restart != "no":
            c.state, c.exit_code, c.restarts = "running", 0, c.restarts + 1
            c.started_at, c.address = self._clock(), self._free_address()
            self._tell(container_id, "start")

    def destroy(self, container_id: str) -> None:
        """rm -f."""
        self._tell(container_id, "destroy")
        del self._all[container_id]

    def pause(self, container_id: str) -> None:
        self._get(container_id).state = "paused"
        self._tell(container_id, "pause")

    def rename(self, container_id: str, name: str) -> None:
        self._get(container_id).name = name
        self._tell(container_id, "rename")

    def update(self, container_id: str, mem_limit: int) -> None:
        self._get(container_id).mem_limit = mem_limit
        self._tell(container_id, "update")

    def set_health(self, container_id: str, health: Health) -> None:
        self._get(container_id).health = health
        self._tell(container_id, f"health_status: {health}")

    def _create(self, name: str, labels: dict[str, str], image: str, new: NewContainer | None) -> str:
        made = f"{next(self._ids):064x}"
        behaviour = self._behaviour(image)
        spec = new.spec if new else None
        container = Running(made, name, {**dict(behaviour.labels), **labels}, image, "created", None, (self._network,), new)
        container.mem_limit = spec.mem_limit if spec else None
        container.health = "starting" if spec and spec.healthcheck else behaviour.health
        self._all[made] = container
        self._tell(made, "create")
        return made

    def _mount(self, made: str, *volumes: str) -> None:
        self._all[made].mounts = frozenset(volumes)
        self.volumes |= {*volumes}

    def _free_address(self) -> str:
        """The lowest one, as Docker does: what was freed is had again at once."""
        used = {c.address for c in self._all.values() if c.address}
        return next(address for n in itertools.count(2) if (address := f"10.0.{n // 250}.{n % 250}") not in used)

    def _end(self, c: Running, code: int) -> None:
        c.state, c.exit_code, c.address = "exited", code, None
        self._tell(c.id, "die")

    def _live(self) -> None:
        """What has lived long enough ends by itself."""
        for c in list(self._all.values()):
            life = self._behaviour(c.image).life
            if c.state == "running" and life is not None and self._clock() >= c.started_at + life:
                c.log.append("ended by itself")
                self._end(c, self._behaviour(c.image).exit_code)

    def _behaviour(self, image: str) -> Behaviour:
        name = image.removeprefix("sha256:")
        if name not in self.images:
            raise NotFoundError(f"cannot find {image}: no such image")
        return self.images[name]

    def _first_name(self, reference: str) -> str:
        name = reference.removeprefix("sha256:")
        return self.tags.get(name, name)

    def _get(self, container_id: str) -> Running:
        if container_id not in self._all:
            raise NotFoundError(f"cannot find {container_id[:12]}: no such container")
        return self._all[container_id]

    def _tell(self, container_id: str, action: str) -> None:
        """As docker_rows.event_of."""
        c = self._all[container_id]
        if c.labels.get("shipstone.instance") == self.instance:
            self._say(Event("container", action, c.id, c.labels.get("shipstone.site")))
        elif action in COMES_OR_GOES and any(key.startswith("traefik.") for key in c.labels):
            self._say(Event("foreign", action, c.id, None))

    def _say(self, event: Event) -> None:
        for listener in self._listeners:
            listener.put(event)

    def _fault(self, operation: str) -> None:
        if waiting := self._faults.get(operation):
            raise waiting.pop(0)

    def _container(self, c: Running, *, inspected: bool) -> Container:
        live: dict[str, Any] | None = None
        if inspected:
            spec = c.new.spec if c.new else None
            environment = dict(spec.environment) if spec else {}
            live = {"networks": c.networks, "image": c.image, "restart": spec.restart if spec else "no"}
            live |= {"mem_limit": c.mem_limit, "pids_limit": spec.pids_limit if spec else None, "cpus": spec.cpus if spec else None}
            live |= {"environment": environment, "image_defaults": {"environment": {}}}
        up = self._clock() - c.started_at if c.state == "running" else 0.0
        return Container(c.id, c.name, c.state, c.health, dict(c.labels), c.address, c.restarts, c.exit_code, live=live, up=up)
