"""The engine: the one seam through which containers are seen and changed. docker.py is real, memory.py is in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from reconciler.desired.spec import NewContainer
from reconciler.planning.images import StoredImage
from reconciler.planning.observed import Capacity, Container, ForeignContainer


@dataclass(frozen=True)
class Event:
    """Something happened: `action` as the engine names it, `id` the container's or network's. `kind`: container, foreign or network."""

    kind: str
    action: str
    id: str
    site: str | None


class Engine(Protocol):
    """Every call may raise EngineError; what a call names and is not there raises NotFoundError."""

    def containers(self, busy: frozenset[str] = frozenset()) -> tuple[Container, ...]:
        """All containers of this instance (label shipstone.instance), running or not: one list call; `live` filled from a cache
        that inspects only containers not seen before or changed since, and none of the sites in `busy`."""

    def foreign(self) -> tuple[ForeignContainer, ...]:
        """Running containers that are not this instance's and carry traefik.* labels; from the last list call."""

    def capacity(self) -> Capacity:
        """What the host can still take; of the network from the last list call."""

    def present(self, image: str) -> str | None:
        """As resolve(), of an image that is on the host; None where it would have to be pulled."""

    def resolve(self, image: str, *, timeout: float) -> str:
        """A reference that pins the image: pulled when it is absent; `name@sha256:…`, or the image's id for a local one."""

    def image_labels(self, reference: str) -> dict[str, str]:
        """The LABELs of a present image."""

    def image(self, reference: str) -> StoredImage | None:
        """A present image, by digest, id or name."""

    def remove_image(self, reference: str) -> bool:
        """Take one name from an image, and remove the image with its last; never forced. Gone already is fine; False where the engine
        refuses, because something uses it."""

    def volume_users(self, volume: str) -> tuple[tuple[str, str, str], ...]:
        """Who mounts a named volume, running or not: the container's name, and its site and release in this instance, empty for others."""

    def ensure_network(self) -> bool:
        """Make the network if it is missing; True if it was made."""

    def network_exists(self) -> bool: ...

    def create(self, new: NewContainer) -> str:
        """Create, on the network from the first moment; the id."""

    def start_new(self, made: str, new: NewContainer) -> None:
        """Start a created container, by id, for the first time, with its secrets. It is removed when it cannot be started."""

    def create_and_start(self, new: NewContainer) -> str:
        """Both; the id."""

    def start(self, container_id: str) -> None:
        """Start a container that is stopped. Running already is fine."""

    def stop(self, container_id: str, *, grace: float) -> None:
        """SIGTERM (or the container's stop signal), then SIGKILL after `grace` seconds. Gone already is fine."""

    def remove(self, container_id: str) -> None:
        """Remove a container, never its named volumes. Gone already is fine."""

    def logs(self, container_id: str, *, lines: int) -> tuple[str, ...]:
        """The last lines of stdout and stderr."""

    def resync(self) -> None:
        """Trust nothing that was remembered: events may have been missed."""

    def events(self) -> Iterator[Event]:
        """Events of this instance's containers and of the network, and of foreign containers with traefik.* labels that come or go, until
        the stream breaks (EngineError)."""
