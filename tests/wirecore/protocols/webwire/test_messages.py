"""Messages with few fields: their bounds, and what of them must not be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidMessage, UnsendableMessage
from wirecore.protocols.webwire import MessageType
from wirecore.protocols.webwire.messages import (
    HEARTBEAT,
    SESSION_CLOSED,
    AcceptConf,
    encode_close_session,
    encode_outcome,
    encode_restore_session,
    encode_session_created,
)

SETTINGS = AcceptConf(2, 0, 60_000, 8192, b"chat")


@pytest.mark.parametrize(
    ("field", "most"),
    [("major", 255), ("minor", 255), ("read_timeout_ms", 2**32 - 1), ("buffer_size", 2**32 - 1)],
)
def test_settings_have_bounds(field: str, most: int) -> None:
    def settings(figure: Any) -> AcceptConf:
        return replace(SETTINGS, **{field: figure})

    for figure in (0, most):
        fits = settings(figure)
        assert AcceptConf.decode(fits.encode()[1:]) == fits
    for figure in (-1, most + 1):
        with pytest.raises(UnsendableMessage, match=f"{field} must be 0 to {most}, got {figure}"):
            settings(figure).encode()
    with pytest.raises(TypeError, match=f"{field} must be an int, not str"):
        settings("60000").encode()


def test_the_name_of_a_subprotocol_is_any_bytes_or_none(backend: Backend) -> None:
    for name in (b"", b"\xff\x00", bytes(5000)):
        settings = replace(SETTINGS, subprotocol=name)
        kind, _, _, payload = backend.webwire.decode_message(settings.encode())
        assert kind == MessageType.ACCEPT_CONF
        assert AcceptConf.decode(payload) == settings


def test_settings_that_are_cut_are_invalid() -> None:
    payload = replace(SETTINGS, subprotocol=b"").encode()[1:]
    for size in range(len(payload)):
        with pytest.raises(InvalidMessage, match=f"10 bytes or more, not {size}"):
            AcceptConf.decode(payload[:size])


def test_what_is_written_is_read_by_the_codec(backend: Backend) -> None:
    read = backend.webwire.decode_message
    largest = 2**64 - 1
    for number in range(1, 6):
        assert read(encode_outcome(MessageType(number), largest)) == (number, largest, "", b"")
    assert read(encode_restore_session(largest, b"key")) == (32, largest, "", b"key")
    assert read(encode_close_session(0)) == (31, 0, "", b"")
    assert read(encode_session_created(b"{}")) == (21, 0, "", b"{}")
    assert read(SESSION_CLOSED) == (22, 0, "", b"")
    assert read(HEARTBEAT) == (33, 0, "", b"")


@pytest.mark.parametrize("request_id", [-1, 2**64])
def test_ids_have_bounds(request_id: int) -> None:
    with pytest.raises(UnsendableMessage, match="id must be 0 to"):
        encode_outcome(MessageType.REPLY_SHUTDOWN, request_id)
    with pytest.raises(UnsendableMessage, match="id must be 0 to"):
        encode_restore_session(request_id, b"key")
    with pytest.raises(UnsendableMessage, match="id must be 0 to"):
        encode_close_session(request_id)


def test_an_outcome_is_one_that_its_type_alone_tells() -> None:
    for kind in set(MessageType) - set(list(MessageType)[1:6]):
        with pytest.raises(UnsendableMessage, match=kind.name):
            encode_outcome(kind, 1)


def test_nothing_is_written_of_nothing() -> None:
    with pytest.raises(UnsendableMessage, match="key must not be empty"):
        encode_restore_session(1, b"")
    with pytest.raises(UnsendableMessage, match="JSON must not be empty"):
        encode_session_created(b"")


def test_no_error_tells_a_key() -> None:
    with pytest.raises(UnsendableMessage) as caught:
        encode_restore_session(-1, b"secret")
    assert "secret" not in str(caught.value)
    wrong: Any = "secret"
    with pytest.raises(TypeError) as mistaken:
        encode_restore_session(1, wrong)
    assert "secret" not in str(mistaken.value)
