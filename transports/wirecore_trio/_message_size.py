"""How long a message is on the wire, which is not how long its ``str`` is."""

from __future__ import annotations


def size_of(message: str | bytes) -> int:
    """Bytes of a message's payload: those of its UTF-8 where it is text.

    Raises UnicodeEncodeError for text with lone surrogates, which no message can carry.
    """
    if not isinstance(message, str) or message.isascii():
        return len(message)
    return len(message.encode())
