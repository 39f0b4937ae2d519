"""JSON that goes through as it is."""

from __future__ import annotations

from wirecore.errors import JsonStreamError, UnsendableJson, kind_of
from wirecore.gob.limits import Limits
from wirecore.gojson.cutting import MessageBuffer

#: Elements that JSON of our own may have: it is bounded by its size.
_ANY_NUMBER = 1 << 62

_DEEPEST = 200


class RawJson:
    """A value as JSON, which goes through with all that Python would lose: the digits of numbers.

    It is an annotation, too: an argument or result that is read as RawJson is what came, and one
    that is sent is checked to be JSON, and not changed but for what Go escapes in it. Spaces
    outside of texts don't stay.

    *data*: the JSON, UTF-8. Raises TypeError where it is no bytes.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, not {kind_of(data)}")
        self.data = data

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, RawJson) else NotImplemented

    def __hash__(self) -> int:
        return hash((RawJson, self.data))

    def __repr__(self) -> str:
        return f"<RawJson, {len(self.data)} bytes>"

    def text_within(self, depth: int) -> str:
        """It in characters, nested at most *depth* deep.

        Raises :class:`~wirecore.errors.UnsendableJson` where it isn't one value: anything else
        would change the message around it.
        """
        if depth < 0:
            raise UnsendableJson("the value is nested deeper than max_depth")
        size = len(self.data) + 8
        buffer = MessageBuffer(Limits(size, min(depth + 1, _DEEPEST), _ANY_NUMBER))
        buffer.feed(b'{"":' + self.data + b"}")
        try:
            message = buffer.next()
            if message is None or len(message.tree or ()) != 1 or buffer.next() is not None:
                raise JsonStreamError("it must be one value, and the whole of it")
            buffer.finish()
        except JsonStreamError as error:
            raise UnsendableJson(f"a RawJson that isn't JSON: {error}") from error
        return message.raw("")
