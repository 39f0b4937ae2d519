"""What a server has to do with a store that it shares with others: it runs it, and hears them."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio

from wirecore import _backend
from wirecore.webwire_rules import SIGNAL, SIGNAL_END

from .._companion import Companion
from ._rooms import ROOM_TOPIC, Room
from ._sessions import CLOSED_TOPIC, Sessions
from .stores._contract import SharedStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._server import Server

logger = logging.getLogger("wirecore.webwire")


class Sharing:
    """Runs *store* for as long as *server* serves on any address."""

    def __init__(self, server: Server, store: SharedStore, sessions: Sessions) -> None:
        self.store = store
        self._server = server
        self._sessions = sessions
        self._closing: set[str] = set()
        companion = Companion("wirecore shared store", self._work)
        #: To have it run, together with the other addresses that are served. Raises, within too,
        #: what the store raises that can't go on, as its ``run`` says.
        self.running = companion.running
        self.wait_started = companion.wait_started

    async def _work(self, started: Callable[[], None]) -> None:
        async with trio.open_nursery() as nursery:
            await self.store.subscribe(CLOSED_TOPIC)
            await nursery.start(
                self.store.run,
                partial(self._deliver, nursery),
                partial(self._start, nursery, self._sessions.check),
            )
            started()

    async def _deliver(self, nursery: trio.Nursery, topic: str, message: bytes) -> None:
        """Another server says something. What makes no sense is logged, and dropped."""
        if topic == CLOSED_TOPIC:
            try:
                key = message.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                logger.error("a message of another server's was dropped: it is no session's key")
                return
            if self._sessions.registry.connections(key) and key not in self._closing:
                self._closing.add(key)
                self._start(nursery, self._close, key)
        elif topic.startswith(ROOM_TOPIC):
            room = Room(self._server, topic.removeprefix(ROOM_TOPIC))
            problem = self._problem(message)
            if problem:
                logger.error("a message to the room %r was dropped: %s", room.name, problem)
            else:
                await room._deliver(message)

    async def _close(self, key: str) -> None:
        try:
            await self._sessions.close_key(key, published=True)
        finally:
            self._closing.discard(key)

    def _problem(self, message: bytes) -> str:
        """Why *message* can't be sent to members as it is; "" where it can."""
        most = self._server.options.conf.buffer_size
        if len(message) > most:
            return f"it has {len(message)} bytes, and buffer_size of this server is {most}"
        kind = _backend.default.webwire.decode_message(message)[0]
        return "" if SIGNAL <= kind < SIGNAL_END else "it is no signal"

    def _start(
        self, nursery: trio.Nursery, function: Callable[..., Awaitable[object]], *arguments: object
    ) -> None:
        nursery.start_soon(self._try, function, arguments)

    async def _try(
        self, function: Callable[..., Awaitable[object]], arguments: tuple[object, ...]
    ) -> None:
        try:
            await function(*arguments)
        except Exception:
            logger.exception("what another server has told couldn't be done")
