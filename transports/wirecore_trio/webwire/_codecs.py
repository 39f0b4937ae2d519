"""Payloads as values: codecs that a route, a request or a signal is given by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

from wirecore.errors import InvalidMessage, InvalidOption, UnsendableMessage, kind_of
from wirecore.protocols.webwire import Encoding, Payload

T = TypeVar("T")


class Codec(Protocol[T]):
    """Turns values into payloads, and payloads into values."""

    def encode(self, value: T) -> Payload:
        """*value* as a payload. Raises :class:`~wirecore.errors.UnsendableMessage`."""

    def decode(self, payload: Payload) -> T:
        """The value of *payload*. Raises :class:`~wirecore.errors.InvalidMessage`."""


def require_codec(name: str, codec: object) -> None:
    """Raise TypeError unless *codec*, the argument *name*, is a :class:`Codec`, or None."""
    if codec is None:
        return
    methods = (getattr(codec, "encode", None), getattr(codec, "decode", None))
    if isinstance(codec, type) or not all(map(callable, methods)):
        raise TypeError(
            f"{name} must be a Codec, such as webwire.Json() or webwire.Struct(kind), not "
            f"{kind_of(codec)}"
        )


class Json:
    """Anything that JSON has, as the standard library reads and writes it, in UTF-8."""

    def encode(self, value: Any) -> Payload:
        """See :class:`Codec`."""
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            return Payload(text.encode(), Encoding.UTF8)
        except (TypeError, ValueError, RecursionError) as error:
            raise UnsendableMessage(f"{kind_of(value)} can't be JSON: {error}") from error

    def decode(self, payload: Payload) -> Any:
        """See :class:`Codec`. Text in UTF-16 is read, too."""
        try:
            return json.loads(payload.text)
        except (ValueError, RecursionError) as error:
            fault = _fault(payload, "isn't JSON")
            raise InvalidMessage(f"the payload {fault}: {error}") from error


class Struct(Generic[T]):
    """Values of *kind*: a msgspec Struct, a dataclass, ``list[int]``, and the like.

    What comes is checked; what is sent is whatever msgspec can encode.

    *format*: "json" goes as UTF-8 text, "msgpack" as binary. Needs the package msgspec. Raises
    ImportError without it, InvalidOption for another format, TypeError for a *kind* that msgspec
    has no use for.
    """

    def __init__(self, kind: type[T], format: Literal["json", "msgpack"] = "json") -> None:  # noqa: A002
        if format not in ("json", "msgpack"):
            raise InvalidOption(f'format must be "json" or "msgpack", not {format!r}')
        try:
            import msgspec
        except ImportError as error:
            raise ImportError(
                "webwire.Struct needs msgspec: pip install 'wirecore[msgspec]'"
            ) from error
        module = msgspec.json if format == "json" else msgspec.msgpack
        self._text = format == "json"
        self._encoding = Encoding.UTF8 if self._text else Encoding.BINARY
        self._failures = (msgspec.MsgspecError, UnicodeDecodeError)
        self._encode: Callable[[T], bytes] = module.Encoder().encode
        try:
            self._decode: Callable[[bytes], T] = module.Decoder(kind).decode
        except TypeError as error:
            raise TypeError(f"kind must be a type that msgspec reads: {error}") from None

    def encode(self, value: T) -> Payload:
        """See :class:`Codec`."""
        try:
            return Payload(self._encode(value), self._encoding)
        except (*self._failures, TypeError, ValueError) as error:
            raise UnsendableMessage(f"{kind_of(value)} can't be sent: {error}") from error

    def decode(self, payload: Payload) -> T:
        """See :class:`Codec`."""
        try:
            if self._text and payload.encoding is Encoding.UTF16:
                return self._decode(payload.text.encode())
            return self._decode(payload.data)
        except self._failures as error:
            fault = _fault(payload, "isn't what was expected")
            raise InvalidMessage(f"the payload {fault}: {error}") from error


def _fault(payload: Payload, otherwise: str) -> str:
    return otherwise if payload else "is empty"
