"""The host's own settings: a TOML file, then SHIPSTONE_SECTION__KEY. They belong to the administrator, never to the repository."""

import difflib
import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.errors import SettingsError

DEFAULT = Path("/etc/shipstone/config.toml")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: Any) -> Any:
    """A number of seconds, or text such as "30s", "2m", "500ms"."""
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?", value)):
        return float(match[1]) * UNITS[match[2] or "s"]
    return value


def address(value: str) -> str:
    """An IPv4 or IPv6 address, with a zone where it needs one."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("use IP addresses, as 127.0.0.1, ::1 or fe80::1%lo0") from None
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Address = Annotated[str, AfterValidator(address)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(Section):
    url: str = Field(default="", description="The git repository with the desired state: https, ssh, or a path where allow_file is set.")
    branch: str = Field(default="main", description="The branch that is followed.")
    path: str = Field(default="", description="The folder inside the repository; empty is its root.")
    poll: Seconds = Field(default=60.0, description="How often the repository is asked, as 30s or 2m.")
    allow_file: bool = Field(default=False, description="Allow a repository on this host's disk.")
    directory: str = Field(default="", description="A plain folder instead of a repository; what --source sets.")


class EngineSettings(Section):
    socket: str = Field(
        default="unix:///var/run/docker.sock", pattern=r"^(unix|tcp|ssh|npipe)://.+", description="Where the Docker Engine answers."
    )
    network: str = Field(
        default="shipstone_net",
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
        description="The network of all sites and of Traefik; made if missing, never prefixed.",
    )
    parallel: int = Field(default=16, ge=1, le=64, description="How many sites are worked on side by side.")
    keep_images: int = Field(
        default=3, ge=0, description="So many releases of each site keep their images; older ones are removed when unused. 0: never."
    )


class TraefikSettings(Section):
    dialect: Literal["v3"] = Field(default="v3", description="Which Traefik routes.")
    api: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Where Traefik's API answers from the host; empty is http://127.0.0.1:<console_port>.",
    )
    entrypoint: str = Field(default="web", pattern=r"^[a-zA-Z0-9_-]+$", description="The entry point that sites answer on.")
    tls_entrypoint: str = Field(
        default="websecure", pattern=r"^[a-zA-Z0-9_-]+$", description="The entry point that sites with `tls` answer on."
    )
    dynamic_dir: str = Field(
        default="/etc/traefik/dynamic",
        description="The folder of Traefik's file provider, where the pins are written; empty: it has none, labels alone route.",
    )
    settle: Seconds = Field(default=2.5, description="With an empty dynamic_dir: longer than Traefik's providersThrottleDuration.")
    manage: bool = Field(default=False, description="Run Traefik itself as a container.")
    image: str = Field(default="traefik:v3.7", description="The image of a managed Traefik.")
    http_address: str = Field(default="", description="The host's address on which a managed Traefik serves sites; empty is all.")
    http_port: int = Field(default=80, ge=1, le=65535, description="The host's port on which a managed Traefik serves sites.")
    https_port: int = Field(
        default=0, ge=0, le=65535, description="The host's port for sites with `tls`; 0: the generated Traefik has no such entry point."
    )
    console_port: int = Field(default=8080, ge=1, le=65535, description="The port on 127.0.0.1 of a managed Traefik's console and API.")

    @model_validator(mode="after")
    def _managed_with_pins(self) -> Self:
        if self.manage and not self.dynamic_dir:
            raise ValueError("manage = true needs a dynamic_dir: a managed Traefik always has the file provider. Name a folder")
        return self


class FilesSettings(Section):
    hosts: str = Field(default="", description="The hosts file whose marked block is kept; empty: none is written.")
    traefik: str = Field(default="", description="Where traefik.toml is written; empty: it is not.")
    addresses: list[Address] = Field(default=["127.0.0.1", "::1"], description="The addresses that host names get in the hosts file.")


class StateSettings(Section):
    dir: str = Field(default="/var/lib/shipstone", description="The state folder: git mirror, history, mounted files, lock.")


class PolicySettings(Section):
    bind_roots: list[str] = Field(default=[], description="Host folders below which sites may bind-mount.")
    capabilities: list[str] = Field(default=[], description="Capabilities that sites may add.")
    domains: list[str] = Field(default=[], description="Domains, besides the fleet's own, under which sites may have host names.")
    registries: list[str] = Field(default=[], description="Registries that images may come from, as docker.io; empty is any.")
    max_removals: int = Field(default=1, ge=0, description="So many sites a commit may take away; more wait for `shipstone approve`.")
    max_removal_share: float = Field(
        default=0.2, ge=0, le=1, description="As max_removals, as a share of all sites; the larger of the two counts."
    )
    middlewares: list[Literal["chain", "errors", "forwardAuth", "passTLSClientCert", "plugin"]] = Field(
        default=[], description="Middlewares that sites may use although they reach beyond a site's own requests."
    )
    require_tag: bool = Field(default=False, description="Refuse images without a tag, or with latest.")


class Settings(BaseSettings):
    """All settings; every one has a default but the source."""

    model_config = SettingsConfigDict(env_prefix="SHIPSTONE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    instance: str = Field(default="shipstone", description="The name of this installation on its engine; a second one needs another.")
    source: SourceSettings = SourceSettings()
    engine: EngineSettings = EngineSettings()
    traefik: TraefikSettings = TraefikSettings()
    files: FilesSettings = FilesSettings()
    state: StateSettings = StateSettings()
    policy: PolicySettings = PolicySettings()

    @field_validator("instance")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", value):
            raise ValueError("use a lower-case letter, then up to 30 letters, digits or hyphens")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic-settings calls it by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(config: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    """The file (the default one only where it exists), then the environment, then `overrides` (of the command line).

    Raises SettingsError with one line for each thing that is wrong.
    """
    data = _read(config or DEFAULT, required=config is not None)
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise SettingsError("\n".join(_line(row, config or DEFAULT) for row in error.errors())) from None
    for section, values in (overrides or {}).items():
        settings = settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})
    return settings


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}. Give another file with --config.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}. Mend the TOML.") from None


def _meant(place: tuple[int | str, ...]) -> str:
    """The nearest name in the same section, if one is near."""
    section: Any = Settings
    for part in place[:-1]:
        section = section.model_fields[str(part)].annotation
    near = difflib.get_close_matches(str(place[-1]), section.model_fields, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _line(row: Any, path: Path) -> str:
    """One error; the value is not shown: it may be a secret."""
    key = ".".join(str(part) for part in row["loc"])
    variable = "SHIPSTONE_" + "__".join(str(part).upper() for part in row["loc"])
    where = variable if variable in os.environ else f"{path}: {key}"
    if row["type"] == "extra_forbidden":
        return f"{where}: there is no such setting{_meant(row['loc'])}. docs/settings.md lists them all."
    return f"{where}: {row['msg'].removeprefix('Value error, ')}."
