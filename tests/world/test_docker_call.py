"""Calls of a real engine: what one client knows of it, and when that is forgotten."""

import pytest

from reconciler.errors import EngineError
from reconciler.world.docker_call import Connection

pytestmark = pytest.mark.docker


def test_an_engine_of_another_version_by_now_is_spoken_to_anew(docker_socket: str) -> None:
    """Upgraded, or set back, while the daemon runs: one call fails, the next one speaks as this engine does."""
    connection = Connection(docker_socket)
    connection._version = "9.99"  # as of the engine that was there before
    with pytest.raises(EngineError, match=r"^cannot list: client version 9\.99 is too new"), connection.call("list"):
        connection.api.containers()
    with connection.call("list"):
        connection.api.containers()
