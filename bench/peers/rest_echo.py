"""The application of the REST rows: a POST is answered with its body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

PATH = "/echo"


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Any server of ASGI serves it."""
    if scope["type"] != "http":
        raise RuntimeError("it knows no lifespan")
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = [(b"content-type", b"application/octet-stream")]
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
