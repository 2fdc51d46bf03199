"""The Docker Engine, through the low-level API: one list call a pass, inspections only of what changed."""

import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

from docker.errors import APIError
from docker.utils import version_gte

from reconciler.desired.spec import NewContainer
from reconciler.errors import EngineError, NotFoundError
from reconciler.failpoints import failpoint
from reconciler.log import log
from reconciler.planning.capacity import ALIVE, PORTS
from reconciler.planning.images import StoredImage
from reconciler.planning.observed import Capacity, Container, ForeignContainer, Live
from reconciler.world.docker_call import TIMEOUT, Connection, Observe, UnreachableError, unobserved
from reconciler.world.docker_config import NONE, Hardening, container_config
from reconciler.world.docker_images import NOBODY, DockerImages
from reconciler.world.docker_live import live_fields, started_at
from reconciler.world.docker_rows import STATES, comes_back, container_of, event_of, fingerprint, foreign_of, is_on, is_ours
from reconciler.world.engine import Event
from reconciler.world.host_room import room_of
from reconciler.world.registry_logins import Logins
from reconciler.world.secret_mount import put_secrets

Inspection = tuple[object, dict[str, Any]]
"""How its row in the list looked, and what was said of it."""

INSPECTORS = 4
GRACE = 5.0
"""Seconds that restart policies have, after the engine was away, before what they start again is called missing."""
PING = 3
"""Seconds in which an engine that is not on its way down takes a new connection and answers."""
PAUSE = 60.0
"""Seconds for which a container is not inspected again, of which the engine did not answer."""
OVERTAKEN = object()
"""The fingerprint of an inspection that is worth no second look."""
ROTATING = ("json-file", "local")
"""Log drivers of the engine that take max-size and max-file."""
START_INTERVAL_API = "1.44"
"""From this version of its API on an engine may check more often while a container starts."""


class DockerEngine:
    """An Engine (see engine.py) behind a socket; `file_path` says where the content of a mounted file lies on this host.

    Safe to use from several threads: each has a client of its own.
    """

    def __init__(
        self,
        socket: str,
        instance: str,
        network: str,
        file_path: Callable[[str], str],
        hardening: Callable[[str], Hardening] = lambda _site: NONE,
        logins: Logins = NOBODY,
        observe: Observe = unobserved,
        timeout: float = TIMEOUT,
    ) -> None:
        self._socket, self._instance, self._network, self._file_path = socket, instance, network, file_path
        self._hardening = hardening
        self._connection = Connection(socket, observe, timeout)
        self._images = DockerImages(self._connection, logins)
        self._lock = threading.Lock()
        self._inspected: dict[str, Inspection] = {}
        self._inspecting: set[str] = set()
        """Ids of containers that no event has named since their inspection began."""
        self._untold: dict[str, float] = {}
        """Ids of containers that could not be inspected → until when they are left alone (monotonic seconds)."""
        self._hung = False
        """An inspection of this look had no answer: the others are left for the next one, else it would last too long."""
        self._network_there = False
        self._making = threading.Lock()
        """Held while the network is made."""
        self._foreign: tuple[ForeignContainer, ...] = ()
        self._died: set[str] = set()
        """Ids of foreign containers that events say ended: for a moment the list calls them running still."""
        self._ours: frozenset[str] = frozenset()
        """Ids of the last list call."""
        self._on_network = 0
        self._bridge = False
        self._host: dict[str, Any] | None = None
        """What the engine says of its host, once it was asked."""
        self._heard = time.time()
        self._connected: dict[str, float] = {}
        """Id → when it was last connected to the network, in seconds since 1970; of containers that events named."""
        self._inspectors = ThreadPoolExecutor(INSPECTORS, "inspect")

    def containers(self, busy: frozenset[str] = frozenset()) -> tuple[Container, ...]:
        with self._connection.call("list the containers"):
            rows = self._connection.api.containers(all=True)
        foreign = [row for row in rows if row["State"] == "running" and not is_ours(row, self._instance)]
        self._foreign = tuple(foreign_of(row) for row in foreign if row["Id"] not in self._died)
        self._on_network = sum(row["State"] in ALIVE and is_on(row, self._network) for row in rows)
        ours = {row["Id"]: row for row in rows if is_ours(row, self._instance)}
        self._ours = frozenset(ours)
        with self._lock:
            self._inspected = {key: value for key, value in self._inspected.items() if key in ours}
            self._untold = {key: until for key, until in self._untold.items() if key in ours}
            self._connected = {key: at for key, at in self._connected.items() if key in ours}
            self._inspecting.intersection_update(ours)
            known: dict[str, Inspection | None] = dict(self._inspected)  # what an event takes away meanwhile holds for this pass
            unknown = {key: row for key, row in ours.items() if self._unknown(row) and row["Labels"].get("shipstone.site") not in busy}
        self._hung = False
        seen = self._inspectors.map(self._inspect, unknown.values(), map(known.get, unknown))
        known |= dict(zip(unknown, seen, strict=True))
        gone = {key for key in unknown if known[key] is None}
        found = tuple(self._container(row, known.get(key)) for key, row in ours.items() if key not in gone)
        if not any(comes_back(c) for c in found):
            return found
        self._takes_connections()
        settling = time.monotonic() < self._connection.away + GRACE
        return tuple(replace(c, state="restarting") if settling and comes_back(c) else c for c in found)

    def _takes_connections(self) -> None:
        """An engine that goes down stops containers while it still answers on open connections: nothing of that is to be healed."""
        with self._connection.call("connect"), closing(self._connection.new(PING)) as fresh:
            fresh.ping()

    def _container(self, row: dict[str, Any], known: Inspection | None) -> Container:
        inspected = known[1] if known else {}
        return container_of(row, inspected, inspected.get("shipstone.live"), time.time())

    def foreign(self) -> tuple[ForeignContainer, ...]:
        return tuple(container for container in self._foreign if container.labels)

    def resync(self) -> None:
        """Trust nothing that was remembered: events may have been missed."""
        with self._lock:
            self._inspected.clear()
            self._inspecting.clear()
            self._untold.clear()
            self._died.clear()
            self._network_there = False
            self._host = None

    def capacity(self) -> Capacity:
        host = self._about_host()
        memory, disk = room_of(self._connection.socket, host["MemTotal"], host["DockerRootDir"])
        return Capacity(PORTS - self._on_network if self._bridge else None, memory, disk)

    def present(self, image: str) -> str | None:
        return self._images.present(image)

    def resolve(self, image: str, *, timeout: float) -> str:
        return self._images.resolve(image, timeout=timeout)

    def image_labels(self, reference: str) -> dict[str, str]:
        return dict(self._images.config(reference).get("Labels") or {})

    def image(self, reference: str) -> StoredImage | None:
        return self._images.stored(reference)

    def remove_image(self, reference: str) -> bool:
        return self._images.remove(reference)

    def volume_users(self, volume: str) -> tuple[tuple[str, str, str], ...]:
        with self._connection.call(f"look for the users of the volume {volume}"):
            rows = self._connection.api.containers(all=True, filters={"volume": volume})  # also of a folder of that name
        users = [row for row in rows if any(mount.get("Name") == volume for mount in row.get("Mounts") or ())]
        labels = [row["Labels"] if is_ours(row, self._instance) else {} for row in users]
        return tuple(
            ((row["Names"] or [row["Id"][:12]])[0].lstrip("/"), mine.get("shipstone.site", ""), mine.get("shipstone.release", ""))
            for row, mine in zip(users, labels, strict=True)
        )

    def ensure_network(self) -> bool:
        with self._making:
            if self.network_exists():
                return False
            labels = {"shipstone.network": self._instance}
            with self._connection.call(f"make the network {self._network}"):
                try:
                    self._connection.api.create_network(self._network, driver="bridge", check_duplicate=True, labels=labels)
                except APIError as error:
                    if error.status_code != 409:
                        raise
            self._network_there = self._bridge = True
            return True

    def network_exists(self) -> bool:
        """Asked once, and again after an event says that it may have changed."""
        if not self._network_there:
            with self._connection.call("list the networks"):
                rows = self._connection.api.networks(names=[self._network])
            mine = [row for row in rows if row["Name"] == self._network]
            self._network_there = bool(mine)
            self._bridge = any(row["Driver"] == "bridge" for row in mine)
        return self._network_there

    def create_and_start(self, new: NewContainer) -> str:
        made = self.create(new)
        self.start_new(made, new)
        return made

    def create(self, new: NewContainer) -> str:
        with self._connection.call(f"create {new.name}"):
            check = self._images.config(new.image).get("Healthcheck")
            modern = version_gte(self._connection.api.api_version, START_INTERVAL_API)
            hardening = self._with_rotation(self._hardening(dict(new.labels).get("shipstone.site", "")))
            config = container_config(new, self._file_path, check, start_interval=modern, hardening=hardening)
            try:
                made = self._connection.api.create_container_from_config(config, new.name)["Id"]
            except APIError as error:
                raise self._owner_of(new.name) or error from None
        failpoint("create")
        return str(made)

    def start_new(self, made: str, new: NewContainer) -> None:
        try:
            with self._connection.call(f"start {new.name}"):
                user = new.spec.user or self._images.config(new.image).get("User") or ""
                put_secrets(self._connection.api, made, [row for row in new.secrets if row[0].startswith("/")], user)
                self._connection.api.start(made)
            failpoint("start")
        except EngineError:
            with suppress(EngineError), self._connection.call(f"remove the half-made {new.name}"):
                self._connection.api.remove_container(made, force=True)
            raise  # why it did not start; what could not be removed either is seen by the next pass

    def start(self, container_id: str) -> None:
        with self._connection.call(f"start {container_id[:12]}"):
            self._connection.api.start(container_id)

    def _with_rotation(self, hardening: Hardening) -> Hardening:
        """Only drivers that keep files of their own rotate them; another one refuses the options."""
        if not hardening.log:
            return hardening
        return hardening if self._about_host().get("LoggingDriver") in ROTATING else replace(hardening, log=())

    def _about_host(self) -> dict[str, Any]:
        """Asked once, and again after a resync."""
        if (known := self._host) is None:
            with self._connection.call("ask the engine for its host"):
                self._host = known = self._connection.api.info()
        return known

    def _owner_of(self, name: str) -> EngineError | None:
        """Who has the name, where a container that is not ours does."""
        rows = [
            row for row in self._connection.api.containers(all=True, filters={"name": f"^/{name}$"}) if not is_ours(row, self._instance)
        ]
        if not rows:
            return None
        made = dt.datetime.fromtimestamp(rows[0]["Created"], dt.UTC).isoformat(timespec="seconds")
        who = f"{rows[0]['Id'][:12]} of image {rows[0]['Image']}, made at {made}"
        return EngineError(f"cannot create {name}: a container that is not Shipstone's has this name: {who}. Rename or remove it.")

    def stop(self, container_id: str, *, grace: float) -> None:
        try:
            with self._connection.call(f"stop {container_id[:12]}"):
                self._connection.api.stop(container_id, timeout=max(0, math.ceil(grace)))
        except NotFoundError:
            return

    def remove(self, container_id: str) -> None:
        try:
            with self._connection.call(f"remove {container_id[:12]}"):
                state = self._connection.api.inspect_container(container_id)["State"]
                if state["Status"] != "removing":  # somebody else does it already
                    self._connection.api.remove_container(container_id, force=state["Paused"])
        except NotFoundError:
            return
        except EngineError as error:
            if "already in progress" not in str(error):
                raise

    def logs(self, container_id: str, *, lines: int) -> tuple[str, ...]:
        with self._connection.call(f"read the log of {container_id[:12]}"):
            text: bytes = self._connection.api.logs(container_id, stdout=True, stderr=True, tail=lines)
        return tuple(text.decode("utf-8", "replace").splitlines()[-lines:])

    def events(self) -> Iterator[Event]:
        """Also forgets what was remembered of a container that an event names."""
        with self._connection.call("listen to the engine's events"):
            filters = {"type": ["container", "network"], "event": list(STATES)}
            stream = self._connection.api.events(decode=True, since=round(self._heard), filters=filters)
            for row in stream:
                self._heard = row.get("time", self._heard)
                event = event_of(row, self._instance, self._network, self._ours)
                if event is None:
                    continue
                with self._lock:
                    self._inspected.pop(event.id, None)
                    self._untold.pop(event.id, None)
                    self._inspecting.discard(event.id)
                    if event.kind == "foreign":
                        (self._died.add if event.action == "die" else self._died.discard)(event.id)
                    if event.action == "network connect":
                        self._connected[event.id] = row.get("timeNano", 0) / 1e9
                    if event.kind == "network":
                        self._network_there = False
                yield event
        raise EngineError("cannot listen to the engine's events any more: the stream ended. It is opened again.")

    def version(self) -> tuple[str, str]:
        """The engine's version and its API's."""
        with self._connection.call("ask the engine for its version"):
            row = self._connection.api.version()
        return str(row["Version"]), str(row["ApiVersion"])

    def _unknown(self, row: dict[str, Any]) -> bool:
        """It was not inspected yet, or the list shows something new of it. What never ran is not worth an inspection."""
        if row["State"] == "created" or self._untold.get(row["Id"], 0.0) > time.monotonic():
            return False
        known = self._inspected.get(row["Id"])
        return known is None or known[0] != fingerprint(row)

    def _inspect(self, row: dict[str, Any], before: Inspection | None) -> Inspection | None:
        """None when it is gone; `before` where the engine cannot say. What an event overtook holds for this pass, and is not remembered."""
        if self._hung:
            return before or (OVERTAKEN, {})
        with self._lock:
            self._inspecting.add(row["Id"])
        try:
            with self._connection.call(f"inspect {row['Id'][:12]}"):
                inspected: dict[str, Any] = self._connection.api.inspect_container(row["Id"])
            inspected["shipstone.live"] = self._live(inspected)
        except NotFoundError:
            return None
        except EngineError as error:
            self._leave(row, error)
            return before or (OVERTAKEN, {})
        row["State"] = inspected["State"]["Status"]  # newer than the list, and of one moment with the exit code
        with self._lock:
            self._untold.pop(row["Id"], None)
            seen = fingerprint(row) if row["Id"] in self._inspecting else OVERTAKEN, inspected
            self._inspected[row["Id"]] = seen
        return seen

    def _leave(self, row: dict[str, Any], error: EngineError) -> None:
        """One container of which the engine cannot say anything holds up no other. Raises EngineError where the engine itself is away."""
        silent = isinstance(error, UnreachableError)
        if silent:
            self._hung = True
            self._takes_connections()
        with self._lock:
            told = row["Id"] in self._untold
            self._untold[row["Id"]] = time.monotonic() + PAUSE if silent else 0.0
        if not told:
            site = row["Labels"].get("shipstone.site", "")
            log.warning("a container cannot be inspected: it is taken for what was known of it", site=site, error=str(error))

    def _live(self, inspected: dict[str, Any]) -> Live:
        try:
            config: dict[str, Any] | None = self._images.config(inspected["Image"])
        except NotFoundError:
            config = None
        again = self._connected.get(inspected["Id"], 0.0) > started_at(inspected)
        live = live_fields(inspected, config, reconnected=again)
        wanted = live["labels"].get("shipstone.digest", "")
        if live["image"] != wanted and self._is_image(wanted, inspected["Image"]):
            live["image"] = wanted
        return live

    def _is_image(self, reference: str, image_id: str) -> bool:
        """Another name of the same image is no other image; nor is the same name that means another one by now."""
        return reference == image_id or (bool(reference) and self._images.id_of(reference) == image_id)
