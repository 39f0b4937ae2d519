"""HTTP/1.1 as far as the upgrade needs it: field lines, lists in them, whole responses.

h11 parses what comes (RFC 9112); here stands what it leaves to its user. Fields go in and out as
pairs of bytes, names in lower case where they were received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wirecore.errors import InvalidOption, kind_of
from wirecore.events import Buffer

Fields: TypeAlias = list[tuple[bytes, bytes]]

#: A header field as the user may give it: text must be ASCII, bytes go out as they are.
UserField: TypeAlias = tuple[str | bytes, str | bytes]

#: (name, value) pairs, in which a name may come twice, or a mapping from names to values.
UserFields: TypeAlias = Mapping[str, str | bytes] | Iterable[UserField]

#: RFC 9110 section 5.6.2, as the inside of a pattern over bytes.
TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

_NAME = re.compile(TOKEN)
#: RFC 9110 section 5.5. No control character: a line break would begin a field of its own.
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

#: Fields that say how long a message is and what becomes of its connection: ours to write.
FRAMING_FIELDS: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})


def is_token(value: str) -> bool:
    """Whether *value* is a token, RFC 9110 section 5.6.2."""
    return value.isascii() and _NAME.fullmatch(value.encode("ascii")) is not None


def encode_value(what: str, value: str | bytes) -> bytes:
    """*value* as the bytes of a field value, without whitespace around it.

    Raises :class:`~wirecore.errors.InvalidOption`, which names *what* but not the value, for
    text that isn't ASCII and for control characters.
    """
    try:
        data = value.encode("ascii") if isinstance(value, str) else bytes(value)
    except UnicodeEncodeError:
        raise InvalidOption(f"{what} must be ASCII; give bytes for anything else") from None
    data = data.strip(b" \t")
    if not _VALUE.fullmatch(data):
        raise InvalidOption(f"{what} must hold no line break and no other control character")
    return data


def header_fields(name: str, headers: object) -> tuple[UserField, ...]:
    """*headers*, the argument *name*, as pairs where it is :data:`UserFields`.

    Raises TypeError for anything else, which quotes no value: fields hold credentials.
    """
    wanted = f"{name} must be a mapping or (name, value) pairs"
    if isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise TypeError(f"{wanted}, not {kind_of(headers)}")
    fields: list[UserField] = []
    for field in headers.items() if isinstance(headers, Mapping) else headers:
        if not isinstance(field, tuple | list):
            raise TypeError(f"{wanted}: it holds {kind_of(field)}")
        if len(field) != 2:
            raise TypeError(f"{wanted}: one of them has {len(field)} members")
        for part in field:
            if not isinstance(part, str | bytes):
                raise TypeError(f"{wanted}, each of str or bytes: one holds {kind_of(part)}")
        fields.append((field[0], field[1]))
    return tuple(fields)


def check_fields(fields: UserFields, reserved: frozenset[bytes]) -> Fields:
    """The user's header *fields*, ready to be sent.

    Raises :class:`~wirecore.errors.InvalidOption` for a name that isn't a token or (whatever its
    case) is one of *reserved*, and for a value that would break the header; TypeError for what
    is no :data:`UserFields`.
    """
    checked = []
    for name, value in header_fields("headers", fields):
        line = encode_value("the name of a header field", name)
        if not _NAME.fullmatch(line):
            raise InvalidOption(f"{name!r} can't be the name of a header field")
        if line.lower() in reserved:
            raise InvalidOption(f"the header field {name!r} is set by the library")
        checked.append((line, encode_value(f"the header field {name!r}", value)))
    return checked


def find_field(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of the field *name* (lower case); None where it is missing.

    Several lines of one name count as one list: RFC 9110 section 5.3.
    """
    values = [value for found, value in fields if found == name]
    return b", ".join(values) if values else None


def split_list(value: bytes | None) -> list[str]:
    """The members of a comma-separated list; RFC 9110 section 5.6.1 lets some be empty."""
    members = (value or b"").decode("latin-1").split(",")
    return [member for member in (part.strip(" \t") for part in members) if member]


def has_token(value: bytes | None, token: str) -> bool:
    """Whether *token* (lower case) is in the comma-separated list *value*, in any case."""
    return token in (member.lower() for member in split_list(value))


@dataclass(frozen=True, slots=True)
class Response:
    """An ordinary HTTP answer to a request that isn't upgraded.

    *status*: 200 to 599. *headers*: (name, value) pairs, or a mapping; anything but Connection,
    Content-Length and Transfer-Encoding, which follow from the rest. *reason*: None takes the
    usual phrase. Raises TypeError for an argument of another type, and
    :class:`~wirecore.errors.InvalidOption` for anything that can't be sent.
    """

    status: int
    headers: UserFields = ()
    body: Buffer = b""
    reason: str | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if not 200 <= self.status <= 599:
            raise InvalidOption(f"the status of a response is 200 to 599, not {self.status}")
        if self.body and self.status in (204, 304):
            raise InvalidOption(f"a response with status {self.status} has no body")
        # Kept as a tuple: an iterator could be read only once.
        object.__setattr__(self, "headers", tuple(check_fields(self.headers, FRAMING_FIELDS)))
        # The bytes as they are now, and their length whatever the buffer's items are.
        object.__setattr__(self, "body", bytes(self.body))
        encode_value("the reason phrase", self.reason or "")

    def _check_types(self) -> None:
        if not isinstance(self.status, int):
            raise TypeError(f"status must be int, not {kind_of(self.status)}")
        if not isinstance(self.body, bytes | bytearray | memoryview):
            hint = ": encode it" if isinstance(self.body, str) else ""
            raise TypeError(f"body must be bytes, not {kind_of(self.body)}{hint}")
        if not isinstance(self.reason, str | None):
            raise TypeError(f"reason must be str or None, not {kind_of(self.reason)}")

    def encode(self, *, head_only: bool = False) -> bytes:
        """The response as bytes, after which the stream is to be closed.

        *head_only* leaves the body out and keeps its length: the answer to a HEAD request.
        """
        fields = check_fields(self.headers, FRAMING_FIELDS)
        upgrade = any(name.lower() == b"upgrade" for name, _ in fields)
        # RFC 9110 section 7.8: whoever sends Upgrade lists it in Connection as well.
        fields.append((b"Connection", b"close, Upgrade" if upgrade else b"close"))
        if self.status not in (204, 304):  # RFC 9110 section 8.6
            fields.append((b"Content-Length", b"%d" % len(self.body)))
        head = encode_head(self.status, self.reason, fields)
        return head if head_only else head + self.body


def encode_head(status: int, reason: str | None, fields: Fields) -> bytes:
    """Status line and *fields* (which were checked) with the empty line: RFC 9112 section 4."""
    if reason is None:
        from http import HTTPStatus  # only needed here, and slow to load

        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, encode_value("the reason phrase", reason))]
    lines += [b"%b: %b\r\n" % field for field in fields]
    return b"".join(lines) + b"\r\n"
