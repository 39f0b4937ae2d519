"""Calls that came: run their handlers, and answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import trio

from wirecore._backend import default
from wirecore.errors import LocalError, RpcError
from wirecore.protocols.pool import Incoming, Request

from .._failing import cut_off, failure_text
from .._handlers import Mode
from ._context import running
from ._service import NOTHING, Method, Nothing

if TYPE_CHECKING:
    from wirecore_py.jobs import Job, Run
    from wirecore_py.pool_invoking import Invoker

    from .._dispatch import Threads
    from .._handler_scopes import HandlerScopes

else:
    Run = default.jobs.Run
    Invoker = default.pool_invoking.Invoker

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

    def finished(self, incoming: Incoming) -> None:
        """One that was started in a task or a thread is through."""


class Around(Protocol):
    """What has its own around each handler."""

    def inline(self, invoking: Invoking, incoming: Incoming) -> None:
        """Call ``invoking.run_inline(incoming)``."""

    def job(self, invoking: Invoking, incoming: Incoming, job: Job) -> Job:
        """What runs *job*, the handler's."""


class Invoking(Invoker):
    """The handlers of the calls that came on a connection; see ``wirecore_py.jobs.Handlers``.

    The target of each call is a Method.
    """

    __slots__ = ()

    #: Who watches all handlers; for a while.
    _around: Around | None = None

    _replies: Replies

    def __init__(self, replies: Replies) -> None:
        super().__init__(replies, running, Mode.INLINE, (Nothing, NOTHING))

    def job(self, incoming: Incoming) -> Job:
        """A job that runs a handler in a task or a thread, and answers."""
        job: Job = Run(self, incoming.target, incoming)
        return job if self._around is None else self._around.job(self, incoming, job)

    def call(self, method: Method, incoming: Incoming) -> Awaitable[Any]:
        """See Handlers."""
        replies = self._replies
        called: Awaitable[Any]
        if method.mode is Mode.THREAD:
            running.set((method.name, replies))
            # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
            # from being left.
            called = trio.to_thread.run_sync(
                method.run_in_thread,
                incoming.argument,
                abandon_on_cancel=True,
                limiter=replies.threads,  # type: ignore[arg-type]  # trio asks no more of it
            )
        else:
            called = self._call(method, incoming.argument)
        if replies.scopes.needed:
            return replies.scopes.within(called, partial(self._cut_off, method))
        return called

    def _cut_off(self, method: Method) -> RpcError:
        replies = self._replies
        return cut_off(method.name, replies.scopes.timeout, ended=replies.ended, logger=logger)

    def _unsendable(
        self, method: Method, incoming: Incoming, value: Any, error: LocalError
    ) -> None:
        if isinstance(value, Awaitable):
            raise method.wrong_result(value) from None
        # The original closes the connection, and so loses all other calls on it.
        replies = self._replies
        logger.error(
            "the reply of %s (%s) can't be sent, and %s was told so: %s",
            method.name,
            method.where,
            replies.peer,
            error,
        )
        text = f"the reply of {method.name} can't be sent: {error}"
        replies.reply_error(incoming.request, text)

    def fail(self, method: Method, incoming: Incoming, error: Exception) -> None:
        """See Handlers."""
        replies = self._replies
        text = failure_text(error, method.name, ended=replies.ended, logger=logger)
        if text is not None:
            replies.reply_error(incoming.request, text)

    def ended(self, incoming: Incoming) -> None:
        """See Handlers."""
        self._replies.finished(incoming)

    def cancelled(self, incoming: Incoming) -> None:
        """See Handlers."""
        self.ended(incoming)
