"""Keys that give a container something of the host: only where the policy allows it. Each gives the value or raises Refusal."""

import ipaddress
import posixpath
import re

from reconciler.desired.policy import Policy, Rules, ask, matches
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.scalars import boolean, scalar, text

AT_KEY = ("[key]",)
_RIGHTS = "would give the container rights on this host, and its policy does not allow it"
PORT = re.compile(
    r"(?:(?P<address>\[[0-9A-Fa-f:]+\]|[0-9.]+):)?(?P<host>[0-9]{1,5}):(?P<inside>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?", re.ASCII
)
ALLOWED_PORT = re.compile(r"(?:(?P<address>\[[0-9A-Fa-f:]+\]|[0-9.]+):)?(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?", re.ASCII)


def privileged(value: object, rules: Rules) -> bool:
    """`false` is no right, so anyone may write it."""
    if value in (False, "false"):
        return False
    if not rules.policy.privileged:
        raise Refusal(
            "SS-C01",
            f"privileged {_RIGHTS}. Delete it and use cap_add:, or {ask('privileged', rules.site)}.",
            AT_KEY,
        )
    return boolean(value)


def namespace(key: str, name: str, value: object, rules: Rules) -> str:
    """`host`, the only value that means anything here: left out, a container has a namespace of its own."""
    if name not in rules.policy.namespaces:
        raise Refusal(
            "SS-C01",
            f"{key} {_RIGHTS}. Delete it, or {ask('namespaces', rules.site)}.",
            AT_KEY,
        )
    written = scalar(value)
    if written != "host":
        raise Refusal("SS-Y17", f"{show(written)} is not known here. Write host, or delete the key: a container has its own {name}.")
    return written


def needs(key: str, value: object, rules: Rules) -> object:
    """Refuses the whole list where the policy allows none of it."""
    if key == "ports" and not rules.policy.ports:
        raise Refusal(
            "SS-C02",
            "ports is not needed: requests come through Traefik. Delete it, and write port: with the port inside the container; "
            f"for what is not HTTP {ask('ports', rules.site)}.",
            AT_KEY,
        )
    if key == "devices" and not rules.policy.devices:
        raise Refusal(
            "SS-C01",
            f"devices {_RIGHTS}. Delete it, or {ask('devices', rules.site)}.",
            AT_KEY,
        )
    return value


def device(value: object, rules: Rules) -> str:
    """HOST[:CONTAINER[:RIGHTS]] of a device that the policy names; as HOST:CONTAINER:RIGHTS."""
    written = text(value)
    parts = written.split(":")
    paths, rights = parts[:2], parts[2] if len(parts) == 3 else "rwm"
    if len(parts) > 3 or not re.fullmatch("r?w?m?", rights) or not rights or not all(_is_path(path) for path in paths):
        raise Refusal("SS-C24", f"{show(written)} is not a device. Write HOST:CONTAINER, as in /dev/ttyUSB0:/dev/ttyUSB0.")
    source = paths[0]
    leads = posixpath.normpath(rules.policy.resolve(source))
    if not matches(source, rules.policy.devices) or not (leads == source or matches(leads, rules.policy.devices) or _is_device(leads)):
        raise Refusal(
            "SS-C30", f"{show(source)} is none of {', '.join(rules.policy.devices)}. Use one of these, or {ask('devices', rules.site)}."
        )
    return f"{source}:{paths[-1]}:{rights}"


def _is_path(path: str) -> bool:
    return re.fullmatch(r"/[!-9;-~]{1,255}", path) is not None and ".." not in path.split("/") and posixpath.normpath(path) == path


def _is_device(path: str) -> bool:
    """Names below /dev/ that lead to another name there are the host's own doing: nobody else may write there."""
    return path.startswith("/dev/")


def published_port(value: object, rules: Rules) -> str:
    """[ADDRESS:]HOST:CONTAINER[/udp] where the policy allows that port of the host."""
    written = scalar(value)  # 22:22 is a port here, whatever YAML 1.1 makes of it
    match = PORT.fullmatch(written)
    if match is None or not _is_address(match["address"]):
        raise Refusal("SS-C31", f"{show(written)} is not a published port. Write HOST:CONTAINER, as in 5432:5432, or 127.0.0.1:5432:5432.")
    host, inside = int(match["host"]), int(match["inside"])
    for number in (host, inside):
        if not 1 <= number <= 65535:
            raise Refusal("SS-C13", f"{number} is out of range. Write a port from 1 to 65535.")
    if host in rules.policy.taken:
        raise Refusal("SS-C31", f"{host} is Traefik's own port on this host. Publish another one.")
    address = match["address"] or ""
    if not any(_allows(one, address, host) for one in rules.policy.ports):
        where = f"{address}:{host}" if address else str(host)
        raise Refusal(
            "SS-C31",
            f"port {where} of this host is none of {', '.join(rules.policy.ports)}. Use one of these, or {ask('ports', rules.site)}.",
        )
    return f"{address}:{host}:{inside}/{match['protocol'] or 'tcp'}"


def _allows(allowed: str, address: str, port: int) -> bool:
    match = ALLOWED_PORT.fullmatch(allowed)
    if match is None or (match["address"] and match["address"] != address):
        return False
    return int(match["low"]) <= port <= int(match["high"] or match["low"])


def _is_address(written: str | None) -> bool:
    try:
        return written is None or bool(ipaddress.ip_address(written.strip("[]")))
    except ValueError:
        return False


def allowed_label(name: str, policy: Policy) -> bool:
    """A label of Traefik's that the policy lets sites write; Traefik does not look at case."""
    folded = name.casefold()
    return folded.startswith("traefik.") and matches(folded, tuple(pattern.casefold() for pattern in policy.labels))
