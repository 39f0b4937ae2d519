"""An open WebSocket without I/O: messages, pings and the closing handshake.

RFC 6455 sections 5.4, 5.5 and 7. Frames are the backend's; what is to be sent waits in the outbox,
messages and close frames in its data lane, pings and pongs in its control lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from wirecore import _backend
from wirecore.constants import CloseCode, Opcode
from wirecore.errors import ConnectionClosed, InvalidState, LocalLimitExceeded
from wirecore.events import Buffer, Close, Failure, Message, Ping, Pong
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import Limits, check_at_least, check_seconds
from wirecore.websocket.closing import close_payload, closed_error, make_close
from wirecore.websocket.deflate import DeflateParameters
from wirecore.websocket.pings import PendingPings, check_payload, pings_unread, pongs_behind
from wirecore.websocket.state import TRANSITIONS, State, Trigger
from wirecore.websocket.writer import PART, MessageWriter, Sendable

#: Seconds that this end waits for the rest of a closing handshake.
DEFAULT_CLOSE_TIMEOUT: Final = 5.0
#: Compressed input is decoded in pieces of this many bytes, which deflate makes a thousand times
#: as many of at most, until the messages of one call hold more than the second figure.
_PIECE: Final = 8 * 1024
_INFLATED: Final = 1024 * 1024


if TYPE_CHECKING:
    from wirecore.session.outbox import Outbox
    from wirecore_py.frames import MessageDecoder
    from wirecore_py.receiving import Receiver
else:
    Receiver = _backend.default.receiving.Receiver


class Connection(Receiver):
    """One end of an open WebSocket; a :class:`~wirecore.session.Session`.

    *client*: which end it is. *limits*: bounds on what the peer sends and on what waits to be
    sent. *deflate*: what the handshake agreed on compression. *raw_text*: hand out text messages
    as RawText, unchecked. *heartbeat*: when to ping and when to give up; it begins with
    :meth:`start`. *fragment_size*: longer messages are sent in fragments of that many bytes, 0
    for never. *close_timeout*: seconds for the rest of a closing handshake, None for no bound.
    *await_eof*: whether a client leaves it to the server to end the stream (section 7.1.1); a
    server never waits. It may be set later, before the end. *on_pong* is called, within
    :meth:`receive`, with the payload of each answered ping and the time; it may be set later,
    before the first. *on_control* is called with each ping and pong that comes; True from it
    stands for the answer to a ping. *backend*: None takes the process' own.

    Read-only attributes: *state*; *finished*; *deferred*; *outbox*; *close_sent* and
    *close_received*, the close frames; *failure*, what the peer did wrong; *plain*, whether frames
    of whole messages may go into *outbox* as they are. *pongs*: without *on_pong*, payloads of
    the answered pings, for the owner to take out.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_backend",
        "_close_deadline",
        "_close_timeout",
        "_deflate",
        "_end",
        "_encode",
        "_fragment_size",
        "_heartbeat",
        "_lost",
        "_masked",
        "_max_queued",
        "_moved",
        "_pings",
        "_pongs_behind",
        "_rest",
        "_writer",
        "await_eof",
        "close_received",
        "close_sent",
        "failure",
        "on_control",
        "on_pong",
    )

    _decoder: MessageDecoder
    outbox: Outbox
    state: State

    def __init__(
        self,
        *,
        client: bool,
        limits: Limits | None = None,
        deflate: DeflateParameters | None = None,
        raw_text: bool = False,
        heartbeat: Heartbeat | None = None,
        fragment_size: int = 0,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        await_eof: bool = True,
        on_pong: Callable[[bytes, float], object] | None = None,
        on_control: Callable[[Ping | Pong], object] | None = None,
        backend: _backend.Backend | None = None,
    ) -> None:
        check_at_least("fragment_size", fragment_size, 0)
        check_seconds("close_timeout", close_timeout)
        limits = limits or Limits()
        self._backend = backend or _backend.default
        decoder = self._backend.frames.MessageDecoder(
            client=client,
            max_frame_size=limits.max_frame_size,
            max_message_size=limits.max_message_size,
            raw_text=raw_text,
            inflater=None if deflate is None else deflate.inflater(client=client),
        )
        outbox = self._backend.outbox.Outbox()
        super().__init__(decoder, outbox, State.OPEN, inflates=deflate is not None)
        self._encode = self._backend.frames.encode_message
        self._masked = client
        self._max_queued = limits.max_queued_bytes
        self._fragment_size = fragment_size
        self._heartbeat = heartbeat
        self._close_timeout = math.inf if close_timeout is None else close_timeout
        self._close_deadline = math.inf
        self.await_eof = client and await_eof
        self._lost = ""
        # These two are made when they are needed: most connections never do.
        self._pings: PendingPings | None = None
        self._writer: MessageWriter | None = None
        self._pongs_behind = 0
        self._moved = 0  # bytes of messages, both ways, when the heartbeat last looked
        self._end: Close | Failure | None = None
        self._rest = b""  # input of a compressed connection that isn't decoded yet
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self.failure: Failure | None = None
        self.on_control = on_control
        self.on_pong = on_pong
        self._deflate = deflate

    @property
    def stage(self) -> Connection:
        """See :class:`~wirecore.session.Session`."""
        return self

    @property
    def growing(self) -> int:
        """See :class:`~wirecore.session.Session`."""
        return 0 if self._deflate or self._decoder.controls else self._decoder.buffered

    @property
    def heard(self) -> bool:
        """Whether the last read held control frames."""
        return self._decoder.controls > 0

    @property
    def pongs(self) -> list[bytes]:
        """See above."""
        return self._get_pings().pongs

    # --- in -----------------------------------------------------------------------------------

    def _go_on_receiving(self, data: Buffer, now: float) -> list[Message]:
        if self.deferred:
            if self._rest:
                return self._inflate(bytes(self._rest) + bytes(data), now)
            return self._see_to_end(now)
        return [] if self.finished else self._inflate(data, now)

    def _inflate(self, data: Buffer, now: float) -> list[Message]:
        """Decode what may be compressed piece by piece, so much that memory stays bounded.

        A read of messages that are each within their limit could inflate to a thousand times
        its size. What isn't decoded yet is kept, and the next call goes on with it.
        """
        self._rest, self.deferred = b"", False
        messages: list[Message] = []
        made = 0
        view = memoryview(data)
        while view and not (self.finished or self.deferred):
            items: list[Any] = self._decoder.receive(view[:_PIECE])
            view = view[_PIECE:]
            found = self._sort(items, now, behind=messages) if self._decoder.controls else items
            messages += found
            made += sum(map(len, found))
            if made > _INFLATED:
                break
        if view and not (self.finished or self.deferred):
            self._rest, self.deferred = bytes(view), True
        return messages

    def receive_eof(self, now: float) -> list[Message]:
        """The stream ended, in order or not: no message comes of it, and *finished* is set."""
        if self.deferred:
            self._see_to_end(now)
        if not self.finished:
            self._lost = "the stream ended without a close frame"
            self._move(Trigger.EOF)
        return []

    def expire(self, now: float) -> list[Message]:
        """See to what is due: a ping, or giving up. No message comes of it."""
        if self.state is State.OPEN:
            if self._heartbeat is not None:
                self._beat(self._heartbeat, now)
        elif not self.finished:
            self._start_patience(now)
            if now >= self._close_deadline and self.deferred:
                self._see_to_end(now)
            if now >= self._close_deadline and not self.finished:
                self._lost = f"no answer to our close frame within {self._close_timeout:g} s"
                self._move(Trigger.TIMEOUT)
        return []

    def next_deadline(self) -> float:
        """When to call :meth:`expire`; ``math.inf`` for never.

        After :meth:`close` that is at once, for the time is needed from which to wait.
        """
        if self.state is State.OPEN:
            return math.inf if self._heartbeat is None else self._heartbeat.next_deadline()
        return math.inf if self.finished else self._close_deadline

    def _sort(
        self, items: list[Any], now: float, behind: Collection[Message] = ()
    ) -> list[Message]:
        """See to all of *items* but the messages, which are returned; others came *behind*."""
        messages: list[Message] = []
        for item in items:
            seen_to = isinstance(item, Ping | Pong) and self.on_control and self.on_control(item)
            if isinstance(item, Ping):
                if not seen_to:
                    self._answer(item.payload)
            elif isinstance(item, Pong):
                if self._heartbeat is not None:
                    self._heartbeat.pong(now)
                if self._pings is not None:
                    self._pings.answer(item.payload, now)
            elif isinstance(item, Close | Failure):  # the last item there ever is
                self._end = item
                self.deferred = True
            else:
                messages.append(item)
            if self.finished:
                break
        if self.deferred and not messages and not behind:
            self._see_to_end(now)
        return messages

    def _see_to_end(self, now: float) -> list[Message]:
        end, self._end, self.deferred = self._end, None, False
        if not self.finished:
            if isinstance(end, Close):
                self._peer_closed(end, now)
            elif end is not None:
                self._fail(end)
        return []

    # --- out ----------------------------------------------------------------------------------

    def send(self, message: Sendable, *, compress: bool | None = None) -> int:
        """Queue *message*; its end offset in the outbox's data lane.

        ``str`` and RawText make a text message, any other buffer of bytes a binary one.
        *compress*: where compression was agreed on, None leaves it to the threshold.

        Raises :class:`~wirecore.errors.InvalidState` after :meth:`close` and between the
        fragments of another message, :class:`~wirecore.errors.ConnectionClosed` where the
        connection is over, :class:`~wirecore.errors.LocalLimitExceeded` where too much waits
        already, TypeError and ValueError for what can't be a message. Nothing is queued then.
        """
        outbox = self.outbox
        if self.plain and len(message) <= PART and outbox.pending <= self._max_queued:
            return outbox.put(self._encode(message, self._masked, self._fragment_size))
        self._check_sendable()
        return self._get_writer().put_message(message, compress)

    def send_all(self, messages: Collection[Sendable]) -> int:
        """Queue *messages* at once; the end offset of the last.

        Raises as :meth:`send`; those before one that can't be a message may be queued then.
        """
        plain = self.plain and self.outbox.pending <= self._max_queued
        if not plain:
            self._check_sendable()
        if plain and sum(map(len, messages)) <= PART:
            encoded = self._backend.frames.encode_messages(
                messages, self._masked, self._fragment_size
            )
            return self.outbox.put(encoded) if encoded else self.outbox.queued
        writer = self._get_writer()
        for message in messages:
            writer.put_message(message, None)
        return self.outbox.queued

    def send_shared(self, message: Sendable, encoded: dict[int, list[bytes]]) -> None:
        """Queue *message* without compression.

        *encoded* keeps its frames, as a server sends them, for other connections: they are made
        once for each size of fragments. A client masks each message anew (RFC 6455 section
        5.3). Raises as :meth:`send`.
        """
        outbox = self.outbox
        if not self.plain or outbox.pending:
            self._check_sendable()
        if self._masked:
            self._get_writer().put_message(message, False)
            return
        parts = encoded.get(self._fragment_size)
        if parts is None:
            parts = encoded[self._fragment_size] = self._get_writer().parts(message)
        for part in parts:
            outbox.put(part)

    def send_fragment(
        self,
        data: Sendable,
        *,
        last: bool,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> int:
        """Queue the next part of a message as one frame; its end offset in the data lane.

        The first call begins a message and decides: *text* says of which kind (None: ``str`` and
        RawText text, else binary), *compress* whether it is compressed where that was agreed on
        (None: it is). *last* ends the message. A character may be cut between two parts of
        bytes; that they make valid UTF-8 is the caller's matter. Pings and pongs may go between.

        Raises as :meth:`send`; and :class:`~wirecore.errors.InvalidOption` for *text* or
        *compress* that contradict the message's beginning.
        """
        self._check_open()
        self._check_room()
        end = self._get_writer().put_fragment(data, last=last, text=text, compress=compress)
        self.plain = last and self._deflate is None
        return end

    def _get_writer(self) -> MessageWriter:
        if self._writer is None:
            self._writer = MessageWriter(
                self._backend, self.outbox, self._masked, self._fragment_size, self._deflate
            )
        return self._writer

    def ping(self, payload: bytes | None = None) -> bytes:
        """Queue a ping; its token, which comes back by *on_pong* or *pongs* with the answer.

        *payload*: 1 to 125 bytes that no ping without an answer has; None for random ones.

        Raises :class:`~wirecore.errors.InvalidOption` for another payload,
        :class:`~wirecore.errors.LocalLimitExceeded` where 1024 pings have no answer, and as
        :meth:`send` where the connection isn't open.
        """
        self._check_open()
        token = self._backend.entropy.random_bytes(8) if payload is None else payload
        self._get_pings().add(token)
        self._put_control(Opcode.PING, token)
        return token

    def _get_pings(self) -> PendingPings:
        if self._pings is None:
            self._pings = PendingPings(self.on_pong)
        return self._pings

    def pong(self, payload: bytes = b"") -> None:
        """Queue a pong nobody asked for, as a sign of life in one direction (section 5.5.3).

        Raises :class:`~wirecore.errors.InvalidOption` for a payload above 125 bytes, and as
        :meth:`send` where the connection isn't open.
        """
        self._check_open()
        check_payload(payload)
        self._put_control(Opcode.PONG, payload)

    def close(
        self, code: int | None = CloseCode.NORMAL, reason: str = "", *, wait: bool = True
    ) -> None:
        """Queue a close frame behind all that was sent, and await the peer's.

        *code*: None for a frame without one. *reason* is cut to 123 bytes. *wait*: False waits
        neither for the answer nor for the end of the stream. Later calls change nothing, but
        may stop waiting.

        Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent.
        """
        close = make_close(code, reason)
        if self.state is State.OPEN:
            self._put_close(close)
            self._move(Trigger.CLOSE)
            # Due at once: the clock's reading is learnt from the call of `expire`.
            self._close_deadline = -math.inf
        if not wait and self.deferred:
            self._see_to_end(math.inf)  # no matter when
        if not wait and not self.finished:
            self._lost = "closed without waiting for the peer's close frame"
            self._move(Trigger.LEAVE)

    def closed_error(self) -> ConnectionClosed:
        """What to raise on use of a connection that is over; its cause: a rule the peer broke."""
        return closed_error(self.close_received, self.failure, self._lost)

    def start(self, now: float) -> None:
        """The handshake is over: the heartbeat begins."""
        if self._heartbeat:
            self._heartbeat.start(now)

    def pause(self, now: float) -> None:
        """Nobody reads from now on, and sees pongs."""
        if self._heartbeat is not None:
            self._heartbeat.pause(now)

    def resume(self, now: float) -> None:
        """Somebody reads again."""
        if self._heartbeat is not None:
            self._heartbeat.resume(now)

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state][trigger]
        self.plain = False
        self.finished = self.state is State.CLOSED

    def _beat(self, heartbeat: Heartbeat, now: float) -> None:
        if heartbeat.expired(now) and self._has_moved():
            heartbeat.pong(now)  # inside of a frame there is no place for it, nor for our ping
        if heartbeat.expired(now) and self.deferred:
            self._see_to_end(now)  # no pong is needed to know that it is over, or why
        elif heartbeat.expired(now):
            self._lost = "the peer answered no ping in time"
            self.outbox.clear()  # a dead peer takes nothing, and to wait for it delays the end
            self._move(Trigger.TIMEOUT)
        elif heartbeat.ping_due(now):
            self._has_moved()
            self._put_control(Opcode.PING, heartbeat.payload)

    def _has_moved(self) -> bool:
        """Whether a message is on its way, in or out, and more of it has gone since last asked."""
        before, self._moved = self._moved, self.outbox.flushed + self._decoder.buffered
        return self._moved != before and bool(self.outbox.pending or self._decoder.in_message)

    def _start_patience(self, now: float) -> None:
        if math.isinf(self._close_deadline):
            self._close_deadline = now + self._close_timeout

    def _answer(self, payload: bytes) -> None:
        self._pongs_behind = pongs_behind(self.outbox, self._pongs_behind, len(payload) + 2)
        failure = pings_unread(self._pongs_behind)
        if failure is None:
            self._put_control(Opcode.PONG, payload)
        else:
            self._fail(failure)

    def _peer_closed(self, close: Close, now: float) -> None:
        self.close_received = close
        if self.close_sent is None:
            self._put_close(Close(close.code, ""))
        self._move(Trigger.PEER_CLOSE)
        self._start_patience(now)
        if not self.await_eof:
            self._move(Trigger.LEAVE)

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        if self.close_sent is None:
            self._put_close(make_close(failure.code, failure.reason))
        self._move(Trigger.FAILURE)

    def _put_close(self, close: Close) -> None:
        self.close_sent = close
        frame = self._backend.frames.encode_frame(Opcode.CLOSE, close_payload(close), self._masked)
        self.outbox.put(frame)  # in the data lane, for no data may follow it: section 5.5.1

    def _put_control(self, opcode: Opcode, payload: bytes) -> None:
        self.outbox.put_control(self._backend.frames.encode_frame(opcode, payload, self._masked))

    def _check_sendable(self) -> None:
        self._check_open()
        self._check_room()
        if self._writer is not None and self._writer.half_sent:
            raise InvalidState("another message is half sent: end it with its last fragment")

    def _check_open(self) -> None:
        if self.state is State.CLOSING:
            raise InvalidState("close() was called: nothing can be sent after it")
        if self.state is not State.OPEN:
            raise self.closed_error()

    def _check_room(self) -> None:
        if self.outbox.pending > self._max_queued:
            raise LocalLimitExceeded("max_queued_bytes", self.outbox.pending, self._max_queued)
