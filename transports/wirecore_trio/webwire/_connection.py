"""One client's connection, as its server's program sees it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.webwire import (
    MessageType,
    Payload,
    RequestError,
    Sendable,
    ServerSession,
    Session,
)
from wirecore.protocols.webwire.payload import split

from .._dispatch import Threads, Workers
from .._handlers import forgotten_await
from .._link import Link
from .._owner import Owner
from .._pausing import pause, read_on
from .._pump import Pump
from ._codecs import Codec
from ._errors import Disconnected
from ._handling import Handling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wirecore.websocket import Request as HttpRequest
    from wirecore_py.webwire import Message

    from .._dispatch import Job
    from ._options import ServerOptions
    from ._routes import Routes
    from ._server import Server

logger = logging.getLogger("wirecore.webwire")

T = TypeVar("T")


class Connection(Owner[Any]):
    """A client's connection. Its public methods may be called by any task, in hooks and handlers.

    *info*: what ``before_upgrade`` gave it, to read and to change; without that the User-Agent,
    as "user_agent".
    """

    __slots__ = (
        "_closing",
        "_gone",
        "_handling",
        "_id",
        "_pump",
        "_server",
        "_threads",
        "_workers",
        "http_request",
        "info",
        "options",
        "remote_address",
        "requests",
        "session",
        "session_state",
        "signals",
    )

    def __init__(
        self,
        server: Server,
        link: Link,
        session_state: ServerSession,
        *,
        http_request: HttpRequest,
        info: Mapping[Any, Any],
        concurrency: int,
        workers: Workers,
        peer: str,
    ) -> None:
        self._server = server
        self._workers = workers
        self._id = ""  # made when somebody asks
        self._closing = False
        self._gone = trio.Event()
        self.options: ServerOptions = server.options
        self.requests: Routes = server._requests
        self.signals: Routes = server._signals
        self._threads: Threads | None = None  # made for the first handler that runs in one
        self.session_state = session_state
        #: The request that opened the connection.
        self.http_request = http_request
        #: Where it comes from, for logs.
        self.remote_address = peer
        self.info: dict[Any, Any] = dict(info)
        #: The client's session, if it has one.
        self.session: Session | None = None
        self._handling = Handling(self, concurrency)
        session_state.start(trio.current_time())
        options = server.options
        self._pump = Pump(
            link,
            session_state,
            self,
            write_timeout=math.inf if options.write_timeout is None else options.write_timeout,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
            lingering=True,
        )

    def __repr__(self) -> str:
        state = "connected" if self.connected else "disconnected"
        return f"<webwire.Connection from {self.remote_address}, {state}>"

    # --- for users ------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it can be sent to; False, too, once :meth:`close` was called."""
        return not self.session_state.inactive and self.session_state.open

    async def signal(
        self, name: str, payload: Sendable | Any = None, *, codec: Codec[Any] | None = None
    ) -> None:
        """Send a signal; it waits while too much waits to be sent already.

        *payload*: ``str`` goes as UTF-8, bytes as binary, a Payload as it says; with a *codec*
        whatever that encodes. Raises :class:`Disconnected` where the client isn't connected,
        UnsendableMessage for what can't be sent, BufferOverflow for more than ``buffer_size``.
        """
        data, encoding = split(payload if codec is None else codec.encode(payload))
        if self.session_state.outbox.pending > self.options.high_water:
            await self._pump.drained()
        try:
            self.session_state.signal(name, data, encoding)
        except errors.NotConnected:
            # Who tries again and again must let others run meanwhile.
            await trio.lowlevel.checkpoint()
            raise Disconnected("the client isn't connected", execution="not_sent") from None
        self._pump.write()

    async def create_session(self, info: Mapping[str, Any] | None = None) -> Session:
        """Give the client a session with *info*, which is anything that JSON has, under names.

        The client learns it before the reply of the handler. Where the store can't keep it that is
        logged, and it lives as long as its connections. Raises InvalidState where sessions
        are disabled, or the connection has one; :class:`Disconnected`; TypeError or ValueError for
        info that JSON can't hold.
        """
        return await self._server._sessions.create(self, info)

    async def close_session(self) -> None:
        """End the client's session, and tell it; nothing where it has none.

        If this was its last connection the store forgets it. Raises InvalidState where sessions
        are disabled.
        """
        await self._server._sessions.close_by_server(self)

    def close(self) -> None:
        """End the connection in good order. Never waits; see :meth:`wait_closed`. Idempotent.

        It is inactive at once: what comes is dropped without an answer. Handlers that run go on,
        and their replies go out; then it ends.
        """
        self.close_with(CloseCode.NORMAL)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, its last handler and hook, too.

        In a handler of its own that is never.
        """
        await self._gone.wait()

    # --- life -----------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """An id that no other connection has, of this server or another."""
        if not self._id:
            self._id = self._server._make_id()
        return self._id

    @property
    def ended(self) -> bool:
        """Whether the connection is gone."""
        return self._pump.ended

    @property
    def threads(self) -> Threads:
        """What bounds the handlers that run in threads."""
        if self._threads is None:
            self._threads = Threads(self._workers.everybody, self.options.max_handler_threads)
        return self._threads

    def now(self) -> float:
        """The time on the clock of connections."""
        return self._pump.now()

    async def run(self, leftover: bytes) -> None:
        """Serve the client until the connection has ended, and its handlers with it."""
        hook = self._server._hooks.connected
        if hook is not None:
            self._handling.run_own(self._tell_connected)
        try:
            if leftover:
                self._pump.feed(leftover)
            self._pump.push()  # how the server is set up
            await self._pump.run_reader()
            await self._handling.wait_idle()
        finally:
            self.abort()
            self._handling.cancel()
            self._gone.set()

    async def _tell_connected(self) -> None:
        await self._server._tell("on_client_connected", self._server._hooks.connected, self)

    def close_with(self, code: CloseCode) -> None:
        """As :meth:`close`, with *code* in the close frame."""
        if not self._closing:
            self._closing = True
            self.session_state.deactivate()
            self._handling.drop_waiting()
            self._server._start_task(self._close_when_idle, code)

    async def _close_when_idle(self, code: CloseCode) -> None:
        await self._handling.wait_idle()
        self._finish(code)

    def _finish(self, code: CloseCode) -> None:
        if not self.ended:
            self.session_state.close(code)
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def stop(self) -> None:
        """The server shuts down: new requests are refused from now on."""
        self.session_state.stop()
        for kind, request_id, _, _ in self._handling.drop_waiting():
            if kind in _ANSWERED:
                self.answer(request_id, MessageType.REPLY_SHUTDOWN)

    def abort(self, code: CloseCode = CloseCode.GOING_AWAY) -> None:
        """End it now; a close frame still goes first, if it can."""
        if not self.ended:
            self.session_state.close(code)
            self._pump.push_last()
            self._pump.end(None)

    def drain(self) -> None:
        """The server takes no more connections: see Drainable; shutdown sees to the rest."""

    async def wait_handled(self) -> None:
        """Wait until nothing of it is being handled."""
        await self._handling.wait_idle()

    # --- the pump's owner, see there --------------------------------------------------------------

    def received(self, happened: list[Message]) -> None:
        """See the pump's Owner."""
        if len(happened) > 1:
            self._pump.hold()  # their handlers will answer
        self._handling.take(happened)

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        state = self.session_state
        state.deactivate()
        state.outbox.clear()
        self.read_on()
        if self.options.on_disconnect == "cancel":
            self._handling.drop_waiting()
            self._handling.cancel()
        reason: BaseException | None = state.problem or error
        if reason is None and not self._closing:
            reason = state.closed_error()
        self._handling.run_own(lambda: self._left(reason))

    async def _left(self, reason: BaseException | None) -> None:
        server = self._server
        await server._sessions.lose(self)
        await server._left_rooms(self)
        await server._tell("on_client_disconnected", server._hooks.disconnected, self, reason)

    # --- handling, see there ----------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether nobody reads, as too much waits."""
        return self._pump.paused is not None

    def pause(self) -> None:
        """Have nobody read until :meth:`read_on`."""
        pause(self._pump)

    def read_on(self) -> None:
        """There is room again."""
        if read_on(self._pump):
            self.session_state.resume(self.now())

    def start(self, job: Job) -> None:
        """Run *job* in a worker."""
        self._pump.woke = True
        self._workers.start(job)

    def reply(self, request_id: int, name: str, value: Sendable) -> None:
        """Send what the handler of *name* returned, if there is still somebody to answer."""
        pump = self._pump
        if pump.ended:
            return
        try:
            if type(value) is Payload:
                self.session_state.reply(request_id, value.data, value.encoding)
            else:
                self.session_state.reply(request_id, *split(value))
        except TypeError as error:
            hint = forgotten_await(value)
            self.fail_internally(request_id, name, TypeError(f"{error}{hint}"))
        except errors.LocalError as error:
            self._unsendable(request_id, name, error)
        pump.write()

    def fail(self, request_id: int, name: str, error: RequestError) -> None:
        """Send an error that the handler of *name* raised on purpose."""
        if self.ended:
            return
        try:
            self.session_state.reply_error(request_id, error.code, error.message)
        except (errors.LocalError, AttributeError, TypeError) as unsendable:
            self._unsendable(request_id, name, unsendable)
        self._pump.write()

    def fail_internally(self, request_id: int, name: str, error: Exception) -> None:
        """Log *error*, and tell the client no more than that its request failed."""
        logger.error(
            "the handler of the request %r failed; the client was told of an internal error",
            name,
            exc_info=error,
        )
        self.answer(request_id, MessageType.REPLY_INTERNAL_ERROR)

    def answer(self, request_id: int, outcome: MessageType) -> None:
        """Send an answer that is a type and no more."""
        if not self.ended:
            try:
                self.session_state.reply_outcome(request_id, outcome)
            except errors.LocalLimitExceeded as error:
                self._cut(error)
            self._pump.write()

    async def answer_session_request(self, kind: int, request_id: int, data: bytes) -> None:
        """The client asks for a session, or for the end of its own."""
        sessions = self._server._sessions
        if kind == MessageType.RESTORE_SESSION:
            answer: MessageType | Payload | None = await sessions.restore(self, data)
        else:
            answer = await sessions.close_by_client(self)
        if isinstance(answer, MessageType):
            self.answer(request_id, answer)
        else:
            self.reply(request_id, "restore session", answer)

    def write(self) -> None:
        """Send what the session has queued."""
        self._pump.write()

    def send_shared(self, message: bytes, encoded: dict[int, list[bytes]]) -> bool:
        """Queue a signal's *message* for a broadcast, if there is room for it."""
        state = self.session_state
        if not self.connected or (state.outbox.pending and self._pump.crowded):
            return False
        try:
            state.signal_shared(message, encoded)
        except errors.LocalLimitExceeded:
            return False
        self._pump.write()
        return True

    def _unsendable(self, request_id: int, name: str, error: Exception) -> None:
        if isinstance(error, errors.LocalLimitExceeded) and error.limit == "max_queued_bytes":
            self._cut(error)
        else:
            self.fail_internally(request_id, name, error)

    def _cut(self, error: errors.LocalLimitExceeded) -> None:
        # Replies pile up at a client that asks and doesn't read: memory comes before its requests.
        logger.warning("a client that doesn't read its replies is cut: %s", error)
        self._pump.end(trio.BrokenResourceError(f"the client doesn't read its replies: {error}"))


#: What a stopping server answers, of what waits; the rest it drops.
_ANSWERED = frozenset({MessageType.RESTORE_SESSION, MessageType.CLOSE_SESSION, *range(127, 130)})
