"""Connections on streams of any bytes, while their owners do whatever owners may do.

Whatever comes: no exception but the documented ones, a state that makes sense, both backends
alike, and nothing sent but what the protocol allows and the owner asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore._backend import Backend, load
from wirecore.constants import Opcode
from wirecore.errors import (
    ConnectionClosed,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    WirecoreError,
)
from wirecore.events import Close, Item, Ping, Pong, RawText
from wirecore.session import Heartbeat, Limits
from wirecore.websocket import Connection, DeflateParameters, State

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")

#: What an owner may see for an operation that can't be done.
DOCUMENTED = (
    ConnectionClosed,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    TypeError,
    ValueError,
)

PURE = load("py")


@dataclass(frozen=True)
class Setup:
    """How a connection is made."""

    client: bool
    deflate: DeflateParameters | None
    raw_text: bool
    fragment_size: int
    heartbeat: bool
    close_timeout: float | None
    await_eof: bool

    def make(self, backend: Backend) -> Connection:
        connection = Connection(
            client=self.client,
            limits=Limits(max_frame_size=200, max_message_size=300, max_queued_bytes=1000),
            deflate=self.deflate,
            raw_text=self.raw_text,
            heartbeat=Heartbeat(3, 5) if self.heartbeat else None,
            fragment_size=self.fragment_size,
            close_timeout=self.close_timeout,
            await_eof=self.await_eof,
            backend=backend,
        )
        connection.start(0.0)
        return connection


DEFLATES = st.builds(
    DeflateParameters,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.sampled_from([9, 15]),
    client_max_window_bits=st.sampled_from([9, 15]),
    threshold=st.sampled_from([0, 10, 1000]),
)
SETUPS = st.builds(
    Setup,
    client=st.booleans(),
    deflate=st.none() | DEFLATES,
    raw_text=st.booleans(),
    fragment_size=st.sampled_from([0, 0, 1, 7, 100]),
    heartbeat=st.booleans(),
    close_timeout=st.sampled_from([None, 2.0]),
    await_eof=st.booleans(),
)

TEXTS = st.text(max_size=20) | st.sampled_from(["é" * 99, "x" * 126])
BLOBS = st.binary(max_size=20) | st.sampled_from([bytes(99), bytes(126), bytes(201)])
CLOSES = st.sampled_from([b"", b"\x03", b"\x03\xe8", b"\x03\xe9bye", b"\x03\xed", b"\x03\xe8\xff"])


# --- what comes from the peer -----------------------------------------------------------------


@st.composite
def frames(draw: st.DrawFn, setup: Setup) -> bytes:
    """Frames of a peer that keeps the rules, or nearly."""
    masked = not setup.client
    deflater = None if setup.deflate is None else setup.deflate.deflater(client=masked)
    made: list[bytes] = []

    def add(opcode: Opcode, payload: bytes, fin: bool = True, rsv1: bool = False) -> None:
        key = draw(st.binary(min_size=4, max_size=4)) if masked else None
        made.append(PURE.frames.encode_frame(opcode, payload, masked, fin, rsv1, key))

    for _ in range(draw(st.integers(0, 6))):
        opcode = draw(st.sampled_from(Opcode))
        if opcode in (Opcode.PING, Opcode.PONG):
            add(opcode, draw(st.binary(max_size=4)))
        elif opcode is Opcode.CLOSE:
            add(opcode, draw(CLOSES))
        else:
            opcode = Opcode.TEXT if opcode is Opcode.TEXT else Opcode.BINARY
            payload = draw(TEXTS).encode() if opcode is Opcode.TEXT else draw(BLOBS)
            rsv1 = deflater is not None and draw(st.booleans())
            if rsv1 and deflater is not None:
                payload = deflater.deflate(payload)
            edges = [0, *sorted(draw(st.lists(st.integers(0, len(payload)), max_size=2)))]
            for edge, stop in zip(edges, [*edges[1:], None], strict=True):
                add(opcode, payload[edge:stop], stop is None, rsv1)
                opcode, rsv1 = Opcode.CONTINUATION, False
                if stop is not None and draw(st.booleans()):
                    add(Opcode.PING, b"between")
    return b"".join(made)


def streams(setup: Setup, mutated: Mutated) -> st.SearchStrategy[bytes]:
    return mutated(frames(setup)) | st.binary(max_size=60)


def pieces(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[edge:stop] for edge, stop in pairwise(edges)]


CUTS = st.lists(st.integers(0, 1000), max_size=8)


# --- what the owner does ----------------------------------------------------------------------

Act = tuple[Any, ...]

MESSAGES: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    BLOBS,
    st.binary(max_size=9).map(RawText),
    st.sampled_from([bytes(1500), "é" * 800, "\ud800", 7, None, memoryview(b"abcd")[::2]]),
    st.just(array("H", [1])),
)
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.just(("feed",)),
    st.just(("feed",)),
    st.just(("feed",)),
    st.tuples(st.just("take"), st.sampled_from([1, 10, 100, 65536]), st.integers(0, 200)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 1.5, 6.0])),
    st.tuples(st.just("send"), MESSAGES, st.sampled_from([None, True, False])),
    st.tuples(st.just("send_all"), st.lists(MESSAGES, max_size=3)),
    st.tuples(
        st.just("fragment"), MESSAGES, st.booleans(), st.sampled_from([None, None, True, False])
    ),
    st.tuples(st.just("ping"), st.sampled_from([b"", b"a", b"b", bytes(126)])),
    st.tuples(st.just("pong"), st.sampled_from([b"", b"a", bytes(126)])),
    st.tuples(
        st.just("close"),
        st.sampled_from([None, 1000, 1005, 1006, 4000]),
        st.sampled_from(["", "bye", "é" * 100, "\ud800"]),
        st.booleans(),
    ),
    st.sampled_from([("pause",), ("resume",), ("eof",)]),
)


@dataclass
class Run:
    """A connection and what became of it: received, asked to be sent, and sent."""

    connection: Connection
    received: list[Item] = field(default_factory=list)
    sent: bytes = b""
    asked: list[Item] = field(default_factory=list)
    begun: bytes = b""  # the message under way in fragments

    def act(self, act: Act, piece: bytes, now: float) -> Any:
        """Do it; what came of it, errors of the documented kinds included."""
        name, *arguments = act
        connection = self.connection
        if name == "feed":
            came = connection.receive(piece, now)
            self.received += came
            return came
        if name == "take":
            limit, most = arguments
            chunk = bytes(connection.outbox.take(limit))[:most]
            connection.outbox.sent(len(chunk))
            self.sent += chunk
            return len(chunk)
        if name == "wait":
            return connection.expire(now)
        if name == "eof":
            return connection.receive_eof(now)
        if name in ("pause", "resume"):
            return getattr(connection, name)(now)
        try:
            return getattr(self, f"_{name}")(*arguments)
        except DOCUMENTED as error:
            return type(error), str(error) if isinstance(error, WirecoreError) else ""

    def _send(self, message: Any, compress: bool | None) -> int:
        end = self.connection.send(message, compress=compress)
        self.asked.append(message)
        return end

    def _send_all(self, messages: list[Any]) -> int:
        queued = self.connection.outbox.queued
        try:
            end = self.connection.send_all(messages)
        except (TypeError, ValueError):
            # Those before it may be queued, and none behind it.
            if self.connection.outbox.queued != queued:
                for message in messages:
                    if not isinstance(message, str | bytes) or message == "\ud800":
                        break
                    self.asked.append(message)
            raise
        self.asked += messages
        return end

    def _fragment(self, data: Any, last: bool, text: bool | None) -> int:
        writer = self.connection._writer
        fresh = writer is None or not writer.half_sent
        end = self.connection.send_fragment(data, last=last, text=text)
        if fresh:
            is_text = isinstance(data, str | RawText) if text is None else text
            self.begun = RawText() if is_text else b""
        payload = data.encode() if isinstance(data, str) else data
        self.begun = type(self.begun)(self.begun + payload)
        if last:
            self.asked.append(self.begun)
        return end

    def _ping(self, payload: bytes) -> bytes:
        return self.connection.ping(payload)

    def _pong(self, payload: bytes) -> None:
        self.connection.pong(payload)

    def _close(self, code: int | None, reason: str, wait: bool) -> None:
        self.connection.close(code, reason, wait=wait)

    def look(self) -> tuple[object, ...]:
        """All that can be seen of the connection."""
        connection = self.connection
        outbox = connection.outbox
        error = connection.closed_error()
        return (
            connection.state,
            connection.finished,
            connection.deferred,
            connection.close_sent,
            connection.close_received,
            connection.failure,
            tuple(connection.pongs),
            connection.next_deadline(),
            (outbox.pending, outbox.queued, outbox.flushed),
            (error.code, error.reason, error.clean, repr(error.__cause__)),
            len(self.sent),
        )


def check_state(setup: Setup, connection: Connection) -> None:
    """What holds of a connection at any time."""
    state = connection.state
    assert connection.finished is (state is State.CLOSED)
    if connection.deferred:
        assert state in (State.OPEN, State.CLOSING)
    if state is State.OPEN:
        assert connection.close_sent is None
        assert connection.close_received is None
        assert connection.failure is None
    if state is State.CLOSING:
        assert connection.close_sent is not None
        assert connection.close_received is None
    if state is State.LINGERING:
        assert setup.client
        assert setup.await_eof
        assert connection.close_sent is not None
        assert connection.close_received is not None
    if connection.failure is not None:
        assert state is State.CLOSED
        assert connection.close_sent is not None
    outbox = connection.outbox
    assert 0 <= outbox.flushed <= outbox.queued
    assert outbox.pending >= 0


def decode(setup: Setup, sent: bytes) -> list[Item]:
    """What the peer makes of all that was sent; its text isn't looked at."""
    inflater = None if setup.deflate is None else setup.deflate.inflater(client=not setup.client)
    decoder = PURE.frames.MessageDecoder(
        client=not setup.client,
        max_frame_size=1 << 40,
        max_message_size=1 << 40,
        raw_text=True,
        inflater=inflater,
    )
    return decoder.receive(sent)


def as_raw(message: Any) -> Item:
    return RawText(message.encode()) if isinstance(message, str) else message


def typed(items: Sequence[Item]) -> list[tuple[type, Item]]:
    """Items with their types: RawText equals bytes, else."""
    return [(type(item), item) for item in items]


@FUZZ
@given(data=st.data(), setup=SETUPS, acts=st.lists(ACTS, max_size=25), cuts=CUTS)
def test_whatever_comes_and_whatever_the_owner_does(
    backends: tuple[Backend, Backend],
    mutated: Mutated,
    data: st.DataObject,
    setup: Setup,
    acts: list[Act],
    cuts: list[int],
) -> None:
    stream = data.draw(streams(setup, mutated), "stream")
    left = pieces(stream, cuts)
    runs = [Run(setup.make(backend)) for backend in backends]
    now = 0.0
    for act in [*acts, *[("feed",)] * len(left), ("eof",), ("take", 65536, 1 << 20)]:
        if act[0] == "wait":
            now += act[1]
        piece = b""
        if act[0] == "feed" and left and not runs[0].connection.deferred:
            piece = left.pop(0)
        before = runs[0].look()
        over = runs[0].connection.finished
        compiled, pure = [(run.act(act, piece, now), run.look()) for run in runs]
        assert compiled == pure
        check_state(setup, runs[0].connection)
        if over and act[0] != "take":
            assert runs[0].look() == before, "nothing happens to what is over"
    assert runs[0].connection.finished
    while runs[0].connection.outbox.pending:
        assert len({run.act(("take", 65536, 1 << 20), b"", now) for run in runs}) == 1
    for run in runs:
        check_sent(setup, run)
    assert typed(runs[0].received) == typed(runs[1].received)


def check_sent(setup: Setup, run: Run) -> None:
    """What was sent is legal, and just what was asked for, and answers."""
    items = decode(setup, run.sent)
    closes = [index for index, item in enumerate(items) if isinstance(item, Close)]
    messages = [item for item in items if not isinstance(item, Close | Ping | Pong)]
    asked = [as_raw(message) for message in run.asked]
    if run.connection.closed_error().reason == "the peer answered no ping in time":
        asked = asked[: len(messages)]  # what a dead peer was owed is gone
    elif run.connection.close_sent is not None:
        assert closes == [len(items) - 1]
        assert items[-1] == run.connection.close_sent
    assert typed(messages) == typed(asked)
    opcodes = [frame[0] & 0x0F for frame in split(run.sent)]
    if Opcode.CLOSE in opcodes:
        behind = opcodes[opcodes.index(Opcode.CLOSE) + 1 :]
        assert set(behind) <= {Opcode.PONG}, "RFC 6455 section 5.5.1"


def split(sent: bytes) -> list[bytes]:
    """The frames of *sent*, the last one perhaps in part."""
    found = []
    while len(sent) > 1:
        size, head = sent[1] & 0x7F, 2 + (sent[1] >> 7) * 4
        if size > 125:
            extra = 2 if size == 126 else 8
            size, head = int.from_bytes(sent[2 : 2 + extra], "big"), head + extra
        found.append(sent[: head + size])
        sent = sent[head + size :]
    return found


@FUZZ
@given(data=st.data(), setup=SETUPS.filter(lambda setup: setup.deflate is None), cuts=CUTS)
def test_a_stream_means_the_same_however_it_is_cut(
    backends: tuple[Backend, Backend],
    mutated: Mutated,
    data: st.DataObject,
    setup: Setup,
    cuts: list[int],
) -> None:
    """Without compression: what zlib tells of damage depends on how much it was given at once."""
    stream = data.draw(streams(setup, mutated), "stream")
    ends = []
    for backend in backends:
        for parts in ([stream], pieces(stream, cuts), [bytes([byte]) for byte in stream]):
            run = Run(setup.make(backend))
            for part in parts:
                run.act(("feed",), part, 0.0)
                while run.connection.deferred:
                    run.act(("feed",), b"", 0.0)
            run.act(("eof",), b"", 0.0)
            ends.append((typed(run.received), run.look()))
    assert all(end == ends[0] for end in ends)


@FUZZ
@given(data=st.data(), setup=SETUPS, cuts=CUTS, limits=st.tuples(*[st.integers(0, 300)] * 2))
def test_decoders_alone(
    backends: tuple[Backend, Backend],
    mutated: Mutated,
    data: st.DataObject,
    setup: Setup,
    cuts: list[int],
    limits: tuple[int, int],
) -> None:
    stream = data.draw(streams(setup, mutated), "stream")
    decoders = [
        backend.frames.MessageDecoder(
            client=setup.client,
            max_frame_size=limits[0],
            max_message_size=limits[1],
            raw_text=setup.raw_text,
            inflater=None if setup.deflate is None else setup.deflate.inflater(client=setup.client),
        )
        for backend in backends
    ]
    for piece in pieces(stream, cuts):
        compiled, pure = [
            (
                typed(decoder.receive(piece)),
                decoder.controls,
                decoder.failed,
                decoder.closed,
                decoder.in_message,
                decoder.buffered,
            )
            for decoder in decoders
        ]
        assert compiled == pure
        assert decoders[0].buffered <= len(stream) + limits[1]
        if decoders[0].failed or decoders[0].closed:
            assert not decoders[0].in_message
            assert decoders[0].buffered == 0
