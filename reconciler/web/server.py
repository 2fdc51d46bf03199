"""Serving the routes in a thread beside the loop."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import SettingsError

PARK = 3.0
"""Seconds that requests under way have when the daemon stops."""
MAX_CONNECTIONS = 256
MAX_HEAD = 64 * 1024
"""Bytes of a request before its body."""


@contextmanager
def serving(app: object, listen: str) -> Iterator[None]:
    """Answers at `listen` (HOST:PORT) while the block runs. Raises SettingsError where the port cannot be had."""
    import uvicorn

    from reconciler.web.connections import Connection

    with _bound(listen) as bound:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            http=Connection,
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(PARK),
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="http", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(PARK + 1)


def _bound(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=256)
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SettingsError(
            f"cannot listen on {listen}: {why}. Set [http] listen to another address, or to nothing: then no page is served."
        ) from None
