"""The end of a pool's connection that calls, without I/O: calls out, answers in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    CallTimeout,
    ConnectionClosed,
    Execution,
    InvalidStream,
    InvalidValue,
    LocalError,
    LocalLimitExceeded,
    RpcError,
    printable,
    without_frames,
)
from wirecore.events import RawText
from wirecore.protocols.pool.codec import (
    NEED_DATA,
    Answer,
    CallingCodec,
    Response,
    check_annotation,
)
from wirecore.protocols.pool.framing import WriteSender, says_leave
from wirecore.protocols.pool.stage import BATCH, BatchStage
from wirecore.session.calls import Call, PendingCalls
from wirecore.session.fields import write_fields
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import DEFAULT_MAX_PENDING_CALLS, Limits
from wirecore.websocket.connection import DEFAULT_CLOSE_TIMEOUT, Connection

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

#: The error of a call whose time is over; one for all, so it isn't to be raised itself.
TIMED_OUT: Final = CallTimeout("no answer within call_timeout")

#: So many annotations of results are remembered as good ones.
_KNOWN: Final = 1000

#: The table needn't remember calls that have ended: the session knows those that were forgotten.
_HISTORY: Final = 2


class PoolCall(Call):
    """A call with the *annotation* that its result is read as."""

    __slots__ = ("annotation",)

    def __init__(self, annotation: Any = Any) -> None:
        super().__init__()
        self.annotation = annotation


class Answers(list[Answer]):
    """Answers in order; true even where there is none, as transports pass on what is true."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


if TYPE_CHECKING:
    from wirecore_py.pool_ends import CallingEnd
else:
    CallingEnd = _backend.default.pool_ends.CallingEnd


class CallingSession(CallingEnd):
    """The calling end of one connection, after the upgrade; a :class:`~wirecore.session.Session`.

    *codec*: a new one, of this connection alone. *client*: whether this end has dialled.
    *limits*: bounds on the peer's WebSocket messages and on what waits to be sent; what a value
    may be is the codec's, and one message may hold all of it. *max_pending_calls*: that wait for
    an answer. *call_timeout*: seconds for each, None for none. *heartbeat*: None for no pings.
    *close_timeout*: seconds for the rest of a closing handshake. *extended*: whether text messages
    are control messages, as was agreed by a subprotocol. *backend*: None takes the process' own.

    Read-only attributes: *outbox*; *stage*; *table*, the pending calls by number; *late*, how many
    answers came to calls that nobody waited for any longer; *problem*, what was wrong with the
    stream that the connection was ended for, or that has ended within an answer: an
    :class:`~wirecore.errors.InvalidStream`; *leaving*, whether the peer wants no more calls.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_calls",
        "_closing",
        "_codec",
        "_connection",
        "_extended",
        "_forgotten",
        "_response",
        "_sender",
        "late",
        "leaving",
        "outbox",
        "problem",
        "stage",
        "table",
    )

    def __init__(
        self,
        codec: CallingCodec,
        *,
        client: bool,
        limits: Limits | None = None,
        max_pending_calls: int = DEFAULT_MAX_PENDING_CALLS,
        call_timeout: float | None = None,
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
        self.table: CallTable[int, Any] = backend.calls.CallTable(
            count().__next__, max_pending=max_pending_calls, history=_HISTORY
        )
        self.problem: Exception | None = None
        self.late = 0
        self.leaving = False
        self._forgotten: set[int] = set()  # calls that have no answer, and nobody waits for it
        self._calls = PendingCalls(self.table, self.outbox, call_timeout)
        self._codec = codec
        self._sender = WriteSender(self._connection, backend, client=client, limits=limits)
        super().__init__(
            backend.pool_sender.CallSender(
                self._connection,
                self.outbox,
                codec.write,
                self.table,
                self._forgotten,
                self._calls.begin,
                **self._sender.bounds,
            )
        )
        self._extended = extended
        self._closing = False
        self._response: Response | None = None  # that came, and its result hasn't

    # --- out ------------------------------------------------------------------------------------

    @property
    def takes_fields(self) -> bool:
        """Whether the peer is told what goes with calls, as was agreed."""
        return self._extended

    def call_with(
        self,
        fields: Mapping[str, str],
        call: Call,
        method: str,
        argument: Any,
        annotation: Any,
        now: float,
    ) -> None:
        """As :meth:`call`, with header *fields*, if the peer takes any."""
        quick = self._quick
        wanted = call.annotation  # type: ignore[attr-defined]  # of PoolCall and its like
        check_annotation(wanted)
        if len(quick.known) < _KNOWN:
            with suppress(TypeError):  # one that isn't hashable
                quick.known.add(wanted)
        table = self.table
        sender = self._sender
        # All that could be in the way comes first: what the codec has made must be sent.
        sender.check()
        pending = len(table)
        unanswered = pending + len(self._forgotten)
        if unanswered >= table.max_pending:
            raise LocalLimitExceeded("max_pending_calls", unanswered + 1, table.max_pending)
        writes = self._codec.encode_request(quick.next, method, argument, annotation)
        if not pending:
            self._calls.begin(now)
        call.started = now
        call.call_id = table.open(call)
        quick.next = call.call_id + 1
        if fields and self._extended:
            beside = write_fields(call.call_id, fields)
            if beside:
                sender.put_control(beside)
        call.end = sender.put(writes)

    def forget(self, call: Call) -> None:
        """*call* waits no longer: its answer will be dropped. The peer isn't told."""
        if self._calls.forget(call):
            self._forgotten.add(call.call_id)

    def lost(self) -> list[tuple[Any, Execution]]:
        """End all calls, as the connection is gone: each, oldest first, with what is known."""
        return self._calls.lost()

    # --- what the transport does ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: the heartbeat counts from here."""
        self._connection.start(now)

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> Answers | None:
        """Bytes came: the answers that became whole, in order, some 1000 at a time.

        They are none where *leaving* or *late* alone have changed. What is no answer
        ends the connection, as :attr:`problem`.
        """
        connection, stage = self._connection, self.stage
        if stage.held:
            stage.held = False
            return None if connection.finished else self._take(False)
        messages: list[Any] = connection.receive(data, now)
        if not messages:
            if connection.close_received is not None:
                self._check_end()
            return None
        before = self.leaving
        if self._extended:
            messages = self._without_control(messages)
        if messages:
            self._codec.feed(bytes(messages[0]) if len(messages) == 1 else b"".join(messages))
        return self._take(self.leaving is not before)

    def _without_control(self, messages: list[Any]) -> list[Any]:
        """*messages* without those of ours, which are seen to."""
        if RawText not in map(type, messages):
            return messages
        rest = []
        for message in messages:
            if type(message) is not RawText:
                rest.append(message)
            elif says_leave(message):
                self.leaving = True
        return rest

    def _take(self, changed: bool) -> Answers | None:
        """The next answers, if there are any for the owner, or something else has *changed*."""
        answers = Answers()
        heard = 0
        try:
            heard = self._read(answers)
        except InvalidStream as error:
            self._end(error)
        self.stage.held = heard == BATCH
        return answers if heard or len(answers) or changed else None

    def _read(self, answers: Answers) -> int:
        """Add what is whole to *answers*; how many were, those to forgotten calls included."""
        codec, table = self._codec, self.table
        heard = 0
        while heard < BATCH:
            response = self._response
            if response is None:
                before = len(answers)
                codec.take_answers(table, answers, before + BATCH - heard)
                heard += len(answers) - before
                if heard == BATCH or codec.spent:
                    break
                found = codec.next_response()
                if found is NEED_DATA:
                    return heard
                response = self._response = found
            value = None
            error: Exception | None = None
            call = table.get(response.seq)
            if call is None or response.error is not None or call.annotation is None:
                whole = codec.skip_result() is not NEED_DATA
                if response.error is not None:
                    error = RpcError(response.error)
            else:
                value, error, whole = self._result(call.annotation)
            if not whole:
                return heard
            self._response = None
            heard += 1
            call = table.answer(response.seq)
            if call is not None:
                answers.append(Answer(call, value, error))
            elif response.seq in self._forgotten:
                self._forgotten.discard(response.seq)
                self.late += 1
        return heard

    def _result(self, annotation: Any) -> tuple[Any, Exception | None, bool]:
        """The result as *annotation*, or what is wrong with it; whether it was all there."""
        try:
            value = self._codec.result(annotation)
        except InvalidValue as error:
            return None, without_frames(error), True
        except LocalError as error:  # the annotation is no type: nothing was read
            whole = self._codec.skip_result() is not NEED_DATA
            return None, without_frames(error), whole
        return value, None, value is not NEED_DATA

    def _check_end(self) -> None:
        """The peer's stream has ended: see whether that was within an answer."""
        if self.problem is None and not self._closing:
            try:
                self._codec.finish()
            except InvalidStream as error:
                self.problem = without_frames(error)

    def _end(self, problem: Exception) -> None:
        self.problem = without_frames(problem)
        self._connection.close(CloseCode.PROTOCOL_ERROR, printable(str(problem)), wait=False)

    def receive_eof(self, now: float) -> list[Answer] | None:
        """The stream ended; within an answer that is a :attr:`problem`."""
        ended = self._connection.finished or self.stage.held
        self._connection.receive_eof(now)
        self.stage.held = False
        if not ended and self._connection.failure is None:
            self._check_end()
        return None

    def expire(self, now: float) -> list[Answer] | None:
        """See to what is due: a ping, or the end; and calls out of time, which are returned."""
        self._connection.expire(now)
        over = self._calls.expire(now)
        self._forgotten.update(call.call_id for call in over)
        return [Answer(call, None, TIMED_OUT) for call in over] or None

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        return min(self._connection.next_deadline(), self._calls.next_deadline())

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue a close frame, and await the peer's until ``close_timeout``.

        Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent.
        """
        self._connection.close(code, reason)
        self._closing = True

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()
