"""Both envelope codecs on the same bytes: valid, odd, damaged and hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

SEEDS = [
    bytes.fromhex(case["hex"])
    for case in json.loads(
        (Path(__file__).parents[1] / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
    )["envelopes"]
]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def make_field(number: int, wire_type: int, value: bytes, wrong: int) -> bytes:
    """A field whose value fits its type, or nearly (*wrong* is added to a length)."""
    tag = varint(number << 3 | wire_type)
    if wire_type == 2:
        return tag + varint(max(0, len(value) + wrong)) + value
    if wire_type == 3:
        return tag + value + varint(number << 3 | 4)
    return tag + value


def fields(value: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    number = st.one_of(st.integers(0, 4), st.sampled_from([2**29 - 1, 2**29, 2**31 - 1, 2**31]))
    wire_type = st.one_of(st.just(2), st.just(2), st.integers(0, 7))
    wrong = st.one_of(st.just(0), st.just(0), st.just(0), st.sampled_from([-1, 1, 2**63, 2**64]))
    one = st.builds(make_field, number, wire_type, value, wrong)
    return st.lists(one, max_size=4).map(b"".join)


VALUES = st.one_of(st.binary(max_size=9), st.text(max_size=6).map(str.encode))
MESSAGES = fields(st.one_of(VALUES, fields(st.one_of(VALUES, fields(VALUES)))))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of the original's envelopes with some bytes changed, taken out or put in."""
    message = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        message[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(message)


@given(message=st.one_of(MESSAGES, damaged(), st.binary(max_size=60)))
def test_decoders_agree(backends: tuple[Backend, Backend], message: bytes) -> None:
    compiled, pure = (backend.envelope.decode_envelope(message) for backend in backends)
    assert compiled == pure
    assert [type(part) for part in compiled] == [type(part) for part in pure]


@given(texts=st.tuples(st.text(), st.text()), payload=st.binary(max_size=300))
def test_encoders_agree_and_decoders_read_it_back(
    backends: tuple[Backend, Backend], texts: tuple[str, str], payload: bytes
) -> None:
    for verb, arguments in (
        ("encode_request", (*texts, payload)),
        ("encode_response", (texts[0], payload, texts[1])),
    ):
        compiled, pure = (getattr(backend.envelope, verb)(*arguments) for backend in backends)
        assert compiled == pure
        for backend in backends:
            assert backend.envelope.decode_envelope(compiled)[1:] == arguments


@given(
    messages=st.lists(
        st.one_of(
            MESSAGES,
            damaged(),
            st.sampled_from(SEEDS),
            st.tuples(st.integers(0, 9), st.binary(max_size=9)),
        ),
        max_size=12,
    ),
    forgotten=st.integers(0, 9),
)
def test_sorters_agree_and_leave_the_same_calls(
    backends: tuple[Backend, Backend],
    messages: list[bytes | tuple[int, bytes]],
    forgotten: int,
) -> None:
    def sort(backend: Backend) -> Any:
        table: CallTable[str, str] = backend.calls.CallTable(
            map(str, range(10)).__next__, max_pending=10
        )
        for number in range(10):
            table.open(f"call {number}")
        table.forget(str(forgotten))
        # A number and a payload stand for the answer to the call of that number.
        sorted_out = backend.envelope.sort_envelopes(
            [
                message
                if isinstance(message, bytes)
                else backend.envelope.encode_response(str(message[0]), message[1])
                for message in messages
            ],
            table,
        )
        return sorted_out, table.clear(), table.late, table.duplicate, table.unknown

    compiled, pure = map(sort, backends)
    assert compiled == pure
