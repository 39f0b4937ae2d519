"""The messages of webwire, protocol 2.0: the pure twin of ``wirecore._webwire``.

A type byte, an id of 8 bytes where it is a request or a reply, a length byte and name (a code)
where it has one, and the payload up to the end. Whoever reads takes any bytes as name; whoever
writes is bound to printable ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from wirecore.errors import UnsendableMessage, kind_of
from wirecore.events import RawText
from wirecore.webwire_rules import (
    BAD_ENCODING,
    EMPTY_CODE,
    EMPTY_MESSAGE,
    FIRST_PRINTABLE,
    ID_SIZE,
    LAST_PRINTABLE,
    LONG_CODE,
    LONG_NAME,
    MALFORMED,
    MAX_NAME,
    NAME_ONLY,
    NO_CODE,
    NOTHING,
    ODD_LENGTH,
    ODD_PAYLOAD,
    TEXT_MESSAGE,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_TYPE,
    UNPRINTABLE_CODE,
    UNPRINTABLE_NAME,
    Encoding,
    MessageType,
    encode_id,
)
from wirecore_py._buffer import Buffer, as_bytes
from wirecore_py.calls import CallTable

#: Type, id (or, from decode_messages, the call that had it), name or code, payload. Where no
#: message could be read: MALFORMED, 0, why, and no payload.
Message: TypeAlias = tuple[int, Any, str, bytes]

_PRINTABLE: Final = frozenset(map(chr, range(FIRST_PRINTABLE, LAST_PRINTABLE + 1)))

#: Where the payload of what has nothing but type and id begins.
_AFTER_ID: Final = 1 + ID_SIZE


class _Malformed(Exception):
    """Bytes aren't a message; its argument says why."""


# --- reading ------------------------------------------------------------------------------


def decode_message(message: Buffer | str) -> Message:
    """What *message* says.

    ``(type, id, name, payload)``, where what a message of that type doesn't have is 0, "" and
    b"". An error's code stands in the name's place and its text in the payload's, a key and a
    session's JSON in the payload's; of AcceptConf all behind the type is payload. What is no
    message, a text one among them: ``(MALFORMED, 0, why, b"")``. Names are read as Latin-1,
    which any byte is. Raises TypeError where *message* is neither text nor a buffer, ValueError
    where that isn't one of single bytes.
    """
    if isinstance(message, str | RawText):
        return (MALFORMED, 0, TEXT_MESSAGE, b"")
    data = as_bytes(message)
    if not data:
        return (MALFORMED, 0, EMPTY_MESSAGE, b"")
    read = _READERS.get(data[0])
    if read is None:
        return (MALFORMED, 0, UNKNOWN_TYPE, b"")
    try:
        return read(data)
    except _Malformed as problem:
        return (MALFORMED, 0, str(problem), b"")


def decode_messages(
    messages: Iterable[Buffer | str], table: CallTable[int, Any] | None
) -> list[Message]:
    """What *messages* say, in their order, each as :func:`decode_message` has it.

    Heartbeats are left out. The first one that is malformed is the last item: those behind it
    aren't looked at. With a *table*, replies to calls that are pending in it have the call in
    the id's place, and the call leaves the table; other replies are left out, and counted by
    the table.
    """
    found: list[Message] = []
    for each in messages:
        message = decode_message(each)
        kind = message[0]
        if kind == MALFORMED:
            found.append(message)
            break
        if table is not None and kind in _REPLIES:
            call = table.answer(message[1])
            if call is not None:
                found.append((kind, call, *message[2:]))
        elif kind != MessageType.HEARTBEAT:
            found.append(message)
    return found


def _need(data: bytes, size: int) -> None:
    if len(data) < size:
        raise _Malformed(TOO_SHORT)


def _read_id(data: bytes) -> int:
    return int.from_bytes(data[1:_AFTER_ID], "little")


def _read_name(data: bytes, at: int) -> str:
    return data[at + 1 : at + 1 + data[at]].decode("latin-1")


def _read_request(data: bytes) -> Message:
    payload = _begin_payload(data, _AFTER_ID, data[0] == MessageType.REQUEST + Encoding.UTF16, 0)
    return (data[0], _read_id(data), _read_name(data, _AFTER_ID), data[payload:])


def _read_signal(data: bytes) -> Message:
    wide = data[0] == MessageType.SIGNAL + Encoding.UTF16
    payload = _begin_payload(data, 1, wide, 2 if wide else 0)
    return (data[0], 0, _read_name(data, 1), data[payload:])


def _begin_payload(data: bytes, at: int, wide: bool, needed: int) -> int:
    """Where the payload begins, of which *needed* bytes must be there; the name's length is *at*.

    One byte must always be there, of either.
    """
    _need(data, at + 1 + max(1, needed))
    if wide and len(data) % 2:
        raise _Malformed(ODD_LENGTH)
    begin = at + 1 + data[at]
    if wide:
        begin += begin % 2
    _need(data, begin + needed)
    return begin


def _read_reply(data: bytes) -> Message:
    _need(data, _AFTER_ID)
    return (data[0], _read_id(data), "", data[_AFTER_ID:])


def _read_wide_reply(data: bytes) -> Message:
    _need(data, _AFTER_ID + 1)
    if len(data) % 2:
        raise _Malformed(ODD_LENGTH)
    return (data[0], _read_id(data), "", data[_AFTER_ID + 1 :])


def _read_error(data: bytes) -> Message:
    _need(data, _AFTER_ID + 2)
    end = _AFTER_ID + 1 + data[_AFTER_ID]
    if end == _AFTER_ID + 1:
        raise _Malformed(NO_CODE)
    _need(data, end)
    return (data[0], _read_id(data), _read_name(data, _AFTER_ID), data[end:])


def _read_outcome(data: bytes) -> Message:
    _need(data, _AFTER_ID)
    return (data[0], _read_id(data), "", b"")


def _read_close(data: bytes) -> Message:
    if len(data) > _AFTER_ID:
        raise _Malformed(TOO_LONG)
    return _read_outcome(data)


def _read_restore(data: bytes) -> Message:
    _need(data, _AFTER_ID + 1)
    return _read_reply(data)


def _read_bare(data: bytes) -> Message:
    if len(data) > 1:
        raise _Malformed(TOO_LONG)
    return (data[0], 0, "", b"")


def _read_created(data: bytes) -> Message:
    _need(data, 2)
    return (data[0], 0, "", data[1:])


def _read_accept(data: bytes) -> Message:
    _need(data, 11)
    return (data[0], 0, "", data[1:])


_READERS: Final[dict[int, Callable[[bytes], Message]]] = {
    MessageType.REPLY_ERROR: _read_error,
    MessageType.REPLY_SHUTDOWN: _read_outcome,
    MessageType.REPLY_INTERNAL_ERROR: _read_outcome,
    MessageType.REPLY_SESSION_NOT_FOUND: _read_outcome,
    MessageType.REPLY_MAX_SESSION_CONNECTIONS: _read_outcome,
    MessageType.REPLY_SESSIONS_DISABLED: _read_outcome,
    MessageType.SESSION_CREATED: _read_created,
    MessageType.SESSION_CLOSED: _read_bare,
    MessageType.ACCEPT_CONF: _read_accept,
    MessageType.CLOSE_SESSION: _read_close,
    MessageType.RESTORE_SESSION: _read_restore,
    MessageType.HEARTBEAT: _read_bare,
    **{MessageType.SIGNAL + encoding: _read_signal for encoding in Encoding},
    **{MessageType.REQUEST + encoding: _read_request for encoding in Encoding},
    MessageType.REPLY + Encoding.BINARY: _read_reply,
    MessageType.REPLY + Encoding.UTF8: _read_reply,
    MessageType.REPLY + Encoding.UTF16: _read_wide_reply,
}

_REPLIES: Final = frozenset(
    kind
    for kind in _READERS
    if kind <= MessageType.REPLY_SESSIONS_DISABLED or kind >= MessageType.REPLY
)


# --- writing ------------------------------------------------------------------------------


def encode_request(request_id: int, name: str, payload: Buffer, encoding: int) -> bytes:
    """A request; *encoding* tells how *payload* is to be read.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an id outside 0 to 2^64 - 1, a *name*
    that is longer than 255 characters or not printable ASCII, neither name nor payload, UTF-16
    of an odd length, and an unknown encoding; TypeError for other types.
    """
    head = encode_id(request_id)
    kind = MessageType.REQUEST + check_encoding(encoding)
    return bytes((kind,)) + head + encode_named(name, payload, encoding)


def encode_signal(name: str, payload: Buffer, encoding: int) -> bytes:
    """A signal. Raises as :func:`encode_request`, and for UTF-16 without payload."""
    kind = MessageType.SIGNAL + check_encoding(encoding)
    return bytes((kind,)) + encode_named(name, payload, encoding, signal=True)


def encode_reply(request_id: int, payload: Buffer, encoding: int) -> bytes:
    """The reply to the request of that id. Raises as :func:`encode_request`."""
    head = encode_id(request_id)
    kind = MessageType.REPLY + check_encoding(encoding)
    data = as_bytes(payload)
    if encoding != Encoding.UTF16:
        return bytes((kind,)) + head + data
    if len(data) % 2:
        raise UnsendableMessage(ODD_PAYLOAD)
    return bytes((kind,)) + head + b"\0" + data


def encode_error(request_id: int, code: str, text: Buffer) -> bytes:
    """The reply that says that a request failed; *text*, in UTF-8, may be empty.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an id as :func:`encode_request`, and a
    *code* that is empty, longer than 255 characters or not printable ASCII; TypeError for other
    types.
    """
    head = encode_id(request_id)
    _check_text(code, "code")
    data = as_bytes(text)
    if not code:
        raise UnsendableMessage(EMPTY_CODE)
    encoded = _encode_name(code, LONG_CODE, UNPRINTABLE_CODE)
    return bytes((MessageType.REPLY_ERROR,)) + head + encoded + data


def check_encoding(encoding: int) -> int:
    """*encoding*, if it is one. Raises as :func:`encode_request`."""
    if not isinstance(encoding, int):
        raise TypeError(f"an encoding must be one of Encoding's, not {kind_of(encoding)}")
    if not Encoding.BINARY <= encoding <= Encoding.UTF16:
        raise UnsendableMessage(BAD_ENCODING)
    return encoding


def encode_named(name: str, payload: Buffer, encoding: int, *, signal: bool = False) -> bytes:
    """Name, padding and payload, as they end requests and signals. Raises as these."""
    _check_text(name, "name")
    data = as_bytes(payload)
    encoded = _encode_name(name, LONG_NAME, UNPRINTABLE_NAME)
    if not name and not data:
        raise UnsendableMessage(NOTHING)
    if encoding != Encoding.UTF16:
        return encoded + data
    if len(data) % 2:
        raise UnsendableMessage(ODD_PAYLOAD)
    if signal and not data:
        raise UnsendableMessage(NAME_ONLY)
    return encoded + bytes(len(name) % 2) + data


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a {what} must be a str, not {kind_of(text)}")


def _encode_name(name: str, too_long: str, unprintable: str) -> bytes:
    """Length and text of a name or code; the last two are what is said where it isn't one."""
    if len(name) > MAX_NAME:
        raise UnsendableMessage(too_long)
    if not _PRINTABLE.issuperset(name):
        raise UnsendableMessage(unprintable)
    return bytes((len(name),)) + str.encode(name, "ascii")
