"""Requests that came: decode them, run their handlers, answer."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import trio

from wirecore import errors
from wirecore._backend import default

from .._failing import cut_off, failure_text
from .._handlers import Mode
from ._service import Method

if TYPE_CHECKING:
    from wirecore_py.jobs import Job, Run

    from .._dispatch import Workers
    from .._handler_scopes import HandlerScopes
    from ._channel import Channel
else:
    Run = default.jobs.Run

logger = logging.getLogger("wirecore.wsrpc")


#: A request as it came: method, call id, payload.
Request: TypeAlias = tuple[str, str, bytes]


class Around(Protocol):
    """What has its own around each handler."""

    def inline(self, handling: Handling, method: Method, request: Request) -> None:
        """Call ``handling.run_inline(method, request)``."""

    def job(self, handling: Handling, method: Method, request: Request, job: Job) -> Job:
        """What runs *job*, the handler's."""


class Handling:
    """The handlers of one channel's requests; see ``wirecore_py.jobs.Handlers``."""

    __slots__ = ("_channel", "_workers", "scopes")

    #: Who watches all handlers; for a while.
    _around: Around | None = None

    def __init__(self, channel: Channel, workers: Workers, scopes: HandlerScopes) -> None:
        self._channel = channel
        self._workers = workers
        #: The scopes that handlers run in.
        self.scopes = scopes

    def run_inline(self, method: Method, request: Request) -> None:
        """Run a handler that never blocks, here and now, and answer."""
        _, call_id, payload = request
        channel = self._channel
        try:
            argument = payload if method.request is None else _decode(method, payload)
            # In a context of its own: what one handler puts into a contextvar isn't the next one's.
            reply = contextvars.copy_context().run(method.handler, argument, channel)
            channel.reply(call_id, method.encode(reply))
        except Exception as error:  # noqa: BLE001 - whatever a user's handler or message raises
            self.fail(method, request, error)

    def start(self, method: Method, request: Request) -> bool:
        """Run a handler in a task or a thread; whether a task waits for its turn now."""
        job: Job = Run(self, method, request)
        if self._around is not None:
            job = self._around.job(self, method, request, job)
        return self._workers.start(job)

    def call(self, method: Method, request: Request) -> Awaitable[Any]:
        """See Handlers."""
        channel = self._channel
        argument = _decode(method, request[2])
        called: Awaitable[Any]
        if method.mode is Mode.THREAD:
            # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
            # from being left.
            called = trio.to_thread.run_sync(
                method.run_in_thread,
                argument,
                channel,
                abandon_on_cancel=True,
                limiter=channel.threads,  # type: ignore[arg-type]  # trio asks no more of it
            )
        else:
            called = method.handler(argument, channel)
        if self.scopes.needed:
            return self.scopes.within(called, partial(self._cut_off, method))
        return called

    def _cut_off(self, method: Method) -> errors.RpcError:
        seconds = self.scopes.timeout
        return cut_off(method.name, seconds, ended=self._channel.ended, logger=logger)

    def answer(self, method: Method, request: Request, reply: Any) -> None:
        """See Handlers."""
        self._channel.reply(request[1], method.encode(reply))

    def fail(self, method: Method, request: Request, error: Exception) -> None:
        """See Handlers."""
        channel = self._channel
        text = failure_text(error, method.name, ended=channel.ended, logger=logger)
        if text is not None:
            channel.reply_error(request[1], text)

    def ended(self, request: Request) -> None:
        """See Handlers."""
        self._channel.finished(request)

    def cancelled(self, request: Request) -> None:
        """See Handlers."""
        self.ended(request)


def _decode(method: Method, payload: bytes) -> Any:
    try:
        return method.decode(payload)
    except errors.InvalidMessage as error:
        raise errors.RpcError(f"the request can't be decoded: {error}") from error
