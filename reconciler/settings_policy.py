"""[policy]: what the host allows; for all sites, and for some besides."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.settings_values import Section, Size

Namespace = Literal["pid", "ipc", "uts", "userns"]
Kind = Literal["chain", "errors", "forwardAuth", "passTLSClientCert", "plugin"]
HostPorts = Annotated[str, Field(pattern=r"^((\[[0-9A-Fa-f:]+\]|[0-9.]+):)?[0-9]{1,5}(-[0-9]{1,5})?$")]


class SiteGrant(Section):
    """What sites of one name, or of one pattern, get besides the policy's own."""

    hosts: list[str] | None = Field(default=None, description="Patterns of host names that these sites alone may have.")
    bind_roots: list[str] | None = None
    capabilities: list[str] | None = None
    registries: list[str] | None = None
    images: list[str] | None = None
    private_images: list[str] | None = Field(default=None, description="Patterns of images that these sites alone may run.")
    require_tag: bool | None = None
    require_digest: bool | None = None
    middlewares: list[Kind] | None = None
    labels: list[str] | None = None
    privileged: bool | None = None
    namespaces: list[Namespace] | None = None
    devices: list[str] | None = None
    ports: list[HostPorts] | None = None
    secrets: list[str] | None = None
    shared_volumes: list[str] | None = None
    shared_hosts: list[str] | None = None
    max_replicas: int | None = Field(default=None, ge=0)
    max_memory: Size | None = None
    max_cpus: float | None = Field(default=None, ge=0)
    max_pids: int | None = Field(default=None, ge=0)
    no_new_privileges: bool | None = None


class PolicySettings(Section):
    bind_roots: list[str] = Field(default=[], description="Host folders below which sites may bind-mount.")
    capabilities: list[str] = Field(default=[], description="Capabilities that sites may add.")
    domains: list[str] = Field(default=[], description="Domains, besides the fleet's own, under which sites may have host names.")
    registries: list[str] = Field(default=[], description="Registries that images may come from, as docker.io; empty is any.")
    max_removals: int = Field(default=1, ge=0, description="So many sites a commit may take away; more wait for `shipstone approve`.")
    max_removal_share: float = Field(
        default=0.2, ge=0, le=1, description="As max_removals, as a share of all sites; the larger of the two counts."
    )
    middlewares: list[Kind] = Field(
        default=[], description="Middlewares that sites may use although they reach beyond a site's own requests."
    )
    require_tag: bool = Field(default=False, description="Refuse images without a tag, or with latest.")
    require_digest: bool = Field(default=False, description="Refuse images without a digest.")
    images: list[str] = Field(default=[], description="Patterns of images that sites may run, as ghcr.io/team/*; empty is any.")
    private_images: list[str] = Field(
        default=[], description="Patterns of images that no site may run but those whose own table names them too, as ghcr.io/team/*."
    )
    hosts: list[str] = Field(
        default=[], description="Patterns of host names that sites may have, with {site} for the site's name; empty is any under a domain."
    )
    labels: list[str] = Field(default=[], description="Patterns of traefik.* labels that sites may write themselves.")
    privileged: bool = Field(default=False, description="Sites may have privileged containers, which are root on this host.")
    namespaces: list[Namespace] = Field(default=[], description="Which of the host's namespaces containers may share.")
    devices: list[str] = Field(default=[], description="Patterns of the host's devices that sites may have, as /dev/ttyUSB*.")
    ports: list[HostPorts] = Field(default=[], description="Ports of this host that sites may publish, as 5432, 8000-8100, 127.0.0.1:9000.")
    secrets: list[str] = Field(default=[], description="Patterns of secrets of the host that every site may have.")
    shared_volumes: list[str] = Field(default=[], description="Patterns of volumes that several sites may mount.")
    shared_hosts: list[str] = Field(default=[], description="Patterns of host names whose paths several sites may have, each its own.")
    max_replicas: int = Field(default=0, ge=0, description="Containers that one site may have in all; 0 is no limit.")
    max_memory: Size = Field(default=0, description="Memory that one site may have in all, as 2g; 0 is no limit.")
    max_cpus: float = Field(default=0.0, ge=0, description="CPUs that one site may have in all; 0 is no limit.")
    max_pids: int = Field(default=0, ge=0, description="Processes that one site may have in all; 0 is no limit.")
    no_new_privileges: bool = Field(default=True, description="New containers cannot gain rights by setuid programs.")
    pids_limit: int = Field(default=4096, ge=0, description="Processes of a new container whose site writes no pids_limit; 0 is no limit.")
    log_max_size: str = Field(
        default="10m",
        pattern=r"^([0-9]+[kmg]?)?$",
        description="A new container's log begins a new file at this size; empty: never.",
    )
    log_max_file: int = Field(default=3, ge=1, description="So many log files of a new container are kept.")
    sites: dict[str, SiteGrant] = Field(default={}, description="By a site's name or a pattern: what such sites may have besides.")
