"""wsrpc sessions on envelopes of any bytes in valid frames, while both directions are in use.

Whatever comes: no exception but the documented ones, each call ends once and in one way, both
backends alike, and each envelope sent is one that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.errors import InvalidMessage, LocalLimitExceeded, NotConnected
from wirecore.protocols.wsrpc import Received, Session, sendable_text
from wirecore.protocols.wsrpc import ping as messages
from wirecore.session import Call, CallLimits, Limits

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")


def call_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def numbered(backend: Backend) -> Backend:
    """*backend*, with call ids that can be known beforehand."""
    made = Backend(backend.name)
    entropy = SimpleNamespace(
        uuid4_text=map(call_id, count()).__next__, random_bytes=backend.entropy.random_bytes
    )
    made.entropy = cast(Any, entropy)
    return made


# --- envelopes --------------------------------------------------------------------------------

NAMES = st.sampled_from(["Ping", "", "Ünbekannt", "x" * 130])
IDS = st.integers(0, 4).map(call_id) | st.sampled_from(["", "any id"])
PAYLOADS = st.binary(max_size=12) | st.just(bytes(150))
ERRORS = st.sampled_from(["", "", "no", "x" * 130])


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text_field(number: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


ODD_FIELDS = st.builds(
    lambda number, kind, value: varint(number << 3 | kind) + value,
    st.sampled_from([0, 1, 2, 3, 4, 5, 1 << 28, 1 << 29]),
    st.integers(0, 7),
    st.binary(max_size=9) | st.builds(varint, st.integers(0, (1 << 64) - 1)),
)


def member(number: int, *fields: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A request or response: its fields in any order, left out or twice, odd ones among them."""
    inside = st.lists(st.one_of(*fields, ODD_FIELDS), max_size=5) | st.tuples(*fields)
    return inside.map(lambda found: text_field(number, b"".join(found)))


REQUESTS = member(
    2,
    NAMES.map(lambda name: text_field(1, name)),
    IDS.map(lambda id_: text_field(2, id_)),
    PAYLOADS.map(lambda payload: text_field(3, payload)),
)
RESPONSES = member(
    3,
    IDS.map(lambda id_: text_field(1, id_)),
    PAYLOADS.map(lambda payload: text_field(2, payload)),
    ERRORS.map(lambda error: text_field(3, error)),
)
ANSWERS = st.builds(
    lambda id_, payload, error: text_field(
        3, text_field(1, id_) + text_field(2, payload) + text_field(3, error)
    ),
    IDS,
    PAYLOADS,
    ERRORS,
)
ENVELOPES = ANSWERS | st.lists(REQUESTS | RESPONSES | ODD_FIELDS, max_size=2).map(b"".join)


@st.composite
def streams(draw: st.DrawFn, envelopes: st.SearchStrategy[bytes], masked: bool) -> list[bytes]:
    """Envelopes in valid frames, as text or binary, whole or in fragments; cut anywhere."""
    frames = []
    for envelope in draw(st.lists(envelopes, max_size=8)):
        first = draw(st.sampled_from([1, 2, 2]))
        size = draw(st.sampled_from([1 << 20, 1 << 20, 40]))
        edges = range(0, max(len(envelope), 1), size)
        for at in edges:
            payload = envelope[at : at + size]
            head = bytes([first | (0x80 if at == edges[-1] else 0)])
            first = 0
            mask_bit = 0x80 if masked else 0
            if len(payload) < 126:
                head += bytes([mask_bit | len(payload)])
            else:
                head += bytes([mask_bit | 126]) + len(payload).to_bytes(2, "big")
            frames.append(head + (bytes(4) if masked else b"") + payload)  # the key 0 masks nothing
    stream = b"".join(frames)
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=6))
    return [stream[at:stop] for at, stop in pairwise([0, *sorted(cuts), len(stream)])]


# --- what both ends' owners do ----------------------------------------------------------------

Act = tuple[Any, ...]

SURROGATES = st.sampled_from(["a\ud800", "\udfff"])
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.just(("feed",)),
    st.just(("feed",)),
    st.just(("feed",)),
    st.tuples(st.just("call"), NAMES | SURROGATES, PAYLOADS),
    st.tuples(st.just("call"), NAMES, PAYLOADS),
    st.tuples(st.just("forget"), st.integers(0, 4)),
    st.tuples(st.just("reply"), IDS, PAYLOADS),
    st.tuples(st.just("reply_error"), IDS, ERRORS | SURROGATES | st.text(max_size=200)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.0, 1.0, 4.0, 21.0])),
    st.tuples(st.just("take"), st.sampled_from([1, 50, 65536])),
    st.sampled_from([("take", 65536), ("close",), ("eof",)]),
)


@dataclass
class Run:
    """A session, its calls and their ends, and what it was asked to send and sent."""

    session: Session
    backend: Backend
    calls: list[Call] = field(default_factory=list)
    ends: dict[int, str] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    sent: bytes = b""

    def act(self, act: Act, piece: bytes, now: float) -> Any:
        """Do it; what came of it, with numbers in the place of calls."""
        name, *arguments = act
        session = self.session
        if name == "feed":
            return self._took(session.receive(piece, now))
        if name == "wait":
            return self._took(session.expire(now))
        if name == "take":
            chunk = bytes(session.outbox.take(arguments[0]))
            session.outbox.sent(len(chunk))
            self.sent += chunk
            return len(chunk)
        if name == "close":
            return session.close()
        if name == "eof":
            return session.receive_eof(now)
        try:
            getattr(self, f"_{name}")(*arguments, now)
        except (LocalLimitExceeded, NotConnected, UnicodeEncodeError) as error:
            return type(error), str(error)
        return None

    def _took(self, received: Received | None) -> Any:
        if received is None:
            return None
        for call, _, error in received.answers:
            self._end(call, "failed" if error else "answered")
        for call in received.timed_out:
            self._end(call, "timed out")
        return (
            [(self.calls.index(call), payload, text) for call, payload, text in received.answers],
            received.requests,
            [self.calls.index(call) for call in received.timed_out],
        )

    def _end(self, call: Call, how: str) -> None:
        number = self.calls.index(call)
        assert number not in self.ends, "a call ends once"
        self.ends[number] = how

    def _call(self, method: str, payload: bytes, now: float) -> None:
        call = Call()
        self.session.call(call, method, payload, now)
        self.calls.append(call)
        self.asked.append((self.backend.envelope.REQUEST, method, call.call_id, payload))

    def _forget(self, number: int, now: float) -> None:
        if number < len(self.calls):
            self.session.forget(self.calls[number])
            self.ends.setdefault(number, "forgotten")

    def _reply(self, id_: str, payload: bytes, now: float) -> None:
        self.session.reply(id_, payload)
        if not self.session.stage.finished:
            self.asked.append((self.backend.envelope.RESPONSE, id_, payload, ""))

    def _reply_error(self, id_: str, text: str, now: float) -> None:
        self.session.reply_error(id_, text)
        if not self.session.stage.finished:
            self.asked.append((self.backend.envelope.RESPONSE, id_, b"", text))

    def look(self) -> tuple[object, ...]:
        """All that can be seen of the session."""
        session = self.session
        table, outbox = session.table, session.outbox
        return (
            session.stage.finished,
            session.stage.deferred,
            session.dropped,
            session.pending_calls,
            (table.late, table.duplicate, table.unknown),
            session.next_deadline(),
            (outbox.pending, outbox.queued, outbox.flushed),
            [call.end for call in self.calls],
        )

    def check_sent(self, client: bool) -> None:
        """Envelopes left as they were asked for, error texts perhaps shortened."""
        decoder = self.backend.frames.MessageDecoder(
            client=not client, max_frame_size=1 << 40, max_message_size=1 << 40
        )
        left = [item for item in decoder.receive(self.sent) if isinstance(item, bytes)]
        assert not decoder.failed
        found: list[tuple[Any, ...]] = list(map(self.backend.envelope.decode_envelope, left))
        for envelope, asked in zip(found, self.asked, strict=False):
            assert envelope[:3] == asked[:3]
            if envelope[0] == self.backend.envelope.REQUEST:
                assert envelope == asked
            elif asked[3]:
                assert envelope[3]
                assert sendable_text(asked[3]).startswith(envelope[3])
        assert len(found) == len(self.asked) or self.session.stage.finished


@FUZZ
@given(
    data=st.data(), client=st.booleans(), calls=st.integers(0, 4), acts=st.lists(ACTS, max_size=20)
)
def test_whatever_envelopes_come(
    backends: tuple[Backend, Backend],
    mutated: Mutated,
    data: st.DataObject,
    client: bool,
    calls: int,
    acts: list[Act],
) -> None:
    envelopes = ENVELOPES | mutated(ENVELOPES) | mutated(ANSWERS) | st.binary(max_size=40)
    left = data.draw(streams(envelopes, masked=not client), "stream")
    runs = []
    for backend in map(numbered, backends):
        session = Session(
            client=client,
            limits=Limits(max_frame_size=600, max_message_size=600, max_queued_bytes=800),
            call_limits=CallLimits(max_pending_calls=4, max_send_size=200),
            call_timeout=5,
            backend=backend,
        )
        session.start(0.0)
        runs.append(Run(session, backend))
    now = 0.0
    begin = [("call", "Ping", b"")] * calls
    for act in [*begin, *acts, *[("feed",)] * len(left), *[("take", 65536)] * 100]:
        if act[0] == "wait":
            now += act[1]
        piece = b""
        if act[0] == "feed" and left and not runs[0].session.stage.deferred:
            piece = left.pop(0)
        compiled, pure = [(run.act(act, piece, now), run.look()) for run in runs]
        assert compiled == pure
        waiting = [number for number in range(len(runs[0].calls)) if number not in runs[0].ends]
        assert len(waiting) == runs[0].session.pending_calls
    for run in runs:
        run.check_sent(client)
        run.session.receive_eof(now)
        lost = [run.calls.index(call) for call, _ in run.session.lost()]
        assert sorted([*lost, *run.ends]) == list(range(len(run.calls)))
        assert run.session.pending_calls == 0


KINDS: st.SearchStrategy[Callable[[bytes], object]] = st.sampled_from(
    [
        messages.PingRequest.FromString,
        messages.GnipResponse.FromString,
        messages.EchoRequest.FromString,
        messages.EchoResponse.FromString,
    ]
)


@FUZZ
@given(data=st.data(), parse=KINDS)
def test_messages_of_the_example(
    mutated: Mutated, data: st.DataObject, parse: Callable[[bytes], object]
) -> None:
    """Any bytes are a message or InvalidMessage; what is one is the same once written again."""
    echo = st.builds(messages.EchoRequest, st.text(), st.integers(-(1 << 63), (1 << 63) - 1))
    whole = echo.map(lambda message: message.SerializeToString())
    raw = data.draw(mutated(whole) | st.lists(ODD_FIELDS).map(b"".join) | st.binary())
    try:
        message: Any = parse(raw)
    except InvalidMessage:
        return
    assert parse(message.SerializeToString()) == message
