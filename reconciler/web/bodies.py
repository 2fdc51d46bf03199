"""Reading a request's body: so much of it, in so much time, and no thread that waits."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from reconciler.web.signatures import RefusedError

MIB = 2**20


async def read_body(request: Request, most: int, patience: float) -> bytearray:
    """At most so many bytes, within so many seconds. Raises RefusedError."""
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise RefusedError(413, too_long(most))
    except TimeoutError:
        raise RefusedError(408, f"its body did not end within {patience:g} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "it broke off") from None
    return body


def too_long(most: int) -> str:
    return f"it is over {most // MIB} MiB" if most >= MIB else f"it is over {most} bytes"
