"""One request that came: decode it, run its handler, answer."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING, Any

import trio

from wirecore import errors

from .._failing import failure_text
from .._handlers import Mode
from ._service import Method

if TYPE_CHECKING:
    from ._channel import Channel

logger = logging.getLogger("wirecore.wsrpc")


class Request:
    """A request for a handler in a task or a thread; :meth:`run` is a job for workers."""

    __slots__ = ("_call_id", "_channel", "_method", "payload")

    def __init__(self, channel: Channel, method: Method, call_id: str, payload: bytes) -> None:
        self._channel = channel
        self._method = method
        self._call_id = call_id
        self.payload = payload

    async def run(self) -> None:
        """Run the handler in a task or a thread. Raises nothing but cancellation."""
        channel = self._channel
        scope = channel.scopes.open() if channel.scopes.needed else None
        try:
            if scope is None:
                reply = await self._run()
            else:
                with scope:
                    reply = await self._run()
                if scope.cancelled_caught:
                    raise errors.RpcError("the handler took too long")
            channel.reply(self._call_id, reply)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler or message raises
            _fail(channel, self._method, self._call_id, error)
        finally:
            channel.finished(self)
            if scope is not None:
                channel.scopes.left(scope)

    async def _run(self) -> bytes:
        method = self._method
        argument = _decode(method, self.payload)
        if method.mode is Mode.THREAD:
            # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
            # from being left.
            reply = await trio.to_thread.run_sync(
                method.run_in_thread,
                argument,
                self._channel,
                abandon_on_cancel=True,
                limiter=self._channel.threads,  # type: ignore[arg-type]  # trio asks no more of it
            )
        else:
            reply = await method.handler(argument, self._channel)
        return method.encode(reply)


def run_inline(channel: Channel, method: Method, call_id: str, payload: bytes) -> None:
    """Run a handler that never blocks, here and now, and answer."""
    try:
        argument = payload if method.request is None else _decode(method, payload)
        # In a context of its own: what one handler puts into a contextvar isn't the next one's.
        reply = contextvars.copy_context().run(method.handler, argument, channel)
        channel.reply(call_id, method.encode(reply))
    except Exception as error:  # noqa: BLE001 - whatever a user's handler or message raises
        _fail(channel, method, call_id, error)


def _decode(method: Method, payload: bytes) -> Any:
    try:
        return method.decode(payload)
    except errors.InvalidMessage as error:
        raise errors.RpcError(f"the request can't be decoded: {error}") from error


def _fail(channel: Channel, method: Method, call_id: str, error: Exception) -> None:
    text = failure_text(error, method.name, ended=channel.ended, logger=logger)
    if text is not None:
        channel.reply_error(call_id, text)
