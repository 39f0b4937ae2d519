"""Secrets in what is shown: known by the names they have, or by how they look.

What stands in a secret's place tells roughly how long it was, and nothing else of it.
"""

from __future__ import annotations

from typing import Any, Final

from .secret_names import is_secret
from .secret_places import TOKEN, secrets_in, subprotocol_secrets

#: How long a secret was, in characters: up to which of these.
_CLASSES: Final = (8, 16, 32, 64, 256)

#: How deep values are looked through.
_MAX_DEPTH: Final = 60

#: Members that say what the member "value" beside them is: {"name": "password", "value": "x"}.
_NAMING: Final = frozenset({"name", "key", "field", "header", "param", "parameter", "id", "n", "k"})
_NAMED: Final = frozenset({"value", "values", "val", "v"})

#: Bytes that tell, before a piece of a text, whether the piece begins within a secret.
_CONTEXT: Final = 1024

#: Why bytes aren't UTF-8 that end within a character.
CUT: Final = "unexpected end of data"

#: The bytes of a character behind its first.
_CONTINUED: Final = bytes(range(0x80, 0xC0))


def masked(secret: Any) -> str:
    """What stands in the place of *secret*."""
    size = len(secret) if isinstance(secret, str | bytes) else len(str(secret))
    least = 1
    for most in _CLASSES:
        if size <= most:
            return f"[masked, {least}-{most}]"
        least = most + 1
    return f"[masked, {least} or more]"


class Masker:
    """Masks secrets, unless *show_secrets*."""

    def __init__(self, *, show_secrets: bool = False) -> None:
        self.show_secrets = show_secrets

    def secret(self, value: str) -> str:
        """*value*, which is a secret."""
        return value if self.show_secrets or not value else masked(value)

    def text(self, text: str, start: int = 0) -> str:
        """*text* of any kind, whose end may be missing, from *start* on."""
        if self.show_secrets:
            return text[start:]
        return _without(text, [found[1:] for found in secrets_in(text)], start)

    def context(self, before: bytes, data: bytes | bytearray) -> bytes:
        """What has to stand before the piece of a text that follows *data*; *before*: as it was.

        With that before it, :meth:`text` finds secrets that began earlier. Empty for no text.
        """
        if self.show_secrets:
            return b""
        piece = (before + data[-_CONTEXT:])[-_CONTEXT:]
        if len(before) + len(data) > _CONTEXT:
            piece = piece.lstrip(_CONTINUED)  # it begins within a character
        try:
            text, cut = piece.decode(), b""
        except UnicodeDecodeError as error:
            if error.reason != CUT:
                return b""
            text, cut = piece[: error.start].decode(), piece[error.start :]
        for origin, begin, end in secrets_in(text):
            if end == len(text):
                # However long it is, its beginning tells what follows.
                return text[origin : begin + 8].rstrip("\\").encode() + cut
        return text[-256:].encode() + cut

    def target(self, target: str) -> str:
        """A request's target, whose query may hold tokens."""
        path, mark, query = target.partition("?")
        if not mark or self.show_secrets:
            return self.text(target)
        pieces = []
        for pair in query.split("&"):
            pieces.append(";".join(map(self._parameter, pair.split(";"))))
        return self.text(path) + mark + "&".join(pieces)

    def field(self, name: str, value: str) -> str:
        """The value of a header field."""
        if self.show_secrets or not value:
            return value
        lower = name.lower()
        if lower in ("authorization", "proxy-authorization"):
            return _credentials(value)
        if lower == "sec-websocket-protocol":
            return _without(value, subprotocol_secrets(value))
        if is_secret(name):
            return masked(value)
        if lower in ("location", "referer", "content-location"):
            return self.target(value)
        return self.text(value)

    def value(self, value: Any, depth: int = _MAX_DEPTH) -> Any:
        """A value as JSON has it: members by their names, texts by how they look."""
        if self.show_secrets:
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth == 0 and isinstance(value, dict | list):
            return "..."
        if isinstance(value, dict):
            named = any(
                name.lower() in _NAMING and isinstance(each, str) and is_secret(each)
                for name, each in value.items()
            )
            return {
                name: _mask_member(each)
                if is_secret(name) or (named and name.lower() in _NAMED)
                else self.value(each, depth - 1)
                for name, each in value.items()
            }
        if isinstance(value, list):
            if len(value) == 2 and isinstance(value[0], str) and is_secret(value[0][:100]):
                return [self.text(value[0]), _mask_member(value[1])]  # a pair
            return [self.value(each, depth - 1) for each in value]
        return value

    def _parameter(self, pair: str) -> str:
        name, mark, value = pair.partition("=")
        if value and (is_secret(name) or TOKEN.fullmatch(value)):
            return f"{name}{mark}{masked(value)}"
        if not mark and TOKEN.fullmatch(name):
            return masked(name)
        return self.text(pair)


def _without(text: str, secrets: list[tuple[int, int]], start: int = 0) -> str:
    """*text* from *start* on, less the *secrets*, which may overlap."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted((max(begin, start), end) for begin, end in secrets if end > start):
        if joined and begin < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    parts: list[str] = []
    at = start
    for begin, end in joined:
        parts += text[at:begin], masked(text[begin:end])
        at = end
    return "".join((*parts, text[at:]))


def _credentials(value: str) -> str:
    """What an Authorization says, less its secret: of two words the first is the scheme."""
    scheme, blank, rest = value.partition(" ")
    if blank and scheme.isalpha() and rest.strip():
        return f"{scheme} {masked(rest.strip())}"
    return masked(value)


def _mask_member(value: Any) -> Any:
    # What is nothing, or true or false, is no secret: "password": null tells that there is none.
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return value
    if isinstance(value, list | dict):
        return "[masked]"
    return masked(value)


__all__ = ["Masker", "is_secret", "masked"]
