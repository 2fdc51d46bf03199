"""What a hand changed on a live container: what it was made of, by its labels, against what is there. Pure.

What the image says by default, and what an engine adds by itself, is no drift: it is subtracted, or not looked at.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from posixpath import normpath
from typing import Any

from reconciler.desired.release import container_name
from reconciler.desired.spec import ContainerSpec, FileMount, Port, Volume
from reconciler.planning.diff import Difference, as_text
from reconciler.planning.labels import Applied, applied_in, changed_labels
from reconciler.planning.observed import Container, Live
from reconciler.planning.seen import Names

Rows = Iterator[tuple[str, str, str]]
"""Field, desired, actual."""


def drifted(container: Container, names: Names) -> tuple[Difference, ...]:
    """Fields of one container that are not as it was made; nothing of one that was not inspected yet."""
    if container.live is None:
        return ()
    if isinstance(container.live, Live) and "labels" in container.live:
        return _compared_once(container.live, container.name, names)
    return _differences(container.labels, container.live, container.name, names)


def _compared_once(live: Live, name: str, names: Names) -> tuple[Difference, ...]:
    """An inspection is the same object until the next one: so this costs a pass nothing."""
    if live.compared[0] != (name, names):
        live.compared = (name, names), _differences(live["labels"], live, name, names)
    found: tuple[Difference, ...] = live.compared[1]
    return found


def _differences(labels: Mapping[str, str], live: Mapping[str, Any], name: str, names: Names) -> tuple[Difference, ...]:
    service = labels.get("shipstone.service", "")
    applied = applied_in(labels.get("shipstone.spec", ""))
    rows = _rows(applied, labels, live, name, names)
    return tuple(Difference(service, name, field, desired, actual, "drift") for field, desired, actual in rows if desired != actual)


def _rows(applied: Applied, labels: Mapping[str, str], live: Mapping[str, Any], name: str, names: Names) -> Rows:
    part = {key: labels.get(f"shipstone.{key}", "") for key in ("site", "service", "release", "replica")}
    replica = int(part["replica"]) if part["replica"].isascii() and part["replica"].isdigit() else 0
    yield "name", container_name(names.instance, part["site"], part["service"], part["release"], replica), name
    if not applied.spec.image:
        yield "labels.shipstone.spec", "what it was made of", "nothing that can be read"
        return
    if "networks" in live:
        again = (f"{labels.get('traefik.docker.network', '')} (connected again)",) if live.get("reconnected") else ()
        yield "networks", labels.get("traefik.docker.network", ""), as_text(again or tuple(live["networks"]))
    yield "aliases", "", as_text(live.get("aliases", ()))
    if "image" in live:
        yield "image", labels.get("shipstone.digest", live["image"]), live["image"]
    image = live.get("image_defaults") or {}
    for field, wanted in _plain(applied.spec, image):
        if field in live:
            yield field, wanted, wanted if _as_told(applied.spec, field, live[field]) else _plain_text(live[field])
    yield from _limits(applied.spec, live)
    if "environment" in live:
        yield from _environment(applied.spec, live["environment"], image)
    if "mounts" in live:
        yield from _mounts(applied.spec, live["mounts"], image.get("volumes", ()))
        yield from _by_name("tmpfs", dict(_path_and_options(row) for row in applied.spec.tmpfs), live["tmpfs"])
    if "healthcheck" in live:
        yield from _healthcheck(applied.spec, live["healthcheck"], image.get("healthcheck", {}))
    if "labels" in live and image:
        yield from _labels(applied, live["labels"], image.get("labels", {}), names)
    yield from ((field, "", actual) for field, actual in live.get("unasked", {}).items())


def _as_told(spec: ContainerSpec, field: str, value: Any) -> bool:
    """What was asked for, though it looks otherwise: the engine counts a grace in whole seconds, however it was rounded."""
    if field == "stop_grace_period":
        return bool(abs(value - spec.stop_grace_period) < 1)
    return field == "restart" and bool(value == spec.restart_policy)


def _plain(spec: ContainerSpec, image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields with one value, and what it should be: as it is written, else as the image says."""
    entrypoint = spec.entrypoint if spec.entrypoint is not None else image.get("entrypoint", ())
    of_image = () if spec.entrypoint else image.get("command", ())
    yield "entrypoint", _plain_text(tuple(word for word in entrypoint if word))
    yield "command", _plain_text(spec.command or of_image)
    folder = spec.working_dir or image.get("working_dir", "")
    yield "working_dir", normpath(folder) if folder else ""
    for field in ("user", "stop_signal"):
        written = getattr(spec, field) or image.get(field, "")
        yield field, "" if written == "SIGTERM" else written
    yield "stop_grace_period", str(ceil(spec.stop_grace_period))
    for field in ("restart", "read_only", "init", "mem_limit", "cpus", "privileged"):
        yield field, as_text(getattr(spec, field))
    yield "namespaces", _plain_text(tuple(sorted(spec.namespaces)))
    yield "devices", _plain_text(tuple(sorted(as_text(device) for device in spec.devices)))
    yield "ports", _plain_text(tuple(sorted(_port(port) for port in spec.ports)))
    for field in ("cap_add", "cap_drop", "extra_hosts"):
        yield field, _plain_text(tuple(sorted(getattr(spec, field))))


def _port(port: Port) -> str:
    return f"{port.address}{':' if port.address else ''}{port.host}:{port.inside}/{port.protocol}"


def _plain_text(value: Any) -> str:
    """Words are quoted where a shell would need it, so that two different lists never look the same."""
    return shlex.join(value) if isinstance(value, tuple) else as_text(value)


def _limits(spec: ContainerSpec, live: Mapping[str, Any]) -> Rows:
    """Of ulimits only those that are written: the engine adds its defaults to the list. Swap is twice the memory, where it is counted.
    A limit of processes that nobody wrote is the host's, as it was when the container was made."""
    if "pids_limit" in live:
        yield "pids_limit", as_text(spec.pids_limit) or live.get("given_pids_limit", ""), as_text(live["pids_limit"])
    for name, soft, hard in spec.ulimits if "ulimits" in live else ():
        actual = live["ulimits"].get(name)
        yield f"ulimits.{name}", f"{soft}:{hard}", f"{actual[0]}:{actual[1]}" if actual else ""
    swap = live.get("memswap_limit", 0)
    if swap not in (0, -1, 2 * (spec.mem_limit or 0), 2 * (live.get("mem_limit") or 0)):
        yield "memswap_limit", "", str(swap)


def _environment(spec: ContainerSpec, live: Mapping[str, str], image: Mapping[str, Any]) -> Rows:
    """The value itself may be a secret: only the name is shown. Of a variable that gets a secret no value is known here."""
    secret = {row.target for row in spec.secrets if not row.is_file}
    wanted = {**image.get("environment", {}), **dict(spec.environment)} | {key: live.get(key) for key in secret}
    for key in sorted(wanted.keys() | live.keys()):
        if wanted.get(key) != live.get(key) or (key in secret and key not in live):
            actual = "" if key not in live else "another value" if key in wanted else "set"
            yield f"environment.{key}", "set" if key in wanted else "", actual


def _mounts(spec: ContainerSpec, live: Iterable[Volume], of_image: Iterable[str]) -> Rows:
    """By the place in the container. A volume without a name at a place that the image declares is the engine's doing."""
    wanted: dict[str, Volume | FileMount] = {mount.target: mount for mount in spec.volumes}
    wanted |= {mount.target: mount for mount in spec.files}
    actual = {mount.target: mount for mount in live}
    for target in sorted(wanted.keys() | actual.keys()):
        want, have = wanted.get(target), actual.get(target)
        if want is None and have is not None and target in of_image and have.kind == "volume":
            continue
        if want is not None and have is not None and _same(want, have):
            continue
        yield f"mounts.{target}", _mount_text(want), _mount_text(have)


def _same(want: Volume | FileMount, have: Volume) -> bool:
    """Files of the repository lie under a name that is their content's digest, wherever the state folder is."""
    if isinstance(want, FileMount):
        return have.kind == "bind" and have.read_only and have.source.rpartition("/")[2] == want.digest
    return want == have


def _mount_text(mount: Volume | FileMount | None) -> str:
    if mount is None:
        return ""
    kind, read_only = ("file", True) if isinstance(mount, FileMount) else (mount.kind, mount.read_only)
    return f"{kind} {mount.source}{' (read-only)' if read_only else ''}"


def _path_and_options(text: str) -> tuple[str, str]:
    path, _, options = text.partition(":")
    return path, options


def _by_name(field: str, wanted: Mapping[str, str], actual: Mapping[str, str]) -> Rows:
    for key in sorted(wanted.keys() | actual.keys()):
        shown = [(rows[key] or "set") if key in rows else "" for rows in (wanted, actual)]
        yield f"{field}.{key}", shown[0], shown[1]


def _healthcheck(spec: ContainerSpec, live: Mapping[str, Any], image: Mapping[str, Any]) -> Rows:
    """The test, and the times that are written; others are filled in as the engine's version has it."""
    check = spec.healthcheck
    test = image.get("test", ()) if check is None else () if check.test == ("NONE",) else check.test
    yield "healthcheck.test", _plain_text(test), _plain_text(live.get("test", ()))
    for part in ("interval", "timeout", "retries", "start_period", "start_interval"):
        written = getattr(check, part) if check is not None else None
        if written and not (part == "start_interval" and part not in live):
            yield f"healthcheck.{part}", as_text(written), as_text(live.get(part))


def _labels(applied: Applied, live: Mapping[str, str], image: Mapping[str, str], names: Names) -> Rows:
    """A person's own by name; those of routing, and ours, by the digest that was taken of them when they were made."""
    own = dict(applied.spec.labels)
    for key in sorted(own.keys() | live.keys()):
        if not key.startswith(("traefik.", "shipstone.")) and (key in own or live.get(key) != image.get(key)):
            yield f"labels.{key}", own.get(key, ""), live.get(key, "")
    for key, desired, actual in changed_labels(names.instance, names.network, names.entry_of(applied.route), live):
        yield f"labels.{key}", desired, actual
