"""One wsrpc connection without I/O: calls out, requests in, answers both ways."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from wirecore import _backend
from wirecore.errors import ConnectionClosed, Execution, LocalLimitExceeded, NotConnected
from wirecore.protocols.wsrpc.messages import (
    CLIENT_FRAGMENT_SIZE,
    CLIENT_READ_LIMIT,
    PING_INTERVAL,
    PONG_TIMEOUT,
    SERVER_READ_LIMIT,
    Received,
    sendable_text,
)
from wirecore.session.calls import Call, PendingCalls
from wirecore.session.fields import CallFields, write_fields
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import CallLimits, Limits
from wirecore.websocket.connection import Connection
from wirecore.websocket.state import State
from wirecore.websocket.writer import PART

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

logger = logging.getLogger("wirecore.wsrpc")

#: Ended calls that are remembered, to tell a late answer from one to a call that never was.
_HISTORY: Final = 256


class Session:
    """One end of a wsrpc connection, after the upgrade; a :class:`~wirecore.session.Session`.

    *client*: which end it is. *limits*: bounds on what the peer sends and on what waits to be
    sent; None: messages up to 100,000,000 bytes for a client, 10,000,000 for a server.
    *call_limits*: bounds on calls; by default no message is sent that a peer with the default
    limits wouldn't take. *heartbeat*: None for a ping every 18 s and an end 20 s after the last
    pong. *call_timeout*: seconds for each call, None for none. *fragment_size*: None for what
    the original does, 0 for whole frames. *extended*: whether text messages are control messages,
    as was agreed by a subprotocol. *backend*: None takes the process' own.

    Read-only attributes: *outbox*; *stage*; *table*, the pending calls, which counts answers
    that nobody waits for; *dropped*: how many messages were no envelopes, or empty ones;
    *fields*: what came beside the requests, None where that wasn't agreed on.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_calls",
        "_connection",
        "_encode_request",
        "_encode_response",
        "_max_send_size",
        "_sort",
        "_writer",
        "dropped",
        "fields",
        "outbox",
        "stage",
        "table",
    )

    def __init__(
        self,
        *,
        client: bool,
        limits: Limits | None = None,
        call_limits: CallLimits | None = None,
        heartbeat: Heartbeat | None = None,
        call_timeout: float | None = None,
        fragment_size: int | None = None,
        extended: bool = False,
        backend: _backend.Backend | None = None,
    ) -> None:
        backend = backend or _backend.default
        ours, theirs = SERVER_READ_LIMIT, CLIENT_READ_LIMIT
        if client:
            ours, theirs = theirs, ours
        if fragment_size is None:
            fragment_size = CLIENT_FRAGMENT_SIZE if client else 0
        limits = limits or Limits(max_frame_size=ours, max_message_size=ours)
        call_limits = call_limits or CallLimits()
        self._max_send_size = call_limits.max_send_size or theirs
        self._connection = Connection(
            client=client,
            limits=limits,
            raw_text=True,  # the original takes text messages, and doesn't look at their UTF-8
            heartbeat=heartbeat or Heartbeat(PING_INTERVAL, PONG_TIMEOUT),
            fragment_size=fragment_size,
            await_eof=False,  # the Go server never ends the stream after a closing handshake
            backend=backend,
        )
        self.stage = self._connection
        self.outbox = self._connection.outbox
        self.table: CallTable[str, Any] = backend.calls.CallTable(
            backend.entropy.uuid4_text,
            max_pending=call_limits.max_pending_calls,
            history=_HISTORY,
        )
        self.dropped = 0
        self._calls = PendingCalls(self.table, self.outbox, call_timeout)
        self._encode_request = backend.envelope.encode_request
        self._encode_response = backend.envelope.encode_response
        self.fields = CallFields() if extended else None
        sort = backend.envelope.sort_envelopes
        self._sort = sort if self.fields is None else self.fields.beside(sort)
        self._writer = backend.envelope_writer.EnvelopeWriter(
            self.table,
            self.outbox,
            masked=client,
            largest=min(self._max_send_size, fragment_size or PART, PART),
            max_queued=limits.max_queued_bytes,
        )

    @property
    def pending_calls(self) -> int:
        """How many calls have no answer yet."""
        return len(self.table)

    # --- calls --------------------------------------------------------------------------------

    def call(self, call: Call, method: str, payload: bytes, now: float) -> None:
        """Queue a call of *method*; *call* then waits, and comes back once in one of three ways.

        Answered or out of time in a :class:`Received`, or from :meth:`lost`. Where this raises,
        *call* doesn't wait and nothing is queued.

        Raises :class:`~wirecore.errors.NotConnected` where the connection is closing or closed,
        :class:`~wirecore.errors.LocalLimitExceeded` for too many calls that wait, too long a
        message, or too much that waits to be sent, UnicodeEncodeError for a *method* that can't
        be encoded.
        """
        connection = self._connection
        if connection.plain:
            table = self.table
            if not table:
                self._calls.begin(now)
            call.started = now
            call.end = self._writer.request(call, method, payload)
            if call.end:
                return
        self.call_with({}, call, method, payload, now)

    @property
    def takes_fields(self) -> bool:
        """Whether the peer is told what goes with calls, as was agreed."""
        return self.fields is not None

    def call_with(
        self, fields: Mapping[str, str], call: Call, method: str, payload: bytes, now: float
    ) -> None:
        """As :meth:`call`, with header *fields*, if the peer takes any."""
        connection = self._connection
        if connection.state is not State.OPEN:
            raise NotConnected
        call_id = self._calls.open(call, now)
        try:
            envelope = self._encode_request(method, call_id, payload)
            if len(envelope) > self._max_send_size:
                raise self._too_long(envelope)
            if fields and self.takes_fields:
                beside = write_fields(call_id, fields, self._max_send_size)
                if beside:
                    connection.send(beside)
            call.end = connection.send(envelope)
        finally:
            if not call.end:
                self._calls.forget(call)

    def forget(self, call: Call) -> None:
        """*call* waits no longer: its answer will be dropped. The peer isn't told."""
        self._calls.forget(call)

    def lost(self) -> list[tuple[Any, Execution]]:
        """End all calls, as the connection is gone: each, oldest first, with what is known."""
        return self._calls.lost()

    # --- answers ------------------------------------------------------------------------------

    def reply(self, call_id: str, payload: bytes) -> None:
        """Queue the answer to a request; nothing happens where the connection is over.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` for too long a message
        (``max_send_size``), and where the peer leaves too much unread (``max_queued_bytes``).
        """
        # A handler may end when its connection has: that is nobody's fault.
        connection = self._connection
        if connection.plain and self._writer.response(call_id, payload):
            return
        if connection.state is State.OPEN:
            envelope = self._encode_response(call_id, payload)
            if len(envelope) > self._max_send_size:
                raise self._too_long(envelope)
            connection.send(envelope)

    def reply_error(self, call_id: str, text: str, payload: bytes = b"") -> None:
        """Queue an error as the answer, its *text* made sendable by :func:`sendable_text`.

        A *payload* may come along, as where a Go handler returns both; callers rarely see it.
        Where the whole would be too long the text is cut: that a call failed matters more than
        the words for it. Raises as :meth:`reply`.
        """
        text = sendable_text(text)
        envelope = self._encode_response(call_id, payload, text)
        excess = len(envelope) - self._max_send_size
        if excess > 0:
            text = sendable_text(text, max(len(text.encode()) - excess, 0))
            envelope = self._encode_response(call_id, payload, text)
        if len(envelope) > self._max_send_size:
            raise self._too_long(envelope)
        if self._connection.state is State.OPEN:
            self._connection.send(envelope)

    # --- life ---------------------------------------------------------------------------------

    def ping(self, on_pong: Callable[[bytes, float], object]) -> bytes:
        """Queue a ping besides the heartbeat's; its token, random bytes.

        *on_pong*, the same at each call, gets the token and the time within the
        :meth:`receive` that brings the answer. Raises
        :class:`~wirecore.errors.InvalidState` or :class:`~wirecore.errors.ConnectionClosed`
        where the connection isn't open, :class:`~wirecore.errors.LocalLimitExceeded` where 1024
        have no answer.
        """
        self._connection.on_pong = on_pong
        return self._connection.ping()

    def _too_long(self, envelope: bytes) -> LocalLimitExceeded:
        remedy = "set it to what the peer takes at most, or send less at once"
        return LocalLimitExceeded("max_send_size", len(envelope), self._max_send_size, remedy)

    # --- what the transport does --------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: the heartbeat counts from here."""
        self._connection.start(now)

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> Received | None:
        """Bytes came: the answers and requests that became whole, if any.

        Messages that are no envelopes are dropped and counted, as the original does.
        """
        messages: list[Any] = self._connection.receive(data, now)  # no str, as raw_text is set
        if not messages:
            return None
        answers, requests, dropped = self._sort(messages, self.table)
        if dropped:
            # Loud once: a peer that sends rubbish mustn't fill the log.
            level = logging.DEBUG if self.dropped else logging.WARNING
            self.dropped += dropped
            logger.log(level, "dropped what is no envelope; %d so far", self.dropped)
        return Received(answers, requests) if answers or requests else None

    def receive_eof(self, now: float) -> None:
        """The stream ended."""
        self._connection.receive_eof(now)

    def expire(self, now: float) -> Received | None:
        """See to what is due: calls out of time, a ping, or the end of a peer without pongs."""
        self._connection.expire(now)
        timed_out = self._calls.expire(now)
        return Received(timed_out=timed_out) if timed_out else None

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        return min(self._connection.next_deadline(), self._calls.next_deadline())

    def close(self, code: int = 1000) -> None:
        """Queue a close frame; *finished* at once, for the original's ends don't wait either.

        Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent.
        """
        self._connection.close(code, wait=False)

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()
