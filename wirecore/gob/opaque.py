"""Types that encode themselves: by pairs of methods as Go has them, and time.Time.

A class that has one of these pairs travels as bytes of its own:

=====================================  ============================
methods                                in Go
=====================================  ============================
``gob_encode``, ``gob_decode``         GobEncoder, GobDecoder
``marshal_binary``, ``unmarshal_binary``  encoding.BinaryMarshaler, …
``marshal_text``, ``unmarshal_text``   encoding.TextMarshaler, …
=====================================  ============================

The first of a pair is called with nothing and returns bytes; the second is a class method,
which takes bytes and returns an instance. ``gob_is_zero()``, where there is one, tells which
instances are zero values, which Go leaves out of structs; ``gob_zero()``, a class method, makes
one (without it the class is called with nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from wirecore.errors import GobValueError, InvalidGobType, UnsendableGob

_PAIRS: Final = (
    (5, "gob_encode", "gob_decode"),
    (6, "marshal_binary", "unmarshal_binary"),
    (7, "marshal_text", "unmarshal_text"),
)

#: Go's zero time.
ZERO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)

_SECOND: Final = timedelta(seconds=1)
_NANOSECONDS: Final = 1_000_000_000


def methods_of(
    owner: type,
) -> (
    tuple[int, Callable[[Any], bytes], Callable[[bytes], Any], Callable[[Any], bool] | None] | None
):
    """The member of Go's wireType, and the class's functions; None: it has no pair.

    Raises :class:`~wirecore.errors.InvalidGobType` for half a pair.
    """
    for member, writes, reads in _PAIRS:
        encode, decode = getattr(owner, writes, None), getattr(owner, reads, None)
        if encode is None and decode is None:
            continue
        if encode is None or decode is None:
            raise InvalidGobType(f"{owner.__name__} must have both {writes} and {reads}")
        return member, encode, decode, getattr(owner, "gob_is_zero", None)
    return None


def encode_time(value: object) -> bytes:
    """A datetime as Go's time.Time writes itself.

    Raises :class:`~wirecore.errors.UnsendableGob` for one without a zone, and for offsets that
    Go refuses: a fraction of a second, and one minute west of UTC, which says UTC.
    """
    if not isinstance(value, datetime):
        raise UnsendableGob(f"a time must be a datetime, not {type(value).__name__}")
    offset = value.utcoffset()
    if offset is None:
        raise UnsendableGob("a time must have a zone: datetime.now(timezone.utc), say")
    since = value - ZERO_TIME
    seconds, fraction = since // _SECOND, (since % _SECOND).microseconds
    head = seconds.to_bytes(8, "big", signed=True) + (1000 * fraction).to_bytes(4, "big")
    if not offset:
        return b"\x01" + head + b"\xff\xff"
    if offset % _SECOND:
        raise UnsendableGob("Go refuses a zone whose offset has a fraction of a second")
    total = offset // _SECOND
    sign = -1 if total < 0 else 1
    minutes, rest = sign * (abs(total) // 60), sign * (abs(total) % 60)
    if minutes == -1:
        raise UnsendableGob("Go refuses a zone one minute west of UTC")
    zone = minutes.to_bytes(2, "big", signed=True)
    if not rest:
        return b"\x01" + head + zone
    return b"\x02" + head + zone + rest.to_bytes(1, "big", signed=True)


def decode_time(data: bytes) -> datetime:
    """The datetime that Go's time.Time wrote, with a zone of the same offset.

    Nanoseconds beyond microseconds are cut off. Raises :class:`~wirecore.errors.GobValueError`
    for what is no time, and one that a datetime doesn't reach (years 1 to 9999, offsets of less
    than a day).
    """
    if not data:
        raise GobValueError("Time.UnmarshalBinary: no data")
    if data[0] not in (1, 2):
        raise GobValueError("Time.UnmarshalBinary: unsupported version")
    if len(data) != 14 + data[0]:
        raise GobValueError("Time.UnmarshalBinary: invalid length")
    seconds = int.from_bytes(data[1:9], "big", signed=True)
    nanoseconds = int.from_bytes(data[9:13], "big")
    minutes = int.from_bytes(data[13:15], "big", signed=True)
    offset = 60 * minutes + int.from_bytes(data[15:], "big", signed=True)
    if nanoseconds >= _NANOSECONDS:
        raise GobValueError("a time with a second of more than 1e9 nanoseconds")
    try:
        zone = UTC if offset == -60 else timezone(timedelta(seconds=offset))
        offset = 0 if zone is UTC else offset
        # What the clock shows there may be within the years where UTC isn't.
        since = timedelta(seconds=seconds + offset, microseconds=nanoseconds // 1000)
        return (datetime(1, 1, 1) + since).replace(tzinfo=zone)
    except (OverflowError, ValueError):
        raise GobValueError("a time that a datetime doesn't reach") from None


def is_zero_time(value: object) -> bool:
    """Whether *value* is Go's zero time: another zone makes it none."""
    return isinstance(value, datetime) and value == ZERO_TIME and value.utcoffset() == timedelta()
