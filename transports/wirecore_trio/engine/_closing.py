"""Closing: from on_close to the closed connection; and dropping one that isn't wanted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.constants import CloseCode
from wirecore.protocols.engine import Ended, State

from ._handler import CloseMessage

if TYPE_CHECKING:
    from ._runner import Runner
    from ._session import Session
    from ._spans import Attributes, Span

logger = logging.getLogger("wirecore.engine")

_CLOSING: Final = frozenset({State.CLOSED, State.CLOSING, State.DISCONNECTING, State.CLOSE_FAILED})

FAILED_TO_START: Final = "websocket client failed to start"
INTERRUPTED: Final = "websocket client has been interrupted"

#: Seconds that a peer has to answer the close of what failed to start.
_LAST_CLOSE: Final = 5.0

#: The same for what was interrupted, as somebody waits for its end: the frame is to leave, no more.
_PROMPTLY: Final = 0.5


async def shut_down(runner: Runner, session: Session, cause: Any) -> Any:
    """From on_close to the closed connection, below the span *cause*.

    Returns what a restart's span is below.
    """
    machine = runner.machine
    is_lost = machine.state is State.CLOSED
    told = {
        "has_close_message": is_lost,
        "skip_close_connection": is_lost,
        "auto_reconnect": runner.options.auto_reconnect,
    }
    with runner.spans.engine("background.shutdown", told, parent=cause) as span:
        is_up = not is_lost
        message = CloseMessage()
        try:
            while machine.state in _CLOSING:
                if machine.state is State.DISCONNECTING:
                    is_up = False
                    await _disconnect(runner, message, span)
                elif machine.state is State.CLOSE_FAILED:
                    await runner.call("on_close_error", machine.error)
                else:
                    given = await runner.call("on_close", session, machine.details)
                    message = given if isinstance(given, CloseMessage) else message
        finally:
            session.end()
            if is_up:
                await drop(runner)
        if runner.idle:
            tell_exit(runner, span)
        span.ok()
        return span.context


def tell_exit(runner: Runner, span: Span) -> None:
    """The engine has ended: its last *span* is told so."""
    if runner.options.auto_reconnect and runner.machine.leaving:
        span.record(Ended())
    span.event("exit")


async def _disconnect(runner: Runner, message: CloseMessage, span: Span) -> None:
    code, reason = int(message.code), message.reason
    span.event("connection_closed", close_code=code, close_reason=reason)
    try:
        closed = await runner.bounded(lambda: close_adapter(runner, code, reason))
    except Exception as error:  # noqa: BLE001 - told to the user
        span.record(error)
        runner.machine.failed(error, trio.current_time())
    else:
        if closed:
            runner.machine.disconnected(trio.current_time())


async def drop(runner: Runner) -> None:
    """Have no connection any more, without waiting for anybody."""
    # Shielded, so that this scope is the one that ends it, also where others are cancelled.
    with trio.CancelScope(shield=True) as scope:
        scope.cancel()
        try:
            await close_adapter(runner, CloseCode.GOING_AWAY, "Going away")
        except Exception as error:  # noqa: BLE001 - it is gone, which is what matters
            logger.debug("dropping a connection failed: %s", error)


async def give_up(runner: Runner, reason: str) -> Exception | None:
    """Close what didn't come to be open, with 1001 and *reason*, which is one of the two above.

    Returns why that failed, if it did.
    """
    interrupted = reason is INTERRUPTED
    seconds = _PROMPTLY if interrupted else _LAST_CLOSE
    # Shielded, as who is interrupted is cancelled already.
    with trio.CancelScope(shield=interrupted, deadline=trio.current_time() + seconds):
        try:
            await close_adapter(runner, CloseCode.GOING_AWAY, reason)
        except Exception as error:  # noqa: BLE001 - it has failed for another reason already
            logger.debug("closing a connection that failed to start failed: %s", error)
            return error
    return None


async def close_adapter(runner: Runner, code: int, reason: str) -> bool:
    """Have the adapter close; True. Raises what it raises."""
    told: Attributes = {"websocket.close.code": int(code), "websocket.close.reason": reason}
    with runner.spans.adapter("close", told):
        await runner.adapter.close(int(code), reason)
    return True
