"""Error texts that our own two ends know: on the wire an error is nothing but its text."""

from __future__ import annotations

from wirecore import errors

_UNKNOWN_METHOD = "unknown method: "
_OVERLOADED = "too many requests at once: "

#: So much of a method's name is sent back: it is the peer's, and may be long.
_NAME = 200


def unknown_method_text(name: str) -> str:
    """The answer to a call of a method that isn't served."""
    return f"{_UNKNOWN_METHOD}{name[:_NAME]}"


def overloaded_text(limit: str, bound: int) -> str:
    """The answer to a request over the bound on handlers."""
    return f"{_OVERLOADED}{limit} is {bound}"


def stopping_text() -> str:
    """The answer to a request that came while this end was stopping; nothing was executed."""
    return f"{_OVERLOADED}this end is stopping and takes no more"


def error_from_text(text: str) -> errors.RpcError:
    """The error that a caller gets for the error *text* of an answer."""
    if text.startswith(_UNKNOWN_METHOD):
        return errors.UnknownMethod(text)
    if text.startswith(_OVERLOADED):
        return errors.Overloaded(text)
    return errors.RpcError(text)
