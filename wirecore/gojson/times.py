"""Times in RFC 3339, as Go's time.Time marshals itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from wirecore.errors import JsonValueError, UnsendableJson, printable

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
#: As much of what came as an error says.
_SHOWN: Final = 64


def time_text(value: datetime) -> str:
    """*value* with as many digits of a second as it needs; seconds of its zone are left out.

    Raises :class:`~wirecore.errors.UnsendableJson` for one without a zone.
    """
    offset = value.utcoffset()
    if offset is None:
        raise UnsendableJson("a time must have a zone: datetime.now(timezone.utc), say")
    text = (
        f"{value.year:04}-{value.month:02}-{value.day:02}"
        f"T{value.hour:02}:{value.minute:02}:{value.second:02}"
    )
    if value.microsecond:
        text += f".{value.microsecond:06}".rstrip("0")
    if not offset:
        return text + "Z"
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{text}{'-' if offset < timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"


def parse_time(text: str) -> datetime:
    """The time that *text* says. Nanoseconds beyond microseconds are cut off.

    Raises :class:`~wirecore.errors.JsonValueError` for what is no time in RFC 3339, and one that
    a datetime doesn't reach.
    """
    found = _RFC3339.fullmatch(text)
    shown = printable(text[:_SHOWN])
    if found is None:
        raise JsonValueError(f'parsing time "{shown}" as "{_LAYOUT}": cannot parse it')
    *parts, fraction, sign, hours, minutes = found.groups()
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset) if offset else UTC
        micro = int((fraction or "")[:6].ljust(6, "0"))
        year, month, day, hour, minute, second = map(int, parts)
        return datetime(year, month, day, hour, minute, second, micro, zone)
    except ValueError as error:
        raise JsonValueError(f'parsing time "{shown}": {error}') from None
