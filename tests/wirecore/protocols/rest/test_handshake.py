"""The three messages that begin a connection: as the original writes them, as leniently read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.protocols.rest.recorded import messages
from wirecore.errors import InvalidMessage, UnsendableJson
from wirecore.protocols.rest.handshake import (
    MAX_DEPTH,
    ack_message,
    connection_id_message,
    metadata_message,
    read_ack,
    read_connection_id,
    read_metadata,
)

#: What the clients of the recording said of themselves.
METADATA = {
    "null": None,
    "string": "dummy connection metadata",
    "number": 5,
    "object": {"name": "a<b>&c", "n": [1, 2.5, None]},
    "list": [1, "x"],
    "unicode": "é\u2028😀",
    "bool": True,
    "float": 1e21,
}


@pytest.mark.parametrize("name", METADATA)
def test_both_ends_write_what_the_original_writes(name: str) -> None:
    first, second, third = messages(f"handshake/meta/{name}")[:3]
    assert metadata_message(METADATA[name]) == first
    assert read_metadata(first) == METADATA[name]
    assert connection_id_message(read_connection_id(second)) == second
    assert ack_message() == third
    read_ack(third)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("no_meta", None),
        ("lower_case_keys", {"x": 1}),
        ("extra_keys", 1),
        ("binary_messages", 1),
        ("trailing_garbage", 7),
        ("duplicate_type_key", 2),
    ],
)
def test_a_server_reads_as_leniently_as_the_original(name: str, metadata: Any) -> None:
    scenario = f"handshake/rawclient/{name}"
    first, _, third = messages(scenario)[:3]
    assert read_metadata(first) == metadata
    read_ack(third)


@pytest.mark.parametrize(
    ("name", "connection_id"),
    [("no_id", ""), ("id_not_uuid", "any text"), ("binary_message", "x"), ("lower_case_keys", "x")],
)
def test_a_client_reads_as_leniently_as_the_original(name: str, connection_id: str) -> None:
    assert read_connection_id(messages(f"handshake/rawserver/{name}")[1]) == connection_id


@pytest.mark.parametrize("name", ["wrong_type", "not_json", "empty_message"])
def test_what_leaves_the_original_hanging_is_an_error(name: str) -> None:
    with pytest.raises(InvalidMessage):
        read_metadata(messages(f"handshake/rawclient/{name}")[0])


@pytest.mark.parametrize("name", ["wrong_type", "not_json"])
def test_what_ends_the_process_of_the_original_is_an_error(name: str) -> None:
    with pytest.raises(InvalidMessage):
        read_connection_id(messages(f"handshake/rawserver/{name}")[1])


@pytest.mark.parametrize(
    "message",
    [
        b"null",
        b"[]",
        b'{"Type":7}',
        b'{"Type":null}',
        b'{"Type":"ServerHandshakeConnectionID","ConnectionID":5}',
        b'{"Type":"ServerHandshakeConnectionID"',
        b"\xff\xfe",
    ],
)
def test_an_id_that_is_none(message: bytes) -> None:
    with pytest.raises(InvalidMessage):
        read_connection_id(message)


def test_metadata_beyond_its_bounds() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    for value in deep, b"1e999", b"[" + b"1," * 200_000 + b"1]":
        with pytest.raises(InvalidMessage):
            read_metadata(b'{"Type":"ClientHandshakeMetaData","Meta":' + value + b"}")
    nested: Any = 1
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    for metadata in nested, float("nan"), {1.5: 2}:
        with pytest.raises(UnsendableJson):
            metadata_message(metadata)


@pytest.mark.parametrize("number", [b"1" * 4301, b"-" + b"1" * 4301, b"1e400", b"-1e400"])
@pytest.mark.parametrize("form", [b"%b", b'{"n":[%b]}'])
def test_a_number_that_is_none_of_ours(number: bytes, form: bytes) -> None:
    message = b'{"Type":"ClientHandshakeMetaData","Meta":%b}' % (form % number)
    with pytest.raises(InvalidMessage, match="a number beyond all floats"):
        read_metadata(message)
