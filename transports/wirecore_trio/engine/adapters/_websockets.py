"""The engine over the trio client of ``websockets``, 17 or newer."""

from __future__ import annotations

from typing import Any, Final

import trio
from websockets import exceptions
from websockets.protocol import State
from websockets.trio.client import ClientConnection, connect

from ..._errors import ConnectionClosed
from ._contract import Message, OneAtATime, down

#: 1006 and its likes, which no frame holds: RFC 6455 section 7.4.1.
_LOST: Final = 1006


class _Held:
    """A connection, and the task that holds its ``async with``: the library runs tasks in that.

    A system task, as no task of the engine's may live as long.
    """

    def __init__(self, connecting: connect) -> None:
        self._connecting = connecting
        self._scope = trio.CancelScope()
        self._opened = trio.Event()
        self._ended = trio.Event()
        self._failure: BaseException | None = None
        self.connection: ClientConnection

    async def open(self) -> None:
        """Connect. Raises what the library does."""
        trio.lowlevel.spawn_system_task(self._hold, name="websockets' connection of an engine")
        try:
            await self._opened.wait()
        except BaseException:
            await self.drop()
            raise
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    async def _hold(self) -> None:
        try:
            with self._scope:
                async with self._connecting as self.connection:
                    self._opened.set()
                    await self.connection.wait_closed()
        except Exception as error:  # noqa: BLE001 - raised to who connects
            self._failure = error
        finally:
            self._opened.set()
            self._ended.set()

    async def drop(self) -> None:
        """End it now."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()


class WebsocketsAdapter(OneAtATime[_Held]):
    """An :class:`Adapter` over ``websockets.trio.client.connect``.

    *keywords*: what that takes besides the URL. ``dial`` gives the server's response.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__()
        self._keywords = keywords

    @property
    def underlying(self) -> Any:
        """See Adapter."""
        return None if self._connection is None else self._connection.connection

    async def _dial(self, url: str) -> tuple[_Held, Any]:
        held = _Held(connect(url, **self._keywords))
        await held.open()
        return held, held.connection.response

    async def close(self, code: int, reason: str) -> None:
        """See Adapter."""
        held = self._take("close")
        connection = held.connection
        try:
            gone = connection.state is not State.OPEN
            if not gone:
                await connection.aclose(code, reason)
        finally:
            await held.drop()
        if gone and connection.protocol.close_rcvd is None:
            raise _closed(connection.protocol.close_exc)

    async def ping(self) -> float:
        """See Adapter; the round-trip time in seconds."""
        connection = (await self._up("ping")).connection
        begun = trio.current_time()
        try:
            pong = await connection.ping(ack_on_close=True)
            await pong.wait()
        except exceptions.ConnectionClosed as error:
            raise _closed(error) from error
        if connection.state is not State.OPEN:
            raise _closed(connection.protocol.close_exc)
        return trio.current_time() - begun

    async def receive(self) -> Message:
        """See Adapter."""
        held = await self._up("read")
        try:
            return await held.connection.recv()
        except exceptions.ConnectionClosed as error:
            if self._connection is not held:
                raise down("read") from error
            self._forget(held)
            await held.drop()
            raise _closed(error) from error

    async def send(self, message: Message) -> None:
        """See Adapter."""
        connection = (await self._up("write")).connection
        try:
            await connection.send(message)
        except exceptions.ConnectionClosed as error:
            raise _closed(error) from error


def _closed(error: exceptions.ConnectionClosed) -> ConnectionClosed:
    # What the peer said; where it said nothing, what this end told it of a rule that it broke.
    frame = error.rcvd or error.sent
    if frame is None:
        return ConnectionClosed(_LOST, str(error), clean=False)
    return ConnectionClosed(frame.code, frame.reason, clean=error.rcvd is not None)
