"""wsrpc's envelope against the bytes of the original, and what hostile bytes come to."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wirecore._backend import Backend
from wirecore.events import RawText

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
)["envelopes"]

CALL_ID = "0b0d7e5c-4f5a-4c1e-9a43-2f6e0c9d8a11"

BAD_WIRE = "cannot parse invalid wire-format data"
BAD_TEXT = "string field contains invalid UTF-8"


def expected(backend: Backend, decoded: dict[str, str]) -> tuple[Any, ...]:
    """What the original decoded, as ours says it."""
    envelope = backend.envelope
    if decoded["kind"] == "request":
        return (
            envelope.REQUEST,
            decoded["method"],
            decoded["call_id"],
            bytes.fromhex(decoded["payload"]),
        )
    if decoded["kind"] == "response":
        return (
            envelope.RESPONSE,
            decoded["call_id"],
            bytes.fromhex(decoded["payload"]),
            decoded["error"],
        )
    if decoded["kind"] == "none":
        return (envelope.EMPTY,)
    # Go puts a no-break space behind "proto:" at random, so that nobody relies on its texts.
    return (envelope.MALFORMED, decoded["go_error"].removeprefix("proto:\xa0").strip())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_every_envelope_means_what_the_original_makes_of_it(
    backend: Backend, case: dict[str, Any]
) -> None:
    message = bytes.fromhex(case["hex"])
    assert backend.envelope.decode_envelope(message) == expected(backend, case["decoded"])


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["made_by"] == "original encoder"],
    ids=lambda case: str(case["name"]),
)
def test_encoding_gives_the_bytes_of_the_original(backend: Backend, case: dict[str, Any]) -> None:
    envelope = backend.envelope
    kind, *fields = expected(backend, case["decoded"])
    encode = envelope.encode_request if kind == envelope.REQUEST else envelope.encode_response
    assert encode(*fields).hex() == case["hex"]


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview, RawText])
def test_any_buffer_of_bytes_is_read_and_taken_as_payload(backend: Backend, buffer: Any) -> None:
    envelope = backend.envelope
    request = envelope.encode_request("Ping", CALL_ID, buffer(b"payload"))
    decoded = envelope.decode_envelope(buffer(request))
    assert decoded == (envelope.REQUEST, "Ping", CALL_ID, b"payload")
    assert type(decoded[3]) is bytes
    response = envelope.encode_response(CALL_ID, buffer(b"payload"))
    assert envelope.decode_envelope(buffer(response)) == (
        envelope.RESPONSE,
        CALL_ID,
        b"payload",
        "",
    )


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_what_is_no_buffer_is_a_type_error(backend: Backend, wrong: Any) -> None:
    with pytest.raises(TypeError):
        backend.envelope.decode_envelope(wrong)
    with pytest.raises(TypeError):
        backend.envelope.encode_request("Ping", CALL_ID, wrong)
    with pytest.raises(TypeError):
        backend.envelope.encode_response(CALL_ID, wrong)


def test_strings_are_strings(backend: Backend) -> None:
    wrong: Any = b"bytes"
    with pytest.raises(TypeError):
        backend.envelope.encode_request(wrong, CALL_ID, b"")
    with pytest.raises(TypeError):
        backend.envelope.encode_request("Ping", wrong, b"")
    with pytest.raises(TypeError):
        backend.envelope.encode_response(wrong, b"")
    with pytest.raises(TypeError):
        backend.envelope.encode_response(CALL_ID, b"", wrong)


def test_a_surrogate_cannot_be_sent(backend: Backend) -> None:
    with pytest.raises(UnicodeEncodeError):
        backend.envelope.encode_request("\ud800", CALL_ID, b"")
    with pytest.raises(UnicodeEncodeError):
        backend.envelope.encode_response(CALL_ID, b"", "\udfff")


@pytest.mark.parametrize("size", [0, 1, 79, 80, 127, 128, 16_300, 16_384, 2_097_152])
def test_lengths_take_as_many_bytes_as_they_need(backend: Backend, size: int) -> None:
    envelope = backend.envelope
    payload = bytes(size)
    message = envelope.encode_request("Ping", CALL_ID, payload)
    assert envelope.decode_envelope(message) == (envelope.REQUEST, "Ping", CALL_ID, payload)
    message = envelope.encode_response(CALL_ID, payload, "é" * size)
    assert envelope.decode_envelope(message) == (envelope.RESPONSE, CALL_ID, payload, "é" * size)


def test_a_request_with_nothing_in_it_is_still_a_request(backend: Backend) -> None:
    assert backend.envelope.encode_request("", "", b"") == b"\x12\x00"
    assert backend.envelope.encode_response("", b"") == b"\x1a\x00"


ODD = {
    # Go replaces the request by the response, so that the second request begins afresh.
    "request_response_request": ("12060a0450696e67" "1a00" "1203120178", ("", "x", b"")),
    "a_replaced_string_counts_for_nothing": ("12080a01611a01620a00", ("", "", b"b")),
    "the_last_payload_counts": ("12061a01611a0162", ("", "", b"b")),
    "a_payload_may_hold_any_byte": ("12031a01ff", ("", "", b"\xff")),
    "a_replaced_payload_is_not_text": ("12061a01ff1a0162", ("", "", b"b")),
    "tag_in_three_bytes": ("92800003" "1a0161", ("", "", b"a")),
    "length_in_ten_bytes": ("1283808080808080808000" "1a0161", ("", "", b"a")),
    "largest_field_number": ("faffffff0f00" "1200", ("", "", b"")),
    "groups_in_groups": ("0b" "0b0c" "13140c" "1200", ("", "", b"")),
    "larger_field_numbers_in_groups": ("0b" "f8ffffff3f05" "0c" "1200", ("", "", b"")),
    "all_types_in_a_group": ("0b" "0801" "0902030405060708" "09" "0d01020304" "0a0161" "0c" "1200",
                             ("", "", b"")),
    "fields_behind_those_we_know": ("1205" "22017a" "2000", ("", "", b"")),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_bytes_that_are_legal(backend: Backend, name: str) -> None:
    message, fields = ODD[name]
    assert backend.envelope.decode_envelope(bytes.fromhex(message)) == (
        backend.envelope.REQUEST,
        *fields,
    )


MALFORMED = {
    "tag_cut_off": ("80", BAD_WIRE),
    "varint_of_eleven_bytes": ("08" + "80" * 10 + "01", BAD_WIRE),
    "varint_above_64_bits": ("08" + "ff" * 9 + "02", BAD_WIRE),
    "no_length": ("12", BAD_WIRE),
    "length_above_what_is_there": ("1201", BAD_WIRE),
    "length_near_two_to_the_64": ("12" + "ff" * 9 + "01", BAD_WIRE),
    "length_near_two_to_the_63": ("12" + "ff" * 8 + "7f", BAD_WIRE),
    "field_length_above_its_member": ("12020a011200", BAD_WIRE),
    "member_tag_cut_off": ("120180", BAD_WIRE),
    "member_length_cut_off": ("12010a", BAD_WIRE),
    "member_value_of_unknown_type": ("120107", BAD_WIRE),
    "field_number_above_the_largest": ("80808080100012", BAD_WIRE),
    "fixed64_cut_off": ("0901020304050607", BAD_WIRE),
    "fixed32_cut_off": ("0d010203", BAD_WIRE),
    "wire_type_7": ("0f", BAD_WIRE),
    "group_without_end": ("0b0801", BAD_WIRE),
    "group_with_anothers_end": ("0b14", BAD_WIRE),
    "group_ends_across": ("0b130c14", BAD_WIRE),
    "group_with_field_number_0": ("0b000c", BAD_WIRE),
    "group_with_too_large_a_number": ("0b8080808040000c", BAD_WIRE),
    "group_with_wire_type_6": ("0b060c", BAD_WIRE),
    "group_with_a_cut_off_value": ("0b0a05", BAD_WIRE),
    "group_end_in_a_member": ("12010c", BAD_WIRE),
    "surrogate_in_utf8": ("12050a03eda080", BAD_TEXT),
    "overlong_utf8": ("12040a02c080", BAD_TEXT),
    "above_unicode": ("12060a04f4908080", BAD_TEXT),
    "cut_off_character": ("1a031a01c3", BAD_TEXT),
    "bad_call_id_of_a_response": ("1a030a01ff", BAD_TEXT),
    "bad_call_id_of_a_request": ("12031201ff", BAD_TEXT),
    "bad_string_that_is_replaced": ("12060a01ff0a0161", BAD_TEXT),
    "bad_string_in_a_member_that_is_replaced": ("12030a01ff1a00", BAD_TEXT),
    "bad_string_in_a_response_that_is_replaced": ("1a031a01ff1200", BAD_TEXT),
    "bad_string_before_bad_wire": ("12030a01ff07", BAD_TEXT),
    "bad_string_before_bad_wire_in_the_member": ("12040a01ff07", BAD_TEXT),
    "bad_wire_before_bad_string": ("0f12030a01ff", BAD_WIRE),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_envelope_says_why(backend: Backend, name: str) -> None:
    message, why = MALFORMED[name]
    assert backend.envelope.decode_envelope(bytes.fromhex(message)) == (
        backend.envelope.MALFORMED,
        why,
    )


def test_groups_may_be_nested_as_deep_as_in_go_and_no_deeper(backend: Backend) -> None:
    envelope = backend.envelope
    assert envelope.decode_envelope(b"\x0b" * 10_001 + b"\x0c" * 10_001) == (envelope.EMPTY,)
    assert envelope.decode_envelope(b"\x0b" * 10_002 + b"\x0c" * 10_002) == (
        envelope.MALFORMED,
        BAD_WIRE,
    )


def test_every_cut_of_a_message_is_judged_without_reading_beyond(backend: Backend) -> None:
    envelope = backend.envelope
    whole = envelope.encode_request("Ping", CALL_ID, b"payload")
    for size in range(1, len(whole)):
        assert envelope.decode_envelope(whole[:size]) == (envelope.MALFORMED, BAD_WIRE)


def test_sorting_tells_answers_from_requests_and_rubbish(backend: Backend) -> None:
    envelope = backend.envelope
    table: CallTable[str, str] = backend.calls.CallTable(lambda: str(uuid.uuid4()), max_pending=10)
    call_ids = {name: table.open(name) for name in ("first", "second", "cancelled", "waiting")}
    table.forget(call_ids["cancelled"])
    answers, requests, dropped = envelope.sort_envelopes(
        [
            envelope.encode_response(call_ids["second"], b"two"),
            envelope.encode_request("Ping", "any id at all", b"ping"),
            b"",
            envelope.encode_response(call_ids["first"], b"", "boom"),
            RawText(envelope.encode_request("Gnip", "", b"")),
            b"garbage",
            envelope.encode_response(call_ids["cancelled"], b"too late"),
            envelope.encode_response(call_ids["second"], b"again"),
            envelope.encode_response("never given out", b""),
            b"\x12\x03\x0a\x01\xff",
        ],
        table,
    )
    assert answers == [("second", b"two", ""), ("first", b"", "boom")]
    assert requests == [("Ping", "any id at all", b"ping"), ("Gnip", "", b"")]
    assert dropped == 3
    assert list(table.calls()) == ["waiting"]
    assert (table.late, table.duplicate, table.unknown) == (1, 1, 1)


def test_an_answer_that_is_malformed_leaves_its_call_waiting(backend: Backend) -> None:
    envelope = backend.envelope
    table: CallTable[str, str] = backend.calls.CallTable(lambda: "id", max_pending=10)
    table.open("call")
    broken = envelope.encode_response("id", b"", "boom").replace(b"boom", b"bo\xffm")
    assert envelope.sort_envelopes([broken], table) == ([], [], 1)
    assert "id" in table


def test_sorting_needs_messages_and_a_table(backend: Backend) -> None:
    wrong: Any = "text"
    table: CallTable[str, str] = backend.calls.CallTable(lambda: "id", max_pending=10)
    with pytest.raises(TypeError):
        backend.envelope.sort_envelopes([wrong], table)
    assert backend.envelope.sort_envelopes([], table) == ([], [], 0)
