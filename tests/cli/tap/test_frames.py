"""Frames as an observer reads them: of real connections, cut anywhere, and with every fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.tap.observing import cut, frame, message, vectors
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import Close, Failure, Ping, Pong
from wirecore.websocket import DeflateParameters
from wirecore_cli.tap.frames import FrameReader, Item, Message
from wirecore_cli.tap.records import Sender

SENDERS: tuple[Sender, Sender] = ("client", "server")


def read(
    sender: Sender,
    data: bytes,
    *,
    places: list[int] | None = None,
    deflate: DeflateParameters | None = None,
    max_message: int = 1 << 20,
    backend: Backend | None = None,
) -> list[Item]:
    reader = FrameReader(sender, deflate, max_message=max_message, backend=backend)
    return [item for piece in cut(data, places or []) for item in reader.receive(piece)]


def recorded(sender: Sender) -> tuple[bytes, list[bytes], int]:
    """What an end of the originals has sent: as raw bytes, as messages, and in how many frames."""
    frames = [
        each
        for session in vectors("wsrpc")["sessions"]
        for connection in session["connections"]
        if session["name"] == "large_messages"
        for each in connection["frames"]
        if each["from"] == sender and "raw" in each
    ]
    messages = []
    whole = b""
    for each in frames:
        if each["opcode"] not in ("binary", "continuation"):
            continue
        whole += bytes.fromhex(each["hex"])
        if each["fin"]:
            messages.append(whole)
            whole = b""
    return b"".join(bytes.fromhex(each["raw"]) for each in frames), messages, len(frames)


@pytest.mark.parametrize("sender", SENDERS)
def test_a_recorded_stream_is_its_messages(sender: Sender, backend: Backend) -> None:
    raw, messages, frames = recorded(sender)
    reader = FrameReader(sender, max_message=1 << 20, backend=backend)
    found = [item for item in reader.receive(raw) if isinstance(item, Message)]
    assert [item.data for item in found] == messages
    assert reader.frames == frames
    # A Go client sends more than 4096 bytes in fragments, its server in one frame.
    most = max(item.frames for item in found)
    assert most == 1 if sender == "server" else most > 1
    assert all(item.wire == len(item.data or b"") for item in found)


@given(st.lists(st.integers(0, 1 << 16), max_size=30))
def test_any_cut_gives_the_same(places: list[int]) -> None:
    for sender in SENDERS:
        raw = recorded(sender)[0]
        assert read(sender, raw, places=places) == read(sender, raw)


def test_control_frames_come_between_fragments() -> None:
    data = b"".join(
        (
            frame("client", Opcode.TEXT, b"one ", fin=False)[1],
            frame("client", Opcode.PING, b"?")[1],
            frame("client", Opcode.CONTINUATION, b"two ", fin=False)[1],
            frame("client", Opcode.PONG, b"!")[1],
            frame("client", Opcode.CONTINUATION, b"three")[1],
            frame("client", Opcode.CLOSE, b"\x03\xe8bye")[1],
        )
    )
    whole = Message(True, b"one two three", 13, 3, False)
    assert read("client", data) == [Ping(b"?"), Pong(b"!"), whole, Close(1000, "bye")]


def test_text_that_is_no_utf8_is_read_all_the_same() -> None:
    [found] = read("server", frame("server", Opcode.TEXT, b"\xff")[1])
    assert isinstance(found, Message)
    assert (found.text, found.data) == (True, b"\xff")


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("fresh", [False, True])
def test_compressed_messages(sender: Sender, fresh: bool, backend: Backend) -> None:
    agreed = DeflateParameters(fresh, fresh)
    deflater = agreed.deflater(client=sender == "client")
    assert deflater is not None
    texts = [b"to be or not to be " * 20, b"short", b"to be or not to be " * 20]
    packed = [deflater.deflate(texts[0]), texts[1], deflater.deflate(texts[2])]
    data = b"".join(frame(sender, Opcode.TEXT, each, rsv1=each != texts[1])[1] for each in packed)
    found = read(sender, data, deflate=agreed, backend=backend)
    assert found == [
        Message(True, text, len(each), 1, text != texts[1])
        for text, each in zip(texts, packed, strict=True)
    ]
    assert len(packed[0]) < 100


def test_what_is_too_long_is_passed_over_and_no_more_than_that(backend: Backend) -> None:
    data = b"".join(
        (
            message("client", b"a")[1],
            message("client", bytes(2000))[1],
            frame("client", Opcode.BINARY, bytes(600), fin=False)[1],
            frame("client", Opcode.PING, b"?")[1],
            frame("client", Opcode.CONTINUATION, bytes(600))[1],
            message("client", b"b")[1],
        )
    )
    found = read("client", data, places=[5, 700, 2300], max_message=1000, backend=backend)
    assert found == [
        Message(False, b"a", 1, 1, False),
        Message(False, None, 2000, 1, False),
        Ping(b"?"),
        Message(False, None, 1200, 2, False),
        Message(False, b"b", 1, 1, False),
    ]


def test_memory_is_bounded_by_what_is_decoded() -> None:
    reader = FrameReader("server", max_message=1000)
    reader.receive(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"))
    for _ in range(100):
        assert reader.receive(bytes(1 << 16)) == []
    assert reader._decoder.buffered == 0
    assert reader._rest == b""


def test_compressed_messages_cant_be_read_behind_one_that_was_passed_over() -> None:
    agreed = DeflateParameters()
    for deflate, ends in ((agreed, True), (DeflateParameters(True, True), False)):
        reader = FrameReader("client", deflate, max_message=100)
        items = reader.receive(frame("client", Opcode.BINARY, bytes(200), rsv1=True)[1])
        assert isinstance(items[0], Failure) is ends
        assert len(items) == 1


@pytest.mark.parametrize(
    ("sender", "data", "why"),
    [
        ("client", b"\x82\x01a", "not masked"),
        ("server", b"\x82\x81abcde", "is masked"),
        ("server", b"\x83\x00", "reserved opcode"),
        ("server", b"\xc2\x00", "compression was not negotiated"),
        ("server", b"\x89\x7e\x00\x80", "longer than 125"),
        ("server", b"\x80\x00", "no message to continue"),
        ("server", b"\x82\x7f" + b"\xff" * 8, "most significant bit"),
        ("server", b"\x88\x01a", "payload of one byte"),
    ],
)
def test_what_breaks_a_rule_ends_it(
    sender: Sender, data: bytes, why: str, backend: Backend
) -> None:
    good = message(sender, b"good")[1]
    for places in ([], list(range(len(good) + len(data)))):
        *before, failure = read(sender, good + data + good, places=places, backend=backend)
        assert before == [Message(False, b"good", 4, 1, False)]
        assert isinstance(failure, Failure)
        assert why in failure.reason
