"""Each message of the original's, written by us and read by us, and each that it refuses.

The bytes are those of tests/vectors/webwire.json. Where ours does better on purpose, the
difference is written down here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import UnsendableMessage
from wirecore.events import RawText
from wirecore.protocols.webwire import Encoding, MessageType
from wirecore.protocols.webwire.messages import (
    HEARTBEAT,
    SESSION_CLOSED,
    AcceptConf,
    encode_close_session,
    encode_outcome,
    encode_restore_session,
    encode_session_created,
)
from wirecore.webwire_rules import MALFORMED

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "webwire.json").read_text(encoding="utf-8")
)
MESSAGES: list[dict[str, Any]] = VECTORS["messages"]
REFUSED: list[dict[str, Any]] = VECTORS["refused_when_writing"]
SENT_TO_SERVER: list[dict[str, Any]] = VECTORS["malformed"]

OUTCOMES = {
    "reply_shutdown": MessageType.REPLY_SHUTDOWN,
    "reply_internal_error": MessageType.REPLY_INTERNAL_ERROR,
    "reply_session_not_found": MessageType.REPLY_SESSION_NOT_FOUND,
    "reply_max_session_connections": MessageType.REPLY_MAX_SESSION_CONNECTIONS,
    "reply_sessions_disabled": MessageType.REPLY_SESSIONS_DISABLED,
}

#: What the original's writer says, and ours.
REASONS = {
    "neither name nor payload": "must have a name or a payload",
    "bad character": "must be printable ASCII",
    "name too long": "no longer than 255",
    "too long": "no longer than 255",
    "odd payload length": "even number of bytes",
    "missing code": "must have a code",
    "overflow": "read_timeout_ms must be 0 to 4294967295, got 4294967296",
}

#: What the original's parser says, and ours, for messages where it says something else than what
#: is wrong with them.
CLEARER = {
    "NotifySessionClosed, 2 bytes": "longer than its type",
    "heartbeat, 2 bytes": "longer than its type",
    "close session: 10 bytes": "longer than its type",
    "text message holding a valid request": "text message",
    'text message holding "hello"': "text message",
    "empty text message": "text message",
}
VERDICTS = {
    "empty": "an empty message",
    "unknown type": "type that doesn't exist",
    "too short": "shorter than its type or the length in it says",
    "odd length": "odd length",
    "zero code length": "without a code",
}


def id_of(case: dict[str, Any]) -> int:
    return int.from_bytes(bytes.fromhex(case.get("id", "0100000000000000")), "little")


def name_of(fields: dict[str, Any]) -> str:
    if "name_hex" in fields:
        return bytes.fromhex(fields["name_hex"]).decode("latin-1")
    return str(fields["name"])


def write(backend: Backend, kind: str, fields: dict[str, Any]) -> bytes:
    """The message of those fields, by our writers."""
    codec = backend.webwire
    writers: dict[str, Callable[[], bytes]] = {
        "request": lambda: codec.encode_request(
            id_of(fields), name_of(fields), bytes.fromhex(fields["payload"]), encoding_of(fields)
        ),
        "signal": lambda: codec.encode_signal(
            name_of(fields), bytes.fromhex(fields["payload"]), encoding_of(fields)
        ),
        "reply": lambda: codec.encode_reply(
            id_of(fields), bytes.fromhex(fields["payload"]), encoding_of(fields)
        ),
        "reply_error": lambda: codec.encode_error(
            id_of(fields), fields["code"], fields["message"].encode()
        ),
        "accept_conf": lambda: AcceptConf(
            fields["major"],
            fields["minor"],
            fields["read_timeout_ms"],
            fields["buffer"],
            fields["subprotocol"].encode(),
        ).encode(),
        "request_restore_session": lambda: encode_restore_session(
            id_of(fields), fields["key"].encode()
        ),
        "request_close_session": lambda: encode_close_session(id_of(fields)),
        "notify_session_created": lambda: encode_session_created(fields["json"].encode()),
        "notify_session_closed": lambda: SESSION_CLOSED,
        "heartbeat": lambda: HEARTBEAT,
    }
    if kind in OUTCOMES:
        return encode_outcome(OUTCOMES[kind], id_of(fields))
    return writers[kind]()


def encoding_of(fields: dict[str, Any]) -> Encoding:
    return Encoding[fields["encoding"].upper()]


def expected(case: dict[str, Any]) -> tuple[int, int, str, bytes]:
    """What our reader makes of a message that the original's parser accepts."""
    found = case["decoded"]
    if found["type"] == MessageType.ACCEPT_CONF:
        return (found["type"], 0, "", bytes.fromhex(case["hex"])[1:])
    name = bytes.fromhex(found["name"]).decode("latin-1")
    return (found["type"], id_of(found), name, bytes.fromhex(found["payload"]))


def title(case: dict[str, Any]) -> str:
    if "label" in case:
        return str(case["label"])
    fields = case["fields"]
    name = fields.get("name", fields.get("name_hex", fields.get("code", "")))
    what = [case["kind"], fields.get("encoding", ""), str(name)[:12], str(case.get("note", ""))]
    return "-".join(word for word in what if word)


def test_the_vectors_are_whole() -> None:
    assert (len(MESSAGES), len(REFUSED), len(SENT_TO_SERVER)) == (183, 40, 110)


@pytest.mark.parametrize("case", [c for c in MESSAGES if c["go_parser"] == "accept"], ids=title)
def test_what_the_original_writes_is_what_we_write_and_read(
    backend: Backend, case: dict[str, Any]
) -> None:
    message = bytes.fromhex(case["hex"])
    assert write(backend, case["kind"], case["fields"]) == message
    assert backend.webwire.decode_message(message) == expected(case)


@pytest.mark.parametrize("case", [c for c in MESSAGES if c["go_parser"] == "reject"], ids=title)
def test_what_the_original_writes_and_cant_read_we_dont_write(
    backend: Backend, case: dict[str, Any]
) -> None:
    """Signals in UTF-16 that have a name only, among them, which would end the connection."""
    with pytest.raises(UnsendableMessage):
        write(backend, case["kind"], case["fields"])
    kind, _, why, _ = backend.webwire.decode_message(bytes.fromhex(case["hex"]))
    assert kind == MALFORMED
    assert VERDICTS[case["go_parser_reason"]] in why


@pytest.mark.parametrize("case", REFUSED, ids=title)
def test_what_the_original_refuses_to_write_we_refuse(
    backend: Backend, case: dict[str, Any]
) -> None:
    with pytest.raises(UnsendableMessage, match=REASONS[case["refused"]]):
        write(backend, case["kind"], case["fields"])


@pytest.mark.parametrize("case", SENT_TO_SERVER, ids=title)
def test_the_verdict_is_that_of_the_originals_parser(
    backend: Backend, case: dict[str, Any]
) -> None:
    raw = bytes.fromhex(case["hex"])
    message = RawText(raw) if case["opcode"] == "text" else raw
    found = backend.webwire.decode_message(message)
    if case["go_parser"] == "accept" and case["opcode"] == "binary":
        assert found == expected(case)
    else:
        why = CLEARER.get(case["label"]) or VERDICTS[case["go_parser_reason"]]
        assert (found[:2], found[3]) == ((MALFORMED, 0), b"")
        assert why in found[2]


@pytest.mark.parametrize("case", SENT_TO_SERVER, ids=title)
def test_the_original_server_drops_who_sends_what_we_cant_read(
    backend: Backend, case: dict[str, Any]
) -> None:
    """So a malformed message is the last of its batch. The bound of length is kept elsewhere."""
    raw = bytes.fromhex(case["hex"])
    message = RawText(raw) if case["opcode"] == "text" else raw
    dropped = case["server"]["connection"].startswith("closed")
    if len(raw) <= 8192:
        found = backend.webwire.decode_messages([message, HEARTBEAT, b"\x16"], None)
        assert (found[-1][0] == MALFORMED) is dropped
        assert (len(found) == 1) is (dropped or raw == HEARTBEAT)


@pytest.mark.parametrize(
    "case", [c for c in MESSAGES if c["kind"] == "accept_conf"], ids=lambda case: case["hex"][:26]
)
def test_settings_are_read_back(backend: Backend, case: dict[str, Any]) -> None:
    payload = backend.webwire.decode_message(bytes.fromhex(case["hex"]))[3]
    found, fields = AcceptConf.decode(payload), case["decoded"]
    assert (found.major, found.minor) == (fields["major"], fields["minor"])
    assert (found.read_timeout_ms, found.buffer_size) == (
        fields["read_timeout_ms"],
        fields["buffer"],
    )
    assert found.subprotocol.decode() == fields["subprotocol"]
