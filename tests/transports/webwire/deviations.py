"""Where our server does better than the one that was recorded, message by message, and why.

Nothing else of its messages differs but times, and the words of errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from wirecore.constants import CloseCode


@dataclass(frozen=True)
class Words:
    """A message that ends with the words of an error, which each server has its own of.

    *before*: what comes before them.
    """

    before: bytes


Expected: TypeAlias = bytes | Words


@dataclass(frozen=True)
class Ours:
    """What ours sends in the place of a recorded message of the server's, or after a client's."""

    messages: tuple[Expected, ...]
    reason: str


def _id(number: int) -> bytes:
    """The id of a request that was made by hand."""
    return number.to_bytes(8, "big")


def _words(number: int, *, id_: bytes = b"", prefix: bytes = b"") -> Ours:
    before = b"\xc0" + (id_ or _id(number)) + prefix
    return Ours((Words(before),), "the words of an error")


def _failed(number: int, reason: str) -> Ours:
    return Ours((b"\x02" + _id(number),), reason)


_NEVER_EMPTY: Final = "an empty message kills a client of the original's for good"
_ANSWERED: Final = "a request that can't be answered as asked is answered with an internal error"
_PANICS: Final = "a handler that fails in whatever way is an internal error, and no more"
_NO_PATH: Final = "a key is no path: nothing outside of the store's directory is found, or deleted"
_OLD_ONE_LEFT: Final = "a connection that takes up another session leaves the one it had"

#: By session and connection, and the number of the recorded message.
OURS: Final[dict[tuple[str, int], dict[int, Ours]]] = {
    ("go client: restore, sessions disabled", 0): {
        6: _words(0, id_=b"\x03" + bytes(7), prefix=b"ERR "),
    },
    ("session shared by two connections", 0): {7: _words(4, prefix=b"ERR ")},
    ("lost connection, close by key with nobody connected, restore, restore again", 1): {
        8: _words(5, prefix=b"ERR "),
    },
    ("sessions disabled", 0): {6: _words(3, prefix=b"ERR "), 8: _words(4)},
    ("restore over another session", 0): {
        7: Ours((b"\xc0" + _id(4) + b"1 -1 0",), _OLD_ONE_LEFT),
        9: Ours((b"\xc0" + _id(5) + b"1 2 2",), _OLD_ONE_LEFT),
    },
    ("fault: key with path", 0): {2: Ours((b"\x03" + _id(1),), _NO_PATH)},
    ("sizes outbound", 0): {
        2: _failed(1, "a reply over the buffer kills a client of the original's for good"),
        4: _words(2),
        9: _words(4),
    },
    ("fault: failed writes", 0): {
        2: _failed(1, f"{_NEVER_EMPTY}; {_ANSWERED}"),
        4: _failed(2, f"{_NEVER_EMPTY}; {_ANSWERED}"),
        6: Ours((), _NEVER_EMPTY),
        7: _words(3),
        9: Ours((), _NEVER_EMPTY),
        10: _words(4),
        12: _words(5),
        14: Ours((), "no client can read a signal in UTF-16 that is a name and no more"),
        15: _words(6),
    },
    ("fault: handler panic", 0): {
        1: _failed(1, _PANICS),
        2: Ours((b"\xc0" + _id(2) + b"x",), _PANICS),
    },
    ("fault: handler panic, concurrency 4", 0): {1: _failed(1, _PANICS)},
}

#: Where the original's server ends the TCP stream without a word, ours sends a close frame first:
#: a client can tell then, and nothing that is on its way to it is lost. By session: the code.
CLOSES: Final = {
    "go client: login, lost connection, restore, close session": CloseCode.NORMAL,
    "js client: login, lost connection, restore": CloseCode.NORMAL,
    "js client in Chromium: login, lost connection, restore": CloseCode.NORMAL,
    "graceful close of one connection": CloseCode.NORMAL,
    "go client: oversized request": CloseCode.TOO_BIG,
    "go client: name refused when writing": CloseCode.PROTOCOL_ERROR,
    "go client: name-only UTF-16 signal": CloseCode.PROTOCOL_ERROR,
    "read timeout": CloseCode.POLICY_VIOLATION,
}

#: The sessions of raw frames that the server ended. In the others the end of its stream shows
#: only that the program that sent the frames was done.
CLOSED_BY_SERVER: Final = {"read timeout", "graceful close of one connection"}
