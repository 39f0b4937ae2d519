"""From an asyncio loop to a trio run in another thread: handlers run there, whoever asks.

All handlers of a program that serves wsrpc and gRPC belong into one trio run: their events, locks
and channels are that run's. So gRPC's loop has a thread of its own, and each call crosses over
and back. (trio's guest mode would put both into one thread, and hand each wait for I/O to a helper
thread all the same; and it can't be had where trio runs the program already.)
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import trio

from wirecore import errors
from wirecore.session.limits import check_at_least
from wirecore_trio._arguments import require_int, require_seconds
from wirecore_trio._dispatch import DEFAULT_THREADS, Workers
from wirecore_trio._handlers import Mode
from wirecore_trio.wsrpc._service import Method
from wirecore_trio.wsrpc._texts import overloaded_text, stopping_text

from ._errors import status_of
from ._peer import GrpcPeer

logger = logging.getLogger("wirecore.grpc")

#: All of a bridge's threads are one peer's, in the words of Workers.
_EVERYBODY: Final = b"grpc"

#: Bytes of an error's text: gRPC takes 16 KiB of headers, escaped, and tells something else beyond.
_LONGEST_TEXT: Final = 4096


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may run at once, and for how long; see :class:`~wirecore_grpc.Server`.

    Raises TypeError and InvalidOption for values that make no sense.
    """

    max_handlers: int = 4096
    max_threads: int = DEFAULT_THREADS
    handler_timeout: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_handlers", "max_threads"):
            require_int(name, getattr(self, name))
            check_at_least(name, getattr(self, name), 1)
        require_seconds("handler_timeout", self.handler_timeout)
        if self.handler_timeout is not None:
            check_at_least("handler_timeout", self.handler_timeout, 0)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call's outcome where it isn't a reply: the status and its text."""

    code: grpc.StatusCode
    text: str


def _stopped() -> Failure:
    return Failure(grpc.StatusCode.UNAVAILABLE, stopping_text())


def _cut() -> Failure:
    return Failure(grpc.StatusCode.UNAVAILABLE, "this end is stopping, and cancelled the handler")


class Bridge:
    """Runs handlers in the trio run that makes it, as tasks of *nursery*."""

    def __init__(self, nursery: trio.Nursery, bounds: Bounds) -> None:
        self.bounds = bounds
        self._token = trio.lowlevel.current_trio_token()
        self._workers = Workers(nursery, threads=bounds.max_threads)
        self.threads = self._workers.threads_of(_EVERYBODY)
        self._running: set[_Call] = set()
        self._closed = False

    def close(self) -> None:
        """Take no more calls, as the nursery won't. In trio's thread."""
        self._closed = True

    async def run(self, method: Method, request: Any, peer: GrpcPeer) -> Any:
        """The reply of *method*'s handler, or a Failure. Awaited on an asyncio loop.

        Cancelled, it cancels the handler and doesn't wait for its end.
        """
        loop = asyncio.get_running_loop()
        call = _Call(self, method, request, peer, loop.create_future())
        if not self._soon(self._start, call):
            return _stopped()
        try:
            return await call.outcome
        except asyncio.CancelledError:
            self._soon(call.cancel)
            raise

    def _soon(self, function: Callable[..., object], *arguments: object) -> bool:
        """Have *function* called in trio's thread; False where its run is over."""
        try:
            self._token.run_sync_soon(function, *arguments)
        except trio.RunFinishedError:
            return False
        return True

    def _start(self, call: _Call) -> None:
        bound = self.bounds.max_handlers
        if self._closed:
            call.settle(_stopped())
        elif len(self._running) >= bound:
            text = overloaded_text("max_handlers", bound)
            call.settle(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
        else:
            self._running.add(call)
            self._workers.start(call.run())

    def finished(self, call: _Call) -> None:
        """*call*'s handler has ended."""
        self._running.discard(call)


class _Call:
    """One run of a handler, whose outcome an asyncio future gets. :meth:`run` is for workers."""

    __slots__ = ("_bridge", "_method", "_peer", "_request", "_scope", "outcome")

    def __init__(
        self,
        bridge: Bridge,
        method: Method,
        request: Any,
        peer: GrpcPeer,
        outcome: asyncio.Future[Any],
    ) -> None:
        self._bridge = bridge
        self._method = method
        self._request = request
        self._peer = peer
        self._scope = trio.CancelScope()
        self.outcome = outcome

    def cancel(self) -> None:
        """Cancel the handler, in trio's thread."""
        self._scope.cancel()

    async def run(self) -> None:
        """Run the handler. Raises nothing but cancellation."""
        outcome: Any = _cut()
        timeout = self._bridge.bounds.handler_timeout
        self._scope.deadline = trio.current_time() + (math.inf if timeout is None else timeout)
        try:
            with self._scope:
                outcome = await self._handle()
            if self._scope.cancelled_caught:
                # Much as wsrpc has it; where the client has gone, nobody hears it.
                raise errors.RpcError(f"the handler took longer than handler_timeout, {timeout} s")
        except Exception as error:  # noqa: BLE001 - whatever a user's handler or message raises
            outcome = self._failure(error)
        finally:
            self._bridge.finished(self)
            self.settle(outcome)

    async def _handle(self) -> Any:
        method = self._method
        if method.mode is Mode.THREAD:
            # A thread of trio's, as under wsrpc: trio.from_thread works in it. Abandoned where
            # it is cancelled: one that blocks for ever would keep a server from being left.
            reply = await trio.to_thread.run_sync(
                method.run_in_thread,
                self._request,
                self._peer,
                abandon_on_cancel=True,
                limiter=self._bridge.threads,  # type: ignore[arg-type]  # trio asks no more of it
            )
        else:
            reply = method.handler(self._request, self._peer)
            if method.mode is Mode.TASK:
                reply = await reply
        if method.response is not None and not isinstance(reply, method.response):
            raise method.wrong_reply(reply)
        # gRPC encodes it later, where an error's text would reach the client.
        initialized = getattr(reply, "IsInitialized", None)
        if initialized is not None and not initialized():
            reply.SerializeToString()  # raises, and names the fields that are missing
        return reply

    def _failure(self, error: Exception) -> Failure:
        """Only what was raised on purpose reaches the client; the rest is for the log."""
        if isinstance(error, errors.RpcError) and isinstance(getattr(error, "text", None), str):
            return Failure(status_of(error), _sendable(error.text))
        number = uuid.uuid4()
        logger.error(
            "the handler of %s failed; the client was told: internal error %s",
            self._method.name,
            number,
            exc_info=error,
        )
        return Failure(grpc.StatusCode.INTERNAL, f"internal error {number}")

    def settle(self, outcome: Any) -> None:
        """Hand *outcome* to who waits for it, on the loop that it waits on."""
        try:
            self.outcome.get_loop().call_soon_threadsafe(_settle, self.outcome, outcome)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            logger.debug("the loop of a call of %s has ended", self._method.name)


def _sendable(text: str) -> str:
    """*text* as gRPC takes it: UTF-8, and short enough for a header, of which 16 KiB are taken."""
    return text.encode("utf-8", "replace")[:_LONGEST_TEXT].decode("utf-8", "ignore")


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)
