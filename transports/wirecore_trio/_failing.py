"""What a caller is told of a handler that failed."""

from __future__ import annotations

import logging

from wirecore import errors
from wirecore._backend import default


def failure_text(error: Exception, name: str, *, ended: bool, logger: logging.Logger) -> str | None:
    """The text that answers a call of *name*, whose handler raised *error*; never empty.

    Only what was raised on purpose reaches the caller: the text of an RpcError. The rest is for
    the log, under a number that the caller is told. None: there is nobody to tell, as the handler
    failed because its connection has *ended*.
    """
    # The class may be a user's own, and lack what its base would have set.
    if isinstance(error, errors.RpcError) and isinstance(getattr(error, "text", None), str):
        return error.text or "error"  # an empty text would mean success
    if ended and isinstance(error, errors.ConnectionLost):
        logger.debug("the handler of %s ended with its connection", name)
        return None
    number = default.entropy.uuid4_text()
    logger.error(
        "the handler of %s failed; the peer was told: internal error %s",
        name,
        number,
        exc_info=error,
    )
    return f"internal error {number}"


def cut_off(name: str, seconds: float, *, ended: bool, logger: logging.Logger) -> errors.RpcError:
    """What the caller of *name* is told whose handler was cut off after so many *seconds*.

    Where the connection has *ended* it was for that, and nobody is told.
    """
    text = f"the handler of {name} took longer than handler_timeout, {seconds:g} s"
    if not ended:
        logger.warning("%s: it was cancelled, and the peer told so", text)
    return errors.RpcError(text)
