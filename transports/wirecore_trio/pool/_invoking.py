"""One call that came: run its handler, and answer."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

import trio

from wirecore.errors import LocalError, RpcError
from wirecore.protocols.pool import Request

from .._failing import failure_text
from .._handlers import Mode
from ._context import running
from ._service import NOTHING, Method, Nothing

if TYPE_CHECKING:
    from .._dispatch import Threads
    from .._handler_scopes import HandlerScopes

logger = logging.getLogger("wirecore.pool")


class Replies(Protocol):
    """A connection, as the calls that came on it see it."""

    @property
    def peer(self) -> str:
        """Who calls, for logs and for handlers."""

    @property
    def connection(self) -> Any:
        """What handlers see of the connection: of the public API."""

    @property
    def ended(self) -> bool:
        """Whether the connection has ended."""

    @property
    def threads(self) -> Threads | trio.CapacityLimiter:
        """What bounds the handlers that run in threads."""

    @property
    def scopes(self) -> HandlerScopes:
        """The scopes that its handlers run in."""

    def reply(self, request: Request, value: Any, annotation: Any) -> None:
        """Send an answer, if there is still somebody to answer.

        Raises LocalError where *value* can't be sent; nothing was then, and an error can be.
        """

    def reply_error(self, request: Request, text: str) -> None:
        """Send an answer that is an error, if there is still somebody. Never raises."""

    def finished(self, invocation: Invocation) -> None:
        """One that was started is through."""


class Invocation:
    """A handler in a task or a thread; :meth:`run` is a job for workers.

    *size*: of the request in bytes, for who counts them.
    """

    __slots__ = ("_argument", "_method", "_replies", "_request", "size")

    def __init__(
        self, replies: Replies, method: Method, request: Request, argument: Any, size: int
    ) -> None:
        self._replies = replies
        self._method = method
        self._request = request
        self._argument = argument
        self.size = size

    async def run(self) -> None:
        """Run the handler and answer. Raises nothing but cancellation."""
        replies, method = self._replies, self._method
        scope = None
        running.set((method.name, replies))
        try:
            scope = replies.scopes.open() if replies.scopes.needed else None
            if scope is None:
                value = await self._run()
            else:
                with scope:
                    value = await self._run()
                if scope.cancelled_caught:
                    raise RpcError("the handler took too long")
            _answer(replies, method, self._request, value)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
            _fail(replies, method, self._request, error)
        finally:
            replies.finished(self)
            if scope is not None:
                replies.scopes.left(scope)

    async def _run(self) -> Any:
        method = self._method
        if method.mode is Mode.THREAD:
            # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
            # from being left.
            return await trio.to_thread.run_sync(
                method.run_in_thread,
                self._argument,
                abandon_on_cancel=True,
                limiter=self._replies.threads,  # type: ignore[arg-type]  # trio asks no more of it
            )
        return await method.handler(self._argument)


def run_inline(replies: Replies, method: Method, request: Request, argument: Any) -> None:
    """Run a handler that never blocks, here and now, and answer."""
    try:
        # In a context of its own: what one handler puts into a contextvar isn't the next one's.
        value = contextvars.copy_context().run(_call, replies, method, argument)
        _answer(replies, method, request, value)
    except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
        _fail(replies, method, request, error)


def _call(replies: Replies, method: Method, argument: Any) -> Any:
    running.set((method.name, replies))
    return method.handler(argument)


def _answer(replies: Replies, method: Method, request: Request, value: Any) -> None:
    """The handler returned *value*."""
    annotation = method.result
    if annotation is Any or annotation is Nothing:
        if value is None:
            value = NOTHING
            annotation = Nothing
        elif annotation is Nothing:
            raise method.wrong_result(value)
    try:
        replies.reply(request, value, annotation)
    except LocalError as error:
        if isinstance(value, Awaitable):
            raise method.wrong_result(value) from None
        # The original closes the connection, and so loses all other calls on it.
        logger.error(
            "the reply of %s (%s) can't be sent, and %s was told so: %s",
            method.name,
            method.where,
            replies.peer,
            error,
        )
        replies.reply_error(request, f"the reply of {method.name} can't be sent: {error}")


def _fail(replies: Replies, method: Method, request: Request, error: Exception) -> None:
    text = failure_text(error, method.name, ended=replies.ended, logger=logger)
    if text is not None:
        replies.reply_error(request, text)
