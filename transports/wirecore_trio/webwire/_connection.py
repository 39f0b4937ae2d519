"""One client's connection, as its server's program sees it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from wirecore import errors
from wirecore._backend import default
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
from .._errors import in_trio
from .._handlers import forgotten_await
from .._link import Link
from .._pausing import pause, read_on
from .._pump import Pump
from ._codecs import Codec
from ._errors import Disconnected
from ._handling import Handling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wirecore.websocket import Request as HttpRequest

    from ._options import ServerOptions
    from ._routes import Routes
    from ._server import Server

logger = logging.getLogger("wirecore.webwire")

T = TypeVar("T")

#: Seconds that store and program get to be told of a connection's end when the server is
#: cancelled.
_LAST_WORDS: Final = 5.0


if TYPE_CHECKING:
    from wirecore_py.webwire_channel import Replying
else:
    Replying = default.webwire_channel.Replying


class Connection(Replying):
    """A client's connection. Its public methods may be called by any task, in hooks and handlers.

    *info*: what ``before_upgrade`` gave it, to read and to change; without that the User-Agent,
    as "user_agent".
    """

    __slots__ = (
        "_closing",
        "_gone",
        "_has_left",
        "_id",
        "_leave_by",
        "_leaving",
        "_options",
        "_reason",
        "_requests",
        "_server",
        "_signals",
        "_threads",
        "_workers",
        "http_request",
        "info",
        "remote_address",
        "session",
    )

    _handling: Handling
    _pump: Pump
    _session_state: ServerSession

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
        super().__init__(split)
        self._server = server
        self._workers = workers
        self._id = ""  # made when somebody asks
        self._closing: CloseCode | None = None  # how it ends as soon as nothing is handled
        self._gone = trio.Event()
        self._reason: BaseException | None = None
        self._has_left: trio.Event | None = None  # once somebody is being told of the end
        self._leaving: trio.CancelScope | None = None
        self._leave_by = math.inf
        self._options: ServerOptions = server.options
        self._requests: Routes = server._requests
        self._signals: Routes = server._signals
        self._threads: Threads | None = None  # made for the first handler that runs in one
        self._session_state = session_state
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
            lingering=session_state.stage,
        )

    def __repr__(self) -> str:
        state = "connected" if self.connected else "disconnected"
        return f"<webwire.Connection from {self.remote_address}, {state}>"

    # --- for users ------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it can be sent to; False, too, once :meth:`close` was called."""
        return not self._session_state.inactive and self._session_state.open

    async def signal(
        self, name: str, payload: Sendable | Any = None, *, codec: Codec[Any] | None = None
    ) -> None:
        """Send a signal; it waits while too much waits to be sent already.

        *payload*: ``str`` goes as UTF-8, bytes as binary, a Payload as it says; with a *codec*
        whatever that encodes. Raises :class:`Disconnected` where the client isn't connected,
        UnsendableMessage for what can't be sent, BufferOverflow for more than ``buffer_size``.
        """
        data, encoding = split(payload if codec is None else codec.encode(payload))
        if self._session_state.outbox.pending > self._options.high_water:
            await self._pump.drained()
        try:
            self._session_state.signal(name, data, encoding)
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
        info that JSON can't hold; what a shared store raises that can't count its connection.
        """
        return await self._server._sessions.create(self, info)

    async def close_session(self) -> None:
        """End the client's session, and tell it; nothing where it has none.

        If this was its last connection the store forgets it; where it can't that is logged. Raises
        InvalidState where sessions are disabled, and what a shared store raises: then the client
        has it still.
        """
        await self._server._sessions.close_by_server(self)

    def close(self) -> None:
        """End the connection in good order. Never waits; see :meth:`wait_closed`. Idempotent.

        It is inactive at once: what comes is dropped without an answer. Handlers that run go on,
        and their replies go out; then it ends. A handler that runs in a thread may call it, too.
        """
        if in_trio():
            self._close_with(CloseCode.NORMAL)
        else:
            trio.from_thread.run_sync(self._close_with, CloseCode.NORMAL)

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
    def _ended(self) -> bool:
        """Whether the connection is gone."""
        return self._pump.ended

    @property
    def _thread_limit(self) -> Threads:
        """What bounds the handlers that run in threads."""
        if self._threads is None:
            self._threads = Threads(self._workers.everybody, self._options.max_handler_threads)
        return self._threads

    def _now(self) -> float:
        """The time on the clock of connections."""
        return self._pump.now()

    async def _run(self, leftover: bytes) -> None:
        """Serve the client until the connection has ended, and its handlers with it.

        Cancelled, it gives those who are to be told of the end a few seconds.
        """
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
            self._handling.stop_taking()  # cancelled, nothing begins any more
            self._abort()
            self._handling.scopes.end()
            await self._see_off()
            self._gone.set()

    async def _tell_connected(self) -> None:
        await self._server._tell("on_client_connected", self._server._hooks.connected, self)

    async def _see_off(self) -> None:
        """Whoever is to be told of the end has been, even if all that runs is cancelled."""
        if self._has_left is not None and self._has_left.is_set():
            return
        with trio.CancelScope(shield=True):
            self._hurry()
            with trio.move_on_at(self._leave_by):
                await self._handling.wait_idle()  # handlers that are cancelled end before
            if self._has_left is None:
                self._hurry()
                await self._leave()
            else:
                await self._has_left.wait()

    def _hurry(self) -> None:
        self._leave_by = trio.current_time() + _LAST_WORDS
        if self._leaving is not None:
            self._leaving.deadline = self._leave_by

    def _close_with(self, code: CloseCode) -> None:
        """As :meth:`close`, with *code* in the close frame."""
        self._session_state.deactivate()
        self._handling.stop_taking()
        if self._closing is None:
            self._end_when_idle(code)

    def drain(self) -> None:
        """The server takes no more connections: new requests are refused, then it ends."""
        self._stop()
        if self._closing is None:
            self._end_when_idle(CloseCode.GOING_AWAY)

    def _end_when_idle(self, code: CloseCode) -> None:
        self._closing = code
        if self._handling.idle:
            self._finish(code)
        else:
            self._handling.heed_rest()

    def _rested(self) -> None:
        """Nothing of it is being handled any more."""
        if self._closing is not None:
            self._finish(self._closing)

    def _finish(self, code: CloseCode) -> None:
        if not self._ended:
            self._session_state.close(code)
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def _stop(self) -> None:
        """The server shuts down: new requests are refused from now on."""
        self._session_state.stop()
        for kind, request_id, _, _ in self._handling.drop_waiting():
            if kind in _ANSWERED:
                self._answer(request_id, MessageType.REPLY_SHUTDOWN)

    def _abort(self, code: CloseCode = CloseCode.GOING_AWAY) -> None:
        """End it now; a close frame still goes first, if it can."""
        if not self._ended:
            self._session_state.close(code)
            self._pump.push_last()
            self._pump.end(None)

    async def _wait_handled(self) -> None:
        """Wait until nothing of it is being handled."""
        await self._handling.wait_idle()

    # --- the pump's owner, see there --------------------------------------------------------------

    def on_finish(self) -> None:
        """See the pump's Owner."""

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        state = self._session_state
        state.deactivate()
        state.outbox.clear()
        self._read_on()
        if self._options.on_disconnect == "cancel":
            self._handling.drop_waiting()
            self._handling.scopes.end()
        reason: BaseException | None = state.problem or error
        if reason is None and self._closing is None:
            reason = state.closed_error()
        self._reason = reason
        self._handling.run_own(self._leave)

    @property
    def _has_gone(self) -> bool:
        """Whether those who are to be told of its end are: it gets no session any more."""
        return self._has_left is not None

    async def _leave(self) -> None:
        """The connection is no more: its session, its rooms and the program are told, once."""
        if self._has_left is not None:
            return
        self._has_left = trio.Event()
        server = self._server
        # At once, whatever a store does: nobody here finds it any more.
        key, rooms = server._sessions.drop(self), server._drop_rooms(self)
        try:
            # Shielded: whoever is cancelled, this isn't to be left half done.
            self._leaving = trio.CancelScope(shield=True, deadline=self._leave_by)
            with self._leaving as scope:
                hook = server._hooks.disconnected
                if key is None and not rooms:
                    await server._tell("on_client_disconnected", hook, self, self._reason)
                else:
                    async with trio.open_nursery() as nursery:
                        if key is not None:
                            nursery.start_soon(server._sessions.leave, key, self)
                        for room in rooms:
                            nursery.start_soon(room._dropped)
                        await server._tell("on_client_disconnected", hook, self, self._reason)
            if scope.cancelled_caught:
                logger.error("%r: not all could be told of its end in time", self)
        finally:
            self._has_left.set()

    # --- handling, see there ----------------------------------------------------------------------

    def _pause(self) -> None:
        """Have nobody read until :meth:`read_on`."""
        pause(self._pump)

    def _read_on(self) -> None:
        """There is room again."""
        if read_on(self._pump):
            self._session_state.resume(self._now())

    def _not_replied(self, request_id: int, name: str, value: object, error: Exception) -> None:
        """What the handler of *name* returned can't be sent."""
        if isinstance(error, errors.LocalError):
            self._unsendable(request_id, name, error)
        else:
            hint = ": raise it" if isinstance(value, RequestError) else forgotten_await(value)
            self._fail_internally(request_id, name, TypeError(f"{error}{hint}"))

    def _fail(self, request_id: int, name: str, error: RequestError) -> None:
        """Send an error that the handler of *name* raised on purpose."""
        if self._ended:
            return
        try:
            self._session_state.reply_error(request_id, error.code, error.message)
        except (errors.LocalError, AttributeError, TypeError) as unsendable:
            unsendable.__cause__ = error  # the log is to say where it was raised
            self._unsendable(request_id, name, unsendable)
        self._pump.write()

    def _fail_internally(self, request_id: int, name: str, error: Exception) -> None:
        """Log *error*, and tell the client no more than that its request failed."""
        logger.error(
            "the handler of the request %r failed; the client was told of an internal error",
            name,
            exc_info=error,
        )
        self._answer(request_id, MessageType.REPLY_INTERNAL_ERROR)

    def _answer(self, request_id: int, outcome: MessageType) -> None:
        """Send an answer that is a type and no more."""
        if not self._ended:
            try:
                self._session_state.reply_outcome(request_id, outcome)
            except errors.LocalLimitExceeded as error:
                self._pump.cut(error)
            self._pump.write()

    async def _answer_session_request(self, kind: int, request_id: int, data: bytes) -> None:
        """The client asks for a session, or for the end of its own."""
        sessions = self._server._sessions

        def answer(what: MessageType | Payload | None) -> None:
            if isinstance(what, MessageType):
                self._answer(request_id, what)
            else:
                self._reply(request_id, "restore session", what)

        if kind == MessageType.RESTORE_SESSION:
            await sessions.restore(self, data, answer)
        else:
            await sessions.close_by_client(self, answer)

    def _write(self) -> None:
        """Send what the session has queued."""
        self._pump.write()

    def _send_shared(self, message: bytes, encoded: dict[int, list[bytes]]) -> bool:
        """Queue a signal's *message* for a broadcast, if there is room for it."""
        state = self._session_state
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
            self._pump.cut(error)
        else:
            self._fail_internally(request_id, name, error)


#: What a stopping server answers, of what waits; the rest it drops.
_ANSWERED = frozenset({MessageType.RESTORE_SESSION, MessageType.CLOSE_SESSION, *range(127, 130)})
