"""What the engine is told of a healthcheck: what nobody said is filled in, by what the engine knows."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.desired.spec import Check, ContainerSpec, Device, NewContainer, Port
from reconciler.world.docker_config import Hardening, container_config

NEW = NewContainer("x", "image", ContainerSpec("image", 80), (), "net", deadline=60.0)
TEST = ("CMD", "/check")
S = 10**9


@pytest.mark.parametrize(
    ("check", "of_image", "modern", "old"),
    [
        (None, None, None, None),
        (None, {"Test": ["NONE"]}, None, None),
        (Check(("NONE",)), {"Test": ["CMD", "/own"]}, {"Test": ["NONE"]}, {"Test": ["NONE"]}),
        (None, {"Test": ["CMD", "/own"]}, {"StartPeriod": 60 * S, "StartInterval": S // 2}, {"StartPeriod": 60 * S, "Interval": 2 * S}),
        (None, {"Test": ["CMD", "/own"], "Interval": 9 * S}, {"StartPeriod": 60 * S, "StartInterval": S // 2}, {"StartPeriod": 60 * S}),
        (None, {"Test": ["CMD", "/own"], "StartInterval": S}, {"StartPeriod": 60 * S}, {"StartPeriod": 60 * S, "Interval": 2 * S}),
        (
            Check(TEST),
            None,
            {"Test": ["CMD", "/check"], "StartPeriod": 60 * S, "StartInterval": S // 2},
            {"Test": ["CMD", "/check"], "StartPeriod": 60 * S, "Interval": 2 * S},
        ),
        (
            Check(TEST, interval=5.0, timeout=1.0, retries=4, start_period=7.0, start_interval=2.0),
            {"Test": ["CMD", "/own"]},
            {"Test": ["CMD", "/check"], "Interval": 5 * S, "Timeout": S, "Retries": 4, "StartPeriod": 7 * S, "StartInterval": 2 * S},
            {"Test": ["CMD", "/check"], "Interval": 5 * S, "Timeout": S, "Retries": 4, "StartPeriod": 7 * S, "StartInterval": 2 * S},
        ),
    ],
)
def test_a_healthcheck(check: Check | None, of_image: dict[str, Any] | None, modern: Any, old: Any) -> None:
    """`modern` engines know StartInterval, `old` ones do not."""
    new = replace(NEW, spec=replace(NEW.spec, healthcheck=check))
    for knows, wanted in ((True, modern), (False, old)):
        assert container_config(new, str, of_image, start_interval=knows).get("Healthcheck") == wanted


@pytest.mark.parametrize(("written", "made"), [("always", "unless-stopped"), ("unless-stopped", "unless-stopped"), ("no", "no")])
def test_what_was_stopped_on_purpose_stays_so_when_the_engine_starts(written: str, made: str) -> None:
    """Two releases would write to one volume."""
    new = NewContainer("c", "i", ContainerSpec("i", 80, restart=written), (), "n")
    assert container_config(new, str)["HostConfig"]["RestartPolicy"] == {"Name": made}


def test_the_deadline_is_no_part_of_the_release() -> None:
    """Only the engine hears of it: the labels describe what is written."""
    assert replace(NEW, deadline=5.0).spec == NEW.spec


def test_what_the_policy_gave_is_asked_of_the_engine_and_nothing_more() -> None:
    bare = container_config(NEW, str)["HostConfig"]
    assert not {"Privileged", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "Devices", "PortBindings", "SecurityOpt", "LogConfig"} & set(
        bare
    )
    spec = replace(
        NEW.spec,
        privileged=True,
        namespaces=("ipc", "pid", "userns", "uts"),
        devices=(Device("/dev/fuse", "/dev/x", "r"),),
        ports=(Port(5432, 5432, "tcp", "127.0.0.1"), Port(53, 53, "udp")),
    )
    body = container_config(replace(NEW, spec=spec), str)
    given = {key: value for key, value in body["HostConfig"].items() if bare.get(key) != value}
    assert given == {
        "Privileged": True,
        "IpcMode": "host",
        "PidMode": "host",
        "UsernsMode": "host",
        "UTSMode": "host",
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}],
        "PortBindings": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5432"}], "53/udp": [{"HostIp": "", "HostPort": "53"}]},
    }
    assert body["ExposedPorts"] == {"5432/tcp": {}, "53/udp": {}}


def test_what_the_host_gives_without_asking_is_told_to_the_engine_alone() -> None:
    hardening = Hardening(no_new_privileges=True, pids_limit=100, log=(("max-size", "1m"),))
    body = container_config(NEW, str, hardening=hardening)
    host = body["HostConfig"]
    assert (host["SecurityOpt"], host["PidsLimit"]) == (["no-new-privileges"], 100)
    assert host["LogConfig"] == {"Type": "", "Config": {"max-size": "1m"}}
    assert body["Labels"] == {"shipstone.pids": "100"}
    own = container_config(replace(NEW, spec=replace(NEW.spec, pids_limit=7)), str, hardening=hardening)
    assert (own["HostConfig"]["PidsLimit"], own["Labels"]) == (7, {}), "what the site says counts"


@pytest.mark.parametrize(("written", "made"), [(0.0, 0), (0.5, 1), (2.0, 2), (2.5, 3)])
def test_a_grace_is_never_shorter_than_written(written: float, made: int) -> None:
    """The engine takes whole seconds, and kills at once for 0."""
    assert container_config(replace(NEW, spec=replace(NEW.spec, stop_grace_period=written)), str)["StopTimeout"] == made
