"""What two sites cannot both have, where many claim much: said of each, in time that grows with what is written."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.desired.claims import FEW, Claimant, Clash, clashes
from reconciler.desired.desired import DesiredService, DesiredSite
from reconciler.desired.policy import Policy
from reconciler.desired.spec import ContainerSpec, Port, Route, Volume

MOST_SECONDS = 2.0
"""Of the processor; by comparing each with each it took a minute."""
SITES, PORTS = 8, 1500


def site(name: str, *ports: Port) -> DesiredSite:
    return DesiredSite(name, "r", Route((f"{name}.test",)), (DesiredService("app", ContainerSpec("app:1", 80, ports=ports)),))


def found(sites: list[DesiredSite], had: list[DesiredSite]) -> list[Clash]:
    before = {each.name: each for each in had}
    claimants = {each.name: Claimant(each, f"sites/{each.name}.yaml", before.get(each.name)) for each in sites}
    return list(clashes(claimants, Policy(shared_hosts=("shared.test",))))


def told(clash: Clash) -> str:
    return f"{clash.site}: {clash.message.partition(' of this host')[0]} {clash.message.partition('published by ')[2].partition(' too')[0]}"


def test_thousands_of_ports() -> None:
    """Each site publishes its own, and one on an address; nobody clashes but the one that claims all of the first."""
    many = [site(f"s{n}", *(Port(1 + n * PORTS + m, 80, address="127.0.0.1") for m in range(PORTS))) for n in range(SITES)]
    evil = site("evil", *(Port(1 + m, 80) for m in range(PORTS)))
    began = time.process_time()
    rows = found([*many, evil], many)
    assert time.process_time() - began < MOST_SECONDS
    assert {told(row) for row in rows} == {f"evil: port {1 + m} sites/s0.yaml" for m in range(PORTS)}


def one(name: str, host: str, path: str = "/", **asked: Any) -> DesiredSite:
    return DesiredSite(name, "r", Route((host,), path), (DesiredService("app", ContainerSpec("app:1", 80, **asked)),))


@pytest.mark.parametrize("what", ["port", "host name", "path of a shared name", "volume"])
def test_where_all_claim_one_only_few_are_named(what: str) -> None:
    made: dict[str, Callable[[str], DesiredSite]] = {
        "port": lambda name: one(name, f"{name}.test", ports=(Port(80, 80),)),
        "host name": lambda name: one(name, "all.test"),
        "path of a shared name": lambda name: one(name, "shared.test", "/same"),
        "volume": lambda name: one(name, f"{name}.test", volumes=(Volume("volume", "data", "/data", read_only=False),)),
    }
    everyone = [made[what](f"s{n:04}") for n in range(2000)]
    began = time.process_time()
    rows = found(everyone, [])
    assert time.process_time() - began < MOST_SECONDS
    assert [row.site for row in rows] == [each.name for each in everyone]
    assert {row.message.count("sites/") for row in rows} == {FEW}


def test_addresses_and_protocols() -> None:
    """One without an address is on all; of two that claim one, whoever had it is told nothing."""
    sites = [
        site("all", Port(80, 80)),
        site("local", Port(80, 80, address="127.0.0.1")),
        site("other", Port(80, 80, address="10.0.0.1")),
        site("udp", Port(80, 80, "udp")),
    ]
    assert {told(row) for row in found(sites, [])} == {
        "all: port 80 sites/local.yaml, sites/other.yaml",
        "local: port 80 sites/all.yaml",
        "other: port 80 sites/all.yaml",
    }
    assert {told(row) for row in found(sites, [sites[1]])} == {
        "all: port 80 sites/local.yaml, sites/other.yaml",
        "other: port 80 sites/all.yaml",
    }
    assert {told(row) for row in found(sites[:2], [site("local", Port(80, 80))])} == {"all: port 80 sites/local.yaml"}
