"""The client's end of a webwire connection without I/O: requests out, replies and signals in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    ConnectionClosed,
    Execution,
    Incompatible,
    LimitExceeded,
    LocalLimitExceeded,
    NotConnected,
    ProtocolError,
)
from wirecore.protocols.webwire.errors import (
    BufferOverflow,
    BufferSizeMismatch,
    IncompatibleVersion,
    SubprotocolMismatch,
    UnexpectedFirstMessage,
)
from wirecore.protocols.webwire.messages import (
    HEARTBEAT,
    AcceptConf,
    encode_close_session,
    encode_restore_session,
)
from wirecore.session.calls import Call, PendingCalls
from wirecore.session.fields import write_fields
from wirecore.session.limits import DEFAULT_MAX_PENDING_CALLS, Limits
from wirecore.websocket.connection import DEFAULT_CLOSE_TIMEOUT, Connection
from wirecore.websocket.state import State
from wirecore.websocket.writer import PART
from wirecore.webwire_rules import MALFORMED, MessageType

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable
    from wirecore_py.webwire import Message

#: Both ends' message buffer where nothing is said: bytes of one message.
DEFAULT_BUFFER_SIZE: Final = 8192

#: What stands in a type's place for a request whose time is over.
TIMED_OUT: Final = -2

#: The version that this end speaks; a server's minor version doesn't matter.
_MAJOR: Final = 2

#: A heartbeat after this part of the server's read timeout, and no sooner than in so many seconds.
_HEARTBEAT_PART: Final = 0.75
_LEAST_HEARTBEAT: Final = 0.1

#: Ended requests that are remembered, to tell a late reply from one to a request that never was.
_HISTORY: Final = 256


if TYPE_CHECKING:
    from wirecore_py.webwire_ends import ClientEnd
else:
    ClientEnd = _backend.default.webwire_ends.ClientEnd


class ClientSession(ClientEnd):
    """The client's end of one connection, after the upgrade; a :class:`~wirecore.session.Session`.

    *buffer_size*: bytes of the longest message that is sent; the server must be set to the same.
    *subprotocol*: what is spoken inside of webwire; the server must say the same, or nothing
    where this is empty. *limits*: bounds on what the server sends and what waits to be sent.
    *request_timeout*: seconds for each request, None for none. *make_id*: makes the ids of
    requests, 0 to 2^64 - 1, none twice; None counts from 1. *takes_fields*: whether the server
    takes what goes with requests, as was agreed by a subprotocol of the WebSocket. *backend*: None
    takes the process' own.

    The server's first message says how it is set up: it makes :attr:`conf`, or :attr:`problem`,
    and the connection ends. Until then nothing can be sent.

    Read-only attributes: *outbox*; *stage*; *table*, the pending requests; *takes_fields*; *conf*;
    *problem*, why the server isn't one for this client, or which rule it broke.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_buffer_size",
        "_calls",
        "_interval",
        "_subprotocol",
        "_webwire",
        "outbox",
        "problem",
        "stage",
        "takes_fields",
    )

    conf: AcceptConf | None
    table: CallTable[int, Any]
    _connection: Connection

    def __init__(
        self,
        *,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        subprotocol: bytes = b"",
        limits: Limits | None = None,
        max_pending_requests: int = DEFAULT_MAX_PENDING_CALLS,
        request_timeout: float | None = None,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        make_id: Callable[[], int] | None = None,
        takes_fields: bool = False,
        backend: _backend.Backend | None = None,
    ) -> None:
        backend = backend or _backend.default
        limits = limits or Limits()
        connection = Connection(
            client=True,
            limits=limits,
            raw_text=True,  # a text is no message whatever is in it
            close_timeout=close_timeout,
            backend=backend,
        )
        table: CallTable[int, Any] = backend.calls.CallTable(
            make_id or count(1).__next__, max_pending=max_pending_requests, history=_HISTORY
        )
        writer = backend.webwire_writer.MessageWriter(
            table,
            connection.outbox,
            masked=True,
            largest=min(buffer_size, PART),
            max_queued=limits.max_queued_bytes,
        )
        super().__init__(connection, table, writer, backend.webwire.decode_messages)
        self._buffer_size = buffer_size
        self._subprotocol = subprotocol
        self.stage = connection
        self.outbox = connection.outbox
        self.takes_fields = takes_fields
        self.problem: Exception | None = None
        self._calls = PendingCalls(table, connection.outbox, request_timeout)
        self._webwire = backend.webwire
        self._interval = math.inf

    # --- out ------------------------------------------------------------------------------------

    def request_with(
        self,
        fields: Mapping[str, str],
        call: Call,
        name: str,
        payload: bytes,
        encoding: int,
        now: float,
    ) -> None:
        """As :meth:`request`, with header *fields*, if the server takes any."""
        encode = self._webwire.encode_request
        self._open(call, now, lambda call_id: encode(call_id, name, payload, encoding), fields)

    def restore_session(self, call: Call, key: bytes, now: float) -> None:
        """Queue the request for the session of *key*. As :meth:`request`."""
        self._open(call, now, lambda call_id: encode_restore_session(call_id, key))

    def close_session(self, call: Call, now: float) -> None:
        """Queue the request to end the session. As :meth:`request`."""
        self._open(call, now, encode_close_session)

    def signal(self, name: str, payload: bytes, encoding: int, now: float) -> None:
        """Queue a signal; there is no answer to it. Raises as :meth:`request`."""
        if self.conf is None or not self._connection.plain:
            self._check_open()
        if not self._writer.signal(name, payload, encoding):
            self._put(self._webwire.encode_signal(name, payload, encoding))
        self._quiet_since = now

    def _open(
        self,
        call: Call,
        now: float,
        encode: Callable[[int], bytes],
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self._check_open()
        try:
            call_id = self._calls.open(call, now)
        except LocalLimitExceeded as error:
            raise self._refused(error) from None
        try:
            message = encode(call_id)
            if fields and self.takes_fields:
                beside = write_fields(call_id, fields, self._buffer_size)
                if beside:
                    self._connection.send(beside)
            call.end = self._put(message)
        finally:
            if not call.end:
                self._calls.forget(call)
        self._quiet_since = now

    def _put(self, message: bytes) -> int:
        if len(message) > self._buffer_size:
            remedy = "set it at both ends, or send less at once"
            raise BufferOverflow("buffer_size", len(message), self._buffer_size, remedy)
        return self._connection.send(message)

    def _refused(self, error: LocalLimitExceeded) -> LocalLimitExceeded:
        """*error*, with the limit called as the option that it is here."""
        if error.limit != "max_pending_calls":
            return error
        remedy = "await some of their replies first, or raise it"
        return LocalLimitExceeded("max_pending_requests", error.figure, error.bound, remedy)

    def _check_open(self) -> None:
        if self.conf is None or self._connection.state is not State.OPEN:
            raise NotConnected

    def forget(self, call: Call) -> None:
        """*call* waits no longer: its reply will be dropped. The server isn't told."""
        self._calls.forget(call)

    def lost(self) -> list[tuple[Any, Execution]]:
        """End all requests, as the connection is gone: each, oldest first, with what is known."""
        return self._calls.lost()

    # --- what the transport does ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: the server is to say how it is set up."""
        self._connection.start(now)

    def _received_first(self, happened: list[Message], now: float) -> list[Message] | None:
        if self.conf is None and self.problem is None:
            self._configure(happened[0] if happened else None, now)
        if happened and happened[-1][0] == MALFORMED:
            why = happened.pop()[2]
            if self.problem is None:  # else the first message said that nothing fits here
                self._end(ProtocolError(f"the server sent what is no message: {why}"))
        return None if self.problem is not None and self.conf is None else happened

    def _configure(self, first: Message | None, now: float) -> None:
        if first is None or first[0] != MessageType.ACCEPT_CONF:
            self._end(UnexpectedFirstMessage("the server's first message isn't webwire's"))
            return
        conf = AcceptConf.decode(first[3])
        problem = self._mismatch(conf)
        if problem is not None:
            self._end(problem)
            return
        self.conf = conf
        self._interval = max(conf.read_timeout_ms * _HEARTBEAT_PART / 1000, _LEAST_HEARTBEAT)
        self._quiet_since = now

    def _mismatch(self, conf: AcceptConf) -> Incompatible | None:
        if conf.major != _MAJOR:
            return IncompatibleVersion(conf.major, conf.minor)
        if conf.subprotocol != self._subprotocol:
            return SubprotocolMismatch(
                self._subprotocol.decode("utf-8", "replace"),
                conf.subprotocol.decode("utf-8", "replace"),
            )
        if conf.buffer_size != self._buffer_size:
            return BufferSizeMismatch(self._buffer_size, conf.buffer_size)
        return None

    def _end(self, problem: Exception) -> None:
        if self.problem is None:
            self.problem = problem
        self._connection.close(CloseCode.PROTOCOL_ERROR, wait=False)

    def receive_eof(self, now: float) -> None:
        """The stream ended."""
        self._connection.receive_eof(now)

    def expire(self, now: float) -> list[Message] | None:
        """See to what is due: a heartbeat, and requests whose time is over, which are returned."""
        self._connection.expire(now)
        if now >= self._quiet_since + self._interval and self._connection.state is State.OPEN:
            self._quiet_since = now
            try:
                self._connection.send(HEARTBEAT)
            except LimitExceeded:
                pass  # so much is on its way that the server has more than a heartbeat to read
        self._see_to_alone()
        timed_out = self._calls.expire(now)
        return [(TIMED_OUT, call, "", b"") for call in timed_out] or None

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        beat = math.inf
        if self._connection.state is State.OPEN:
            beat = self._quiet_since + self._interval
        self._see_to_alone()
        return min(self._connection.next_deadline(), self._calls.next_deadline(), beat)

    def _see_to_alone(self) -> None:
        # Not for each request: only who looks at deadlines needs it.
        if self._alone_at < math.inf:
            self._calls.begin(self._alone_at)
            self._alone_at = math.inf

    def close(self, code: int = CloseCode.NORMAL) -> None:
        """Queue a close frame, and await the server's until ``close_timeout``."""
        self._connection.close(code)

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()
