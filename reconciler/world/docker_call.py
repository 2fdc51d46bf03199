"""Calls of the Docker SDK: a client for each thread, errors that become ours, in one line."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound, StreamParseError
from urllib3.exceptions import HTTPError

from reconciler.errors import EngineError, NotFoundError

TIMEOUT = 60.0
"""Seconds that one call may take, besides a stop's grace and pulls."""


Observe = Callable[[str, float, bool], None]
"""Is told of every call: its first word (create, list, …), its seconds, and whether it failed."""


def unobserved(call: str, seconds: float, failed: bool) -> None:
    """Nobody wants to know."""


OTHER_VERSION = "client version"
"""In what an engine says to somebody who speaks as with an older or a newer one."""
STREAMS = frozenset({"listen"})
"""Calls that last as long as somebody listens."""


class UnreachableError(EngineError):
    """The engine does not answer at all."""


class _Impatient(docker.APIClient):
    """The SDK waits for ever where it asks for a stream."""

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**kwargs, "timeout": self.timeout}


class Connection:
    """The engine behind `socket`. Safe to use from several threads: each has a client of its own.

    `timeout`: seconds that one call may take; `away`: when it last did not answer (monotonic seconds).
    """

    def __init__(self, socket: str, observe: Observe = unobserved, timeout: float = TIMEOUT) -> None:
        self.socket, self._version, self._observe, self._timeout = socket, "", observe, timeout
        self._clients = threading.local()
        self.away = -math.inf

    @property
    def api(self) -> Any:
        client = getattr(self._clients, "client", None)
        if client is None:
            client = self._clients.client = self._made(docker.APIClient, self._timeout)
            self._version = client.api_version
        return client

    def new(self, timeout: float) -> Any:
        """A client for one purpose, to be closed; `timeout`: seconds that the engine may say nothing, also in a call that streams."""
        return self._made(_Impatient, timeout)

    def _made(self, kind: Any, timeout: float) -> Any:
        return kind(base_url=self.socket, version=self._version or "auto", timeout=round(timeout))

    @contextmanager
    def call(self, what: str) -> Iterator[None]:
        """`what` completes "cannot …"."""
        begun, failed = time.monotonic(), True
        try:
            with engine_call(what, self.socket):
                yield
            failed = False
        except UnreachableError:
            self._forget()
            self.away = time.monotonic()
            raise
        except NotFoundError:
            failed = False  # an answer: it is gone, or was never there
            raise
        except EngineError as error:
            if OTHER_VERSION in str(error):
                self._forget()
            raise
        finally:
            name = what.split()[0]
            if name not in STREAMS:
                self._observe(name, time.monotonic() - begun, failed)

    def _forget(self) -> None:
        """The engine that answers next may be another version: what to speak with it is asked anew."""
        self._clients.client, self._version = None, ""


@contextmanager
def engine_call(what: str, socket: str) -> Iterator[None]:
    """`what` completes "cannot …"."""
    try:
        yield
    except NotFound as error:
        raise NotFoundError(f"cannot {what}: {_said(error)}") from None
    except APIError as error:
        raise EngineError(f"cannot {what}: {_said(error)}") from None
    except (DockerException, StreamParseError, requests.RequestException, HTTPError, OSError) as error:
        raise UnreachableError(
            f"cannot {what}: the Docker Engine at {socket} does not answer ({_root(error)}). Start it, or correct [engine] socket."
        ) from None


def _said(error: APIError) -> str:
    return " ".join(str(error.explanation or error).split())


def _root(error: BaseException) -> str:
    """The innermost reason: the outer ones only say that something failed."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
