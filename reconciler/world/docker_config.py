"""A container as the engine's API takes it, raw: the SDK's own builder drops what it does not know, such as StartInterval."""

from collections.abc import Callable
from typing import Any

from reconciler.desired.spec import Check, ContainerSpec, NewContainer

SECOND = 1_000_000_000
"""Nanoseconds."""


def container_config(new: NewContainer, file_path: Callable[[str], str]) -> dict[str, Any]:
    """The body of POST /containers/create: on the network from the first moment, files of the repository mounted read-only."""
    spec = new.spec
    body: dict[str, Any] = {
        "Image": new.image,
        "Labels": dict(new.labels),
        "Env": [f"{key}={value}" for key, value in spec.environment],
        "HostConfig": _host_config(spec, new.network, file_path),
        "NetworkingConfig": {"EndpointsConfig": {new.network: {}}},
        "StopTimeout": max(0, round(spec.stop_grace_period)),
    }
    optional = {
        "Cmd": list(spec.command) if spec.command is not None else None,
        "Entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "StopSignal": spec.stop_signal,
        "Healthcheck": _healthcheck(spec.healthcheck) if spec.healthcheck else None,
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _host_config(spec: ContainerSpec, network: str, file_path: Callable[[str], str]) -> dict[str, Any]:
    mounts = [{"Type": v.kind, "Source": v.source, "Target": v.target, "ReadOnly": v.read_only} for v in spec.volumes]
    mounts += [{"Type": "bind", "Source": file_path(f.digest), "Target": f.target, "ReadOnly": True} for f in spec.files]
    config: dict[str, Any] = {
        "NetworkMode": network,
        "RestartPolicy": {"Name": spec.restart},
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
    return config | {key: value for key, value in optional.items() if value is not None}


def _tmpfs(text: str) -> tuple[str, str]:
    path, _, options = text.partition(":")
    return path, options


def _healthcheck(check: Check) -> dict[str, Any]:
    body: dict[str, Any] = {"Test": list(check.test)}
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    body |= {key: round(seconds * SECOND) for key, seconds in times.items() if seconds is not None}
    return body | ({"Retries": check.retries} if check.retries is not None else {})
