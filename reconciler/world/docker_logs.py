"""Following a container's log as it is written."""

from collections.abc import Iterator

import docker

from reconciler.world.docker_call import engine_call

QUIET = 7 * 24 * 3600
"""Seconds that a container may say nothing."""


def follow(socket: str, container_id: str, lines: int) -> Iterator[str]:
    """The last `lines` of stdout and stderr, then what comes, until the container ends. Raises EngineError."""
    with engine_call(f"read the log of {container_id[:12]}", socket):
        client = docker.APIClient(base_url=socket, version="auto", timeout=QUIET)
        try:
            rest = b""
            for chunk in client.logs(container_id, stream=True, follow=True, tail=lines):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            if rest:
                yield rest.decode("utf-8", "replace")
        finally:
            client.close()
