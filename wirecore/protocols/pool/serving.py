"""The end of a pool's connection that serves, without I/O: requests in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    ConnectionClosed,
    InvalidStream,
    InvalidValue,
    LocalError,
    LocalLimitExceeded,
    printable,
    without_frames,
)
from wirecore.events import RawText
from wirecore.protocols.pool.codec import (
    NEED_DATA,
    Incoming,
    Request,
    ServingCodec,
)
from wirecore.protocols.pool.framing import WriteSender
from wirecore.protocols.pool.stage import BATCH, BatchStage
from wirecore.session.fields import CallFields
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import Limits
from wirecore.websocket.connection import DEFAULT_CLOSE_TIMEOUT, Connection

#: Characters of an error's text that are sent in any case.
_SHORT: Final = 1000


class Found(Protocol):
    """What serves a method."""

    @property
    def argument(self) -> Any:
        """The annotation that the method's argument is read as."""


class ServingSession:
    """The serving end of one connection, after the upgrade; a :class:`~wirecore.session.Session`.

    *codec*: a new one, of this connection alone. *find*: what serves the method of that name,
    or the text of the error to answer with, which is done here. *client*: whether this end has
    dialled. *limits*: bounds on the peer's WebSocket messages and on what waits to be sent; what a
    value may be is the codec's, and one message may hold all of it. *heartbeat*: None for no
    pings. *close_timeout*: seconds for the rest of a closing handshake. *extended*: whether text
    messages are control messages, as was agreed by a subprotocol. *backend*: None takes the
    process' own.

    How many requests may be without an answer is the owner's to bound: it stops reading.

    Read-only attributes: *outbox*; *stage*; *fields*, what came beside the requests; *problem*,
    what the connection was ended for: an :class:`~wirecore.errors.InvalidStream`, also where that
    has ended within a request, or :class:`~wirecore.errors.LocalLimitExceeded` for a peer that
    doesn't read its answers.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_arrived",
        "_closing",
        "_codec",
        "_connection",
        "_current",
        "_extended",
        "_find",
        "_left",
        "quick",
        "_sender",
        "_taken",
        "fields",
        "outbox",
        "problem",
        "stage",
    )

    def __init__(
        self,
        codec: ServingCodec,
        find: Callable[[str], Found | str],
        *,
        client: bool,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        extended: bool = False,
        backend: _backend.Backend | None = None,
    ) -> None:
        backend = backend or _backend.default
        limits = limits or Limits()
        self._connection = Connection(
            client=client,
            limits=limits,
            raw_text=True,  # a stream may be cut anywhere, and text is as good as any
            heartbeat=heartbeat,
            close_timeout=close_timeout,
            backend=backend,
        )
        self.stage = BatchStage(self._connection)
        self.outbox = self._connection.outbox
        self.problem: Exception | None = None
        self._codec = codec
        self._find = find
        self._sender = WriteSender(self._connection, backend, client=client, limits=limits)
        self.quick = backend.pool_sender.AnswerSender(
            self._connection, self.outbox, codec.write, **self._sender.bounds
        )
        self._extended = extended
        self.fields = CallFields()
        self._closing = False
        self._left = False  # the peer was told that no more calls are wanted
        self._current: tuple[Request, Found | str] | None = None  # its argument hasn't come
        self._arrived = 0  # bytes of the stream, and those of requests that were read
        self._taken = 0

    # --- out ------------------------------------------------------------------------------------

    def reply(self, request: Request, value: Any, annotation: Any) -> None:
        """Queue the answer to *request*: *value*, of the type *annotation*.

        Nothing happens where the connection is over. Where this raises, nothing is queued, and
        :meth:`reply_error` may do.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` for too long a value, and where the
        peer leaves too much unread (``max_queued_bytes``); else what the codec's
        ``encode_response`` raises.
        """
        if self.quick.send(request, value, annotation):
            return
        # A handler may end when its connection has: that is nobody's fault.
        if self._connection.plain:
            self._sender.check()
            self._sender.put(self._codec.encode_response(request, value, annotation))

    def reply_error(self, request: Request, text: str) -> None:
        """Queue an error as the answer to *request*; too long a *text* is cut.

        Raises as :meth:`reply`: :class:`~wirecore.errors.LocalLimitExceeded` alone.
        """
        if not self._connection.plain:
            return
        self._sender.check()
        try:
            writes = self._codec.encode_error(request, text)
        except LocalLimitExceeded:
            if len(text) <= _SHORT:
                raise
            writes = self._codec.encode_error(request, text[:_SHORT])
        self._sender.put(writes)

    def fields_of(self, request: Request) -> Mapping[str, str]:
        """The header fields that came with *request*, once.

        See :class:`~wirecore.session.CallFields`.
        """
        number = request.id
        return self.fields.take(number.decode("latin-1") if type(number) is bytes else number)

    def leave(self) -> bool:
        """Tell the peer that no more calls are wanted; whether it understands, as was agreed.

        What it has called already goes on, and what it calls before it hears of it.
        """
        if self._extended and not self._left and self._connection.plain:
            self._left = True
            self._sender.put_leave()
        return self._extended

    # --- what the transport does ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: the heartbeat counts from here."""
        self._connection.start(now)

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Incoming] | None:
        """Bytes came: the requests that became whole, in order, some 1000 at a time.

        Those whose method isn't found, or whose argument isn't of its type, are answered. What is
        no request ends the connection, as :attr:`problem`, after what came before it.
        """
        connection, stage = self._connection, self.stage
        if stage.held:
            stage.held = False
            if self.problem is not None:
                self._end()
            return self._take() if connection.plain else None
        messages: list[Any] = connection.receive(data, now)
        if not messages:
            if connection.close_received is not None:
                self._check_end()
            return None
        if not connection.plain:
            return None  # no answer can be sent any more
        if self._extended and RawText in map(type, messages):
            messages = self.fields.without_texts(messages)
        if messages:
            stream = bytes(messages[0]) if len(messages) == 1 else b"".join(messages)
            self._arrived += len(stream)
            self._codec.feed(stream)
        return self._take()

    def _take(self) -> list[Incoming] | None:
        incoming: list[Incoming] = []
        try:
            self.stage.held = not self._read(incoming)
        except (InvalidStream, LocalError) as error:
            self.problem = without_frames(error)
            if incoming:
                self.stage.held = True
            else:
                self._end()
        return incoming or None

    def _read(self, incoming: list[Incoming]) -> bool:
        """Add what is whole to *incoming*; False: it was enough, and there may be more."""
        codec = self._codec
        taken = 0
        while taken < BATCH:
            current = self._current
            if current is None:
                before = len(incoming)
                left = self._arrived - self._taken
                most = before + BATCH - taken
                left, found = codec.take_requests(self._find, incoming, most, left)
                self._taken = self._arrived - left
                taken += len(incoming) - before
                if taken == BATCH or codec.spent:
                    return taken < BATCH
                request = codec.next_request()
                if request is NEED_DATA:
                    return True
                if found is None:
                    found = self._find(request.method)
                current = self._current = request, found
            request, target = current
            argument: Any
            error: str | None
            if isinstance(target, str):
                argument, error = codec.skip_argument(), target
            else:
                try:
                    argument, error = codec.argument(target.argument), None
                except InvalidValue as problem:
                    argument, error = None, str(problem)
            if argument is NEED_DATA:
                return True
            self._current = None
            taken += 1
            size = self._arrived - codec.buffered - self._taken
            self._taken += size
            if error is None:
                incoming.append(Incoming(request, target, argument, size))
            else:
                self.reply_error(request, error)
        return False

    def _check_end(self) -> None:
        """The peer's stream has ended: see whether that was within a request."""
        if self.problem is None and not self._closing:
            try:
                self._codec.finish()
            except InvalidStream as error:
                self.problem = without_frames(error)

    def _end(self) -> None:
        code, reason = CloseCode.PROTOCOL_ERROR, printable(str(self.problem))
        if isinstance(self.problem, LocalLimitExceeded):
            code = CloseCode.TRY_AGAIN_LATER
        elif isinstance(self.problem, LocalError):  # a type of the service's: none of the peer's
            code, reason = CloseCode.INTERNAL_ERROR, ""
        self._connection.close(code, reason, wait=False)

    def receive_eof(self, now: float) -> list[Incoming] | None:
        """The stream ended; within a request that is a :attr:`problem`."""
        ended = self._connection.finished or self.stage.held
        self._connection.receive_eof(now)
        self.stage.held = False
        if not ended and self._connection.failure is None:
            self._check_end()
        return None

    def expire(self, now: float) -> list[Incoming] | None:
        """See to what is due: a ping, or the end of a peer that doesn't answer."""
        self._connection.expire(now)
        return None

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        return self._connection.next_deadline()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue a close frame behind all answers, and await the peer's until ``close_timeout``.

        Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent.
        """
        self._connection.close(code, reason)
        self._closing = True

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()
