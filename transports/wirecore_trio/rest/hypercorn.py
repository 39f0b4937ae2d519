"""hypercorn's worker for trio, of which one connection can't end the others (extra ``tunnel``).

hypercorn lets most of what goes wrong within a connection end all that it serves: bytes behind a
request for a WebSocket, a path of HTTP/2 that isn't ASCII. It bounds no WebSocket. When it stops,
it waits for connections on which nothing is under way, and doesn't for the last bytes of others.
Who is reached by everybody takes this module's :func:`serve`, in place of ``hypercorn.trio.serve``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

import hypercorn.protocol
import hypercorn.protocol.h2
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
import hypercorn.trio
import hypercorn.trio.run
import hypercorn.trio.tcp_server
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer

from ._hypercorn_http2 import Http2
from ._hypercorn_websocket import BoundedDeflate, WebSocketStream

__all__ = ["serve"]

if sys.platform != "win32":
    import fcntl
    import termios

logger = logging.getLogger("wirecore.rest.hypercorn")

#: Seconds for the last bytes of a connection that is closed.
_GOODBYE: Final = 1.0

#: Seconds between two looks at what the system has still to send.
_LOOK: Final = 0.02


class _Tasks(TaskGroup):
    """The tasks of a connection, and how many requests they are busy with."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way = 0
        self._through = trio.Event()
        self._when_through: Callable[[], object] | None = None

    async def spawn_app(
        self, app: Any, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Any:
        """Call *app*, which is under way until hypercorn has sent the end of its answer."""
        self._under_way += 1
        is_over = False

        async def send_on(message: Any) -> None:
            nonlocal is_over
            try:
                await send(message)
            finally:
                if message is None and not is_over:
                    is_over = True
                    self._end()

        return await super().spawn_app(app, config, scope, send_on)

    def _end(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            through, self._through = self._through, trio.Event()
            through.set()
            if self._when_through is not None:
                self._when_through()

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return self._under_way > 0

    def when_through(self, callback: Callable[[], object]) -> None:
        """Have *callback* called as soon as nothing is under way, and each time that it is so."""
        self._when_through = callback
        if not self._under_way:
            callback()

    async def wait_through(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await self._through.wait()


class _Guarded(TCPServer):
    """A connection whose faults end nothing else, and which ends when nothing is under way."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reading = trio.CancelScope()

    @property
    def _tasks(self) -> _Tasks | None:
        """Its tasks; None where it hasn't spoken TLS yet."""
        tasks = getattr(self, "_task_group", None)
        return tasks if isinstance(tasks, _Tasks) else None

    @property
    def _http2(self) -> Http2 | None:
        """Its protocol, where that is HTTP/2."""
        protocol = self.protocol.protocol
        return protocol if isinstance(protocol, Http2) else None

    def __await__(self) -> Generator[Any, Any, None]:
        return self.run().__await__()

    async def run(self) -> None:
        """Serve it, and end it whatever happens."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_told, nursery.cancel_scope)
                await super().run()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            faults, others = group.split(Exception)
            if faults is not None:
                _log(faults)
            if others is not None:
                raise others from None

    async def _read_data(self) -> None:
        with self._reading:
            await super()._read_data()
        if self._reading.cancelled_caught:
            await self.protocol.handle(Closed())  # for requests that it was about to begin

    async def protocol_send(self, event: Any) -> None:
        """Send it, or close.

        Behind the last request there may be another, for whose turn hypercorn waits for ever.
        """
        if isinstance(event, RawData):
            try:
                async with self.send_lock:
                    with trio.CancelScope(shield=True):
                        await self.stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                # The caller has gone, or this end is closing. The applications are told by the task
                # that reads: this one may be an application's, which is cancelled as it is told.
                event = Closed()
                await trio.aclose_forcefully(self.stream)
        else:
            await super().protocol_send(event)
        if isinstance(event, Closed) and self._tasks is not None:
            self._tasks.when_through(self._reading.cancel)

    async def _leave_when_told(self, scope: trio.CancelScope) -> None:
        """End it when the server stops: hypercorn does so only where it knows that it is idle.

        It isn't told of requests that are taken back, nor reads on behind half of a next one. And
        what it sends can't be cancelled: the end of the stream ends that.
        """
        try:
            await self.context.terminated.wait()
            tasks = self._tasks
            if tasks is not None:
                if self._http2 is not None:
                    await self._http2.leave()
                await tasks.wait_through()
                await self._flush()  # up to the end of the grace
                await self._wait_taken()
                await self._close()
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)
            scope.cancel()

    async def _initiate_server_close(self) -> None:
        if self.context.terminated.is_set():
            return  # _leave_when_told ends it
        if self._http2 is not None:
            await self._http2.leave()
        with trio.move_on_after(_GOODBYE):
            await self._flush()
        if self._tasks is None or not self._tasks.is_busy:  # a request may have come meanwhile
            await super()._initiate_server_close()

    async def _wait_taken(self) -> None:
        """Wait until the caller's system has all that was sent.

        Who still reads tells that by WINDOW_UPDATE. The system answers it with RST where this end
        is closed, and drops what it hasn't sent by then.
        """
        if self._http2 is None:
            return
        stream = getattr(self.stream, "transport_stream", self.stream)
        while stream.socket.fileno() >= 0 and _unsent(stream.socket):  # noqa: ASYNC110
            await trio.sleep(_LOOK)  # nothing tells of it

    async def _flush(self) -> None:
        """Wait until all that was answered is sent, where its caller reads it."""
        if self._http2 is not None:
            await self._http2.wait_sent()
        async with self.send_lock:
            pass


def _unsent(socket: trio.socket.SocketType) -> int:
    """Bytes that the other system doesn't have yet; 0 where this one can't tell."""
    if sys.platform == "win32":
        return 0
    try:
        answer = fcntl.ioctl(socket, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _log(fault: BaseException) -> None:
    # Callers bring it about as they like: a line each is enough.
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    logger.info("a connection ended with an error of hypercorn's: %r", fault)
    logger.debug("of which this is the trace", exc_info=fault)


async def serve(
    app: Any,
    config: Config,
    *,
    shutdown_trigger: Callable[..., Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """As ``hypercorn.trio.serve``: *app* by *config*, until *shutdown_trigger* returns.

    From the first call on all that hypercorn serves on trio in this process is guarded.
    """
    # They aren't theirs to export.
    setattr(hypercorn.trio.run, "TCPServer", _Guarded)  # noqa: B010
    setattr(hypercorn.trio.tcp_server, "TaskGroup", _Tasks)  # noqa: B010
    setattr(hypercorn.protocol, "H2Protocol", Http2)  # noqa: B010
    for module in (hypercorn.protocol.h11, hypercorn.protocol.h2):
        setattr(module, "WSStream", WebSocketStream)  # noqa: B010
    setattr(hypercorn.protocol.ws_stream, "PerMessageDeflate", BoundedDeflate)  # noqa: B010
    BoundedDeflate.most = max(BoundedDeflate.most, config.websocket_max_message_size)
    await hypercorn.trio.serve(
        app, config, shutdown_trigger=shutdown_trigger, task_status=task_status
    )
