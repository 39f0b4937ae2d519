"""A session in the parts that stores keep: info as JSON, so that nobody's later change gets in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wirecore.protocols.webwire import Session
from wirecore.protocols.webwire.stored import dump

from ._errors import StoreDamaged

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def check_zone(time: datetime) -> None:
    """Raise ValueError for a time without a zone: it could be anybody's."""
    if time.tzinfo is None:
        raise ValueError("a session's time must have a zone: say datetime.now(UTC)")


def time_to_number(time: datetime) -> int:
    """*time* in microseconds since 1970 in UTC: exact, and such numbers compare.

    Raises ValueError for a time without a zone.
    """
    check_zone(time)
    return (time - _EPOCH) // _MICROSECOND


def time_from_number(number: int) -> datetime:
    """The time of :func:`time_to_number`, in UTC."""
    return _EPOCH + number * _MICROSECOND


def info_to_json(session: Session) -> bytes:
    """The info of *session* as JSON, b"" where it has none.

    Raises TypeError or ValueError where it holds what JSON can't.
    """
    return dump(dict(session.info)) if session.info else b""


def info_from_json(data: bytes) -> dict[str, Any]:
    """The info that *data* says. Raises StoreDamaged."""
    if not data:
        return {}
    try:
        info = json.loads(data)
    except (ValueError, RecursionError):
        raise StoreDamaged("the info of a stored session isn't JSON") from None
    if not isinstance(info, dict):
        raise StoreDamaged("the info of a stored session is no JSON object")
    return info


def key_taken() -> KeyError:
    """What ``create`` raises where the key has a session: without the key, which is a secret."""
    return KeyError("the store has a session of this key")


def key_to_bytes(key: str) -> bytes:
    """*key* for stores that keep bytes: every str has its own."""
    return key.encode("utf-8", "surrogatepass")
