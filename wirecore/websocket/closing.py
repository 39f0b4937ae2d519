"""Close frames as they are sent: RFC 6455 sections 5.5.1 and 7.4."""

from __future__ import annotations

from typing import Final

from wirecore.constants import MAX_CLOSE_REASON, CloseCode, is_valid_close_code
from wirecore.errors import (
    ConnectionClosed,
    InvalidOption,
    ProtocolError,
    RemoteLimitExceeded,
)
from wirecore.events import Close, Failure

#: Bounds on what the peer sends, by what they bound.
_SIZES: Final = {"max_frame_size": "frame", "max_message_size": "message"}


def make_close(code: int | None, reason: str) -> Close:
    """The close frame for *code* and *reason*, which is cut to 123 bytes at a character.

    None, and 1005 as well, which says the same, stand for a frame without a code.
    Raises :class:`~wirecore.errors.InvalidOption` for a code that can't be sent, a reason
    without a code, and a reason that isn't Unicode text; TypeError for a code that is no number,
    and for a reason that is no str.
    """
    if not isinstance(reason, str):
        raise TypeError(f"a close reason is a str, not {type(reason).__name__}")
    if code is None or code == CloseCode.NO_STATUS:
        if reason:
            raise InvalidOption("a close frame without a code has no reason")
        return Close(None, "")
    if not isinstance(code, int):
        raise TypeError(f"a close code is an int or None, not {type(code).__name__}")
    if not is_valid_close_code(code):
        raise InvalidOption(
            f"close code {code} can't be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999"
        )
    try:
        raw = reason.encode()
    except UnicodeEncodeError:
        raise InvalidOption("the close reason holds a lone surrogate") from None
    return Close(int(code), raw[:MAX_CLOSE_REASON].decode(errors="ignore"))


def close_payload(close: Close) -> bytes:
    """The payload of the close frame *close*."""
    if close.code is None:
        return b""
    return close.code.to_bytes(2, "big") + close.reason.encode()


def failure_error(failure: Failure) -> ProtocolError | RemoteLimitExceeded:
    """*failure* as an exception, to be the cause of the loss of the connection."""
    if failure.limit:
        return RemoteLimitExceeded(failure.limit, failure.figure, failure.bound)
    return ProtocolError(failure.reason, close_code=failure.code)


def closed_error(received: Close | None, failure: Failure | None, lost: str) -> ConnectionClosed:
    """What a connection that is over raises.

    *received*: the peer's close frame, which counts most. *failure*: what the peer did wrong.
    *lost*: why there is neither.
    """
    if received is not None:
        code = CloseCode.NO_STATUS if received.code is None else received.code
        return ConnectionClosed(int(code), received.reason, clean=True)
    if failure is None:
        return ConnectionClosed(int(CloseCode.ABNORMAL), lost)
    reason = failure.reason
    if failure.limit in _SIZES:
        reason = (
            f"a {_SIZES[failure.limit]} of {failure.figure} bytes or more came, over this side's "
            f"{failure.limit} of {failure.bound}"
        )
    error = ConnectionClosed(int(CloseCode.ABNORMAL), reason)
    error.__cause__ = failure_error(failure)
    return error
