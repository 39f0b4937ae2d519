"""Lifespans of applications that run elsewhere than their servers, on either loop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._asgi_types import Message, Receive, Send

logger = logging.getLogger("wirecore.rest")


class WholeLifespan:
    """A lifespan, which goes on up to its shutdown also where the application's ends before."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        #: Messages that the application has received, and sent.
        self._received = 0
        self._sent: list[str] = []

    async def serve(self, call: Callable[[Receive, Send], Awaitable[None]]) -> None:
        error: Exception | None = None
        try:
            await call(self.receive, self.send)
        except Exception as problem:
            # Before its startup it may know no lifespan, and after that fails its server's.
            if self._received > 1 or self._has_failed():
                raise
            error = problem
        if self._received > 1 or self._has_failed():
            return
        if self._sent:
            logger.error("the application's lifespan ended while it is served", exc_info=error)
        elif error is not None and self._received:
            logger.warning(
                "the application raised in its startup, and is served without lifespan",
                exc_info=error,
            )
        else:
            logger.info("the application supports no lifespan")
        if not self._received:
            await self._receive()
        if not self._sent:
            await self._send({"type": "lifespan.startup.complete"})
        await self._receive()
        if self._sent and error is not None:
            raise error
        await self._send({"type": "lifespan.shutdown.complete"})

    def _has_failed(self) -> bool:
        return "lifespan.startup.failed" in self._sent

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += 1
        return message

    async def send(self, message: Message) -> None:
        await self._send(message)
        self._sent.append(message["type"])
