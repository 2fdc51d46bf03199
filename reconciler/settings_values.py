"""What a setting may be: times, sizes, addresses, names of credentials, secrets, also from files."""

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from reconciler.errors import ShipstoneError
from reconciler.secret_file import one_line, read_secret

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


class Environment(EnvSettingsSource):
    """Says which variable is no JSON, without its value: it may be a secret."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            names = (name for name, text in os.environ.items() if text == value and name.upper().startswith(self.env_prefix))
            raise ValueError(f'{next(names, field_name)}: this is no JSON. A list is written as \'["a", "b"]\'.') from None


def one_a_line(value: Any) -> Any:
    """A list as a file holds it: one a line, empty lines and those that begin with # left out; or JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('this is no JSON. Write one a line, or \'["a", "b"]\'') from None
    return [line.strip() for line in value.splitlines() if line.strip() and not line.startswith("#")]
