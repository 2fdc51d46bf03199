"""Drift, field by field: what Shipstone makes differs in nothing, and each thing that a hand changes is named as what it is."""

import copy
import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.release import container_name, fingerprint
from reconciler.desired.spec import Check, ContainerSpec, Device, FileMount, NewContainer, Port, Route, Volume
from reconciler.planning.diff import Difference, counted
from reconciler.planning.drift import drifted
from reconciler.planning.labels import container_labels
from reconciler.planning.observed import Container
from reconciler.planning.seen import Names
from reconciler.world.docker_config import container_config
from reconciler.world.docker_live import live_fields

NAMES = Names("t", "t_net", "web")
DIGEST = "sha256:" + "d" * 64
ROUTE = Route(("shop.test",))
FULL = ContainerSpec(
    image="app:1",
    port=80,
    command=("serve", "--name=a b"),
    entrypoint=("/entry",),
    environment=(("A", "1"), ("B", "")),
    user="1000:1000",
    working_dir="/srv",
    read_only=True,
    init=True,
    tmpfs=("/tmp:size=1m", "/run"),  # noqa: S108  in the container
    volumes=(Volume("volume", "data", "/data"), Volume("bind", "/srv/x", "/x", read_only=True)),
    files=(FileMount("/etc/app.ini", "conf/app.ini", "f" * 64),),
    healthcheck=Check(("CMD", "/check"), interval=5.0, retries=2, start_interval=0.5),
    restart="always",
    stop_grace_period=3.0,
    stop_signal="SIGINT",
    cap_add=("NET_BIND_SERVICE",),
    cap_drop=("ALL",),
    ulimits=(("nofile", 100, 200),),
    mem_limit=64 << 20,
    cpus=0.5,
    pids_limit=100,
    labels=(("team", "shop"),),
    ports=(Port(5353, 53, "udp", "127.0.0.1"),),
    devices=(Device("/dev/null", "/dev/x"),),
    namespaces=("uts",),
    extra_hosts=("db:10.0.0.5",),
)
BARE = ContainerSpec(image="app:1", port=80)
IMAGE: dict[str, Any] = {
    "Env": ["PATH=/bin", "LANG=C"],
    "Cmd": ["/srv"],
    "Entrypoint": ["/init", "--"],
    "User": "app",
    "WorkingDir": "/home",
    "StopSignal": "SIGQUIT",
    "Labels": {"maintainer": "someone"},
    "Volumes": {"/var/lib/app": {}},
    "Healthcheck": {"Test": ["CMD", "/well"], "Interval": 30 * 10**9},
}
Row = dict[str, Any]


def made(spec: ContainerSpec, image: Row) -> Row:
    """What an engine says of a container that Shipstone made of it, with what images and engines add by themselves."""
    release = fingerprint({"web": spec}, ROUTE)
    site = DesiredSite("shop", release, ROUTE, (DesiredService("web", spec, 1),), Timing(), heal=True, commit="c0ffee")
    labels = container_labels("t", "t_net", "web", site, site.services[0], 1, DIGEST)
    name = container_name("t", "shop", "web", release, 1)
    new = NewContainer(name, DIGEST, spec, tuple(labels.items()), "t_net")
    body = container_config(new, lambda digest: f"/state/files/{digest}", image.get("Healthcheck"))
    host = body["HostConfig"]
    host["CapAdd"] = [f"CAP_{name}" for name in host["CapAdd"]]
    host["Ulimits"] = [*host["Ulimits"], {"Name": "memlock", "Soft": -1, "Hard": -1}]
    host |= {"MemorySwap": 2 * host.get("Memory", 0), "Dns": [], "ShmSize": 64 << 20, "IpcMode": "private"}
    config = {key: value for key, value in body.items() if key not in ("HostConfig", "NetworkingConfig")}
    config["Env"] = [*body["Env"], *(pair for pair in image.get("Env", ()) if pair.split("=")[0] not in dict(spec.environment))]
    config["Labels"] = {**image.get("Labels", {}), **body["Labels"]}
    config["Healthcheck"] = {**image.get("Healthcheck", {}), **body.get("Healthcheck", {})}
    for key in ("User", "WorkingDir", "StopSignal"):
        config.setdefault(key, image.get(key, ""))
    if not body.get("Entrypoint"):
        config.setdefault("Cmd", image.get("Cmd"))
        config.setdefault("Entrypoint", image.get("Entrypoint"))
    mounts = [mount(row["Type"], row["Source"], row["Target"], not row["ReadOnly"]) for row in host["Mounts"]]
    mounts += [mount("volume", "0" * 64, target, writable=True) for target in image.get("Volumes", ())]
    return {
        "Id": "1" * 64,
        "Name": f"/{name}",
        "Image": DIGEST,
        "Config": {**config, "Hostname": "1" * 12},
        "HostConfig": host,
        "Mounts": mounts,
        "NetworkSettings": {"Networks": {"t_net": {"Aliases": ["1" * 12]}}},
        "State": {"StartedAt": "2026-01-01T00:00:00Z"},
    }


def mount(kind: str, source: str, target: str, writable: bool) -> Row:
    named = {"Name": source, "Source": f"/var/lib/docker/volumes/{source}/_data"} if kind == "volume" else {"Source": source}
    return {"Type": kind, **named, "Destination": target, "RW": writable}


def differences(row: Row, image: Row | None = IMAGE, *, reconnected: bool = False) -> set[tuple[str, str, str]]:
    live = live_fields(row, image, reconnected=reconnected)
    c = Container(row["Id"], row["Name"].lstrip("/"), "running", "none", row["Config"]["Labels"], "10.0.0.2", live=live)
    found = drifted(c, NAMES)
    assert all((one.service, one.container, one.cause) == ("web", c.name, "drift") for one in found)
    assert drifted(c, NAMES) is found, "an inspection is compared once"
    return {(one.field, one.desired, one.actual) for one in found}


@pytest.mark.parametrize("image", [{}, IMAGE], ids=["plain image", "image with defaults"])
@pytest.mark.parametrize("spec", [BARE, FULL], ids=["bare", "full"])
def test_what_shipstone_made_differs_in_nothing(spec: ContainerSpec, image: Row) -> None:
    """Whatever the image says by default, and the engine adds by itself."""
    assert differences(made(spec, image), image) == set()


@pytest.mark.parametrize(("grace", "rounded"), [(0.5, 0), (0.5, 1), (1.5, 2), (2.5, 2), (2.5, 3)])
def test_a_grace_is_whole_seconds_for_the_engine_however_it_was_rounded(grace: float, rounded: int) -> None:
    """No container is replaced for that."""
    row = made(replace(BARE, stop_grace_period=grace), {})
    row["Config"]["StopTimeout"] = rounded
    assert differences(row, {}) == set()
    row["Config"]["StopTimeout"] = 9
    assert differences(row, {}) == {("stop_grace_period", str(math.ceil(grace)), "9")}


def test_an_inspection_that_is_over_is_not_kept() -> None:
    """It may hold what is secret, and there is a new one after each event."""
    row = made(BARE, {})
    c = Container(row["Id"], row["Name"].lstrip("/"), "running", "none", row["Config"]["Labels"], "10.0.0.2", live=live_fields(row, {}))
    drifted(c, NAMES)
    kept = weakref.ref(c.live)
    del c
    gc.collect()
    assert kept() is None


def config(**changes: Any) -> Callable[[Row], None]:
    return lambda row: row["Config"].update(changes)


def host_config(**changes: Any) -> Callable[[Row], None]:
    return lambda row: row["HostConfig"].update(changes)


def labelled(**changes: str | None) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        labels = row["Config"]["Labels"]
        for key, value in changes.items():
            name = next((there for there in labels if there.endswith(key.replace("__", "."))), key.replace("__", "."))
            if value is None:
                del labels[name]
            else:
                labels[name] = value

    return change


def networks(**rows: Any) -> Callable[[Row], None]:
    return lambda row: row["NetworkSettings"].update(Networks=rows)


def mounted(*rows: Row) -> Callable[[Row], None]:
    return lambda row: row.update(Mounts=list(rows))


def renamed(row: Row) -> None:
    row["Name"] = "/mine"


FULL_NAME = container_name("t", "shop", "web", fingerprint({"web": FULL}, ROUTE), 1)
WHOLE = f"t-shop-{fingerprint({'web': FULL}, ROUTE)}"
DATA, BIND = mount("volume", "data", "/data", writable=True), mount("bind", "/srv/x", "/x", writable=False)
FILE = mount("bind", "/elsewhere/" + "f" * 64, "/etc/app.ini", writable=False)
HANDS: dict[str, tuple[Callable[[Row], None], set[tuple[str, str, str]]]] = {
    "name": (renamed, {("name", FULL_NAME, "mine")}),
    "another value, and one more": (
        config(Env=["A=2", "B=", "C=3", "PATH=/bin", "LANG=C"]),
        {("environment.A", "set", "another value"), ("environment.C", "", "set")},
    ),
    "one of the image's is missing": (config(Env=["A=1", "B=", "LANG=C"]), {("environment.PATH", "set", "")}),
    "command": (config(Cmd=["serve", "--name=a", "b"]), {("command", "serve '--name=a b'", "serve --name=a b")}),
    "entrypoint": (config(Entrypoint=None), {("entrypoint", "/entry", "")}),
    "user": (config(User=""), {("user", "1000:1000", "")}),
    "working_dir": (config(WorkingDir="/"), {("working_dir", "/srv", "/")}),
    "stop_signal": (config(StopSignal="SIGTERM"), {("stop_signal", "SIGINT", "")}),
    "stop_grace_period": (config(StopTimeout=None), {("stop_grace_period", "3", "10")}),
    "image": (config(Image="app:2"), {("image", DIGEST, "app:2")}),
    "health test": (
        config(Healthcheck={"Test": ["NONE"]}),
        {
            ("healthcheck.test", "CMD /check", ""),
            ("healthcheck.interval", "5", ""),
            ("healthcheck.retries", "2", ""),
        },
    ),
    "health interval": (
        config(Healthcheck={"Test": ["CMD", "/check"], "Interval": 60 * 10**9, "Retries": 2}),
        {("healthcheck.interval", "5", "60")},
    ),
    "memory": (
        host_config(Memory=32 << 20, MemorySwap=-1),
        {("mem_limit", "67108864", "33554432")},
    ),
    "swap": (host_config(MemorySwap=512 << 20), {("memswap_limit", "", "536870912")}),
    "cpus": (host_config(NanoCpus=10**9), {("cpus", "0.5", "1")}),
    "pids": (host_config(PidsLimit=-1), {("pids_limit", "100", "")}),
    "ulimits": (host_config(Ulimits=[{"Name": "nofile", "Soft": 1, "Hard": 200}]), {("ulimits.nofile", "100:200", "1:200")}),
    "restart": (host_config(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3}), {("restart", "always", "on-failure:3")}),
    "restart, as it is written": (host_config(RestartPolicy={"Name": "always", "MaximumRetryCount": 0}), set()),
    "read_only": (host_config(ReadonlyRootfs=False), {("read_only", "True", "False")}),
    "init": (host_config(Init=None), {("init", "True", "")}),
    "cap_add": (host_config(CapAdd=None), {("cap_add", "NET_BIND_SERVICE", "")}),
    "extra_hosts": (host_config(ExtraHosts=["db:10.0.0.6"]), {("extra_hosts", "db:10.0.0.5", "db:10.0.0.6")}),
    "tmpfs": (host_config(Tmpfs={"/run": "", "/x": ""}), {("tmpfs./tmp", "size=1m", ""), ("tmpfs./x", "", "set")}),
    "privileged, with a port": (
        host_config(Privileged=True, PortBindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        {("privileged", "False", "True"), ("ports", "127.0.0.1:5353:53/udp", "8080:80/tcp")},
    ),
    "what docker update takes": (
        host_config(CpuShares=512, CpusetCpus="0", MemoryReservation=1 << 20, BlkioWeight=100),
        {("cpu_shares", "", "512"), ("cpuset", "", "0"), ("mem_reservation", "", "1048576"), ("blkio_weight", "", "100")},
    ),
    "the host's process ids": (host_config(PidMode="host", IpcMode="host"), {("namespaces", "uts", "ipc pid uts")}),
    "another network": (networks(t_net={}, other={}), {("networks", "t_net", "other, t_net")}),
    "no network": (networks(), {("networks", "t_net", "")}),
    "alias": (networks(t_net={"Aliases": ["1" * 12, "db"]}), {("aliases", "", "db")}),
    "a mount is missing, one writable, another file": (
        mounted(mount("bind", "/srv/x", "/x", writable=True), mount("bind", "/root/mine", "/etc/app.ini", writable=False)),
        {
            ("mounts./data", "volume data", ""),
            ("mounts./x", "bind /srv/x (read-only)", "bind /srv/x"),
            ("mounts./etc/app.ini", "file conf/app.ini (read-only)", "bind /root/mine (read-only)"),
        },
    ),
    "one mount more": (
        mounted(DATA, BIND, FILE, mount("bind", "/", "/host", writable=True)),
        {("mounts./host", "", "bind /")},
    ),
    "a file of the repository that can be written to": (
        mounted(DATA, BIND, {**FILE, "RW": True}),
        {("mounts./etc/app.ini", "file conf/app.ini (read-only)", f"bind /elsewhere/{'f' * 64}")},
    ),
    "the host's own where the image has a volume": (
        mounted(DATA, BIND, FILE, mount("bind", "/srv/mine", "/var/lib/app", writable=True)),
        {("mounts./var/lib/app", "", "bind /srv/mine")},
    ),
    "a label of one's own": (labelled(team="other", more="1"), {("labels.team", "shop", "other"), ("labels.more", "", "1")}),
    "the image's label": (labelled(maintainer="me"), {("labels.maintainer", "", "me")}),
    "a label of Traefik": (
        labelled(rule="Host(`mine.test`)", traefik__x="1"),
        {
            (f"labels.traefik.http.routers.{WHOLE}-0.rule", "Host(`shop.test`)", "Host(`mine.test`)"),
            ("labels.traefik.x", "", "1"),
        },
    ),
    "a label of Traefik is missing": (
        labelled(server__weight=None),
        {(f"labels.traefik.http.services.{WHOLE}.loadbalancer.server.weight", "1", "")},
    ),
}


@pytest.mark.parametrize("hand", HANDS)
def test_what_a_hand_changed_is_named(hand: str) -> None:
    """And nothing else."""
    change, expected = HANDS[hand]
    row = copy.deepcopy(made(FULL, IMAGE))
    change(row)
    assert differences(row) == expected


def test_a_label_of_ours_that_was_changed_is_told_by_the_digest() -> None:
    """There is nothing to compare it with."""
    row = made(FULL, IMAGE)
    seal = row["Config"]["Labels"]["shipstone.labels"]
    row["Config"]["Labels"]["shipstone.commit"] = "mine"
    ((field, desired, actual),) = differences(row)
    assert (field, desired == seal, actual == seal) == ("labels.shipstone.labels", False, True)


def test_a_spec_that_cannot_be_read_is_one_difference() -> None:
    row = made(FULL, IMAGE)
    row["Config"]["Labels"]["shipstone.spec"] = "{"
    assert {field for field, _, _ in differences(row)} == {"labels.shipstone.spec"}


def test_containers_of_a_version_that_took_no_digest_of_labels_are_left_alone() -> None:
    """Routing labels may have been others then."""
    row = made(FULL, IMAGE)
    labels = row["Config"]["Labels"]
    del labels["shipstone.labels"]
    labels["traefik.http.routers.x.priority"] = "7"
    assert differences(row) == set()


def test_a_network_that_was_connected_again_is_told() -> None:
    """Traefik does not look again: the address may be another one."""
    assert differences(made(BARE, {}), {}, reconnected=True) == {("networks", "t_net", "t_net (connected again)")}


def test_without_the_image_nothing_is_said_of_what_it_may_have_said() -> None:
    """A limit is a hand's all the same."""
    row = made(FULL, IMAGE)
    row["HostConfig"]["NanoCpus"] = 10**9
    assert differences(row, None) == {("cpus", "0.5", "1")}


def test_an_environment_never_says_a_value() -> None:
    row = made(FULL, IMAGE)
    row["Config"]["Env"] = ["A=geheim", "NEW=geheim"]
    assert "geheim" not in repr(differences(row))


def test_the_image_decides_where_nothing_is_written() -> None:
    """A command that a hand gave is told against the image's."""
    row = made(BARE, IMAGE)
    row["Config"] |= {"Cmd": ["/other"], "User": "root"}
    row["Config"]["Healthcheck"] = {"Test": ["NONE"]}
    assert differences(row) == {("command", "/srv", "/other"), ("user", "app", "root"), ("healthcheck.test", "CMD /well", "")}


def count(
    replicas: int, *containers: tuple[str, str], before: int | None = None, wrong: tuple[str, ...] = ()
) -> set[tuple[str, str, str, str, str]]:
    site = DesiredSite("shop", "r", ROUTE, (DesiredService("web", BARE, replicas),), Timing())
    labels = {"shipstone.site": "shop", "shipstone.service": "web", "shipstone.release": "r"}
    rows = [Container(f"c{n}", f"c{n}", state, health, labels, None) for n, (state, health) in enumerate(containers)]  # type: ignore[arg-type]
    found: tuple[Difference, ...] = counted(site, rows, None if before is None else {"web": before}, wrong)
    return {(row.container, row.field, row.desired, row.actual, row.cause) for row in found}


def test_replicas_are_counted() -> None:
    """Missing, surplus, in a state that is not running, not well."""
    well, gone = ("running", "none"), ("exited", "none")
    assert count(1, well) == set()
    assert count(2, well) == {("", "replicas", "2", "1", "drift")}
    assert count(1, well, well) == {("", "replicas", "1", "2", "drift")}
    assert count(2, well, gone) == {("c1", "state", "running", "exited", "drift")}
    assert count(1, ("restarting", "none")) == {("c0", "state", "running", "restarting", "drift")}
    assert count(1, ("paused", "none")) == {("c0", "state", "running", "paused", "drift")}
    assert count(1, ("running", "unhealthy")) == {("c0", "health", "healthy", "unhealthy", "drift")}


def test_one_that_ended_beside_enough_others_is_no_difference() -> None:
    """A replica too many that was just stopped, and one that crashed when another is in its place: they are only taken away."""
    well = ("running", "none")
    for state in ("exited", "removing", "dead"):
        assert count(1, well, (state, "none")) == set()
        assert count(1, well, (state, "none"), before=2) == set()
        assert count(2, well, well, (state, "none"), wrong=("c0",)) == set()
        assert count(0, (state, "none"), before=1) == set()
    assert count(1, well, well, ("exited", "none")) == {("", "replicas", "1", "2", "drift")}
    assert ("c1", "state", "running", "paused", "drift") in count(1, well, ("paused", "none"))


def test_one_that_is_being_replaced_is_counted_until_its_replacement_is_there() -> None:
    """Neither missing before, nor surplus meanwhile: that is Shipstone's own doing."""
    well = ("running", "none")
    assert count(2, well, well, wrong=("c0",)) == set()
    assert count(2, well, well, well, wrong=("c0",)) == set()
    assert count(2, well, wrong=("c0",)) == {("", "replicas", "2", "1", "drift")}
    assert count(2, well, well, well, well, wrong=("c0",)) == {("", "replicas", "2", "3", "drift")}


def test_another_number_that_was_written_is_a_commit() -> None:
    well = ("running", "none")
    assert count(2, well, before=1) == {("", "replicas", "2", "1", "commit")}
    assert count(2, well, before=2) == {("", "replicas", "2", "1", "drift")}


def test_how_an_image_writes_its_folders_is_no_difference() -> None:
    """The engine takes a slash at the end away, of a volume and of a working directory; and nobody counts empty words."""
    image = {"Volumes": {"/data/": {}}, "WorkingDir": "/app/", "Entrypoint": ["/entry"]}
    row = made(BARE, image)
    row["Config"]["WorkingDir"] = "/app"
    row["Mounts"] = [mount("volume", "0" * 64, "/data", writable=True)]
    assert differences(row, image) == set()
    spec = replace(BARE, entrypoint=("/app", ""), working_dir="/srv/")
    row = made(spec, {})
    row["Config"]["WorkingDir"] = "/srv"
    assert differences(row, {}) == set()
