"""A server of grpc.aio, stopped from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import grpc.aio


class Stopping:
    """The wish to stop a server: said in any thread, carried out on the server's loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: grpc.aio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: What was asked before there was a server.
        self._asked: list[float | None] = []

    def ask(self, grace: float | None) -> None:
        """Stop: calls have *grace* seconds to finish, None: no time at all.

        Of several wishes the one that ends first counts.
        """
        with self._lock:
            if self._loop is None:
                self._asked.append(grace)
                return
            loop = self._loop
        try:
            loop.call_soon_threadsafe(self._stop, grace)
        except RuntimeError:
            return  # the loop has ended: so has the server

    def _stop(self, grace: float | None) -> None:
        assert self._server is not None
        stopping: Coroutine[Any, Any, None] = self._server.stop(grace)
        self._tasks.add(asyncio.get_running_loop().create_task(stopping))

    async def run(self, server: grpc.aio.Server) -> None:
        """Wait until *server*, which is started, was stopped. On its loop."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._server = server
            asked = list(self._asked)
        for grace in asked:
            self._stop(grace)
        await server.wait_for_termination()
        await asyncio.gather(*self._tasks)
