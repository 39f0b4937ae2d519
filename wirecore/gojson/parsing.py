"""JSON as plain Python: what the standard library's scanner makes of it, within Go's rules.

An object is a tuple of pairs, as names may come twice; an array is a list. A number is an int or
float, or a :class:`Number` where its text matters or would take too long to convert.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from json import decoder as json_decoder
from typing import Any, Final, NoReturn, TypeAlias

from wirecore.errors import JsonStreamError

#: A parsed value: None, bool, int, float, Number, str, list of them, tuple of (name, value) pairs.
Tree: TypeAlias = Any

Decode: TypeAlias = Callable[[str, int], tuple[Tree, int]]

#: Digits that no number of Go's has, and that take no time to convert.
_MOST_DIGITS: Final = 400

#: Below this many bytes no int is slow, whatever it is.
_SHORT: Final = 4000
_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"0" * 9)
_DIGIT_RUN: Final = b"0" * _MOST_DIGITS

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|(\\.)",
    re.DOTALL,
)
#: What of a number may stand at the end of what came, and isn't taken for one yet.
_IN_NUMBER: Final = re.compile(r"\.|[eE][-+]?")
_ODD_BYTE: Final = re.compile("[\udc80-\udcff]")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SPACE_OUTSIDE: Final = re.compile(r'("(?:[^"\\]++|\\.)*+")|[ \t\r\n]+', re.DOTALL)


class Number(str):
    """A number, as it was written."""

    __slots__ = ()


def _refuse(name: str) -> NoReturn:
    raise JsonStreamError(f"invalid character {name[0]!r} looking for beginning of value")


def _integer(text: str) -> int | Number:
    return int(text) if len(text) < _MOST_DIGITS and text != "-0" else Number(text)


#: A str from behind its first quote on, and where it ends; typeshed doesn't know it.
_scan_string: Final[Callable[[str, int], tuple[str, int]]] = vars(json_decoder)["scanstring"]

_fast: Final = JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse)
_careful: Final = JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse, parse_int=_integer)
_exact: Final = JSONDecoder(
    object_pairs_hook=tuple, parse_constant=_refuse, parse_int=Number, parse_float=Number
)


class Message:
    """One message, an object or null. *text*: as it came, with surrogates for odd bytes."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str, tree: Tree) -> None:
        self.text = text
        self.tree = tree

    def reparse(self) -> Tree:
        """The same with all numbers as they were written."""
        return _exact.raw_decode(without_halves(self.text))[0]

    def raw(self, member: str) -> str:
        """The text of the last member of that name, in any case, without spaces around values."""
        return without_space(self._raw(member))

    def raw_first(self, member: str) -> str:
        """The same of the first element of the array that it is; "" where that is empty."""
        text = self._raw(member)
        at = _after_space(text, 1)
        return "" if text[at] == "]" else without_space(text[at : _exact.raw_decode(text, at)[1]])

    def _raw(self, member: str) -> str:
        text = self.text
        found = ""
        at = _after_space(text, text.index("{") + 1)
        while text[at] != "}":
            name, at = _scan_string(text, at + 1)
            at = _after_space(text, _after_space(text, at) + 1)
            _, end = _exact.raw_decode(text, at)
            if fold(name) == member:
                found = text[at:end]
            at = _after_space(text, end)
            if text[at] == ",":
                at = _after_space(text, at + 1)
        return found


def _after_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def without_space(text: str) -> str:
    """JSON without what stands between its parts."""
    return _SPACE_OUTSIDE.sub(r"\1", text)


def decoder_for(data: bytes) -> Decode:
    """What parses the first value of a text that *data* holds: the value, and where it ends.

    It raises JSONDecodeError. Numbers are converted by compiled code alone, where none of them
    is -0, which is no int, and none so long that it would take time.
    """
    long = len(data) >= _SHORT and _DIGIT_RUN in data.translate(_DIGITS_ALIKE)
    decoder = _careful if long or b"-0" in data else _fast
    decode: Decode = decoder.raw_decode
    return decode


def parse_message(data: bytes) -> Message:
    """The message that is all of *data*.

    Raises :class:`~wirecore.errors.JsonStreamError` where that isn't JSON.
    """
    text = data.decode("utf-8", "surrogateescape")
    clean = without_halves(text)
    try:
        tree, end = decoder_for(data)(clean, 0)
    except JSONDecodeError as error:
        raise broken(error) from None
    if end != len(clean):
        raise JsonStreamError("invalid JSON: the brackets of a message don't match")
    return Message(text, tree)


def broken(error: JSONDecodeError) -> JsonStreamError:
    """What is wrong with the stream: never what it says there."""
    return JsonStreamError(f"invalid JSON: {error.msg} (character {error.pos} of a message)")


def has_halves(text: str) -> bool:
    """Whether there may be halves of surrogate pairs in *text*."""
    return "\\u" in text and _HALF.search(text) is not None


def without_halves(text: str) -> str:
    """*text* with U+FFFD, as in Go, for odd bytes and halves of surrogate pairs."""
    if not text.isascii():
        text = _ODD_BYTE.sub("\ufffd", text)
    if has_halves(text):
        text = _ESCAPE.sub(lambda found: found[1] or found[2] or "\ufffd", text)
    return text


def is_broken(error: JSONDecodeError) -> bool:
    """Whether no text that goes on after the end of what was parsed can make it right."""
    rest = error.doc[error.pos :]
    if error.msg.startswith("Unterminated string"):
        return False
    if error.msg.startswith("Invalid \\uXXXX"):
        return len(error.doc) - error.pos > 8
    if error.msg.startswith("Expecting value"):
        return not any(word.startswith(rest) for word in ("true", "false", "null", "-"))
    return bool(rest) and _IN_NUMBER.fullmatch(rest) is None


def fold(name: str) -> str:
    """*name* in one case, so that names that differ in case alone are equal, as Go folds them."""
    if name.isascii():
        return name.lower()
    folded = (mark.casefold() for mark in name)
    return "".join(
        other if len(other) == 1 else mark.lower() for mark, other in zip(name, folded, strict=True)
    )
