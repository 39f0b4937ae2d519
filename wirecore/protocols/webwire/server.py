"""The server's end of a webwire connection without I/O: requests in, replies and signals out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    ConnectionClosed,
    InvalidOption,
    LocalLimitExceeded,
    NotConnected,
    ProtocolError,
)
from wirecore.protocols.webwire.errors import BufferOverflow
from wirecore.protocols.webwire.messages import (
    SESSION_CLOSED,
    AcceptConf,
    encode_outcome,
    encode_session_created,
)
from wirecore.session.fields import CallFields
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import DEFAULT_MAX_QUEUED_BYTES, Limits
from wirecore.websocket.connection import DEFAULT_CLOSE_TIMEOUT, Connection
from wirecore.websocket.state import State
from wirecore.websocket.writer import PART
from wirecore.webwire_rules import ID_SIZE, MessageType

if TYPE_CHECKING:
    from wirecore_py.webwire import Message

#: Bounds on the message buffer: 0 stands for the default, below the least it is an error.
LEAST_BUFFER_SIZE: Final = 32
MAX_BUFFER_SIZE: Final = (1 << 32) - 1

#: Seconds. What is below the least stands for the default.
DEFAULT_READ_TIMEOUT: Final = 60.0
LEAST_READ_TIMEOUT: Final = 1.0

#: Bytes of a reply in UTF-8 before its payload.
_REPLY_HEAD: Final = 1 + ID_SIZE

#: Bytes that the answer to a restore may have more than what told of the session as new: the id,
#: and the digits of a second that its last lookup had none of then.
_MORE_TO_RESTORE: Final = ID_SIZE + len(".123456")

#: What a stopping server answers, and not what it drops.
_ANSWERED: Final = frozenset(
    {MessageType.RESTORE_SESSION, MessageType.CLOSE_SESSION, *range(127, 130)}
)


def accept_conf(read_timeout: float, buffer_size: int, subprotocol: bytes = b"") -> AcceptConf:
    """How a server is set up, from its options: *read_timeout* in seconds, sizes in bytes.

    Raises :class:`~wirecore.errors.InvalidOption` for a figure out of its bounds.
    """
    if buffer_size == 0:
        buffer_size = 8192
    if not LEAST_BUFFER_SIZE <= buffer_size <= MAX_BUFFER_SIZE:
        raise InvalidOption(
            f"buffer_size is 0, for the default, or {LEAST_BUFFER_SIZE} to {MAX_BUFFER_SIZE}, "
            f"not {buffer_size}"
        )
    if not read_timeout >= LEAST_READ_TIMEOUT:
        read_timeout = DEFAULT_READ_TIMEOUT
    milliseconds = int(min(read_timeout * 1000, 1 << 32))
    if milliseconds >= 1 << 32:
        raise InvalidOption(f"read_timeout is at most 4294967.295 seconds, not {read_timeout}")
    conf = AcceptConf(2, 0, milliseconds, buffer_size, subprotocol)
    if len(conf.encode()) > buffer_size:
        raise InvalidOption(
            f"the subprotocol's name must fit a message of buffer_size, {buffer_size} bytes, with "
            "what else a client is told first"
        )
    return conf


if TYPE_CHECKING:
    from wirecore_py.webwire_ends import ServerEnd
else:
    ServerEnd = _backend.default.webwire_ends.ServerEnd


class ServerSession(ServerEnd):
    """The server's end of one connection, after the upgrade; a :class:`~wirecore.session.Session`.

    *conf*: what the client is told first, see :func:`accept_conf`; its read timeout bounds how
    long the client may send nothing, its buffer size each message in either direction.
    *max_queued_bytes*: bound on what waits to be sent. *extended*: whether text messages are
    control messages, as was agreed by a subprotocol of the WebSocket. *backend*: None takes the
    process' own.

    Two states beside those of the connection: *inactive*, once :meth:`deactivate` was called or
    the connection is over: what comes is dropped. *stopping*, once :meth:`stop` was called: what
    asks for an answer is told that the server shuts down, the rest is dropped.

    Read-only attributes: *outbox*; *stage*; *inactive*; *fields*, what came beside the requests,
    None where that wasn't agreed on; *problem*, the rule that the client broke or the time that it
    let pass.
    """

    __slots__ = (
        "_buffer_size",
        "_conf",
        "_held",
        "_patience",
        "_webwire",
        "fields",
        "outbox",
        "problem",
        "stage",
    )

    _connection: Connection

    def __init__(
        self,
        conf: AcceptConf,
        *,
        max_queued_bytes: int = DEFAULT_MAX_QUEUED_BYTES,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        extended: bool = False,
        backend: _backend.Backend | None = None,
    ) -> None:
        backend = backend or _backend.default
        size = conf.buffer_size
        connection = Connection(
            client=False,
            limits=Limits(
                max_frame_size=size, max_message_size=size, max_queued_bytes=max_queued_bytes
            ),
            raw_text=True,  # a text is no message whatever is in it
            close_timeout=close_timeout,
            backend=backend,
        )
        writer = backend.webwire_writer.MessageWriter(
            None,
            connection.outbox,
            masked=False,
            largest=min(size, PART),
            max_queued=max_queued_bytes,
        )
        self.fields = CallFields() if extended else None
        decode = backend.webwire.decode_messages
        super().__init__(
            connection, writer, decode if self.fields is None else self.fields.beside(decode)
        )
        self._conf = conf
        self._buffer_size = size
        self._patience = Heartbeat(None, conf.read_timeout_ms / 1000)
        self.stage = connection
        self.outbox = connection.outbox
        self.problem: Exception | None = None
        self._held = False
        self._webwire = backend.webwire

    # --- out ------------------------------------------------------------------------------------

    def _reply(self, request_id: int, payload: bytes, encoding: int) -> None:
        if self._connection.state is State.OPEN:
            self._put(self._webwire.encode_reply(request_id, payload, encoding))

    def check_reply(self, size: int) -> None:
        """Raise :class:`BufferOverflow` where a reply of *size* bytes in UTF-8 is too long."""
        self._check_size(_REPLY_HEAD + size)

    def reply_error(self, request_id: int, code: str, message: str) -> None:
        """Queue an error that a handler raised on purpose. Raises as :meth:`reply`.

        A *message* too long for the buffer is cut: that the request failed matters more.
        """
        text = message.encode("utf-8", "replace")
        encode = self._webwire.encode_error
        whole = encode(request_id, code, text)
        excess = len(whole) - self._buffer_size
        if 0 < excess <= len(text):
            cut = text[: len(text) - excess].decode("utf-8", "ignore")
            whole = encode(request_id, code, cut.encode())
        if self._connection.state is State.OPEN:
            self._put(whole)

    def reply_outcome(self, request_id: int, outcome: MessageType) -> None:
        """Queue an answer that is a type and no more.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where the client leaves too much unread.
        """
        if self._connection.state is State.OPEN:
            self._connection.send(encode_outcome(outcome, request_id))

    def signal(self, name: str, payload: bytes, encoding: int) -> None:
        """Queue a signal.

        Raises :class:`~wirecore.errors.NotConnected` where the connection is inactive, else as
        :meth:`reply`, also for a *name* that can't be sent.
        """
        self._check_active()
        if not self._writer.signal(name, payload, encoding):
            self._put(self._webwire.encode_signal(name, payload, encoding))

    def signal_shared(self, message: bytes, encoded: dict[int, list[bytes]]) -> None:
        """Queue a signal's *message*, encoded before; *encoded* keeps its frames for others.

        Raises as :meth:`signal`.
        """
        self._check_active()
        self._check_size(len(message))
        self._connection.send_shared(message, encoded)

    def session_created(self, json: bytes) -> None:
        """Tell the client of its new session, which it must be able to restore later, too.

        Raises as :meth:`signal`.
        """
        self._check_active()
        message = encode_session_created(json)
        self._check_size(len(message) + _MORE_TO_RESTORE)
        self._connection.send(message)

    def session_closed(self) -> None:
        """Tell the client that its session is gone; nothing happens where it is gone itself."""
        if self._connection.state is State.OPEN:
            self._connection.send(SESSION_CLOSED)

    def _put(self, message: bytes) -> None:
        self._check_size(len(message))
        self._connection.send(message)

    def _check_size(self, size: int) -> None:
        if size > self._buffer_size:
            remedy = "raise it at both ends, or send less at once"
            raise BufferOverflow("buffer_size", size, self._buffer_size, remedy)

    def _check_active(self) -> None:
        if self.inactive or self._connection.state is not State.OPEN:
            raise NotConnected("the client isn't connected any more")

    # --- states ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """The server shuts down: new requests are refused from now on, signals dropped."""
        self._stopping = True

    def deactivate(self) -> None:
        """Nothing more is taken from the client; replies still go out."""
        self.inactive = True

    def hold(self) -> None:
        """Nobody reads, or the client waits for its turn, from now on: silence doesn't count."""
        self._held = True

    def resume(self, now: float) -> None:
        """It counts again, from *now*."""
        self._held = False
        self._heard_at = now

    # --- what the transport does ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: the client is told how this end is set up."""
        self._connection.start(now)
        self._connection.send(self._conf.encode())
        self._patience.start(now)
        self._heard_at = now

    def _drop(self, happened: list[Message]) -> None:
        if not self.inactive:
            for kind, request_id, _, _ in happened:
                if kind in _ANSWERED:
                    self._refuse_request(request_id)

    def _refuse_request(self, request_id: int) -> None:
        try:
            self.reply_outcome(request_id, MessageType.REPLY_SHUTDOWN)
        except LocalLimitExceeded as error:
            self.problem = error
            self.close(CloseCode.TRY_AGAIN_LATER)

    def _refuse(self, why: str) -> None:
        if self._connection.state is State.OPEN:
            self.problem = ProtocolError(f"the client sent what is no message: {why}")
            self.close(CloseCode.PROTOCOL_ERROR, why)

    def receive_eof(self, now: float) -> None:
        """The stream ended."""
        self._connection.receive_eof(now)

    def expire(self, now: float) -> None:
        """See to what is due: the end of a client that says nothing, or doesn't close."""
        if self._held:
            self._heard_at = now
        self._patience.pong(self._heard_at)
        if self._patience.expired(now) and self._connection.state is State.OPEN:
            seconds = self._conf.read_timeout_ms / 1000
            self.problem = TimeoutError(f"the client sent nothing within {seconds:g} s")
            self.close(CloseCode.POLICY_VIOLATION, "nothing came within the read timeout")
        self._connection.expire(now)

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        deadline = self._connection.next_deadline()
        if self._connection.state is State.OPEN:
            self._patience.pong(self._heard_at)
            return min(deadline, self._patience.next_deadline())
        return deadline

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue a close frame behind all that was sent, and await the client's for a while."""
        self.inactive = True
        self._connection.close(code, reason)

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._connection.state is State.OPEN
