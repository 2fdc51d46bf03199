"""An app behind a real port, asked as anybody asks."""

import contextlib
from collections.abc import Iterator

import httpx
from lab.ports import Ports
from starlette.types import ASGIApp

from reconciler.web.server import serving


@contextlib.contextmanager
def asking(app: ASGIApp) -> Iterator[httpx.Client]:
    ports = Ports()
    listen = f"127.0.0.1:{ports.take()}"
    try:
        with serving(app, listen), httpx.Client(base_url=f"http://{listen}", timeout=10.0) as client:
            yield client
    finally:
        ports.close()
