"""The example's messages against protobuf's rules: the bytes of Go's encoder, and odd ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wirecore.errors import InvalidMessage, RemoteError
from wirecore.protocols.wsrpc.ping import (
    EchoRequest,
    EchoResponse,
    GnipRequest,
    GnipResponse,
    PingRequest,
    PingResponse,
)

WITH_BODY = [PingRequest, PingResponse, GnipRequest, GnipResponse, EchoResponse, EchoRequest]


@pytest.mark.parametrize("kind", WITH_BODY)
@pytest.mark.parametrize(
    ("body", "encoded"),
    [("", ""), ("ping", "0a0470696e67"), ("é", "0a02c3a9"), ("x" * 300, "0aac02" + "78" * 300)],
)
def test_a_body_is_field_1(kind: type[PingRequest], body: str, encoded: str) -> None:
    assert kind(body=body).SerializeToString().hex() == encoded
    assert kind.FromString(bytes.fromhex(encoded)) == kind(body=body)


@pytest.mark.parametrize(
    ("request_", "encoded"),
    [
        (EchoRequest("héllo 世界", 5000), "0a0d68c3a96c6c6f20e4b896e7958c108827"),
        (EchoRequest(delayMs=-1), "10ffffffffffffffffff01"),
        (EchoRequest(delayMs=-(2**63)), "1080808080808080808001"),
        (EchoRequest(delayMs=2**63 - 1), "10ffffffffffffffff7f"),
        (EchoRequest(), ""),
    ],
)
def test_a_delay_is_an_int64_in_field_2(request_: EchoRequest, encoded: str) -> None:
    assert request_.SerializeToString().hex() == encoded
    assert EchoRequest.FromString(bytes.fromhex(encoded)) == request_


@pytest.mark.parametrize(
    ("encoded", "body"),
    [
        ("0a01610a0162", "b"),
        ("0a01610a00", ""),
        ("0805", ""),
        ("0d01020304" "0a0161" "110102030405060708" "1b20011c" "2a03010203" "3001", "a"),
        ("8a00" "8100" "61", "a"),
    ],
)  # fmt: skip
def test_the_last_body_counts_and_what_is_unknown_is_skipped(encoded: str, body: str) -> None:
    assert PingRequest.FromString(bytes.fromhex(encoded)) == PingRequest(body)


def test_fields_of_another_type_are_unknown_ones() -> None:
    assert EchoRequest.FromString(bytes.fromhex("12016108011007")) == EchoRequest("", 7)


@pytest.mark.parametrize("encoded", ["ff", "0a", "0a05", "0a01ff", "00", "0b", "0c", "07", "0901"])
def test_what_is_no_message_is_the_peers_fault(encoded: str) -> None:
    with pytest.raises(InvalidMessage, match="PingRequest: ") as caught:
        PingRequest.FromString(bytes.fromhex(encoded))
    assert isinstance(caught.value, RemoteError)
    assert isinstance(caught.value, ValueError)


def test_values_that_cannot_be_sent_are_not() -> None:
    with pytest.raises(UnicodeEncodeError):
        PingRequest("\ud800").SerializeToString()
    with pytest.raises(OverflowError):
        EchoRequest(delayMs=2**63).SerializeToString()


def test_messages_are_equal_by_kind_and_value() -> None:
    assert PingRequest("a") == PingRequest("a")
    messages: list[object] = [PingRequest("a"), PingResponse("a")]
    assert messages[0] != messages[1]
    assert repr(PingRequest("a")) == "PingRequest(body='a')"


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (PingRequest, {"body": 5}, "body must be str, not int"),
        (PingResponse, {"body": b"x"}, "body must be str, not bytes"),
        (EchoRequest, {"body": None}, "body must be str, not NoneType"),
        (EchoRequest, {"body": "x", "delayMs": "5"}, "delayMs must be int, not str"),
    ],
)
def test_a_wrong_type_is_told_when_the_message_is_made(
    kind: Callable[..., object], fields: dict[str, Any], says: str
) -> None:
    """As protobuf's classes tell it: once the message is sent the mistake is elsewhere."""
    with pytest.raises(TypeError, match=f"^{says}$"):
        kind(**fields)
