"""Applications that the tests of ``wirecore tunnel`` publish."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import trio


async def _answer(send: Any, body: bytes, status: int = 200) -> None:
    fields = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked; /hold waits until the file "go" is there. A WebSocket stays open."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    if scope["path"].endswith("/hold"):
        await _touch("held")
        while not await trio.Path("go").exists():  # noqa: ASYNC110  # another process makes it
            await trio.sleep(0.01)
    if scope["path"].endswith("/stream"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
            await _touch("held")
            await trio.sleep(0.01)
    said = scope["extensions"]["wirecore.rest"]["metadata"]
    await _answer(send, f"{scope['root_path']}|{scope['path']}|{said}".encode())


async def _touch(name: str) -> None:
    await trio.Path(name).write_text("")


def make() -> Any:
    """Makes that application."""
    return app


async def on_asyncio(scope: Any, receive: Any, send: Any) -> None:
    """Needs asyncio's loop."""
    if scope["type"] == "http":
        await asyncio.sleep(0)
        await _answer(send, f"asyncio in {os.path.basename(os.getcwd())}".encode())


async def fails_to_start(scope: Any, receive: Any, send: Any) -> None:
    """Has no database."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


not_async = "no application"
