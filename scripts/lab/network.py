"""A network of its own for a second engine, reached from this host, and gone without a trace."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from lab.engine import LabError, lab_lock, need


class Network(NamedTuple):
    """A network namespace's name, the addresses inside it that this host reaches, and this host's address as seen from there."""

    namespace: str
    pool: str
    outside: str


@contextlib.contextmanager
def a_network() -> Iterator[Network]:
    """A second engine needs one: in the host's network, without a bridge, it would take docker0 away from the first."""
    need("ip", "nsenter")
    name = f"ship{secrets.token_hex(4)}"
    with lab_lock():
        start = _free()
        run("ip", "netns", "add", name)
        with contextlib.ExitStack() as undo:
            undo.callback(run, "ip", "netns", "delete", name)
            run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            undo.callback(run, "ip", "link", "delete", name)
            run("ip", "address", "add", f"{start}.0.1/30", "dev", name)
            run("ip", "-n", name, "address", "add", f"{start}.0.2/30", "dev", "eth0")
            for link in (["-n", name, "link", "set", "lo"], ["-n", name, "link", "set", "eth0"], ["link", "set", name]):
                run("ip", *link, "up")
            run("ip", "route", "add", f"{start}.128.0/17", "via", f"{start}.0.2")
            kept = undo.pop_all()
    with kept:
        yield Network(name, f"{start}.128.0/17", f"{start}.0.1")


@contextlib.contextmanager
def a_bridge() -> Iterator[tuple[str, str]]:
    """A bridge's name, and the addresses of whoever has it: an engine's default network, where docker0 is another's. Between these
    addresses the firewall lets everything pass: another engine's drops what it does not know."""
    need("ip", "iptables")
    name = f"ship{secrets.token_hex(4)}"
    with contextlib.ExitStack() as undo:
        with lab_lock():
            start = _free()
            run("ip", "link", "add", name, "type", "bridge")
            undo.callback(run, "ip", "link", "delete", name)
            run("ip", "address", "add", f"{start}.0.1/24", "dev", name)
        run("ip", "link", "set", name, "up")
        pool = f"{start}.0.0/16"
        rule = ("FORWARD", "--source", pool, "--destination", pool, "--jump", "ACCEPT")
        run("iptables", "--wait", "--insert", *rule)
        undo.callback(run, "iptables", "--wait", "--delete", *rule)
        yield name, pool


def beside(pool: str, bridge: str = "none") -> list[str]:
    """Options of an engine that is not the only one: addresses and a default bridge of its own, and the firewall left alone. What a
    container publishes is passed on by the engine's proxy."""
    return ["--iptables=false", f"--bridge={bridge}", "--default-address-pool", f"base={pool},size=24"]


def _free() -> str:
    """The first half of addresses that nothing on this host has."""
    taken = run("ip", "-4", "-o", "address") + run("ip", "-4", "route")
    for number in range(201, 251):
        if f" 10.{number}." not in f" {taken}".replace("\n", " "):
            return f"10.{number}"
    raise LabError("cannot make a network for a second Docker Engine: 10.201.0.0 to 10.250.0.0 are all taken.")


def run(*command: str) -> str:
    """What it printed; LabError with its first line that begins with E:, as apt tells an error, or else its last."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = [line for line in lines if line.startswith("E:")] or lines[-1:] or ["no reason given"]
        raise LabError(f"cannot run {' '.join(command[:3])}: {said[0]}")
    return done.stdout
