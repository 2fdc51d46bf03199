"""Errors of the Docker SDK become ours, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from docker.errors import APIError, DockerException, NotFound

from reconciler.errors import EngineError, NotFoundError


class UnreachableError(EngineError):
    """The engine does not answer at all."""


@contextmanager
def engine_call(what: str, socket: str) -> Iterator[None]:
    """`what` completes "cannot …"."""
    try:
        yield
    except NotFound as error:
        raise NotFoundError(f"cannot {what}: {_said(error)}") from None
    except APIError as error:
        raise EngineError(f"cannot {what}: {_said(error)}") from None
    except (DockerException, requests.RequestException, OSError) as error:
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
