"""What a person writes: `sites/<name>.yaml` and `shipstone.yaml`, as pydantic models. The JSON Schema comes out of these."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reconciler.desired import keys
from reconciler.desired.middlewares import Middleware
from reconciler.desired.model import Model
from reconciler.desired.refusal import Refusal


class Healthcheck(Model):
    """How to see that a container is well, as in the Compose specification; parsed durations are in seconds."""

    test: keys.Test = Field(
        description="The command that says whether the container is well: a text for the shell, or [CMD, PROGRAM, ARGUMENT…]."
    )
    interval: Annotated[float | None, keys.seconds(0.1), keys.DURATION] = Field(
        default=None, description="Time between two checks, as in 10s."
    )
    timeout: Annotated[float | None, keys.seconds(0.1), keys.DURATION] = Field(
        default=None, description="A check that takes longer has failed."
    )
    retries: Annotated[int | None, *keys.bounded(1, 1000)] = Field(
        default=None, description="So many failures in a row make a container unhealthy."
    )
    start_period: Annotated[float | None, keys.seconds(0), keys.DURATION] = Field(
        default=None, description="Failures in this time after the start do not count."
    )
    start_interval: Annotated[float | None, keys.seconds(0.1), keys.DURATION] = Field(
        default=None, description="Time between two checks in the start period."
    )


class Ulimit(Model):
    """The soft and the hard limit; -1 is no limit."""

    soft: Annotated[int, *keys.bounded(-1, 2**40)] = Field(description="What the program gets.")
    hard: Annotated[int, *keys.bounded(-1, 2**40)] = Field(description="What the program may raise it to.")

    @model_validator(mode="after")
    def soft_below_hard(self) -> "Ulimit":
        if self.hard != -1 and not 0 <= self.soft <= self.hard:
            raise Refusal("SS-C23", f"the soft limit {self.soft} is above the hard limit {self.hard}. Lower soft, or raise hard.")
        return self


class Rollout(Model):
    """How a release takes over; parsed durations are in seconds."""

    order: Annotated[Literal["start-first", "stop-first"] | None, *keys.chosen("start-first", "stop-first")] = Field(
        default=None,
        description="start-first: the new release starts beside the old one. stop-first: the old one ends before. "
        "Left out: stop-first where both would write to one volume.",
    )
    deadline: Annotated[float, keys.seconds(1), keys.DURATION] = Field(
        default=120.0, description="A release that is not ready after this time has failed."
    )
    min_healthy: Annotated[float, keys.seconds(0), keys.DURATION] = Field(
        default=5.0, description="After the switch the old release stays this long, to go back to."
    )
    drain: Annotated[float, keys.seconds(0), keys.DURATION] = Field(
        default=10.0, description="The time that the old release has to finish its requests."
    )


class Sticky(Model):
    """The cookie by which a browser stays with its replica."""

    secure: keys.Flag = Field(default=False, description="The cookie is sent by TLS only.")
    samesite: Annotated[Literal["none", "lax", "strict"] | None, *keys.chosen("none", "lax", "strict")] = Field(
        default=None, description="When a browser sends it with requests that come from other sites."
    )
    maxage: Annotated[float | None, keys.seconds(1, 400 * 24 * keys.HOUR), keys.DURATION] = Field(
        default=None, description="How long a browser keeps it, as in 12h; left out: until it is closed."
    )


class Tls(Model):
    """The site answers on the entry point with TLS."""

    certresolver: keys.Resolver = Field(default=None, description="The certificate resolver of Traefik's static configuration.")


class LoadBalancer(Model):
    """How requests are spread over the replicas, and passed on; in Traefik's terms."""

    strategy: Annotated[Literal["wrr", "p2c", "hrw", "leasttime"], *keys.chosen("wrr", "p2c", "hrw", "leasttime")] = Field(
        default="wrr",
        description="By turns and weight (wrr), the less busy of two (p2c), by the client's address (hrw), or the quickest (leasttime).",
    )
    pass_host_header: keys.Flag = Field(default=True, description="The program gets the host name that was asked for.")
    flush_interval: Annotated[float | None, keys.seconds(0.001), keys.DURATION] = Field(
        default=None, description="How often a response that is still being written is passed on, as in 100ms."
    )


class ServiceKeys(Model):
    """Keys of a service; at the top of a site they are defaults for each of its services."""

    image: keys.Image = Field(default=None, description="The image, with a tag: nginx:1.27-alpine.")
    port: Annotated[int | None, *keys.bounded(1, 65535)] = Field(default=None, description="The port where the container listens.")
    replicas: Annotated[int, *keys.bounded(0, 1000)] = Field(default=1, description="How many identical containers.")
    weight: Annotated[int, *keys.bounded(0, 1_000_000)] = Field(
        default=1, description="Each replica's share of the requests, relative to the other services'."
    )
    command: keys.Command = Field(
        default=None, description="What the container runs instead of the image's command: a text, or a list of words."
    )
    entrypoint: keys.Command = Field(default=None, description="Instead of the image's entrypoint: a text, or a list of words.")
    environment: keys.Environment = Field(default_factory=dict, description="Environment variables: a map, or a list of NAME=VALUE.")
    secrets: keys.Secrets = Field(
        default_factory=dict,
        description="Variables, or files below /run/secrets/, that get a secret: TARGET: host:NAME, age:PATH or sops:PATH#KEY.",
    )
    user: keys.User = Field(default=None, description="USER or USER:GROUP, by name or number.")
    working_dir: keys.Folder = Field(default=None, description="The folder in which the command runs.")
    read_only: keys.Flag = Field(default=False, description="The container's own file system cannot be written to.")
    init: keys.Init = Field(default=None, description="Run an init process that forwards signals and reaps children.")
    tmpfs: keys.Tmpfs = Field(default_factory=list, description="Folders in memory: PATH or PATH:OPTIONS.")
    volumes: keys.Volumes = Field(
        default_factory=list, description="NAME:PATH[:ro] of named volumes; a host's path only where its administrator allows it."
    )
    files: keys.Files = Field(
        default_factory=dict, description="Files and folders of the repository, mounted read-only: PATH-IN-CONTAINER: PATH-IN-REPOSITORY."
    )
    healthcheck: Annotated[Healthcheck | None, BeforeValidator(keys.written)] = Field(
        default=None, description="How to see that a container is well."
    )
    restart: Annotated[
        Literal["no", "always", "on-failure", "unless-stopped"], *keys.chosen("no", "always", "on-failure", "unless-stopped")
    ] = Field(default="unless-stopped", description="What the engine does when the container ends.")
    stop_grace_period: Annotated[float, keys.seconds(0), keys.DURATION] = Field(
        default=10.0, description="Time between the stop signal and the kill."
    )
    stop_signal: keys.Signal = Field(default=None, description="The signal that asks the container to stop.")
    cap_add: keys.CapAdd = Field(
        default_factory=list, description="Linux capabilities to add; only those that the host's administrator allows."
    )
    cap_drop: keys.CapDrop = Field(default_factory=list, description="Linux capabilities to take away; ALL for all.")
    privileged: keys.Privileged = Field(
        default=False, description="All rights on the host; only where its administrator allows it, and hardly ever needed."
    )
    pid: Annotated[str | None, *keys.namespace("pid", "pid")] = Field(
        default=None, description="host: see the host's processes; only where its administrator allows it."
    )
    ipc: Annotated[str | None, *keys.namespace("ipc", "ipc")] = Field(
        default=None, description="host: share the host's memory segments; only where its administrator allows it."
    )
    uts: Annotated[str | None, *keys.namespace("uts", "uts")] = Field(
        default=None, description="host: have the host's own name; only where its administrator allows it."
    )
    userns_mode: Annotated[str | None, *keys.namespace("userns_mode", "userns")] = Field(
        default=None, description="host: the host's users, where the engine maps them; only where its administrator allows it."
    )
    devices: keys.Devices = Field(
        default_factory=list, description="Devices: HOST:CONTAINER[:RIGHTS]; only those that the host's administrator allows."
    )
    ports: keys.Ports = Field(
        default_factory=list,
        description="Ports of the host, for what is not HTTP: [ADDRESS:]HOST:CONTAINER[/udp]; only those that its administrator allows.",
    )
    ulimits: Annotated[
        dict[keys.UlimitName, Annotated[Ulimit, BeforeValidator(keys.both_limits, json_schema_input_type=int | Ulimit)]],
        BeforeValidator(keys.written),
    ] = Field(default_factory=dict, description="Limits by name: one number, or soft and hard.")
    mem_limit: keys.Memory = Field(default=None, description="Memory: bytes, or a number with b, k, m, g or t, as in 64m.")
    cpus: keys.Cpus = Field(default=None, description="CPUs, as in 0.5.")
    pids_limit: Annotated[int | None, *keys.bounded(1, 4_194_304)] = Field(default=None, description="How many processes and threads.")
    labels: keys.Labels = Field(default_factory=dict, description="Labels for the container: a map, or a list of NAME=VALUE.")
    extra_hosts: keys.ExtraHosts = Field(
        default_factory=list, description="Names for the container's /etc/hosts: NAME: ADDRESS, or a list of NAME:ADDRESS."
    )


class Site(ServiceKeys):
    """One YAML file: one or more services and the host names they answer to."""

    hosts: keys.Hosts = Field(default=None, description="The host names that the site answers to; left out: <site>.<domain>.")
    path: keys.PathPrefix = Field(default=None, description="Answer only to paths that begin with this prefix, as in /api.")
    sticky: Annotated[Sticky | None, BeforeValidator(keys.switch, json_schema_input_type=bool | Sticky)] = Field(
        default=None, description="A browser stays with the replica that it had first, by a cookie: true, or the cookie's options."
    )
    tls: Annotated[Tls | None, BeforeValidator(keys.tls, json_schema_input_type=bool | Tls)] = Field(
        default=None, description="Answer on the entry point with TLS, and only there: true, or certresolver."
    )
    middlewares: Annotated[list[Middleware], BeforeValidator(keys.middlewares)] = Field(
        default_factory=list, description="Traefik's middlewares, in order: a list of KIND: {OPTION: VALUE}."
    )
    loadbalancer: Annotated[LoadBalancer, BeforeValidator(keys.written)] = Field(
        default_factory=LoadBalancer, description="How requests are spread over the replicas, and passed on."
    )
    services: Annotated[dict[keys.ServiceName, ServiceKeys] | None, BeforeValidator(keys.services)] = Field(
        default=None, description="The services by name; the keys at the top are defaults for each. Left out: one service, web."
    )
    rollout: Annotated[Rollout, BeforeValidator(keys.written)] = Field(default_factory=Rollout, description="How a release takes over.")
    drift: Annotated[Literal["heal", "report"], *keys.chosen("heal", "report")] = Field(
        default="heal", description="Whether a container that was changed by hand is put right, or only reported."
    )

    suspend: keys.Flag = Field(default=False, description="Leave the site as it runs: nothing is deployed, healed or removed.")


class Fleet(Model):
    """`shipstone.yaml` at the root of the repository."""

    domain: keys.Domain = Field(
        default="shipstone.local", description="The base domain: a site answers to <site>.<domain> unless it says otherwise."
    )
    defaults: Annotated[ServiceKeys | None, BeforeValidator(keys.written)] = Field(
        default=None, description="Keys that hold for every service of every site."
    )
