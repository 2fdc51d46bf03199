"""What an inspection says of a container, in the terms of a site file: what a hand can have changed, see planning/drift.py."""

import datetime as dt
from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Any

from reconciler.desired.spec import Volume
from reconciler.planning.observed import Live
from reconciler.world.docker_config import PIDS_LABEL

SECOND = 1e9
"""Nanoseconds."""
SHORT_ID = 12
NAMESPACES = {"ipc": "IpcMode", "pid": "PidMode", "userns": "UsernsMode", "uts": "UTSMode"}
OWN = ("", "private", "shareable", "none")
"""Modes of a namespace that is not somebody else's."""
OF_THE_HOST = ("no-new-privileges", "no-new-privileges:true", "label=disable")
"""What the host's settings give to every container, and the engine to one that is privileged."""
UNASKED = {
    "auto_remove": "AutoRemove",
    "blkio_weight": "BlkioWeight",
    "cgroup_parent": "CgroupParent",
    "cpu_period": "CpuPeriod",
    "cpu_quota": "CpuQuota",
    "cpu_shares": "CpuShares",
    "cpuset": "CpusetCpus",
    "device_requests": "DeviceRequests",
    "dns": "Dns",
    "group_add": "GroupAdd",
    "links": "Links",
    "mem_reservation": "MemoryReservation",
    "oom_kill_disable": "OomKillDisable",
    "oom_score_adj": "OomScoreAdj",
    "publish_all": "PublishAllPorts",
    "sysctls": "Sysctls",
    "volumes_from": "VolumesFrom",
}
"""What no site can ask for and the engine leaves empty by itself: as Compose names it, and as the engine does."""


def live_fields(inspected: Mapping[str, Any], image: Mapping[str, Any] | None, *, reconnected: bool = False) -> Live:
    """`image` is the configuration of its image; None where that is not here any more: what it says by default is not known then.
    `reconnected`: whether the container left its network and came back while it ran."""
    config = inspected["Config"]
    labels = config.get("Labels") or {}
    live = _host_fields(inspected["HostConfig"]) | _networks(inspected, reconnected=reconnected)
    live |= {"image": config["Image"], "labels": dict(labels), "given_pids_limit": labels.get(PIDS_LABEL, "")}
    if image is None:
        return Live(live)
    defaults = _given(image) | {"labels": dict(image.get("Labels") or {}), "volumes": tuple(map(normpath, image.get("Volumes") or ()))}
    return Live(live | _given(config) | _mounts(inspected) | {"image_defaults": defaults})


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an image says too."""
    signal = config.get("StopSignal") or ""
    return {
        "environment": dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
        "command": tuple(config.get("Cmd") or ()),
        "entrypoint": tuple(word for word in config.get("Entrypoint") or () if word),
        "user": config.get("User") or "",
        "working_dir": normpath(folder) if (folder := config.get("WorkingDir")) else "",
        "stop_signal": "" if signal == "SIGTERM" else signal,
        "stop_grace_period": config["StopTimeout"] if config.get("StopTimeout") is not None else 10,
        "healthcheck": _healthcheck(config.get("Healthcheck") or {}),
    }


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    """In seconds; what the engine decides is left out."""
    test = tuple(check.get("Test") or ())
    found: dict[str, Any] = {"test": () if test == ("NONE",) else test}
    names = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "start_interval": "StartInterval"}
    found |= {name: check[key] / SECOND for name, key in names.items() if check.get(key)}
    return found | ({"retries": check["Retries"]} if check.get("Retries") else {})


def _host_fields(host: Mapping[str, Any]) -> dict[str, Any]:
    policy, nano, pids = host.get("RestartPolicy") or {}, host.get("NanoCpus") or 0, host.get("PidsLimit") or 0
    tries = policy.get("MaximumRetryCount") or 0
    unasked = {name: _shown(host[key]) for name, key in UNASKED.items() if host.get(key)}
    if options := [option for option in host.get("SecurityOpt") or () if option not in OF_THE_HOST]:
        unasked["security_opt"] = _shown(options)
    modes = {name: str(host.get(key) or "") for name, key in NAMESPACES.items()}
    return {
        "privileged": bool(host.get("Privileged")),
        "namespaces": tuple(name if mode == "host" else f"{name}={mode}" for name, mode in modes.items() if mode not in OWN),
        "devices": tuple(sorted(_device(row) for row in host.get("Devices") or ())),
        "ports": tuple(sorted(_ports(host.get("PortBindings") or {}))),
        "restart": (policy.get("Name") or "no") + (f":{tries}" if tries else ""),
        "mem_limit": host.get("Memory") or None,
        "memswap_limit": host.get("MemorySwap") or 0,
        "pids_limit": pids if pids > 0 else None,
        "cpus": nano / SECOND if nano else None,
        "read_only": bool(host.get("ReadonlyRootfs")),
        "init": host.get("Init"),
        "cap_add": _capabilities(host.get("CapAdd")),
        "cap_drop": _capabilities(host.get("CapDrop")),
        "ulimits": {row["Name"]: (row["Soft"], row["Hard"]) for row in host.get("Ulimits") or ()},
        "extra_hosts": tuple(sorted(host.get("ExtraHosts") or ())),
        "unasked": unasked,
    }


def _capabilities(names: list[str] | None) -> tuple[str, ...]:
    """Newer engines write CAP_ before each."""
    return tuple(sorted(name.upper().removeprefix("CAP_") for name in names or ()))


def _device(row: Mapping[str, Any]) -> str:
    return f"{row['PathOnHost']}:{row['PathInContainer']}:{row['CgroupPermissions']}"


def _ports(bindings: Mapping[str, Any]) -> Iterator[str]:
    for inside, rows in bindings.items():
        for row in rows or ():
            address = row.get("HostIp") or ""
            yield f"{address}{':' if address else ''}{row.get('HostPort') or ''}:{inside}"


def _shown(value: Any) -> str:
    """In one line; a map, of ports or of devices, by its values."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} ({shown})" if (shown := _shown(item)) else str(key) for key, item in sorted(value.items()) if item)
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return "yes" if value is True else str(value)


def _networks(inspected: Mapping[str, Any], *, reconnected: bool) -> dict[str, Any]:
    """Aliases that the engine gives by itself are left out: the id, and the container's name."""
    networks = inspected["NetworkSettings"]["Networks"] or {}
    own = {inspected["Id"][:SHORT_ID], inspected["Name"].lstrip("/"), inspected["Config"].get("Hostname", "")}
    aliases = {alias for row in networks.values() for alias in (row or {}).get("Aliases") or () if alias not in own}
    return {"networks": tuple(sorted(networks)), "aliases": tuple(sorted(aliases)), "reconnected": reconnected}


def _mounts(inspected: Mapping[str, Any]) -> dict[str, Any]:
    tmpfs = dict(inspected["HostConfig"].get("Tmpfs") or {})
    for row in inspected.get("Mounts") or ():
        if row["Type"] == "tmpfs":
            tmpfs.setdefault(row["Destination"], "")
    return {"mounts": tuple(_volumes(inspected)), "tmpfs": tmpfs}


def _volumes(inspected: Mapping[str, Any]) -> Iterator[Volume]:
    for row in inspected.get("Mounts") or ():
        if row["Type"] != "tmpfs":
            source = row.get("Name") if row["Type"] == "volume" else row.get("Source")
            yield Volume(row["Type"], source or "", row["Destination"], not row.get("RW", True))


def started_at(inspected: Mapping[str, Any]) -> float:
    """Seconds since 1970; 0 for a container that was never started."""
    try:
        return dt.datetime.fromisoformat(inspected["State"]["StartedAt"]).timestamp()
    except (ValueError, OverflowError):
        return 0.0
