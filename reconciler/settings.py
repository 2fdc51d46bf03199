"""The host's own settings: a TOML file, then SHIPSTONE_SECTION__KEY. They belong to the administrator, never to the repository."""

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as NotReadError

from reconciler.errors import SettingsError
from reconciler.settings_policy import PolicySettings
from reconciler.settings_values import FROM_FILE, Address, CredentialOrPath, Environment, Seconds, Secret, Section, Size, one_a_line

DEFAULT = Path("/etc/shipstone/config.toml")
PREFIX = "SHIPSTONE_"
"""Of environment variables."""
SHORTEST = 16
"""Characters that a token of the page has at least: nobody can try them all."""


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
    timeout: Seconds = Field(
        default=60.0, ge=1, description="One call is given up after this long; a stop has its grace besides, a pull ten minutes of silence."
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
    http_address: str = Field(default="", description="The host's address on which a managed Traefik serves; empty is every IPv4 address.")
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


class HistorySettings(Section):
    keep_days: float = Field(default=90.0, gt=0, description="How many days the history goes back.")
    keep_rows: int = Field(default=50_000, ge=100, description="So many rows of history are kept at the most; older ones go first.")


class NotifySettings(Section):
    urls: Annotated[list[SecretStr], NoDecode, BeforeValidator(one_a_line), FROM_FILE] = Field(
        default=[], description="Where messages go: addresses as Apprise takes them."
    )
    heartbeat: Secret = Field(default=SecretStr(""), description="An address that is called after each good pass; empty: none.")
    report: Literal["", "daily", "weekly"] = Field(
        default="", description="How often a report of sites and drift is sent to the same addresses."
    )
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

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

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
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings calls it by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return Environment(settings_cls), init_settings


def load_settings(config: Path | None, overrides: dict[str, Any] | None = None, only: Collection[str] = ()) -> Settings:
    """The file (the default one only where it exists), then the environment, then `overrides` (of the command line). With `only` no
    other section of the file counts: for a process that may read no secret.

    Raises SettingsError with one line for each thing that is wrong.
    """
    if mistaken := "\n".join(_mistaken()):
        raise SettingsError(mistaken)
    data = _read(config or DEFAULT, required=config is not None)
    data = {name: section for name, section in data.items() if name in only} if only else data
    try:
        settings = Settings(**data)
    except NotReadError as error:  # of the environment
        raise SettingsError(str(error.__cause__)) from None
    except ValidationError as error:
        raise SettingsError("\n".join(_line(row, config or DEFAULT) for row in error.errors())) from None
    for section, values in (overrides or {}).items():
        settings = settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})
    return settings


def _mistaken() -> Iterator[str]:
    """Variables with a section's name and one underscore after it: who set them believes that they count."""
    for name in sorted(os.environ):
        section, between, key = name.upper().removeprefix(PREFIX).partition("_")
        if name.upper().startswith(PREFIX) and section.lower() in Settings.model_fields and between and not key.startswith("_"):
            why = f"Between section and name are two underscores, as {PREFIX}{section}__{key}"
            yield f"{name}: there is no such setting. {why}; docs/settings.md lists them all."


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
    variable = PREFIX + "__".join(str(part).upper() for part in row["loc"])
    where = variable if variable in os.environ else f"{path}: {key}"
    if row["type"] == "extra_forbidden":
        return f"{where}: there is no such setting{_meant(row['loc'])}. docs/settings.md lists them all."
    return f"{where}: {row['msg'].removeprefix('Value error, ')}."
