"""With which credential an image is pulled: of the settings, else of the host's Docker configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docker import auth
from docker.errors import DockerException
from docker.utils.config import find_config_file

from reconciler.desired.container_rules import registry_of
from reconciler.errors import EngineError


@dataclass(frozen=True)
class Login:
    """A user of a registry; the password is never printed."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """`config` is for the engine, None where there is none; `said` is for people."""

    config: Mapping[str, str] | None = field(repr=False)
    said: str


class Logins:
    """Of the settings, by registry; Docker's configuration (~/.docker, or $DOCKER_CONFIG) is read anew each time."""

    def __init__(self, own: Mapping[str, Login]) -> None:
        self._own = own

    def find(self, image: str) -> Credential:
        """For the registry that `image` comes from. Raises EngineError where Docker's configuration cannot be used."""
        registry = registry_of(image)
        if login := self._own.get(registry):
            config = {"username": login.username, "password": login.password, "serveraddress": registry}
            return Credential(config, f'as {login.username} of [registries."{registry}"]')
        place = str(find_config_file() or "~/.docker/config.json")
        try:
            found: dict[str, Any] | None = auth.load_config().resolve_authconfig(registry)
        except (DockerException, OSError, ValueError) as error:
            raise EngineError(
                f"cannot pull {image}: the credential of {registry} in {place} cannot be had ({type(error).__name__}: {error}). "
                f'Mend it, or write [registries."{registry}"] in the settings.'
            ) from None
        if not found:
            return Credential(None, f'without a credential: there is none for {registry} in [registries."{registry}"] or {place}')
        who = found.get("username") or found.get("Username")
        return Credential(found, f"as {who} of {place}" if who else f"with the token of {place}")
