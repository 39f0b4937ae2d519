"""An open WebSocket, as its user sees it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.events import Buffer, Message, RawText
from wirecore.websocket import State

from .._arguments import kind_of
from .._baton import Baton
from .._errors import AlreadyClosed, ConnectionClosed
from .._link import Link
from .._pump import Pump
from ._opened import Opened, Upgraded
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore.websocket import Accepted, Request

#: Close codes that end an iteration over messages quietly. A close frame without a code is how
#: browsers close when the page doesn't name one.
ORDERLY: Final = frozenset({CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.NO_STATUS})


#: Bounds of the peer's that a user may set.
_LIMITS: Final = frozenset({"max_frame_size", "max_message_size"})


class WebSocket:
    """A WebSocket connection: ``connect``, ``reconnecting``, ``serve`` and ``wrap_...`` make it.

    One task may receive at a time; any number may send. ``async for message in ws`` ends when
    the connection was closed with 1000, 1001 or no code (or by this program), and raises
    :class:`ConnectionClosed` for any other end.
    """

    __slots__ = (
        "_baton",
        "_closed_here",
        "_connection",
        "_draining",
        "_error",
        "_gone",
        "_pings",
        "_pump",
        "_streaming",
        "accepted",
        "request",
    )

    def __init__(
        self,
        link: Link,
        *,
        client: bool,
        accepted: Accepted,
        options: Options,
        request: Request | None = None,
        leftover: bytes = b"",
        backend: Backend | None = None,
    ) -> None:
        #: What was agreed on in the handshake: subprotocol, headers, compression.
        self.accepted = accepted
        #: The client's request, on a server; None on a client.
        self.request = request
        opened = Opened(client, accepted, options, backend=backend)
        self._connection = opened.connection()
        self._connection.start(trio.current_time())
        self._closed_here = False
        self._draining = False
        self._error: BaseException | None = None
        self._gone: trio.Event | None = None
        self._pings: dict[bytes, _Ping] | None = None
        self._streaming: Streaming | None = None
        self._baton = baton = Baton(
            self, max_queue=options.max_queue, max_queue_bytes=options.max_queue_bytes
        )
        baton.pump = self._pump = Pump(
            link,
            self._connection,
            baton,
            write_timeout=math.inf if options.write_timeout is None else options.write_timeout,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
            lingering=self._connection if client else None,
        )
        if leftover:
            self._pump.feed(leftover)
        baton.left_alone()

    # --- receiving --------------------------------------------------------------------

    def receive(self) -> Coroutine[Any, Any, Message]:
        """The next message: ``bytes`` for a binary one, ``str`` for text.

        Messages that came before the connection ended are still handed out. Cancelled, it has
        lost nothing. It is a checkpoint when it must wait (for longer than a moment, see
        ``Options.eager_wait``), and now and then when it needn't.

        Raises :class:`ConnectionClosed`; :class:`AlreadyClosed` after ``aclose``;
        trio.BusyResourceError where another task is receiving.
        """
        # No frame of its own, here and below: each message would pay for it.
        return self._baton.next()

    def receive_many(self) -> Coroutine[Any, Any, list[Message]]:
        """All messages that have arrived, at least one; else like :meth:`receive`."""
        return self._baton.all()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Message]:
        return self._baton.next(True)

    # The baton's holder, see there.

    def _may_wait(self) -> bool:
        if self._draining and self._streaming is None and self.sendable:
            self._start_close(CloseCode.GOING_AWAY, "")
        return not self._closed_here

    def _over(self, iterating: bool) -> Exception:
        error = self._end_error()
        if iterating and (isinstance(error, AlreadyClosed) or error.code in ORDERLY):
            return StopAsyncIteration()
        return error

    def _paused(self, now: float) -> None:
        self._connection.pause(now)

    def _resumed(self, now: float) -> None:
        self._connection.resume(now)
        self._pump.arm()

    # --- sending ----------------------------------------------------------------------

    async def send(self, message: str | Buffer | RawText) -> None:
        """Send one message: text for ``str`` and ``RawText``, else binary.

        Waits while too much waits to be sent, and is a checkpoint only then: cancelled there,
        nothing was queued; once queued, a message goes whole.

        Raises :class:`ConnectionClosed`; :class:`AlreadyClosed` after ``aclose``;
        LocalLimitExceeded; InvalidState inside a half-sent :meth:`streaming` message; TypeError
        for what can't be a message.
        """
        pump = self._pump
        if self._connection.outbox.pending:
            await pump.drained()
        if pump.ended or self._connection.state is not State.OPEN:
            raise self._end_error()
        try:
            self._connection.send(message)
        except TypeError as error:
            raise no_message(message) from error
        pump.write()

    async def send_many(self, messages: Collection[str | Buffer | RawText]) -> None:
        """Send *messages* in their order: what ``receive_many`` brought, say, in one go.

        Many small ones cost a fraction of as many calls of :meth:`send`. It waits once, while
        too much waits to be sent: cancelled there, none was queued. Raises as :meth:`send`;
        where one of them can't be a message, those before it may have been sent.
        """
        pump = self._pump
        if isinstance(messages, str | bytes | bytearray | memoryview):
            raise _no_messages(messages)  # they can be iterated over, too
        if self._connection.outbox.pending:
            await pump.drained()
        if pump.ended or self._connection.state is not State.OPEN:
            raise self._end_error()
        try:
            self._connection.send_all(messages)
        except TypeError as error:
            raise _no_messages(messages) from error
        finally:
            pump.write()

    def _send_shared(
        self, message: str | Buffer | RawText, encoded: dict[int, list[bytes]]
    ) -> bool:
        """Queue *message* for a broadcast, if there is room for it."""
        pump, connection = self._pump, self._connection
        if pump.ended or connection.state is not State.OPEN or self._streaming is not None:
            return False
        if connection.outbox.pending and pump.crowded:
            return False
        try:
            connection.send_shared(message, encoded)
        except errors.LocalLimitExceeded:
            return False  # max_queued_bytes may be less than high_water
        pump.write()
        return True

    def streaming(self, *, text: bool = False) -> Streaming:
        """Send one message in fragments of your own: ``async with ws.streaming() as m: ...``.

        Other messages can't be sent until it is finished (InvalidState); left by an exception
        when part of it has gone, it closes the connection, as it can't be finished any more.
        """
        return Streaming(self, text=text)

    async def _send_fragment(
        self, owner: Streaming, data: str | Buffer, *, text: bool, last: bool
    ) -> None:
        pump = self._pump
        if self._connection.outbox.pending:
            await pump.drained()
        if pump.ended or self._connection.state is not State.OPEN:
            raise self._end_error()
        if self._streaming not in (None, owner):
            raise errors.InvalidState("another message is half sent: wait for its end")
        self._connection.send_fragment(data, text=text, last=last)
        self._streaming = None if last else owner
        pump.write()
        if last and self._draining:
            self.drain()  # it was put off to the end of this message

    async def ping(self) -> float:
        """Send a ping and wait for its pong; the round-trip time in seconds.

        The pong lies behind the messages that the peer sent before it: while ``max_queue`` of
        them wait to be received, it can't be seen.

        Raises :class:`ConnectionClosed`; :class:`AlreadyClosed`; LocalLimitExceeded where 1024
        pings have no answer yet.
        """
        if not self.sendable:
            raise self._end_error()
        waiting = _Ping(trio.current_time())
        if self._pings is None:
            self._pings = {}
            self._connection.on_pong = self._ponged
        token = self._connection.ping()
        self._pings[token] = waiting
        try:
            self._pump.write()
            self._baton.attend()
            await waiting.done.wait()
        finally:
            self._pings.pop(token, None)
        if math.isnan(waiting.round_trip):
            raise self._end_error()
        return waiting.round_trip

    def _ponged(self, token: bytes, now: float) -> None:
        waiting = self._pings.get(token) if self._pings is not None else None
        if waiting is not None:
            waiting.round_trip = now - waiting.sent
            waiting.done.set()

    # --- the end ----------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the connection has ended; messages may still be queued."""
        return self._pump.ended

    @property
    def sendable(self) -> bool:
        """Whether messages can still be sent: no close frame has come or gone."""
        return not self._pump.ended and self._connection.state is State.OPEN

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self.accepted.subprotocol

    async def aclose(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close: send a close frame, wait for the peer's, close the stream.

        Waits for at most ``close_timeout``; messages that nobody waits for are dropped, those
        that still arrive too. Cancelled, it closes the stream at once. Raises InvalidOption
        (nothing happened) for a *code* that may not be sent; of *reason* go the first 123 bytes
        of UTF-8, as there is no room for more in a close frame. Idempotent.
        """
        pump = self._pump
        baton = self._baton
        if self.sendable:
            self._start_close(code, reason)
        self._closed_here = self._baton.reluctant = True
        try:
            await trio.lowlevel.checkpoint()
            while not pump.ended:
                if baton.waiting:
                    await self.wait_closed()
                else:
                    await baton.skip()
        finally:
            self.abort()

    def abort(self, code: int | None = None, reason: str = "") -> None:
        """Close the stream now. Idempotent.

        With a *code* a close frame goes first, as far as the stream takes it without waiting;
        *reason* as in :meth:`aclose`.
        Raises InvalidOption (nothing happened) for one that may not be sent.
        """
        if code is not None and self.sendable:
            self._start_close(code, reason)
            self._pump.push_last()
        self._closed_here = self._baton.reluctant = True
        self._pump.end(None)
        self._baton.drop()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended.

        Its end lies behind the messages that the peer sent before: while ``max_queue`` of them
        wait to be received, it can't be seen.
        """
        if not self._pump.ended:
            self._baton.attend()
            if self._gone is None:
                self._gone = trio.Event()
            await self._gone.wait()

    def drain(self) -> None:
        """Close with 1001 as soon as a receiver finds nothing queued; for servers that stop.

        A :meth:`streaming` message that has begun goes to its end before.
        """
        self._draining = self._baton.reluctant = True
        if self._baton.waiting and not self._baton.queued:
            self._may_wait()

    def _start_close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)
        self._pump.push()  # not with the others of this pass: the stream may be closed by then
        self._pump.arm()

    def _ended(self, error: BaseException | None) -> None:
        self._error = error
        self._connection.outbox.clear()
        if self._gone is not None:
            self._gone.set()
        for waiting in (self._pings or {}).values():
            waiting.done.set()

    def _end_error(self) -> ConnectionClosed | AlreadyClosed:
        if self._closed_here:
            return AlreadyClosed("this program has closed the connection")
        plain = self._connection.closed_error()
        reason = plain.reason
        if self._connection.state is State.CLOSING and not self._pump.ended:
            reason = "this end is closing it (a server that stops)"
        elif getattr(plain.__cause__, "limit", "") in _LIMITS:
            reason += " (Options.limits)"
        error = ConnectionClosed(plain.code, reason, clean=plain.clean)
        error.__cause__ = plain.__cause__ or self._error
        return error

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            # Cancelled, or stopped by the keyboard: nothing went wrong here.
            failed = isinstance(error, Exception)
            self.abort(CloseCode.INTERNAL_ERROR if failed else CloseCode.GOING_AWAY)


def websocket_of(upgraded: Upgraded) -> WebSocket:
    """The WebSocket that *upgraded* has opened."""
    opened = upgraded.opened
    return WebSocket(
        upgraded.link,
        client=opened.client,
        accepted=opened.accepted,
        options=opened.options,
        request=opened.request,
        leftover=upgraded.leftover,
        backend=opened.backend,
    )


def no_message(message: object) -> TypeError:
    """What to raise for a *message* that is none."""
    hint = ""
    if isinstance(message, dict):
        hint = ": make text or bytes of it, as json.dumps does"
    elif isinstance(message, Awaitable):
        hint = ": is an await missing?"
        if isinstance(message, Coroutine):
            message.close()  # or Python warns, later and elsewhere, that nobody awaited it
    return TypeError(
        "a message is str, bytes or another buffer of bytes (bytearray, memoryview), "
        f"not {kind_of(message)}{hint}"
    )


def _no_messages(messages: object) -> TypeError:
    if isinstance(messages, str | bytes | bytearray | memoryview):
        return TypeError(f"send_many takes several messages, not {kind_of(messages)}: use send")
    if not isinstance(messages, Collection):
        return TypeError(f"send_many takes a list of messages, not {kind_of(messages)}")
    buffers = str | bytes | bytearray | memoryview | RawText
    wrong = (message for message in messages if not isinstance(message, buffers))
    return no_message(next(wrong, messages))


class _Ping:
    __slots__ = ("done", "round_trip", "sent")

    def __init__(self, sent: float) -> None:
        self.sent = sent
        self.done = trio.Event()
        self.round_trip = math.nan


class Streaming:
    """One outgoing message in the making, used once; see :meth:`WebSocket.streaming`."""

    __slots__ = ("_begun", "_entered", "_open", "_text", "_websocket")

    def __init__(self, websocket: WebSocket, *, text: bool) -> None:
        self._websocket = websocket
        self._text = text
        self._entered = False
        self._open = False
        self._begun = False

    async def send(self, data: str | Buffer) -> None:
        """Send *data* as one fragment; of text, ``str`` or its UTF-8 (a character may be cut).

        Waits and raises as :meth:`WebSocket.send`; InvalidState outside the ``async with``, and
        while another message is half sent; TypeError for what can't be part of the message.
        """
        if not self._open:
            raise errors.InvalidState("the message is sent within `async with ws.streaming()`")
        if isinstance(data, str) and not self._text:
            raise TypeError("a part of a binary message is bytes, not str: streaming(text=True)")
        try:
            await self._websocket._send_fragment(self, data, text=self._text, last=False)
        except TypeError as error:
            raise no_message(data) from error
        self._begun = True

    async def __aenter__(self) -> Streaming:
        if self._entered:
            raise errors.InvalidState("this message was sent already: call ws.streaming() again")
        self._entered = self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        if error is not None:
            self._give_up()
            return
        try:
            await self._websocket._send_fragment(self, b"", text=self._text, last=True)
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        if self._begun and not self._websocket.closed:
            self._websocket.abort(CloseCode.INTERNAL_ERROR, "a message was given up")
