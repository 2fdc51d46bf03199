"""The host's own settings: a TOML file, then SHIPSTONE_SECTION__KEY. They belong to the administrator, never to the repository."""

import difflib
import ipaddress
import os
import re
import tomllib
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.errors import SettingsError, ShipstoneError
from reconciler.secret_file import one_line, read_secret

DEFAULT = Path("/etc/shipstone/config.toml")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


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


def size(value: Any) -> Any:
    """Bytes, or text such as "512m" (k is 1024)."""
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]+)([bkmgt]?)", value.lower())):
        return int(match[1]) * SIZES[match[2] or "b"]
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Address = Annotated[str, AfterValidator(address)]
Size = Annotated[int, BeforeValidator(size), Field(ge=0)]


def plain_path(value: str) -> str:
    """A path that ssh reads as it is written."""
    if value and not re.fullmatch(r"/[\w./+@-]*", value):
        raise ValueError("use an absolute path of letters, digits and ._+@-")
    return value


def key_name(value: str) -> str:
    """A credential's name, or a path."""
    return value if re.fullmatch(r"[\w.-]*", value) else plain_path(value)


CredentialOrPath = Annotated[str, AfterValidator(key_name)]


FROM_FILE = "X_file"
"""Marks a setting that is a secret: instead of X there may be X_file, the file that holds it."""
Secret = Annotated[SecretStr, FROM_FILE]
SHORTEST = 16
"""Characters that a token of the page has at least: nobody can try them all."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _secrets_of_files(cls, data: Any) -> Any:
        """Of each secret X that is given as X_file: what is in the file."""
        if not isinstance(data, dict):
            return data
        given = dict(data)
        for name, field in cls.model_fields.items():
            if FROM_FILE not in field.metadata or f"{name}_file" not in given:
                continue
            path = Path(str(given.pop(f"{name}_file")))
            if name in given:
                raise ValueError(f"{name} and {name}_file are both there. Keep one of them")
            try:
                given[name] = one_line(read_secret(path))
            except FileNotFoundError:
                raise ValueError(f"{name}_file: there is no file {path}") from None
            except UnicodeDecodeError:
                raise ValueError(f"{name}_file: {path} is no text") from None
            except ShipstoneError as error:
                raise ValueError(f"{name}_file: {str(error).removesuffix('.')}") from None
        return given


class SourceSettings(Section):
    url: Annotated[str, FROM_FILE] = Field(
        default="", repr=False, description="The git repository with the desired state: https, ssh, or a path where allow_file is set."
    )
    branch: str = Field(default="main", description="The branch that is followed.")
    path: str = Field(default="", description="The folder inside the repository; empty is its root.")
    poll: Seconds = Field(default=60.0, description="How often the repository is asked, as 30s or 2m.")
    timeout: Seconds = Field(default=60.0, description="One fetch ends after this long, whatever the server does.")
    ssh_key: CredentialOrPath = Field(
        default="", description="The private key for ssh: a name in /etc/shipstone/credentials, or a path; empty: the user's own keys."
    )
    known_hosts: CredentialOrPath = Field(
        default="", description="The only file whose host keys count for ssh; empty: the user's own and the system's."
    )
    credentials_file: CredentialOrPath = Field(
        default="", description="The login for https: lines as https://USER:TOKEN@host, or one token alone; a name or a path as ssh_key."
    )
    verify: Literal["", "commit", "tag"] = Field(
        default="", description='"commit": the newest commit has to be signed; "tag": the newest signed tag runs; empty: no signatures.'
    )
    allowed_signers: CredentialOrPath = Field(default="", description="Whose SSH signatures count: a file as ssh-keygen's ALLOWED SIGNERS.")
    gpg_keyring: CredentialOrPath = Field(
        default="", description="Whose OpenPGP signatures count: public keys, as `gpg --export` writes them."
    )
    max_size: Size = Field(default=2**30, description="A repository larger than this is refused: bytes, or text as 512m.")
    max_files: int = Field(default=50_000, ge=1, description="A commit with more files (below path) is refused.")
    allow_file: bool = Field(default=False, description="Allow a repository on this host's disk.")
    directory: str = Field(default="", description="A plain folder instead of a repository; what --source sets.")

    @model_validator(mode="after")
    def _known_signers(self) -> Self:
        if self.verify and not (self.allowed_signers or self.gpg_keyring):
            raise ValueError(f'verify = "{self.verify}" needs allowed_signers or gpg_keyring: say whose signatures count')
        return self


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
    ask: str = Field(
        default="",
        pattern=r"^(http://[^/:]+(:[0-9]{1,5})?/?|off)?$",
        description="Where Traefik answers for sites, as http://127.0.0.1:80: asked once after each switch. Empty: http_port and "
        "https_port, where Traefik is managed or its traefik.toml is written. off: not asked.",
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


class HttpSettings(Section):
    listen: str = Field(
        default="127.0.0.1:8484",
        pattern=r"^(\[[0-9a-fA-F:.]+\]:[0-9]{1,5}|[^:\s]+:[0-9]{1,5})?$",
        description="Where the page, its API, metrics and webhooks are served: HOST:PORT; empty: nowhere.",
    )
    hosts: list[str] = Field(default=[], description="Host names by which the page is asked for, as behind a proxy.")
    token: Secret = Field(default=SecretStr(""), description="Whoever has it may change something on the page; empty: nobody may.")

    @field_validator("token")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST:
            raise ValueError(f"use at least {SHORTEST} characters, as `openssl rand -hex 16` prints them")
        return value


class WebhookSettings(Section):
    secret: Secret = Field(default=SecretStr(""), description="What webhooks are signed with; empty: there are no webhooks.")


class ForgeSettings(Section):
    kind: Literal["", "github", "gitlab", "gitea", "forgejo"] = Field(
        default="", description="Where commits get a status: pending, success or failure; empty: nowhere."
    )
    token: Secret = Field(default=SecretStr(""), description="May write commit statuses of that repository.")
    api: str = Field(
        default="", pattern=r"^(https?://.+)?$", description="Its API, as https://git.example.com/api/v1; empty: as [source] url tells."
    )
    repository: str = Field(default="", description="Its name there, as team/desired-state; empty: as [source] url tells.")
    context: str = Field(default="shipstone", min_length=1, max_length=100, description="The name of the status; each host needs its own.")
    page_url: str = Field(
        default="", pattern=r"^(https?://.+)?$", description="Where people reach the page of Shipstone: the status links to it."
    )

    @model_validator(mode="after")
    def _with_token(self) -> Self:
        if self.kind and not self.token.get_secret_value():
            raise ValueError("kind needs a token that may write commit statuses. Set token, or token_file")
        return self


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
    max_replicas: int | None = Field(default=None, ge=0)
    max_memory: Size | None = None
    max_cpus: float | None = Field(default=None, ge=0)
    max_pids: int | None = Field(default=None, ge=0)
    no_new_privileges: bool | None = None


class HistorySettings(Section):
    keep_days: float = Field(default=90.0, gt=0, description="How many days the history goes back.")
    keep_rows: int = Field(default=50_000, ge=100, description="So many rows of history are kept at the most; older ones go first.")


def one_a_line(value: Any) -> Any:
    """A list as a file holds it: one a line, empty lines and those that begin with # left out."""
    if not isinstance(value, str):
        return value
    return [line.strip() for line in value.splitlines() if line.strip() and not line.startswith("#")]


class NotifySettings(Section):
    urls: Annotated[list[SecretStr], BeforeValidator(one_a_line), FROM_FILE] = Field(
        default=[], description="Where messages go: addresses as Apprise takes them."
    )
    heartbeat: Secret = Field(default=SecretStr(""), description="An address that is called after each good pass; empty: none.")
    report: Literal["", "daily", "weekly"] = Field(default="", description="How often a report of drift is sent to the same addresses.")
    report_at: str = Field(
        default="08:00", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="When, by this host's time; weekly on Mondays."
    )

    @field_validator("heartbeat")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        if value and not value.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("use an https:// or http:// address")
        return value

    @model_validator(mode="after")
    def _somebody_reads_it(self) -> Self:
        if self.report and not self.urls:
            raise ValueError("a report needs urls to go to")
        return self


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


class SecretsSettings(Section):
    dir: str = Field(
        default="/etc/shipstone/secrets", description="Secrets of this host: SITE/NAME is a site's, NAME whose the policy says."
    )
    identity: str = Field(
        default="age_identity",
        description="What age and SOPS files of the repository are decrypted with: a name in /etc/shipstone/credentials, or a path.",
    )


class RegistrySettings(Section):
    """How to log in to one registry."""

    username: str
    password: Secret


class Settings(BaseSettings):
    """All settings; every one has a default but the source."""

    model_config = SettingsConfigDict(env_prefix="SHIPSTONE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    instance: str = Field(default="shipstone", description="The name of this installation on its engine; a second one needs another.")
    source: SourceSettings = SourceSettings()
    engine: EngineSettings = EngineSettings()
    traefik: TraefikSettings = TraefikSettings()
    files: FilesSettings = FilesSettings()
    state: StateSettings = StateSettings()
    history: HistorySettings = HistorySettings()
    http: HttpSettings = HttpSettings()
    webhooks: WebhookSettings = WebhookSettings()
    notify: NotifySettings = NotifySettings()
    forge: ForgeSettings = ForgeSettings()
    policy: PolicySettings = PolicySettings()
    secrets: SecretsSettings = SecretsSettings()
    registries: dict[str, RegistrySettings] = Field(
        default={}, description="By a registry's name, as ghcr.io or docker.io: username and password, with which its images are pulled."
    )

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


def load_settings(config: Path | None, overrides: dict[str, Any] | None = None, only: Collection[str] = ()) -> Settings:
    """The file (the default one only where it exists), then the environment, then `overrides` (of the command line). With `only` no
    other section of the file counts: for a process that may read no secret.

    Raises SettingsError with one line for each thing that is wrong.
    """
    data = _read(config or DEFAULT, required=config is not None)
    data = {name: section for name, section in data.items() if name in only} if only else data
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
        if not (isinstance(section, type) and issubclass(section, BaseModel)):  # a table by names: what is in it comes next
            section = typing.get_args(section)[-1]
            continue
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
