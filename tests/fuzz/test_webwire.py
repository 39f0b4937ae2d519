"""webwire's messages of any bytes in valid frames, while calls are made and given up.

Whatever comes: no exception but the documented ones, each call ends once and in one way, both
backends alike, nothing is read behind a malformed message, and each message sent is one that was
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.errors import InvalidMessage, LocalLimitExceeded
from wirecore.protocols.webwire import Encoding, MessageType
from wirecore.protocols.webwire.messages import AcceptConf
from wirecore.session.calls import Call
from wirecore.webwire_rules import MALFORMED

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")

# --- messages ---------------------------------------------------------------------------------

IDS = st.integers(1, 5) | st.sampled_from([0, 2**64 - 1])
NAMES = st.sampled_from([b"", b"echo", b"odd", b"\xc3\xa9\n", bytes(130)])
BODIES = st.binary(max_size=12) | st.just(bytes(150))


def with_id(kind: int, number: int, rest: bytes = b"") -> bytes:
    return bytes((kind,)) + number.to_bytes(8, "little") + rest


def named(name: bytes, body: bytes, wide: bool) -> bytes:
    return bytes((len(name),)) + name + bytes(len(name) % 2 if wide else 0) + body


KINDS = st.sampled_from(Encoding)
REQUESTS = st.builds(
    lambda kind, number, name, body: with_id(127 + kind, number, named(name, body, kind == 2)),
    KINDS,
    IDS,
    NAMES,
    BODIES,
)
SIGNALS = st.builds(
    lambda kind, name, body: bytes((63 + kind,)) + named(name, body, kind == 2),
    KINDS,
    NAMES,
    BODIES,
)
REPLIES = st.one_of(
    st.builds(
        lambda kind, number, body: with_id(191 + kind, number, bytes(kind == 2) + body),
        KINDS,
        IDS,
        BODIES,
    ),
    st.builds(
        lambda number, name, body: with_id(0, number, named(name, body, wide=False)),
        IDS,
        NAMES,
        BODIES,
    ),
    st.builds(with_id, st.integers(1, 5), IDS),
)
OTHERS = st.one_of(
    st.builds(with_id, st.sampled_from([31, 32]), IDS, st.just(b"") | st.just(b"key")),
    st.builds(lambda kind, body: bytes((kind,)) + body, st.sampled_from([21, 22, 23]), BODIES),
    st.just(b"\x21"),
)
MESSAGES = st.one_of(REQUESTS, SIGNALS, REPLIES, REPLIES, OTHERS)

# --- what the owner does ----------------------------------------------------------------------

Act = tuple[Any, ...]

ACTS: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("call"), st.sampled_from(["echo", "", "é", "n" * 256]), BODIES, KINDS),
    st.tuples(st.just("call"), st.just("echo"), BODIES, KINDS),
    st.tuples(st.just("reply"), IDS, BODIES, KINDS),
    st.tuples(st.just("signal"), st.sampled_from(["chat", ""]), BODIES, KINDS),
    st.tuples(st.just("forget"), st.integers(1, 5)),
    st.tuples(st.just("take"), st.sampled_from([50, 65536])),
)


@dataclass
class End:
    """A client's end made of one backend: what came, what was asked, and what left."""

    backend: Backend
    ends: dict[int, str] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    sent: bytes = b""

    def __post_init__(self) -> None:
        self.table: Any = self.backend.calls.CallTable(count(1).__next__, max_pending=4)
        self.outbox = self.backend.outbox.Outbox()
        self.writer: Any = self.backend.webwire_writer.MessageWriter(
            self.table, self.outbox, masked=True, largest=160, max_queued=600
        )
        self.decoder = self.backend.frames.MessageDecoder(
            client=True, max_frame_size=1 << 20, max_message_size=1 << 20
        )
        self.opened = 0

    def feed(self, piece: bytes) -> list[Any]:
        """What the piece's messages are, with numbers in the place of calls."""
        items = self.decoder.receive(piece)
        found: list[Any] = self.backend.webwire.decode_messages(
            [item for item in items if isinstance(item, bytes | str)], self.table
        )
        malformed = [at for at, item in enumerate(found) if item[0] == MALFORMED]
        assert malformed in ([], [len(found) - 1])
        return [self._told(*item) for item in found]

    def _told(self, kind: int, owner: Any, name: str, payload: bytes) -> tuple[Any, ...]:
        if isinstance(owner, Call):
            assert owner.call_id not in self.ends, "a call ends once"
            self.ends[owner.call_id] = "answered"
            owner = owner.call_id
        if kind == MessageType.ACCEPT_CONF:
            assert AcceptConf.decode(payload).encode()[1:] == payload
        assert 0 <= owner < 2**64
        return kind, owner, name, payload

    def act(self, act: Act) -> Any:
        name, *arguments = act
        if name == "take":
            chunk = bytes(self.outbox.take(arguments[0]))
            self.outbox.sent(len(chunk))
            self.sent += chunk
            return len(chunk)
        if name == "forget":
            call = self.table.forget(arguments[0])
            if call is not None:
                self.ends[call.call_id] = "forgotten"
            return call is not None
        codec: Any = self.backend.webwire
        if name == "call":
            call = Call()
            try:
                end = self.writer.request(call, *arguments, 0.0)
            except LocalLimitExceeded as error:
                return str(error)
            if end:
                self.opened += 1
                self.asked.append(codec.encode_request(call.call_id, *arguments))
            return end, call.call_id
        end = getattr(self.writer, name)(*arguments)
        if end:
            self.asked.append(getattr(codec, f"encode_{name}")(*arguments))
        return end

    def look(self) -> tuple[object, ...]:
        """All that can be seen of it."""
        table, outbox = self.table, self.outbox
        return (
            len(table),
            (table.late, table.duplicate, table.unknown),
            (outbox.pending, outbox.queued, outbox.flushed),
        )

    def check_sent(self) -> None:
        """All that was asked for left, in its order, and reads as what it was."""
        reader = self.backend.frames.MessageDecoder(
            client=False, max_frame_size=1 << 20, max_message_size=1 << 20
        )
        assert reader.receive(self.sent) == self.asked
        for message in self.asked:
            assert self.backend.webwire.decode_message(message)[0] != MALFORMED


@FUZZ
@given(data=st.data(), acts=st.lists(ACTS, max_size=20))
def test_whatever_messages_come(
    backends: tuple[Backend, Backend], mutated: Mutated, data: st.DataObject, acts: list[Act]
) -> None:
    messages = MESSAGES | mutated(MESSAGES) | st.binary(max_size=40) | st.text(max_size=5)
    batches = data.draw(st.lists(st.lists(messages, max_size=6), max_size=8), "batches")
    ends = [End(backend) for backend in backends]
    for act in [*acts, *[("take", 65536)] * 100]:
        if batches:
            stream = backends[1].frames.encode_messages(batches.pop(), masked=False)
            compiled, pure = [(end.feed(stream), end.look()) for end in ends]
            assert compiled == pure
        compiled, pure = [(end.act(act), end.look()) for end in ends]
        assert compiled == pure
        assert ends[0].ends == ends[1].ends
    for end in ends:
        end.check_sent()
        waiting = [call.call_id for call in end.table.calls()]
        assert sorted([*waiting, *end.ends]) == list(range(1, end.opened + 1))


@FUZZ
@given(data=st.data())
def test_settings_of_any_bytes(mutated: Mutated, data: st.DataObject) -> None:
    """Any bytes are settings or InvalidMessage; what is settings is the same written again."""
    whole = st.builds(
        lambda timeout, size, name: AcceptConf(2, 0, timeout, size, name).encode()[1:],
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=20),
    )
    raw = data.draw(mutated(whole) | st.binary(max_size=40))
    try:
        settings_read = AcceptConf.decode(raw)
    except InvalidMessage:
        assert len(raw) < 10
        return
    assert settings_read.encode()[1:] == raw
