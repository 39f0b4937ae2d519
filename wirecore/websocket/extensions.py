"""The Sec-WebSocket-Extensions field: RFC 6455 section 9.1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wirecore.websocket.http import TOKEN

_BLANKS = rb"[ \t]*"
# Empty members of a list are allowed and mean nothing.
_NAME = re.compile(rb"[ \t,]*(" + TOKEN + rb")" + _BLANKS)
_PARAMETER = re.compile(
    rb";" + _BLANKS + rb"(" + TOKEN + rb")" + _BLANKS
    # The value is a token, or a quoted string that is one once it is unquoted.
    + rb"(?:=" + _BLANKS + rb"(?:(" + TOKEN + rb')|"((?:[^"\\]|\\.)*)")' + _BLANKS + rb")?"
)  # fmt: skip
_ESCAPE = re.compile(rb"\\(.)")
_TOKEN: Final = re.compile(TOKEN)


@dataclass(frozen=True, slots=True)
class Extension:
    """One offer or answer: a name and its parameters in order, None for one without a value."""

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        parts = [key if value is None else f"{key}={value}" for key, value in self.parameters]
        return "; ".join([self.name, *parts])


def parse_extensions(value: bytes) -> list[Extension]:
    """The members of the field *value*, in order; several lines joined by commas go in as one.

    Raises ValueError where the grammar is broken.
    """
    found = []
    value = value.strip(b" \t,")
    position = 0
    while position < len(value):
        name = _NAME.match(value, position)
        if name is None:
            raise ValueError(f"no extension's name at byte {position}")
        position = name.end()
        parameters = []
        while parameter := _PARAMETER.match(value, position):
            parameters.append((parameter[1].decode("ascii"), _unquote(parameter)))
            position = parameter.end()
        found.append(Extension(name[1].decode("ascii"), tuple(parameters)))
        if position < len(value) and value[position : position + 1] != b",":
            raise ValueError(f"neither a comma nor a parameter at byte {position}")
    return found


def _unquote(parameter: re.Match[bytes]) -> str | None:
    token, quoted = parameter[2], parameter[3]
    if quoted is not None:
        token = _ESCAPE.sub(rb"\1", quoted)
        if not _TOKEN.fullmatch(token):
            raise ValueError("a quoted parameter isn't a token")
    return None if token is None else token.decode("ascii")
