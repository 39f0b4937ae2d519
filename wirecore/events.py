"""What a decoder hands out beside whole messages.

A whole binary message is a ``bytes``, a whole text message a ``str`` (or a :class:`RawText`,
for those who asked for unvalidated text); everything else is one of the small objects here.
A leaf: it imports nothing of the package, and both backends make the same classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class RawText(bytes):
    """A whole text message as the bytes that arrived, its UTF-8 not checked.

    Sending one makes a text message of exactly these bytes.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping frame; RFC 6455 section 5.5.2. *payload*: 0 to 125 bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong frame; RFC 6455 section 5.5.3. *payload*: 0 to 125 bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; RFC 6455 section 5.5.1. *code* is None where the frame was empty."""

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The peer broke a rule: the last item a decoder ever returns.

    *code* is the close code to answer with (1002, 1007 or 1009), *reason* says which rule.
    Over a limit, *limit* names it, *figure* is what the peer announced or sent (the least that
    is known of it) and *bound* what is allowed, all in bytes; else they are "", 0 and 0.
    """

    code: int
    reason: str
    limit: str = ""
    figure: int = 0
    bound: int = 0


#: What is taken as bytes: any C-contiguous buffer of bytes works, these are the usual ones.
Buffer: TypeAlias = bytes | bytearray | memoryview

#: A whole message: ``bytes`` for binary, ``str`` for text, RawText for who asked for that.
Message: TypeAlias = bytes | str | RawText
#: What a decoder hands out.
Item: TypeAlias = Message | Ping | Pong | Close | Failure
