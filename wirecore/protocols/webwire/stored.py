"""Sessions of webwire's users: what is kept of one, and its JSON on the wire and in files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from wirecore.errors import InvalidMessage

#: RFC 3339 as Go writes it: up to 9 digits of a second, of which a datetime keeps 6.
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Session:
    """A session: who has its *key* may restore it, so it is a secret.

    *created* and *last_lookup* are aware datetimes. *info*: what the server's program put into
    it, anything that JSON has, under names; {} for none.
    """

    key: str = field(repr=False)
    created: datetime
    last_lookup: datetime
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_json(self) -> bytes:
        """The session as it goes over the wire.

        Raises TypeError or ValueError where *info* holds what JSON can't.
        """
        members: dict[str, Any] = {
            "k": self.key,
            "c": format_time(self.created),
            "l": format_time(self.last_lookup),
        }
        if self.info:  # the original leaves it out where it is empty
            members["i"] = dict(self.info)
        return dump(members)

    @classmethod
    def from_json(cls, data: bytes) -> Session:
        """The session that *data* says. Raises :class:`~wirecore.errors.InvalidMessage`."""
        members = load(data)
        key = members.get("k")
        if not isinstance(key, str) or not key:
            raise InvalidMessage("a session's JSON has no key")
        return cls(key, *read_members(members))


def read_members(members: Mapping[str, Any]) -> tuple[datetime, datetime, dict[str, Any]]:
    """Creation, last lookup and info of a session's JSON.

    Raises :class:`~wirecore.errors.InvalidMessage`.
    """
    info = members.get("i")
    if not isinstance(info, dict | None):
        raise InvalidMessage("a session's info is no JSON object")
    return parse_time(members.get("c")), parse_time(members.get("l")), info or {}


def dump(members: Mapping[str, Any]) -> bytes:
    """*members* as compact JSON."""
    text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def load(data: bytes) -> dict[str, Any]:
    """The JSON object *data*. Raises :class:`~wirecore.errors.InvalidMessage`."""
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidMessage("a session isn't JSON") from None
    if not isinstance(members, dict):
        raise InvalidMessage("a session's JSON is no object")
    return members


def format_time(time: datetime) -> str:
    """*time* in UTC as RFC 3339, with as many digits of a second as it needs.

    Raises ValueError for a time without a zone.
    """
    if time.tzinfo is None:
        raise ValueError("a session's time must have a zone: say datetime.now(UTC)")
    text = time.astimezone(UTC).isoformat().removesuffix("+00:00")
    if "." in text:
        text = text.rstrip("0")
    return text + "Z"


def parse_time(text: object) -> datetime:
    """The time that *text* says; digits beyond a microsecond are left out.

    Raises :class:`~wirecore.errors.InvalidMessage`.
    """
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidMessage("a session's time isn't RFC 3339")
    date, time, fraction, zone = found.groups()
    fraction = (fraction or "0").ljust(6, "0")[:6]
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{date}T{time}.{fraction}{zone}")
    except ValueError as error:
        raise InvalidMessage(f"a session's time isn't one: {error}") from None
