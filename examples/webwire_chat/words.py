"""What goes over the wire between the chat's server and its clients, and the bounds on it.

Payloads are JSON; the dataclasses say of what form, and msgspec sees to it that they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Bytes of the longest message, set so at both ends: a page of history has room in it.
BUFFER_SIZE: Final = 128 * 1024

#: Characters of a text, and of a name; messages of one page of history.
MOST_TEXT: Final = 500
MOST_NAME: Final = 20
PAGE: Final = 30

#: Members that are told of by name; of more than these only the number is.
MOST_NAMED: Final = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """For the requests "login" and "register"."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """The reply: who one is, and which rooms there are."""

    name: str
    rooms: list[str]


@dataclass(frozen=True, slots=True)
class RoomName:
    """For the requests "join" and "leave"."""

    room: str


@dataclass(frozen=True, slots=True)
class Saying:
    """For the request "say"."""

    room: str
    text: str


@dataclass(frozen=True, slots=True)
class Before:
    """For the request "history": what was said before the message *id*."""

    room: str
    id: int


@dataclass(frozen=True, slots=True)
class Said:
    """The signal "said", and a line of history. *id* grows; *time*: seconds since 1970, in UTC."""

    room: str
    id: int
    time: float
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """The reply to "history". *more*: whether there are older ones."""

    said: list[Said]
    more: bool


@dataclass(frozen=True, slots=True)
class Room:
    """The reply to "join": who is there, of all of them *count*, and what was said last."""

    room: str
    members: list[str]
    count: int
    history: History


@dataclass(frozen=True, slots=True)
class Member:
    """The signals "joined" and "left"."""

    room: str
    name: str
    count: int = field(default=0)
