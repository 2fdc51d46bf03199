"""Every kind of drift, done by a hand through the Docker API on a real engine: named as what it is, left or healed as the site says."""

import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest
from lab.host import Host, a_host, until
from lab.images import make_image
from lab.load import Load

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("drift")]

Hand = Callable[[Host, dict[str, Any]], object]
REST = "stop_grace_period: 1s\nrollout: {min_healthy: 200ms, drain: 200ms, deadline: 60s}\n"
NAME = "{name}"
"""In what is expected: the container's name; likewise {net}, {whole}, {host}, {image} and {other}."""


@dataclass(frozen=True)
class Kind:
    """What a hand does to the container of a site of its own, and which differences that makes: field, desired, actual.

    `stays`: it is left where the site says `drift: report`; what does not run is replaced either way. `serves`: it takes requests all the
    same, so healing it must not lose one. `extra` and `image` are written into the site's file. `action`: what is done about it although
    the site says `drift: report`.
    """

    hand: Hand
    rows: set[tuple[str, str, str]]
    stays: bool = True
    extra: str = ""
    serves: bool = True
    image: str = "{abrupt}"
    action: str = ""


def inspected(host: Host, row: dict[str, Any]) -> dict[str, Any]:
    return dict(host.api.inspect_container(row["Id"]))


def again(change: Callable[[dict[str, Any]], None], *, start: bool = True) -> Hand:
    """Removes the container and makes another one of the same name and labels, changed: as a person does it with `docker run`."""

    def hand(host: Host, row: dict[str, Any]) -> None:
        found = inspected(host, row)
        body = {**found["Config"], "HostConfig": found["HostConfig"], "NetworkingConfig": {"EndpointsConfig": {host.network: {}}}}
        body.pop("Hostname")
        change(body)
        host.api.remove_container(row["Id"], force=True)
        made = host.api.create_container_from_config(body, found["Name"].lstrip("/"))["Id"]
        if start:
            host.api.start(made)

    return hand


def config(**changes: Any) -> Hand:
    return again(lambda body: body.update(changes))


def host_config(**changes: Any) -> Hand:
    return again(lambda body: body["HostConfig"].update(changes))


def updated(**changes: Any) -> Hand:
    return lambda host, row: host.api.update_container(row["Id"], **changes)


def off(host: Host, row: dict[str, Any]) -> None:
    host.api.disconnect_container_from_network(row["Id"], host.network, force=True)


def off_and_on(host: Host, row: dict[str, Any], **options: Any) -> None:
    off(host, row)
    host.api.connect_container_to_network(row["Id"], host.network, **options)


def also_on_bridge(host: Host, row: dict[str, Any]) -> None:
    host.api.connect_container_to_network(row["Id"], "bridge")


def renamed(host: Host, row: dict[str, Any]) -> None:
    host.api.rename(row["Id"], f"{row['Names'][0].lstrip('/')}-mine")


def ill(host: Host, row: dict[str, Any]) -> None:
    """Its healthcheck fails from now on."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("ill"))
    host.api.put_archive(row["Id"], "/", text.getvalue())


def one_more(host: Host, row: dict[str, Any]) -> None:
    """A copy under the name and the labels of the next replica."""
    found = inspected(host, row)
    labels = {**found["Config"]["Labels"], "shipstone.replica": "2"}
    labels.pop("shipstone.labels")
    body = {**found["Config"], "Labels": labels, "HostConfig": found["HostConfig"]}
    body.pop("Hostname")
    name = f"{found['Name'].lstrip('/').removesuffix('-1')}-2"
    host.api.start(host.api.create_container_from_config({**body, "NetworkingConfig": {"EndpointsConfig": {host.network: {}}}}, name))


def loops(host: Host, row: dict[str, Any]) -> None:
    """Made anew with a command that ends at once: the engine starts it again, ever later."""
    again(lambda body: body.update(Cmd=["/faulty", "exit", "3"]))(host, row)


def env(host: Host, row: dict[str, Any]) -> None:
    again(lambda body: body.update(Env=[*(pair for pair in body["Env"] if not pair.startswith("WORK_MS")), "V=mine", "MORE=1"]))(host, row)


def relabelled(host: Host, row: dict[str, Any]) -> None:
    def change(body: dict[str, Any]) -> None:
        key = next(key for key in body["Labels"] if key.endswith("-0.rule"))
        body["Labels"] |= {"team": "other", key: "Host(`mine.test`)"}

    again(change)(host, row)


def remounted(body: dict[str, Any]) -> None:
    mounts = [mount for mount in body["HostConfig"]["Mounts"] if mount["Type"] != "bind"]
    body["HostConfig"]["Mounts"] = [*mounts, {"Type": "bind", "Source": "/usr", "Target": "/mine", "ReadOnly": True}]


def other_image(host: Host, row: dict[str, Any]) -> None:
    config(Image=f"{host.instance}/other:1")(host, row)


def retagged(host: Host, row: dict[str, Any]) -> None:  # noqa: ARG001  the container is not touched
    host.api.tag(f"{host.instance}/other:1", f"{host.instance}/app", "1")


def paused(host: Host, row: dict[str, Any]) -> None:
    host.api.pause(row["Id"])


MIB = 1 << 20
REPORTED = "reported only: the site says drift: report"
HEALED = "healed: another one takes its place"
RECOUNTED = "counted right again"
KINDS: dict[str, Kind] = {
    "memory": Kind(updated(mem_limit=128 * MIB, memswap_limit=256 * MIB), {("mem_limit", "67108864", "134217728")}, extra="mem_limit: 64m"),
    "limits": Kind(
        lambda host, row: host.api._post_json(
            host.api._url("/containers/{0}/update", row["Id"]), {"NanoCpus": 500_000_000, "PidsLimit": 50, "CpuShares": 512}
        ).raise_for_status(),
        {("cpus", "0.25", "0.5"), ("pids_limit", "100", "50"), ("cpu_shares", "", "512")},
        extra="cpus: 0.25\npids_limit: 100",
    ),
    "restart": Kind(updated(restart_policy={"Name": "no"}), {("restart", "unless-stopped", "no")}),
    "name": Kind(renamed, {("name", NAME, f"{NAME}-mine")}),
    "disconnected": Kind(off, {("networks", "{net}", "")}, serves=False),
    "alias": Kind(lambda host, row: off_and_on(host, row, aliases=["db"]), {("aliases", "", "db")}, serves=False),
    "bridge": Kind(also_on_bridge, {("networks", "{net}", "bridge, {net}")}),
    "paused": Kind(paused, {("state", "running", "paused")}, stays=False, serves=False, action=HEALED),
    "stopped": Kind(
        lambda host, row: host.api.stop(row["Id"], timeout=0), {("state", "running", "exited")}, stays=False, serves=False, action=HEALED
    ),
    "missing": Kind(
        lambda host, row: host.api.remove_container(row["Id"], force=True),
        {("replicas", "1", "0")},
        stays=False,
        serves=False,
        action=RECOUNTED,
    ),
    "surplus": Kind(one_more, {("replicas", "1", "2")}, action=RECOUNTED),
    "unhealthy": Kind(
        ill,
        {("health", "healthy", "unhealthy")},
        extra="healthcheck: {test: [CMD, /faulty, absent, /ill], interval: 200ms, retries: 1}",
        serves=False,
        image="{faulty}",
    ),
    "restarting": Kind(loops, {("command", "/srv", "/faulty exit 3"), ("state", "running", "restarting")}, serves=False, image="{faulty}"),
    "environment": Kind(
        env, {("environment.V", "set", "another value"), ("environment.MORE", "", "set"), ("environment.WORK_MS", "set", "")}
    ),
    "command": Kind(config(Cmd=["/srv", "-x"]), {("command", "/srv", "/srv -x")}),
    "entrypoint": Kind(config(Entrypoint=["/srv"]), {("entrypoint", "", "/srv")}),
    "user": Kind(config(User="1000", StopSignal="SIGINT"), {("user", "", "1000"), ("stop_signal", "", "SIGINT")}),
    "mounts": Kind(
        again(remounted),
        {("mounts./etc/app.ini", "file conf/app.ini (read-only)", ""), ("mounts./mine", "", "bind /usr (read-only)")},
        extra="files: {/etc/app.ini: conf/app.ini}\nvolumes: ['{net}-data:/data:ro']",
    ),
    "ulimits": Kind(
        host_config(Ulimits=[{"Name": "nofile", "Soft": 500, "Hard": 1000}], Tmpfs={"/tmp": ""}),  # noqa: S108  in the container
        {("ulimits.nofile", "1000:1000", "500:1000"), ("tmpfs./tmp", "", "set")},
        extra="ulimits: {nofile: 1000}",
    ),
    "rights": Kind(
        host_config(
            CapAdd=["SYS_TIME"], CapDrop=None, ReadonlyRootfs=True, PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
        ),
        {
            ("cap_add", "", "SYS_TIME"),
            ("cap_drop", "MKNOD", ""),
            ("read_only", "False", "True"),
            ("ports", "", "127.0.0.1:0:80/tcp"),
        },
        extra="cap_drop: [MKNOD]",
    ),
    "health": Kind(
        config(Healthcheck={"Test": ["CMD", "/faulty", "absent", "/other"], "Interval": 10**9, "Retries": 3}),
        {("healthcheck.test", "CMD /faulty absent /ill", "CMD /faulty absent /other"), ("healthcheck.interval", "0.2", "1")},
        extra="healthcheck: {test: [CMD, /faulty, absent, /ill], interval: 200ms, retries: 3}",
        image="{faulty}",
    ),
    "labels": Kind(
        relabelled,
        {("labels.team", "", "other"), ("labels.traefik.http.routers.{whole}-0.rule", "Host(`{host}`)", "Host(`mine.test`)")},
        serves=False,
    ),
    "image": Kind(other_image, {("image", "{image}", "{other}")}),
    "tag": Kind(retagged, set(), image="{tag}"),
    "same": Kind(config(), set()),
}
"""By the name of its site. A tag that points elsewhere by now is no drift, nor is a container that was made anew as it was."""


class Fleet:
    """A site for each kind of drift, of one container each."""

    def __init__(self, host: Host, abrupt: str, faulty: str) -> None:
        self.host = host
        self._words = {"{abrupt}": abrupt, "{faulty}": faulty, "{tag}": f"{host.instance}/app:1", "{other}": f"{host.instance}/other:1"}
        self._words |= {"{net}": host.network, "{image}": host.api.inspect_image(abrupt)["Id"]}
        host.api.tag(abrupt, f"{host.instance}/app", "1")
        make_image(host.api, abrupt, self._words["{other}"])

    def filled(self, text: str, **words: str) -> str:
        for word, meaning in (self._words | {f"{{{word}}}": meaning for word, meaning in words.items()}).items():
            text = text.replace(word, meaning)
        return text

    def write(self, drift: str) -> None:
        files = {"shipstone.yaml": f"domain: {self.host.domain}\n", "conf/app.ini": "[app]\n"}
        for name, kind in KINDS.items():
            environment = f"{{V: '{name}', BOOT_MS: '50', WORK_MS: '0'}}"
            text = f"image: {kind.image}\nport: 80\nenvironment: {environment}\n{REST}drift: {drift}\n{kind.extra}\n"
            files[f"sites/{name}.yaml"] = self.filled(text)
        self.host.repository.commit(files, f"drift: {drift}")

    def the_one(self, site: str) -> dict[str, Any]:
        (row,) = self.host.containers(site)
        return row

    def drift(self) -> dict[str, list[dict[str, str]]]:
        """By site, what `shipstone drift` says."""
        done = self.host.shipstone("drift", "--output", "json")
        assert done.returncode in (0, 2), done.stderr
        return {name: site["differences"] for name, site in json.loads(done.stdout)["sites"].items()}

    def close(self) -> None:
        self.host.close()
        for volume in self.host.api.volumes(filters={"name": self.host.instance})["Volumes"] or ():
            self.host.api.remove_volume(volume["Name"])
        for image in ("{tag}", "{other}"):
            with contextlib.suppress(docker.errors.ImageNotFound):
                self.host.api.remove_image(self._words[image], force=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, docker_socket: str, abrupt_image: str, faulty_image: str) -> Iterator[Fleet]:
    """Every site runs and says `drift: report`; nobody looks on."""
    with a_host(tmp_path_factory.mktemp("fleet"), docker_socket, f"t{uuid.uuid4().hex[:8]}", poll="5s", told=True) as host:
        fleet = Fleet(host, abrupt_image, faulty_image)
        try:
            fleet.write("report")
            host.start_traefik()
            host.shipstone("apply", check=True)
            yield fleet
        finally:
            fleet.close()


def state_of(host: Host, site: str) -> dict[str, Any]:
    return dict(host.api.inspect_container(host.containers(site)[0]["Id"]))


def test_every_kind_is_named_left_and_healed(fleet: Fleet) -> None:
    """At first every site says `drift: report`, then `heal`; nobody who serves loses a request by that."""
    host = fleet.host
    before = {name: fleet.the_one(name) for name in KINDS}
    assert {name: rows for name, rows in fleet.drift().items() if rows} == {}, "what image and engine add is no drift"
    for name, kind in KINDS.items():
        kind.hand(host, before[name])
    until(lambda: state_of(host, "unhealthy")["State"]["Health"]["Status"] == "unhealthy", "its check failed", 30)
    until(lambda: state_of(host, "restarting")["RestartCount"] > 5, "the engine started it again and again", 60)

    def looped() -> bool:
        """Now and then it runs, for a moment."""
        rows = fleet.drift()["restarting"]
        return named(rows) == expected(fleet, "restarting", before["restarting"], KINDS["restarting"])

    until(looped, "it is seen between two starts", 60)
    found = fleet.drift()
    for name, kind in KINDS.items():
        if name != "restarting":
            assert named(found[name]) == expected(fleet, name, before[name], kind), name
        assert {row["cause"] for row in found[name]} <= {"drift"}
        assert {row["action"] for row in found[name]} <= {kind.action or REPORTED} or name == "restarting", name

    after = {name: {row["Id"] for row in host.containers(name)} for name in KINDS}
    host.shipstone("apply", "--timeout", "120")
    for name, kind in KINDS.items():
        assert ({row["Id"] for row in host.containers(name)} <= after[name]) == kind.stays, name

    line = f"127.0.0.1 memory.{host.domain}"
    host.hosts.write_text(host.hosts.read_text().replace(f"{line}\n", ""))
    fleet.write("heal")

    def to_heal() -> bool:
        """Also the unhealthy one, which has rollout.deadline to get well."""
        found = fleet.drift()
        return {row["action"] for name, kind in KINDS.items() if kind.stays for row in found[name]} == {HEALED}

    until(to_heal, "all of them are to be healed", 40)
    serving = [name for name, kind in KINDS.items() if kind.serves and kind.rows]
    with contextlib.ExitStack() as stack:
        loads = {name: stack.enter_context(Load(host.web, f"{name}.{host.domain}", clients=1, pause=0.1)) for name in serving}
        told = host.shipstone("apply", check=True).stdout
    assert f"{host.hosts} hosts: nothing, should be {line} (drift): written again" in told
    assert {name: load.seen.lost for name, load in loads.items() if load.seen.lost} == {}
    assert all(load.seen.sent for load in loads.values())
    assert {name: rows for name, rows in fleet.drift().items() if rows} == {}
    for name, kind in KINDS.items():
        row = fleet.the_one(name)
        assert (row["State"], row["Names"]) == ("running", before[name]["Names"] if name in ("tag", "same") else row["Names"])
        assert (row["Id"] in after[name]) == (not kind.rows or name == "surplus"), name


def named(rows: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    return {(row["field"], row["desired"], row["actual"]) for row in rows}


def expected(fleet: Fleet, name: str, row: dict[str, Any], kind: Kind) -> set[tuple[str, str, str]]:
    labels = row["Labels"]
    whole = f"{fleet.host.instance}-{name}-{labels['shipstone.release']}"
    words = {"name": row["Names"][0].lstrip("/"), "whole": whole, "host": f"{name}.{fleet.host.domain}"}
    return {tuple(fleet.filled(text, **words) for text in texts) for texts in kind.rows}  # type: ignore[misc]
