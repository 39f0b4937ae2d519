"""Both codecs of webwire on the same bytes and arguments: valid, odd, damaged and hostile."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.events import RawText

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "webwire.json").read_text(encoding="utf-8")
)
SEEDS = sorted(
    {bytes.fromhex(case["hex"]) for case in VECTORS["messages"] + VECTORS["malformed"]},
    key=lambda seed: (len(seed), seed),
)
SHORT_SEEDS = [seed for seed in SEEDS if len(seed) < 400]

TYPES = [*range(7), 21, 22, 23, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 192, 193]

#: Messages whose ids are few, so that replies meet their calls.
IDS = st.integers(0, 12).map(lambda number: number.to_bytes(8, "little"))


def make_message(kind: int, middle: bytes, size: int, rest: bytes) -> bytes:
    return bytes((kind,)) + middle + bytes((size,)) + rest


MESSAGES = st.builds(
    make_message,
    st.sampled_from(TYPES),
    IDS | st.just(b"") | st.binary(max_size=9),
    st.integers(0, 12) | st.sampled_from([0, 1, 254, 255]),
    st.binary(max_size=14) | st.binary(min_size=250, max_size=260),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of the original's messages with some bytes changed, taken out or put in."""
    message = bytearray(draw(st.sampled_from(SHORT_SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        message[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(message)


ANY = st.one_of(MESSAGES, damaged(), st.binary(max_size=40), st.sampled_from(SEEDS))


def outcome(work: Any, *arguments: Any) -> tuple[Any, Any]:
    """What comes of it: the result and the types of its parts, or the error.

    What a TypeError of the interpreter's own says may differ, that it is one mustn't.
    """
    try:
        result = work(*arguments)
    except TypeError:
        return TypeError, None
    except Exception as error:  # noqa: BLE001 - whichever it is, both raise it
        return type(error), str(error)
    parts = result if isinstance(result, tuple) else (result,)
    return result, [type(part) for part in parts]


@given(message=ANY)
def test_decoders_agree(backends: tuple[Backend, Backend], message: bytes) -> None:
    compiled, pure = (outcome(backend.webwire.decode_message, message) for backend in backends)
    assert compiled == pure
    for form in (bytearray, memoryview, RawText):
        compiled, pure = (
            outcome(backend.webwire.decode_message, form(message)) for backend in backends
        )
        assert compiled == pure


def test_decoders_agree_on_every_beginning(backends: tuple[Backend, Backend]) -> None:
    """Each in a buffer of its own, so that reading beyond its end is seen by a sanitizer."""
    for seed in SHORT_SEEDS:
        for size in range(len(seed) + 1):
            compiled, pure = (backend.webwire.decode_message(seed[:size]) for backend in backends)
            assert compiled == pure


def test_decoders_agree_on_every_type_and_size(backends: tuple[Backend, Backend]) -> None:
    for kind in range(256):
        for filling in (b"\0", b"\1", b"\2", b"\xff"):
            for size in (*range(24), 255, 256, 257, 258, 264, 265, 266, 267):
                message = bytes((kind,)) + filling * size
                compiled, pure = (backend.webwire.decode_message(message) for backend in backends)
                assert compiled == pure


def table_of(backend: Backend, forgotten: int) -> CallTable[int, str]:
    table: CallTable[int, str] = backend.calls.CallTable(count().__next__, max_pending=10)
    for number in range(10):
        table.open(f"call {number}")
    table.forget(forgotten)
    return table


#: Valid replies, by the number of their call.
REPLIES = st.builds(
    lambda kind, number, rest: bytes((kind,)) + number.to_bytes(8, "little") + rest,
    st.sampled_from([0, 1, 2, 3, 4, 5, 191, 192, 193]),
    st.integers(0, 12),
    st.sampled_from([b"\0", b"\1C", b"\3COD", b"\1Ctext", b"\0ab"]),
)
FORMS = st.sampled_from([bytes, bytes, bytes, bytearray, memoryview])
BATCH = st.one_of(REPLIES, REPLIES, st.just(b"\x21"), st.sampled_from(SHORT_SEEDS), MESSAGES)
UNUSUAL = st.sampled_from(["", "text", RawText(b"\x21"), None, 5, [b"\x21"]])


@given(
    messages=st.lists(st.tuples(FORMS, BATCH).map(lambda drawn: drawn[0](drawn[1])), max_size=15),
    unusual=st.none() | st.tuples(st.integers(0, 15), UNUSUAL),
    forgotten=st.integers(0, 9),
    client=st.booleans(),
)
def test_batches_are_the_same_and_leave_the_same_calls(
    backends: tuple[Backend, Backend],
    messages: list[Any],
    unusual: tuple[int, Any] | None,
    forgotten: int,
    client: bool,
) -> None:
    if unusual is not None:
        messages = [*messages[: unusual[0]], unusual[1], *messages[unusual[0] :]]

    def take(backend: Backend) -> Any:
        table = table_of(backend, forgotten)
        found = outcome(backend.webwire.decode_messages, messages, table if client else None)
        return found, table.clear(), table.late, table.duplicate, table.unknown

    compiled, pure = map(take, backends)
    assert compiled == pure


NUMBERS = st.one_of(
    st.integers(0, 9),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -1, 2**80, True]),
    st.sampled_from([1.0, None, "1", b"1"]),
)
NAMES = st.one_of(
    st.text(st.characters(min_codepoint=30, max_codepoint=129), max_size=8),
    st.text(st.characters(), max_size=4),
    st.integers(253, 257).map(lambda size: "n" * size),
    st.sampled_from(["", "", "\ud800", "é" * 256, None, b"n", 1]),
)
ENCODINGS = st.one_of(
    st.integers(0, 2), st.sampled_from([-1, 3, 256, 2**70, -(2**70), None, "1", 1.0, True])
)
PAYLOADS = st.one_of(
    st.binary(max_size=9),
    st.binary(max_size=4).map(bytearray),
    st.builds(
        lambda data, step: memoryview(data)[::step], st.binary(max_size=8), st.sampled_from([1, 2])
    ),
    st.just(bytes(4)).map(lambda data: memoryview(data).cast("H")),
    st.sampled_from(["", "text", None, 1, RawText(b"text")]),
)


@given(number=NUMBERS, name=NAMES, payload=PAYLOADS, encoding=ENCODINGS)
def test_encoders_agree_and_decoders_read_it_back(
    backends: tuple[Backend, Backend], number: Any, name: Any, payload: Any, encoding: Any
) -> None:
    for verb, arguments, expected in (
        ("encode_request", (number, name, payload, encoding), (127, number, name)),
        ("encode_signal", (name, payload, encoding), (63, 0, name)),
        ("encode_reply", (number, payload, encoding), (191, number, "")),
        ("encode_error", (number, name, payload), (0, number, name)),
    ):
        compiled, pure = (
            outcome(getattr(backend.webwire, verb), *arguments) for backend in backends
        )
        assert compiled == pure
        message = compiled[0]
        if isinstance(message, bytes):
            first = expected[0] + (encoding if verb != "encode_error" else 0)
            for backend in backends:
                found = backend.webwire.decode_message(message)
                assert found == (first, *expected[1:], bytes(payload))
