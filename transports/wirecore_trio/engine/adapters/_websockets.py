"""The engine over the trio client of ``websockets``, 17 or newer."""

from __future__ import annotations

from typing import Any, Final

import trio
from websockets import exceptions
from websockets.protocol import State
from websockets.trio.client import ClientConnection

from wirecore.errors import InvalidOption
from wirecore.events import Close
from wirecore.websocket.closing import make_close

from ..._arguments import require_known
from ..._errors import ConnectionClosed
from ._contract import Message, OneAtATime, down
from ._websockets_connecting import KEYWORDS, Connecting, closing_at_once

#: 1006 and its likes, which no frame holds: RFC 6455 section 7.4.1.
_LOST: Final = 1006


class _Held:
    """A connection, and the task that holds its ``async with``: the library runs tasks in that.

    A system task, as no task of the engine's may live as long.
    """

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting
        self._scope = trio.CancelScope()
        self._opened = trio.Event()
        self._ended = trio.Event()
        self._failure: BaseException | None = None
        self.connection: ClientConnection
        self._receiving: trio.CancelScope | None = None

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

    async def receive(self) -> Message | None:
        """The next message; None where :meth:`close` was called meanwhile."""
        try:
            with trio.CancelScope() as self._receiving:
                return await self.connection.recv()
        finally:
            self._receiving = None
        return None

    async def close(self, frame: Close) -> None:
        """Send a close *frame*, and wait for the peer's. What comes until then is dropped.

        Left in the library's queue it would stop the reader, and so the peer's close frame would
        be waited for in vain.
        """
        if self._receiving is not None:
            self._receiving.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._discard)
            code: Any = frame.code  # None, for no code, is what its protocol takes, too
            await self.connection.aclose(code, frame.reason)
            nursery.cancel_scope.cancel()

    async def _discard(self) -> None:
        try:
            while True:
                try:
                    await self.connection.recv()
                except exceptions.ConcurrencyError:  # who received lets go in this pass
                    await trio.lowlevel.checkpoint()
        except exceptions.ConnectionClosed:
            pass

    async def drop(self) -> None:
        """End it now."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()


class WebsocketsAdapter(OneAtATime[_Held]):
    """An :class:`Adapter` over ``websockets.trio.client.connect``.

    *keywords*: what that takes besides the URL. ``dial`` gives the server's response. In a
    :class:`wirecore_trio.testing.Network` it dials through that, and past every proxy.

    Raises as that for keywords that make no sense, InvalidOption for a ``create_connection`` that
    is no class of the library's, TypeError for keywords that it doesn't take.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__()
        require_known("WebsocketsAdapter", keywords, KEYWORDS)
        made_by = keywords.get("create_connection") or ClientConnection
        if not (isinstance(made_by, type) and issubclass(made_by, ClientConnection)):
            raise InvalidOption(
                "create_connection must be a class that derives from websockets' "
                f"ClientConnection, not {made_by!r}"
            )
        self._keywords = {**keywords, "create_connection": closing_at_once(made_by)}
        Connecting("wss://localhost/", **self._keywords)

    @property
    def underlying(self) -> Any:
        """See Adapter."""
        return None if self._connection is None else self._connection.connection

    async def _dial(self, url: str) -> tuple[_Held, Any]:
        held = _Held(Connecting(url, **self._keywords))
        await held.open()
        return held, held.connection.response

    async def close(self, code: int, reason: str) -> None:
        """See Adapter."""
        held = self._take("close")
        connection = held.connection
        try:
            frame = make_close(code, reason)
            gone = connection.state is not State.OPEN
            if not gone:
                await held.close(frame)
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
            message = await held.receive()
        except exceptions.ConnectionClosed as error:
            if self._connection is not held:
                raise down("read") from error
            self._forget(held)
            await held.drop()
            raise _closed(error) from error
        if message is None:
            raise down("read")
        return message

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
