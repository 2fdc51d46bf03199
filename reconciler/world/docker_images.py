"""Images on the Docker Engine: found, pulled, looked into."""

import re
from contextlib import closing
from typing import Any

import requests
from docker.errors import APIError
from urllib3.exceptions import ReadTimeoutError

from reconciler.errors import EngineError, NotFoundError
from reconciler.planning.images import StoredImage, familiar
from reconciler.world.docker_call import Connection
from reconciler.world.registry_logins import Logins

NOBODY = Logins({})
REFUSED = re.compile(r"unauthori[sz]ed|denied|forbidden|authentication|credential|\b40[13]\b|repository does not exist", re.IGNORECASE)
"""How registries say no to somebody, or to nobody."""


class DockerImages:
    """Those of the engine behind `connection`."""

    def __init__(self, connection: Connection, logins: Logins = NOBODY) -> None:
        self._connection, self._logins = connection, logins
        self._configs: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, str] = {}

    def present(self, image: str) -> str | None:
        """The digest under the name that was written, or the id of an image that no registry knows. The engine also finds an image by
        a part of its id: so it is had by its name only, which the policy has looked at."""
        try:
            with self._connection.call(f"inspect {image}"):
                row = self._connection.api.inspect_image(image)
        except NotFoundError:
            return None
        if familiar(image) not in (*(row.get("RepoTags") or ()), *(row.get("RepoDigests") or ())):
            return None
        if "@" in image:
            return image
        repository = _repository(image)
        digests = [digest for digest in row.get("RepoDigests") or () if digest.split("@")[0] == repository]
        return str(digests[0] if digests else row["Id"])

    def resolve(self, image: str, *, timeout: float) -> str:
        if (reference := self.present(image)) is not None:
            return reference
        self._pull(image, timeout)
        reference = self.present(image)
        if reference is None:
            raise EngineError(f"cannot find {image} after it was pulled. Look whether someone removes images on this host.")
        return reference

    def config(self, reference: str) -> dict[str, Any]:
        """Of an image that a digest or an id names: it never changes."""
        if reference not in self._configs:
            with self._connection.call(f"find {reference}"):
                self._configs[reference] = self._connection.api.inspect_image(reference).get("Config") or {}
        return self._configs[reference]

    def id_of(self, reference: str) -> str:
        """Of the image that a digest names; empty where it is not here. It never changes."""
        if reference not in self._ids:
            try:
                with self._connection.call(f"inspect {reference}"):
                    self._ids[reference] = str(self._connection.api.inspect_image(reference)["Id"])
            except NotFoundError:
                return ""
        return self._ids[reference]

    def stored(self, reference: str) -> StoredImage | None:
        try:
            with self._connection.call(f"inspect {reference}"):
                row = self._connection.api.inspect_image(reference)
        except NotFoundError:
            return None
        with self._connection.call("list the containers"):
            used = any(container["ImageID"] == row["Id"] for container in self._connection.api.containers(all=True))
        return StoredImage(row["Id"], (*(row.get("RepoTags") or ()), *(row.get("RepoDigests") or ())), used)

    def remove(self, reference: str) -> bool:
        with self._connection.call(f"remove the image {reference}"):
            try:
                self._connection.api.remove_image(reference)
            except APIError as error:
                if error.status_code == 409:
                    return False
                if error.status_code != 404:
                    raise
        return True

    def _pull(self, image: str, timeout: float) -> None:
        name, tag = image, "" if "@" in image else "latest"
        if "@" not in image and ":" in image.rsplit("/", 1)[-1]:
            name, _, tag = image.rpartition(":")
        credential = self._logins.find(name.partition("@")[0])
        try:
            with self._connection.call(f"pull {image}"), closing(self._connection.new(timeout)) as client:
                try:
                    for row in client.pull(name, tag=tag or None, stream=True, decode=True, auth_config=credential.config):
                        if "error" in row:
                            raise EngineError(f"cannot pull {image}: {row['error']}")
                except (requests.Timeout, ReadTimeoutError):
                    why = f"nothing more of it came for {timeout:g} s"
                    raise EngineError(f"cannot pull {image}: {why}. Look whether its registry answers this host.") from None
        except EngineError as error:
            if not REFUSED.search(str(error)):
                raise
            raise EngineError(f"{error}. It was asked {credential.said}.") from None


def _repository(image: str) -> str:
    """Without the tag, as RepoDigests has it."""
    return familiar(image).rpartition(":")[0]
