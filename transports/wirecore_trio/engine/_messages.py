"""Messages: what can be one, and those that are made anew each time that they are sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from wirecore.errors import InvalidOption

from .._arguments import kind_of, require_plain
from .._message_size import size_of
from .adapters import Message


def require_message(value: object) -> None:
    """Raise TypeError unless *value* can be sent: text, or a buffer of bytes."""
    if not isinstance(value, str | bytes | bytearray | memoryview):
        raise TypeError(f"message must be str or bytes, not {kind_of(value)}")


def require_message_or_maker(value: object) -> None:
    """Raise unless *value* is a message, or a function that may give some.

    TypeError for other types, InvalidOption for text that no message can carry.
    """
    if callable(value):
        require_plain("message", value)
    elif not isinstance(value, str | bytes):
        raise TypeError(
            f"message must be str, bytes or a function that gives it, not {kind_of(value)}"
        )
    else:
        checked_size("message", value)


def made_message(given: Message | Callable[[], Message]) -> Message:
    """The message that *given* stands for now.

    Raises what a function raises, TypeError where it gives none.
    """
    if not callable(given):
        return given
    message = answer_of(given)
    if not isinstance(message, str | bytes):
        raise TypeError(f"message gives str or bytes, not {kind_of(message)}")
    return message


def answer_of(function: Callable[..., object], *arguments: object) -> object:
    """What *function* gives. Raises TypeError where that is to be awaited, which nobody does."""
    given = function(*arguments)
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()  # or Python warns of it, too
        raise TypeError(f"its answer is wanted at once, and not {kind_of(given)} to be awaited")
    return given


def checked_size(name: str, value: str | bytes) -> int:
    """Bytes of *value*, the argument *name*. Raises InvalidOption where UTF-8 can't hold it."""
    try:
        return size_of(value)
    except UnicodeEncodeError:
        raise InvalidOption(f"{name} must be text, and it holds a lone surrogate") from None
