"""One connection, either end of it, after the upgrade: the handshake, then one of the two wires."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    ConnectionClosed,
    InvalidMessage,
    InvalidState,
    NotConnected,
    printable,
    without_frames,
)
from wirecore.events import Ping, Pong, RawText
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.handshake import (
    ack_message,
    connection_id_message,
    metadata_message,
    read_ack,
    read_connection_id,
    read_metadata,
)
from wirecore.protocols.rest.happenings import Happening, Stream, Wire
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import Limits, check_seconds
from wirecore.websocket.connection import DEFAULT_CLOSE_TIMEOUT, Connection
from wirecore.websocket.state import State

#: Seconds that the three messages may take.
DEFAULT_HANDSHAKE_TIMEOUT: Final = 10.0

#: Makes a wire, which queues each message with the function that it is given.
MakeWire = Callable[[Callable[[bytes], object]], Wire]


class RestSession:
    """A :class:`~wirecore.session.Session` whose happenings are those of its wire, READY, and HELD.

    *client*: whether this end has dialled; then it says its *metadata*, else it gives the
    *connection_id*. *multiplexed*: makes the wire where both ends have agreed on that one; None:
    the wire is that of the original, and made by :meth:`use`, as it depends on which end calls.
    *limits*: of WebSocket messages. *heartbeat*: None for no pings.
    *handshake_timeout*: seconds for the handshake, None for no bound. *on_control*: is told of each
    ping and pong; True from it stands for the answer to a ping. *backend*: None takes the process'
    own.

    Read-only attributes: *outbox*; *stage*; *wire*, None until there is one; *problem*, what the
    peer did wrong.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense, and for
    metadata that can't be sent.
    """

    __slots__ = (
        "_client",
        "_connection",
        "_connection_id",
        "_expect",
        "_first",
        "_handshake_deadline",
        "_handshake_timeout",
        "_held",
        "_metadata",
        "_multiplexed",
        "outbox",
        "problem",
        "stage",
        "wire",
    )

    def __init__(
        self,
        *,
        client: bool,
        metadata: Any = None,
        connection_id: str = "",
        multiplexed: MakeWire | None = None,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        handshake_timeout: float | None = DEFAULT_HANDSHAKE_TIMEOUT,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        on_control: Callable[[Ping | Pong], object] | None = None,
        backend: _backend.Backend | None = None,
    ) -> None:
        check_seconds("handshake_timeout", handshake_timeout)
        self._connection = Connection(
            client=client,
            limits=limits,
            raw_text=True,  # a body is sent raw in text messages, and may be cut anywhere
            heartbeat=heartbeat,
            close_timeout=close_timeout,
            on_control=on_control,
            backend=backend,
        )
        self.outbox = self._connection.outbox
        self.stage = self._connection
        self._client = client
        self._first = metadata_message(metadata) if client else b""
        self._connection_id = connection_id
        self._multiplexed = multiplexed
        self._metadata: Any = None
        self._expect: Callable[[bytes], list[Happening]] | None = (
            self._take_id if client else self._take_metadata
        )
        self._handshake_timeout = math.inf if handshake_timeout is None else handshake_timeout
        self._handshake_deadline = math.inf
        self._held: list[Any] = []
        self.wire: Wire | None = None
        self.problem: Exception | None = None

    @property
    def connection_id(self) -> str:
        """What the server calls this connection; "" until it was said."""
        return self._connection_id

    @property
    def multiplexed(self) -> bool:
        """Whether both ends have agreed on many exchanges at once."""
        return self._multiplexed is not None

    @property
    def open(self) -> bool:
        """Whether something can be sent."""
        return self._connection.state is State.OPEN

    @property
    def ready(self) -> bool:
        """Whether the handshake is through."""
        return self._expect is None

    @property
    def undecided(self) -> bool:
        """Whether the handshake is through, and :meth:`use` has to say what comes now.

        Until then a message that comes is kept here, which HELD tells; then nobody should read on.
        """
        return self.wire is None and self.ready

    def use(self, make: MakeWire, now: float) -> list[Happening]:
        """Speak this wire from now on: what happened on it already.

        Raises :class:`~wirecore.errors.InvalidState` where there is a wire, or where the handshake
        isn't through.
        """
        if not self.undecided:
            raise InvalidState("the wire of this connection isn't to be chosen now")
        self.wire = make(self._put_text)
        held, self._held = self._held, []
        return self._pass_on(held, now)

    # --- out ------------------------------------------------------------------------------------

    def _put_text(self, message: bytes) -> None:
        self._check_open()
        self._connection.send(RawText(message))

    def _put_binary(self, message: bytes) -> None:
        self._check_open()
        self._connection.send(message)

    def _check_open(self) -> None:
        if self._connection.state is not State.OPEN:
            raise NotConnected

    def ping(self, payload: bytes | None = None) -> bytes:
        """Queue a ping; its token, which comes back in ``pongs``. Raises as Connection's."""
        return self._connection.ping(payload)

    def pong(self, payload: bytes) -> None:
        """Queue a pong. Raises as Connection's."""
        self._connection.pong(payload)

    @property
    def pongs(self) -> list[bytes]:
        """Tokens of pings that were answered, for the owner to take out."""
        return self._connection.pongs

    # --- what the transport does ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection begins: a client says its metadata."""
        self._connection.start(now)
        self._handshake_deadline = now + self._handshake_timeout
        if self._client:
            self._connection.send(RawText(self._first))

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Happening]:
        """Bytes came: what happened, in order. What breaks a rule ends the connection."""
        messages: list[Any] = self._connection.receive(data, now)
        if not messages or self._connection.state is not State.OPEN:
            return []  # what comes behind our own goodbye can't be answered any more
        if self._expect is None:
            return self._pass_on(messages, now)
        happened: list[Happening] = []
        try:
            for at, message in enumerate(messages):
                if self._expect is None:
                    happened += self._pass_on(messages[at:], now)
                    break
                happened += self._expect(bytes(message))
        except InvalidMessage as error:
            self._fail(without_frames(error), CloseCode.PROTOCOL_ERROR)
        return happened

    def _pass_on(self, messages: list[Any], now: float) -> list[Happening]:
        wire = self.wire
        if wire is None:
            self._held += messages
            return [(happenings.HELD, None, None)]
        happened = wire.receive(messages, now)
        self._check_wire(wire)
        return happened

    def _take_metadata(self, message: bytes) -> list[Happening]:
        self._metadata = read_metadata(message)
        self._connection.send(RawText(connection_id_message(self._connection_id)))
        self._expect = self._take_ack
        return []

    def _take_ack(self, message: bytes) -> list[Happening]:
        read_ack(message)
        return self._ready(self._metadata)

    def _take_id(self, message: bytes) -> list[Happening]:
        self._connection_id = read_connection_id(message)
        self._connection.send(RawText(ack_message()))
        return self._ready(self._connection_id)

    def _ready(self, value: Any) -> list[Happening]:
        self._expect = None
        self._handshake_deadline = math.inf
        if self._multiplexed is not None:
            self.wire = self._multiplexed(self._put_binary)
        return [(happenings.READY, None, value)]

    def _check_wire(self, wire: Wire) -> None:
        if wire.problem is not None and self.problem is None:
            code = CloseCode.PROTOCOL_ERROR
            if self._multiplexed is None:
                code = CloseCode.GOING_AWAY  # any other ends the process of an original that calls
            self._fail(wire.problem, code)

    def _fail(self, problem: Exception, code: int) -> None:
        self.problem = problem
        self._connection.close(code, printable(str(problem)), wait=False)

    def receive_eof(self, now: float) -> list[Happening]:
        """The stream ended."""
        self._connection.receive_eof(now)
        return []

    def expire(self, now: float) -> list[Happening]:
        """See to what is due."""
        self._connection.expire(now)
        if now >= self._handshake_deadline and self._connection.state is State.OPEN:
            self._handshake_deadline = math.inf
            seconds = self._handshake_timeout
            error = InvalidMessage(f"the peer's handshake wasn't through within {seconds:g} s")
            self._fail(error, CloseCode.POLICY_VIOLATION)
        wire = self.wire
        if wire is None or self.problem is not None or wire.next_deadline() > now:
            return []
        happened = wire.expire(now)
        self._check_wire(wire)
        return happened

    def next_deadline(self) -> float:
        """When to call :meth:`expire` at the latest; ``math.inf`` for never."""
        deadline = self._connection.next_deadline()
        if self._connection.state is State.OPEN:
            deadline = min(deadline, self._handshake_deadline)
            if self.wire is not None and self.problem is None:
                deadline = min(deadline, self.wire.next_deadline())
        return deadline

    def pause(self, now: float) -> None:
        """Nobody reads from now on."""
        self._connection.pause(now)

    def resume(self, now: float) -> None:
        """Somebody reads again."""
        self._connection.resume(now)

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Queue a close frame behind all else, and await the peer's until *close_timeout*.

        1001, as any other code makes an original that calls dial again, or ends its process.
        Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent.
        """
        self._connection.close(code, reason)

    def lost(self) -> list[Stream]:
        """The connection is over: the exchanges that weren't, each told once."""
        return [] if self.wire is None else self.wire.lost()

    def closed_error(self) -> ConnectionClosed:
        """Why the connection is over, as an exception."""
        return self._connection.closed_error()
