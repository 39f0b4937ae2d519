"""What came, in a form that is fit for people and for JSON: without secrets, and bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from wirecore.errors import printable

from .masking import CUT, Masker

#: Bytes of a payload that are shown, unless told otherwise.
DEFAULT_MAX_BYTES: Final = 1024

#: Bytes of JSON that are parsed, so that members are masked by their names; in what is longer, and
#: never shown as a whole, they are looked for in what is shown.
_MAX_PARSED: Final = 64 * 1024

#: Characters of a payload that stand on a line.
_PREVIEW: Final = 60

#: Values that one decoded value may be made of, and how deep they may be nested.
_MAX_VALUES: Final = 1000
_MAX_DEPTH: Final = 50

#: Characters of text that aren't printable, and that text has nevertheless.
_IN_TEXT: Final = frozenset("\t\r\n")


class Showing:
    """How payloads are shown.

    *max_bytes*: of one payload, or of one text in a value; what is longer is cut. *binary*: how
    bytes that aren't text are written.
    """

    def __init__(
        self,
        masker: Masker | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        binary: Literal["hex", "base64"] = "hex",
    ) -> None:
        self.mask = masker or Masker()
        self._max_bytes = max_bytes
        self._binary = binary

    def payload(
        self, data: bytes | bytearray, size: int | None = None, *, before: bytes | None = None
    ) -> dict[str, Any]:
        """*data*: as text where it is text, else in hex or base64.

        *size*: how much there was, where *data* is only the beginning. *before*: of a piece of a
        payload, what tells of secrets that began before it, see :meth:`Masker.context`.
        """
        size = len(data) if size is None else size
        found: dict[str, Any] = {"payload_size": size}
        text = self._text(data, before, whole=size == len(data))
        if text is not None:
            found["payload"] = text
            found["payload_encoding"] = "text"
        else:
            piece = bytes(data[: self._max_bytes])
            as_hex = self._binary == "hex"
            found["payload"] = piece.hex() if as_hex else base64.b64encode(piece).decode()
            found["payload_encoding"] = self._binary
        if size > self._max_bytes:
            found["payload_cut"] = True
        return found

    def _text(self, data: bytes | bytearray, before: bytes | None, *, whole: bool) -> str | None:
        """The beginning of *data* as text; None where it is none."""
        if whole and not before and len(data) <= _MAX_PARSED and data[:1] in (b"{", b"["):
            text = self._json(bytes(data))
            if text is not None:
                return text[: self._max_bytes]
        piece = (before or b"") + bytes(data[: self._max_bytes])
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            # The last character may be cut in half.
            if error.reason != CUT or (before is None and len(piece) == len(data)):
                return None
            text = piece[: error.start].decode()
        start = 0 if before is None else len(before.decode(errors="ignore"))
        if any(not mark.isprintable() and mark not in _IN_TEXT for mark in text[start:]):
            return None
        return self.mask.text(text, start)

    def _json(self, data: bytes) -> str | None:
        if self.mask.show_secrets:
            return None
        try:
            value = json.loads(data)
            shown = self.mask.value(value)
            if shown == value:
                return None  # as it was written, then
            return json.dumps(shown, ensure_ascii=False)
        except (ValueError, RecursionError):
            return None

    def preview(self, payload: Mapping[str, Any]) -> str:
        """What :meth:`payload` has made, on a line."""
        text = payload.get("payload", "")
        if not text:
            return ""
        cut = len(text) > _PREVIEW or payload.get("payload_cut")
        if payload["payload_encoding"] == "text":
            # Less whitespace, which is what most of a line of JSON would be.
            shown = printable(" ".join(text[: 4 * _PREVIEW].split()))
        else:
            shown = f"{payload['payload_encoding']} {text}"
        return shown[:_PREVIEW] + ("..." if cut else "")

    def value(self, value: Any) -> Any:
        """A decoded value, as JSON has it; bytes in it are text, or ``hex:`` and digits."""
        return self.mask.value(_plain(value, self._max_bytes, [_MAX_VALUES], _MAX_DEPTH))

    def value_preview(self, shown: Any) -> str:
        """What :meth:`value` has made, on a line."""
        text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        text = printable(text)
        return text if len(text) <= _PREVIEW else text[:_PREVIEW] + "..."

    def fields(self, fields: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
        """Header fields, or trailers."""
        shown = []
        for name, value in fields:
            text = name.decode("latin-1")
            shown.append([text, self.mask.field(text, self._cut(value.decode("latin-1")))])
        return shown

    def target(self, target: bytes | str) -> str:
        """What a request asks for."""
        text = target.decode("latin-1") if isinstance(target, bytes) else target
        return self.mask.target(self._cut(text))

    def subprotocols(self, names: str) -> str:
        """Those that a client offers, with commas between them, or the server's choice."""
        return self.mask.field("sec-websocket-protocol", self._cut(names))

    def word(self, text: str) -> str:
        """A name of the peer's: a method, a code, an id, a reason."""
        return self.mask.text(self._cut(text))

    def _cut(self, text: str) -> str:
        most = max(self._max_bytes, 200)
        return text if len(text) <= most else text[:most] + "..."


def _plain(value: Any, most: int, left: list[int], depth: int) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth == 0:
        return "..."
    if value is None or isinstance(value, bool | int | float):
        # Beyond what a reader of JSON keeps, digits are a text.
        return str(value) if type(value) is int and abs(value) >= 1 << 53 else _finite(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if len(text) <= most else text[:most] + "..."
    if isinstance(value, bytes | bytearray):
        digits = bytes(value[:most]).hex()
        return f"hex:{digits}" + ("..." if len(value) > most else "")
    if isinstance(value, Mapping):
        return {
            _name(name): _plain(each, most, left, depth - 1)
            for name, each in value.items()
            if left[0] >= 0
        }
    if isinstance(value, list | tuple):
        return [_plain(each, most, left, depth - 1) for each in value if left[0] >= 0]
    return _plain(str(value), most, left, depth)


def _finite(value: Any) -> Any:
    # JSON has no infinities.
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _name(name: Any) -> str:
    return name if isinstance(name, str) else str(name)


def size_of(size: int) -> str:
    """*size* in bytes, as people read it."""
    if size < 10_000:
        return f"{size} B"
    for unit, bytes_of_one in (("kB", 1e3), ("MB", 1e6)):
        if size < 1000 * bytes_of_one:
            return f"{size / bytes_of_one:.1f} {unit}"
    return f"{size / 1e9:.1f} GB"
