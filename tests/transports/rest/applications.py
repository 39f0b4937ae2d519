"""Applications of ASGI that send what they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

START = "http.response.start"
BODY = "http.response.body"
TRAILERS = "http.response.trailers"

Messages = list[dict[str, Any]]


def start(status: int = 200, *fields: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": START, "status": status, "headers": list(fields), **more}


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": BODY, "body": data, "more_body": more}


def sends(*messages: dict[str, Any]) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An application that sends *messages* and reads nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app
