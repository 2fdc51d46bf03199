"""One contract for both engines: what holds on the real one holds in memory, so that thousands of cases may run there."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from lab.host import remove_network, until
from lab.images import FAULTY, make_faulty, make_image, provide

from reconciler.desired.spec import Check, ContainerSpec, FileMount, NewContainer, Volume
from reconciler.errors import EngineError, NotFoundError
from reconciler.planning.capacity import PORTS
from reconciler.planning.observed import Capacity, Container
from reconciler.world.docker import DockerEngine
from reconciler.world.engine import Engine, Event
from reconciler.world.memory import Behaviour, MemoryEngine
from tests.faults.engine_relay import Harm, Kept, relayed

ABSENT = "127.0.0.1:1/none:1"


@dataclass(frozen=True)
class Bench:
    """An engine, and hands that do to it what its users do."""

    engine: Engine
    instance: str
    image: str
    destroy: Callable[[str], object]
    pause: Callable[[str], object]
    rename: Callable[[str, str], object]
    update: Callable[[str, int], object]
    kill: Callable[[str], object]
    crash: Callable[[str], object]
    foreign: Callable[..., str]
    volumes: Callable[[], set[str]]
    own_image: Callable[[str, str], object]
    """Makes an image with these two names."""

    @property
    def network(self) -> str:
        return f"{self.instance}_net"

    def new(self, n: int = 1, **changes: Any) -> NewContainer:
        spec = replace(ContainerSpec(image=self.image, port=80, environment=(("BOOT_MS", "0"), ("V", "one"))), **changes)
        labels = {"shipstone.instance": self.instance, "shipstone.site": "shop", "traefik.docker.network": self.network, "mine": "1"}
        return NewContainer(f"{self.instance}-shop-{n}", self.image, spec, tuple(sorted(labels.items())), self.network)

    def one(self) -> Container:
        (container,) = self.engine.containers()
        return container


@pytest.fixture(params=["memory", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest, instance: str) -> Iterator[Bench]:
    if request.param == "memory":
        yield in_memory(instance)
    else:
        yield from on_docker(instance, request.getfixturevalue("docker_socket"), request.getfixturevalue("abrupt_image"))


def in_memory(instance: str) -> Bench:
    engine = MemoryEngine(instance, f"{instance}_net")
    engine.images = {"app:1": Behaviour()}
    engine.limits = Capacity(PORTS, memory=2**30, disk=2**30)

    def foreign(name: str, labels: dict[str, str], *volumes: str) -> str:
        return engine.run(name, "app:1", labels, *volumes)

    def own_image(name: str, other: str) -> None:
        engine.images[name] = Behaviour()
        engine.tags[other] = name

    hands = (engine.destroy, engine.pause, engine.rename, engine.update, engine.kill, engine.crash)
    return Bench(engine, instance, "app:1", *hands, foreign, lambda: engine.volumes, own_image)


def on_docker(instance: str, socket: str, image: str) -> Iterator[Bench]:
    engine = DockerEngine(socket, instance, f"{instance}_net", lambda digest: f"/etc/{digest}")
    api = docker.APIClient(base_url=socket, version="auto")

    def foreign(name: str, labels: dict[str, str], *volumes: str) -> str:
        mounts = [{"Type": "volume", "Source": volume, "Target": f"/{volume}"} for volume in volumes]
        body = {"Image": image, "Labels": labels, "HostConfig": {"Mounts": mounts}}
        made = str(api.create_container_from_config(body, name)["Id"])
        others.append(made)
        api.start(made)
        return made

    def own_image(name: str, other: str) -> None:
        make_image(api, image, name)
        api.tag(name, *other.split(":"))
        images.extend((name, other))

    others: list[str] = []
    images: list[str] = []
    yield Bench(
        engine,
        instance,
        image,
        lambda c: api.remove_container(c, force=True),
        api.pause,
        api.rename,
        lambda c, size: api.update_container(c, mem_limit=size, memswap_limit=2 * size),
        api.kill,
        lambda c: os.kill(api.inspect_container(c)["State"]["Pid"], signal.SIGKILL),
        foreign,
        lambda: {row["Name"] for row in api.volumes(filters={"name": instance})["Volumes"] or ()},
        own_image,
    )
    mine = api.containers(all=True, quiet=True, filters={"label": f"shipstone.instance={instance}"})
    for made in [*others, *(row["Id"] for row in mine)]:
        api.remove_container(made, force=True)
    for name in images:
        with suppress(docker.errors.ImageNotFound):
            api.remove_image(name)
    for row in api.volumes(filters={"name": instance})["Volumes"] or ():
        api.remove_volume(row["Name"])
    remove_network(api, instance, f"{instance}_net")
    api.close()


def test_the_network_is_made_once_under_its_own_name(bench: Bench) -> None:
    assert bench.engine.network_exists() is False
    assert bench.engine.ensure_network() is True
    assert bench.engine.ensure_network() is False
    assert bench.engine.network_exists() is True


def test_a_container_is_listed_as_it_was_made(bench: Bench) -> None:
    bench.engine.ensure_network()
    new = bench.new(mem_limit=64 * 1024**2, restart="no")
    made = bench.engine.create_and_start(new)
    c = bench.one()
    assert (c.id, c.name, c.state, c.health, c.restarts) == (made, new.name, "running", "none", 0)
    assert dict(new.labels).items() <= dict(c.labels).items()
    assert c.address
    assert c.live is not None
    assert c.live["networks"] == (bench.network,)
    assert (c.live["image"], c.live["restart"], c.live["mem_limit"]) == (bench.image, "no", 64 * 1024**2)
    assert c.live["environment"]["V"] == "one"


def test_containers_of_busy_sites_are_listed_without_an_inspection(bench: Bench) -> None:
    bench.engine.ensure_network()
    bench.engine.create_and_start(bench.new())
    (c,) = bench.engine.containers(frozenset({"shop"}))
    assert (c.state, c.live) == ("running", None)
    assert bench.one().live is not None


def test_a_healthcheck_is_waited_for(bench: Bench) -> None:
    bench.engine.ensure_network()
    bench.engine.create_and_start(bench.new(healthcheck=Check(("CMD", "/srv"), interval=60.0)))
    assert bench.one().health == "starting"


def test_what_ends_by_itself_is_counted(bench: Bench) -> None:
    """A restart policy starts it again; without one it stays as it ended."""
    bench.engine.ensure_network()
    again = bench.engine.create_and_start(bench.new(1))
    for_good = bench.engine.create_and_start(bench.new(2, restart="no"))
    assert {c.restarts for c in bench.engine.containers()} == {0}
    for made in (again, for_good):
        bench.crash(made)

    def seen() -> bool:
        bench.engine.resync()
        by_id = {c.id: c for c in bench.engine.containers()}
        rows = [(by_id[made].state, by_id[made].restarts) for made in (again, for_good)]
        return rows == [("running", 1), ("exited", 0)] and by_id[for_good].exit_code == 137 and by_id[again].up < 10

    until(seen, "one restarted, the other not", 30)


def test_a_name_that_is_taken_is_said(bench: Bench) -> None:
    bench.engine.ensure_network()
    bench.engine.create_and_start(bench.new())
    with pytest.raises(EngineError, match=f"cannot create {bench.new().name}: "):
        bench.engine.create_and_start(bench.new())


def test_a_name_that_somebody_else_has_is_said_with_its_owner(bench: Bench) -> None:
    bench.engine.ensure_network()
    foreign = bench.foreign(bench.new().name, {})
    why = f"cannot create {bench.new().name}: a container that is not Shipstone's has this name: {foreign[:12]} of image "
    with pytest.raises(EngineError, match=why):
        bench.engine.create_and_start(bench.new())
    assert bench.engine.containers() == ()


def test_without_the_network_nothing_is_left_behind(bench: Bench) -> None:
    with pytest.raises(EngineError):
        bench.engine.create_and_start(bench.new())
    assert bench.engine.containers() == ()


def test_what_cannot_start_is_removed_again(bench: Bench) -> None:
    bench.engine.ensure_network()
    with pytest.raises(EngineError, match=f"cannot start {bench.new().name}: "):
        bench.engine.create_and_start(bench.new(entrypoint=("/nonexistent",)))
    assert bench.engine.containers() == ()


def test_what_is_created_runs_only_once_it_is_started(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create(bench.new())
    assert (bench.one().state, bench.one().address, bench.one().live) == ("created", None, None)
    bench.engine.start_new(made, bench.new())
    assert (bench.one().id, bench.one().state) == (made, "running")
    assert bench.one().live is not None


def test_what_was_created_and_cannot_start_is_removed(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create(bench.new(entrypoint=("/nonexistent",)))
    with pytest.raises(EngineError, match=f"cannot start {bench.new().name}: "):
        bench.engine.start_new(made, bench.new())
    assert bench.engine.containers() == ()
    bench.engine.remove(bench.engine.create(bench.new()))
    assert bench.engine.containers() == ()


def test_stop_then_remove_and_gone_already_is_fine(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create_and_start(bench.new())
    with pytest.raises(EngineError):
        bench.engine.remove(made)
    bench.engine.stop(made, grace=1)
    assert bench.one().state == "exited"
    bench.engine.stop(made, grace=1)
    bench.engine.remove(made)
    assert bench.engine.containers() == ()
    bench.engine.stop(made, grace=1)
    bench.engine.remove(made)


def test_a_paused_container_can_be_removed(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create_and_start(bench.new())
    bench.pause(made)
    assert bench.one().state == "paused"
    bench.engine.remove(made)
    assert bench.engine.containers() == ()


def test_volumes_stay(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create_and_start(bench.new(volumes=(Volume("volume", f"{bench.instance}-data", "/data"),)))
    bench.engine.stop(made, grace=0)
    bench.engine.remove(made)
    assert bench.volumes() == {f"{bench.instance}-data"}


def test_who_mounts_a_volume(bench: Bench) -> None:
    """Whether it runs or not; a folder of that name is no volume."""
    bench.engine.ensure_network()
    data = f"{bench.instance}-data"
    assert bench.engine.volume_users(data) == ()
    new = bench.new(volumes=(Volume("volume", data, "/data"),))
    made = bench.engine.create_and_start(new)
    bench.foreign(f"{bench.instance}-db", {"shipstone.site": "shop", "shipstone.instance": "another"}, data)
    bench.engine.stop(made, grace=0)
    labels = dict(new.labels)
    mine = (new.name, labels.get("shipstone.site", ""), labels.get("shipstone.release", ""))
    assert sorted(bench.engine.volume_users(data)) == sorted([mine, (f"{bench.instance}-db", "", "")])
    assert bench.engine.volume_users("/data") == ()


def test_hands_show(bench: Bench) -> None:
    """A changed limit, another name, a container that was killed or removed."""
    bench.engine.ensure_network()
    first, second = (bench.engine.create_and_start(bench.new(n)) for n in (1, 2))
    assert len(bench.engine.containers()) == 2
    bench.update(first, 32 * 1024**2)
    bench.rename(first, f"{bench.instance}-other")
    bench.kill(second)
    bench.engine.resync()
    by_id = {c.id: c for c in bench.engine.containers()}
    live = by_id[first].live
    assert live is not None
    assert (live["mem_limit"], by_id[first].name) == (32 * 1024**2, f"{bench.instance}-other")
    assert (by_id[second].state, by_id[second].exit_code, by_id[second].address) == ("exited", 137, None)
    bench.destroy(second)
    assert [c.id for c in bench.engine.containers()] == [first]


def test_foreign_containers_are_never_ours(bench: Bench) -> None:
    """Those that route through Traefik are known by name; another instance's are foreign too."""
    bench.engine.ensure_network()
    bench.foreign(f"{bench.instance}-x", {"traefik.http.routers.x.rule": "Host(`x`)", "shipstone.instance": "another"})
    bench.foreign(f"{bench.instance}-y", {})
    assert bench.engine.containers() == ()
    mine = [c for c in bench.engine.foreign() if c.name.startswith(bench.instance)]
    assert [(c.name, c.labels) for c in mine] == [(f"{bench.instance}-x", (("traefik.http.routers.x.rule", "Host(`x`)"),))]


def test_images(bench: Bench) -> None:
    """A local image is fixed by its id; one that is nowhere is named in the error."""
    reference = bench.engine.resolve(bench.image, timeout=5)
    assert reference.startswith("sha256:")
    assert bench.engine.resolve(bench.image, timeout=5) == reference
    assert bench.engine.image_labels(reference) == {}
    assert bench.engine.present(bench.image) == reference
    assert bench.engine.present(ABSENT) is None
    number = reference.rpartition(":")[2]
    for part in (number[:12], f"library/{number[:8]}", f"sha256:{number}", f"{bench.image.partition(':')[0]}@{reference}"):
        assert bench.engine.present(part) is None, "an image is had by its name: who knows its id has passed no policy"
    with pytest.raises(EngineError, match=f"cannot pull {ABSENT}: "):
        bench.engine.resolve(ABSENT, timeout=5)
    bench.engine.ensure_network()
    with pytest.raises(NotFoundError, match=f"cannot create|cannot find {ABSENT}"):
        bench.engine.create_and_start(replace(bench.new(), image=ABSENT))


def test_an_image_goes_name_by_name_and_never_while_it_is_used(bench: Bench) -> None:
    """Also by its id alone, once it has no name."""
    name, other = f"{bench.instance}/a:1", f"{bench.instance}/b:1"
    bench.own_image(name, other)
    reference = bench.engine.present(name)
    assert reference is not None
    stored = bench.engine.image(reference)
    assert stored is not None
    assert (set(stored.names), stored.used) == ({name, other}, False)
    bench.engine.ensure_network()
    made = bench.engine.create_and_start(replace(bench.new(), image=reference))
    assert bench.engine.image(name) == replace(stored, used=True)
    assert bench.engine.remove_image(other)
    assert not bench.engine.remove_image(name), "a container runs it"
    bench.engine.stop(made, grace=0)
    assert not bench.engine.remove_image(name), "a container was made of it"
    bench.engine.remove(made)
    assert bench.engine.image(reference) == replace(stored, names=(name,))
    assert bench.engine.remove_image(name)
    assert bench.engine.image(reference) is None
    assert bench.engine.remove_image(name), "gone already"


def test_what_the_host_can_still_take(bench: Bench) -> None:
    """Every running container on the network takes a place of it, whoever made it."""
    bench.engine.ensure_network()

    def left() -> int:
        bench.engine.containers()
        ports = bench.engine.capacity().ports
        assert ports is not None
        return ports

    assert left() == PORTS
    first, second = (bench.engine.create_and_start(bench.new(n)) for n in (1, 2))
    assert left() == PORTS - 2
    bench.engine.stop(first, grace=0)
    assert left() == PORTS - 1
    bench.destroy(second)
    assert left() == PORTS
    capacity = bench.engine.capacity()
    assert capacity.memory
    assert capacity.disk
    assert capacity.memory > 2**20, "in bytes"
    assert capacity.disk > 2**20, "in bytes"


def test_logs(bench: Bench) -> None:
    bench.engine.ensure_network()
    made = bench.engine.create_and_start(bench.new())
    assert bench.engine.logs(made, lines=5) == ()
    with pytest.raises(NotFoundError):
        bench.engine.logs("0" * 64, lines=5)


def listening(engine: Engine) -> list[Event]:
    """Grows by what the engine tells from now on."""
    rows: list[Event] = []

    def listen() -> None:
        with suppress(EngineError):
            for event in engine.events():
                rows.append(event)  # noqa: PERF402  one by one, as they come

    threading.Thread(target=listen, daemon=True).start()
    return rows


def test_events_tell_of_ours_and_of_the_network(bench: Bench) -> None:
    rows = listening(bench.engine)
    bench.engine.ensure_network()

    def heard(kind: str, action: str, **more: str) -> bool:
        wanted = {"kind": kind, "action": action, **more}
        return any(all(getattr(event, key) == value for key, value in wanted.items()) for event in rows[:])

    foreign = bench.foreign(f"{bench.instance}-z", {})
    made: list[str] = []

    def started() -> bool:
        """In memory a listener hears only what comes after it began to listen: so try until it does."""
        made.append(bench.engine.create_and_start(bench.new(len(made) + 1)))
        return heard("container", "start", id=made[-1], site="shop") or heard("container", "start", site="shop")

    until(started, "the start of a container is heard", 30)
    bench.destroy(made[-1])
    until(lambda: heard("container", "destroy", id=made[-1], site="shop"), "its removal is heard", 30)
    assert all(event.id != foreign for event in rows[:])
    stranger = bench.foreign(f"{bench.instance}-r", {"traefik.enable": "true"})
    until(lambda: heard("foreign", "start", id=stranger), "one that Traefik reads came", 30)
    bench.kill(stranger)
    until(lambda: heard("foreign", "die", id=stranger), "and ended", 30)


@pytest.mark.docker
def test_what_changes_during_an_inspection_is_inspected_again(tmp_path: Path, docker_socket: str, abrupt_image: str, instance: str) -> None:
    """The answer is older than the event."""
    with relayed(tmp_path / "engine.sock", docker_socket) as line, contextmanager(on_docker)(instance, line.url, abrupt_image) as bench:
        rows = listening(bench.engine)
        bench.engine.ensure_network()
        made = bench.engine.create_and_start(bench.new())
        until(lambda: any((e.action, e.id) == ("start", made) for e in rows[:]), "it is told", 30)
        bench.engine.resync()
        answer = Kept()
        line.harms["inspect"] = [Harm(kept=answer)]
        look = threading.Thread(target=bench.engine.containers)
        look.start()
        assert answer.given.wait(60)
        bench.update(made, 64 << 20)
        until(lambda: any((e.action, e.id) == ("update", made) for e in rows[:]), "it is told", 30)
        answer.go.set()
        look.join()
        assert (bench.one().live or {})["mem_limit"] == 64 << 20


@pytest.mark.docker
@pytest.mark.parametrize(
    ("engine", "often"), [("docker_socket", ("Interval", 2 * 10**9)), ("modern_socket", ("StartInterval", 10**9 // 2))]
)
def test_a_check_of_the_image_does_not_cost_its_interval(
    request: pytest.FixtureRequest, engine: str, often: tuple[str, int], instance: str
) -> None:
    """It is the image's own test, done `often` while the container starts; what is left out is the image's."""
    socket = request.getfixturevalue(engine)
    api = docker.APIClient(base_url=socket, version="auto")
    provide(api, FAULTY, make_faulty)
    half_made = api.create_container(FAULTY)["Id"]
    check = 'HEALTHCHECK --timeout=7s CMD ["/faulty", "absent", "/sick"]'
    image = api.commit(half_made, repository=f"shipstone-test/{instance}", changes=check)["Id"]
    api.remove_container(half_made)
    for bench in on_docker(instance, socket, image):
        bench.engine.ensure_network()
        made = bench.engine.create_and_start(replace(bench.new(), deadline=30.0))
        until(partial(_healthy, bench), "healthy", 20)
        found = api.inspect_container(made)["Config"]["Healthcheck"]
        assert (found["Test"], found["Timeout"], found["StartPeriod"]) == (["CMD", "/faulty", "absent", "/sick"], 7 * 10**9, 30 * 10**9)
        assert found[often[0]] == often[1]
    api.remove_image(image)
    api.close()


def _healthy(bench: Bench) -> bool:
    return bench.one().health == "healthy"


@pytest.mark.docker
def test_files_of_the_repository_are_mounted_read_only(docker_socket: str, abrupt_image: str, instance: str) -> None:
    """Only the real engine has a file system."""
    for bench in on_docker(instance, docker_socket, abrupt_image):
        bench.engine.ensure_network()
        made = bench.engine.create_and_start(
            bench.new(files=(FileMount("/etc/host-name", "x", "hostname"),), read_only=True, cap_drop=("ALL",))
        )
        api = docker.APIClient(base_url=docker_socket, version="auto")
        row = api.inspect_container(made)
        api.close()
        assert [(m["Source"], m["Destination"], m["RW"]) for m in row["Mounts"]] == [("/etc/hostname", "/etc/host-name", False)]
        assert (row["HostConfig"]["ReadonlyRootfs"], row["HostConfig"]["CapDrop"]) == (True, ["ALL"])
