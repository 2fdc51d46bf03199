"""Secrets among the settings may stand in files, as systemd and Docker hand them over: SHIPSTONE_SECTION__KEY_FILE names one."""

import os
import stat
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, SecretStr
from pydantic_settings import EnvSettingsSource

from reconciler.errors import SettingsError

MAX_BYTES = 64 * 1024


class Environment(EnvSettingsSource):
    """The environment, with what the files of secrets hold in the place of their names."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = dict(super()._load_env_vars())
        for name in secret_variables(self.settings_cls, self.env_prefix.lower()):
            path = found.pop(f"{name}_file", None)
            if path:
                found[name] = secret_in(path, f"{name}_file".upper())
        return found


def secret_variables(settings: type[BaseModel], prefix: str) -> Iterator[str]:
    """In lower case, as pydantic-settings has them."""
    for section, field in settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (f"{prefix}{section}__{key}" for key, row in model.model_fields.items() if row.annotation is SecretStr)


def secret_in(path: str, variable: str) -> str:
    """Without the line break at its end. Raises SettingsError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                raise SettingsError(f"cannot use {path} ({variable}): everybody on this host can read it. Run `chmod o-r {path}`.")
            text = file.read(MAX_BYTES)
    except OSError as error:
        raise SettingsError(f"cannot read {path} ({variable}): {error.strerror}. Name a file that this user may read.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"cannot use {path} ({variable}): it is not UTF-8. Write the secret as text.") from None
    return text.rstrip("\r\n")
