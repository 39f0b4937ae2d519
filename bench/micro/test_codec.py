"""The codec alone, call by call, on both backends and beside wsproto, with pytest-benchmark.

``python -m pytest bench/micro`` runs it; the normal test run doesn't. bench/run.py measures what
is published: this is for those who change the codec.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, cast

import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from wirecore._backend import Backend, BackendName, load

MIB = 1024 * 1024

#: Payload in bytes, and how many frames are decoded or encoded in one go.
LOADS = [(16, 1000), (64, 1000), (1000, 200), (65536, 4)]


@pytest.fixture(params=["c", "py"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return load(cast(BackendName, request.param))


def make_messages(size: int, count: int) -> list[bytes]:
    source = random.Random(size)
    return [source.randbytes(size) for _ in range(count)]


def make_stream(messages: list[Any]) -> bytes:
    frames: bytes = load("py").frames.encode_messages(messages, masked=True)
    return frames


def run(benchmark: Any, group: str, count: int, work: Callable[[], object]) -> None:
    benchmark.group = group
    benchmark.extra_info["frames"] = count
    benchmark(work)


@pytest.mark.parametrize(("size", "count"), LOADS)
@pytest.mark.parametrize("kind", ["binary", "text"])
def test_decode(benchmark: Any, backend: Backend, kind: str, size: int, count: int) -> None:
    messages: list[Any] = make_messages(size, count)
    if kind == "text":
        messages = [message.hex()[:size] for message in messages]
    stream = make_stream(messages)
    decoder = backend.frames.MessageDecoder(client=False, max_frame_size=MIB, max_message_size=MIB)
    assert decoder.receive(stream) == messages
    run(benchmark, f"decode {kind} {size} B", count, lambda: decoder.receive(stream))


@pytest.mark.parametrize(("size", "count"), LOADS)
def test_decode_by_wsproto(benchmark: Any, size: int, count: int) -> None:
    stream = make_stream(make_messages(size, count))

    def work() -> int:
        protocol = FrameProtocol(client=False, extensions=[])
        protocol.receive_bytes(stream)
        return sum(1 for _ in protocol.received_frames())

    assert work() == count
    run(benchmark, f"decode binary {size} B", count, work)


@pytest.mark.parametrize("cut", [1, 100, 65536])
def test_decode_a_large_message_in_pieces(benchmark: Any, backend: Backend, cut: int) -> None:
    size = 2000 if cut == 1 else MIB
    stream = make_stream(make_messages(size, 1))
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    decoder = backend.frames.MessageDecoder(client=False, max_frame_size=MIB, max_message_size=MIB)

    def work() -> int:
        return sum(len(decoder.receive(piece)) for piece in pieces)

    assert work() == 1
    run(benchmark, f"decode {size} B in pieces of {cut}", len(pieces), work)


@pytest.mark.parametrize(("size", "count"), LOADS)
@pytest.mark.parametrize("call", ["one by one", "batch"])
def test_encode(benchmark: Any, backend: Backend, call: str, size: int, count: int) -> None:
    messages = make_messages(size, count)
    one, batch = backend.frames.encode_message, backend.frames.encode_messages

    def work_singly() -> list[bytes]:
        return [one(message, True) for message in messages]

    work = work_singly if call == "one by one" else lambda: batch(messages, True)
    run(benchmark, f"encode {size} B", count, work)


@pytest.mark.parametrize(("size", "count"), LOADS)
def test_encode_by_wsproto(benchmark: Any, size: int, count: int) -> None:
    messages = make_messages(size, count)
    protocol = FrameProtocol(client=True, extensions=[])

    def work() -> list[bytearray]:
        return [protocol._serialize_frame(Opcode.BINARY, message) for message in messages]

    run(benchmark, f"encode {size} B", count, work)


@pytest.mark.parametrize("size", [16, 125, 1000, 65536])
def test_mask(benchmark: Any, backend: Backend, size: int) -> None:
    (data,) = make_messages(size, 1)
    run(benchmark, f"mask {size} B", 1, lambda: backend.mask.apply_mask(data, b"\x01\x02\x03\x04"))


@pytest.mark.parametrize("text", ["ASCII only ", "füße, "], ids=["ascii", "other"])
def test_validate_utf8(benchmark: Any, backend: Backend, text: str) -> None:
    data = (text * 65536).encode()[:65536].rpartition(b" ")[0]
    validator = backend.utf8.Utf8Validator()
    assert validator.feed(data)
    run(benchmark, f"validate {text!r}", 1, lambda: validator.feed(data))


def test_uuid(benchmark: Any, backend: Backend) -> None:
    run(benchmark, "uuid", 1, backend.entropy.uuid4_text)
