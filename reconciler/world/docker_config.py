"""A container as the engine's API takes it, raw: the SDK's own builder drops what it does not know, such as StartInterval."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.desired.spec import Check, ContainerSpec, NewContainer

SECOND = 1_000_000_000
"""Nanoseconds."""
START_INTERVAL = 0.5
"""Seconds between two checks while a container starts: a check costs about 60 ms of CPU."""
PIDS_LABEL = "shipstone.pids"
"""The pids limit that the host gave, where the site wrote none: what is live is compared with it."""
INTERVAL = 2.0
"""Seconds between two checks where the engine knows no start interval and nobody asked for another."""


@dataclass(frozen=True)
class Hardening:
    """What the host gives to every new container whose site says nothing else. No part of a release: changing it rolls no site.

    `pids_limit`: 0 for none. `log`: options of the engine's log driver.
    """

    no_new_privileges: bool = False
    pids_limit: int = 0
    log: tuple[tuple[str, str], ...] = ()


NONE = Hardening()


def container_config(
    new: NewContainer,
    file_path: Callable[[str], str],
    image_check: Mapping[str, Any] | None = None,
    *,
    start_interval: bool = False,
    hardening: Hardening = NONE,
) -> dict[str, Any]:
    """The body of POST /containers/create: on the network from the first moment, files of the repository mounted read-only.

    `image_check` is the image's own healthcheck, as the engine gives it; `start_interval`: whether the engine knows StartInterval.
    """
    spec = new.spec
    body: dict[str, Any] = {
        "Image": new.image,
        "Labels": dict(new.labels),
        "Env": [f"{key}={value}" for key, value in (*spec.environment, *_secret_variables(new))],
        "HostConfig": _host_config(spec, new.network, file_path) | _hardened(spec, hardening),
        "NetworkingConfig": {"EndpointsConfig": {new.network: {}}},
        "StopTimeout": max(0, math.ceil(spec.stop_grace_period)),  # the engine counts whole seconds; 0 is a kill at once
    }
    if spec.ports:
        body["ExposedPorts"] = {f"{port.inside}/{port.protocol}": {} for port in spec.ports}
    if spec.pids_limit is None and hardening.pids_limit:
        body["Labels"] |= {PIDS_LABEL: str(hardening.pids_limit)}
    optional = {
        "Cmd": list(spec.command) if spec.command is not None else None,
        "Entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "StopSignal": spec.stop_signal,
        "Healthcheck": _healthcheck(spec.healthcheck, image_check or {}, new.deadline, start_interval=start_interval),
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _secret_variables(new: NewContainer) -> list[tuple[str, str]]:
    return [(target, value.reveal().decode("utf-8")) for target, value in new.secrets if not target.startswith("/")]


def _host_config(spec: ContainerSpec, network: str, file_path: Callable[[str], str]) -> dict[str, Any]:
    mounts = [{"Type": v.kind, "Source": v.source, "Target": v.target, "ReadOnly": v.read_only} for v in spec.volumes]
    mounts += [{"Type": "bind", "Source": file_path(f.digest), "Target": f.target, "ReadOnly": True} for f in spec.files]
    config: dict[str, Any] = {
        "NetworkMode": network,
        "RestartPolicy": {"Name": spec.restart_policy},
        "ReadonlyRootfs": spec.read_only,
        "Mounts": mounts,
        "Tmpfs": dict(_tmpfs(text) for text in spec.tmpfs),
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in spec.ulimits],
        "ExtraHosts": list(spec.extra_hosts),
    }
    optional = {
        "Init": spec.init,
        "Memory": spec.mem_limit,
        "NanoCpus": round(spec.cpus * SECOND) if spec.cpus is not None else None,
        "PidsLimit": spec.pids_limit,
    }
    return config | _rights(spec) | {key: value for key, value in optional.items() if value is not None}


def _rights(spec: ContainerSpec) -> dict[str, Any]:
    """What the policy let the site have of the host; only what is there, so that others are created as ever."""
    modes = {"ipc": "IpcMode", "pid": "PidMode", "userns": "UsernsMode", "uts": "UTSMode"}
    config: dict[str, Any] = {modes[name]: "host" for name in spec.namespaces}
    if spec.privileged:
        config["Privileged"] = True
    if spec.devices:
        config["Devices"] = [
            {"PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.rights} for device in spec.devices
        ]
    if spec.ports:
        config["PortBindings"] = _bindings(spec)
    return config


def _bindings(spec: ContainerSpec) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        bindings.setdefault(f"{port.inside}/{port.protocol}", []).append({"HostIp": port.address, "HostPort": str(port.host)})
    return bindings


def _hardened(spec: ContainerSpec, hardening: Hardening) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if hardening.no_new_privileges:
        config["SecurityOpt"] = ["no-new-privileges"]
    if spec.pids_limit is None and hardening.pids_limit:
        config["PidsLimit"] = hardening.pids_limit
    if hardening.log:
        config["LogConfig"] = {"Type": "", "Config": dict(hardening.log)}
    return config


def _tmpfs(text: str) -> tuple[str, str]:
    path, _, options = text.partition(":")
    return path, options


def _healthcheck(check: Check | None, of_image: Mapping[str, Any], deadline: float, *, start_interval: bool) -> dict[str, Any] | None:
    """What nobody said is filled in so that a check does not cost its whole interval at every deploy, and does not fail a release that
    still has time. What is left out, even the test, the engine takes from the image."""
    test = check.test if check else tuple(of_image.get("Test") or ())
    if not test or test[0] == "NONE":
        return {"Test": ["NONE"]} if check else None
    times = {
        "Interval": check.interval if check else None,
        "Timeout": check.timeout if check else None,
        "StartPeriod": check.start_period if check else None,
        "StartInterval": check.start_interval if check else None,
    }
    if times["StartPeriod"] is None:
        times["StartPeriod"] = deadline
    if start_interval and times["StartInterval"] is None and not of_image.get("StartInterval"):
        times["StartInterval"] = START_INTERVAL
    if not start_interval and times["Interval"] is None and not of_image.get("Interval"):
        times["Interval"] = INTERVAL
    body: dict[str, Any] = {key: round(seconds * SECOND) for key, seconds in times.items() if seconds is not None}
    body |= {"Test": list(check.test)} if check else {}
    return body | ({"Retries": check.retries} if check and check.retries is not None else {})
