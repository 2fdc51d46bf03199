"""What a person writes: `sites/<name>.yaml` and `shipstone.yaml`, as pydantic models. The JSON Schema comes out of these."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Unknown keys are refused; scalars arrive as text and take their type here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthcheck(Model):
    """As in the Compose specification. Durations are in seconds once parsed."""

    test: str | list[str]
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = Field(default=None, ge=1)
    start_period: float | None = None
    start_interval: float | None = None


class Ulimit(Model):
    soft: int
    hard: int


class Rollout(Model):
    """How a release takes over. Durations in seconds."""

    order: Literal["start-first", "stop-first"] | None = None
    deadline: float = 120.0
    min_healthy: float = 5.0
    drain: float = 10.0


class ServiceKeys(Model):
    """Keys of a service; at the top of a site they are defaults for each of its services."""

    image: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    replicas: int = Field(default=1, ge=0, le=1000)
    weight: int = Field(default=1, ge=0, le=1_000_000)
    command: str | list[str] | None = None
    entrypoint: str | list[str] | None = None
    environment: dict[str, str | None] | list[str] = Field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    read_only: bool = False
    init: bool | None = None
    tmpfs: str | list[str] = Field(default_factory=list)
    volumes: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "unless-stopped"
    stop_grace_period: float = 10.0
    stop_signal: str | None = None
    cap_add: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)
    ulimits: dict[str, int | Ulimit] = Field(default_factory=dict)
    mem_limit: int | None = None
    cpus: float | None = Field(default=None, gt=0)
    pids_limit: int | None = Field(default=None, ge=1)
    labels: dict[str, str] | list[str] = Field(default_factory=dict)
    extra_hosts: dict[str, str] | list[str] = Field(default_factory=list)


class Site(ServiceKeys):
    """One YAML file: one or more services and the host names they answer to."""

    hosts: list[str] | None = None
    path: str | None = None
    sticky: bool = False
    services: dict[str, ServiceKeys] | None = None
    rollout: Rollout = Field(default_factory=Rollout)
    drift: Literal["heal", "report"] = "heal"


class Fleet(Model):
    """`shipstone.yaml` at the root of the repository."""

    domain: str = "shipstone.local"
    defaults: ServiceKeys | None = None
