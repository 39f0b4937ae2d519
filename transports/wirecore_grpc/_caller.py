"""Calling over gRPC with the stubs of wsrpc."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeAlias

import grpc
import grpc.aio
import trio

from wirecore import errors
from wirecore.session.limits import check_at_least
from wirecore_trio._arguments import require_seconds, require_type
from wirecore_trio._errors import require_trio
from wirecore_trio.wsrpc import Caller, NotConnected
from wirecore_trio.wsrpc._peer import check_call

from ._errors import channel_closed, error_of

#: A channel of grpcio, made by either of its APIs.
GrpcChannel: TypeAlias = grpc.Channel | grpc.aio.Channel


class GrpcCaller(Caller):
    """Calls the methods of *service*, its full name, over *channel*: ``SStub(GrpcCaller(...))``.

    On trio the channel is a plain ``grpc.Channel``, whose calls trio waits for without a thread
    each. A ``grpc.aio.Channel`` is called from its own loop, where the stub is awaited as anything
    is; from trio too, in another thread, given that *loop* (the one that runs where the caller is
    made, if it isn't said).

    *call_timeout*: seconds for a call, which the server is told too; None: no bound.
    *metadata* goes with each call. *wait_for_ready*: wait for a connection, where a call would
    fail because there is none. The channel stays its owner's to close.

    Raises TypeError for arguments of a wrong type, InvalidOption for a *call_timeout* below 0.
    """

    __slots__ = ("_channel", "_loop", "_methods", "_options", "_service")

    def __init__(
        self,
        channel: GrpcChannel,
        service: str,
        *,
        call_timeout: float | None = 60.0,
        metadata: Sequence[tuple[str, str | bytes]] = (),
        wait_for_ready: bool | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        require_type("channel", channel, (grpc.Channel, grpc.aio.Channel))
        require_type("service", service, str)
        require_seconds("call_timeout", call_timeout)
        if call_timeout is not None:
            check_at_least("call_timeout", call_timeout, 0)
        if loop is None and isinstance(channel, grpc.aio.Channel):
            loop = _running_loop()
        self._channel = channel
        self._service = service
        self._loop = loop
        self._methods: dict[str, Any] = {}
        self._options = {
            "timeout": call_timeout,
            "metadata": tuple(metadata) or None,
            "wait_for_ready": wait_for_ready,
        }

    def __repr__(self) -> str:
        return f"<GrpcCaller of {self._service}>"

    async def call(self, method: str, payload: bytes) -> bytes:
        """Call *method* with an encoded request; the encoded reply.

        Cancelled, it cancels the call at the server too.
        Raises GrpcStatus, an RpcError with a code, for what the server answered
        (GrpcUnknownMethod, GrpcOverloaded); NotConnected, CallLost; CallTimeout; TypeError where
        the payload isn't bytes; InvalidState for an aio channel whose loop isn't known.
        """
        check_call(method, payload)
        if isinstance(self._channel, grpc.aio.Channel):
            if _running_loop() is None:
                return await self._from_trio(method, bytes(payload))
            return await self._on_loop(method, bytes(payload))
        require_trio()
        with _channel_open():
            future = self._method(method).future(bytes(payload), **self._options)
        await _done(future)
        try:
            reply: bytes = future.result()
        except grpc.RpcError as error:
            raise error_of(future.code(), future.details()) from error
        except grpc.FutureCancelledError as error:
            # By nobody here: who is cancelled doesn't come so far.
            raise channel_closed() from error
        return reply

    def _method(self, method: str) -> Any:
        found = self._methods.get(method)
        if found is None:
            # Bytes in and out: the stub codes its messages.
            found = self._channel.unary_unary(f"/{self._service}/{method}")
            self._methods[method] = found
        return found

    async def _on_loop(self, method: str, payload: bytes) -> bytes:
        """The call on the aio channel's own loop."""
        with _channel_open():
            call = self._method(method)(payload, **self._options)
        try:
            reply: bytes = await call
        except grpc.aio.AioRpcError as error:
            raise error_of(error.code(), error.details()) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise channel_closed() from None
        return reply

    async def _from_trio(self, method: str, payload: bytes) -> bytes:
        """The call on the aio channel's loop, which is another thread's."""
        require_trio()
        if self._loop is None:
            raise errors.InvalidState(
                "a channel of grpc.aio belongs to its asyncio loop: give that as loop=, or use a "
                "plain grpc.Channel (grpc.insecure_channel) on trio"
            )
        calling = self._on_loop(method, payload)
        try:
            future = asyncio.run_coroutine_threadsafe(calling, self._loop)
        except RuntimeError as error:
            calling.close()
            raise NotConnected("the loop of the aio channel has ended") from error
        await _done(future)
        return future.result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@contextmanager
def _channel_open() -> Iterator[None]:
    """Raise NotConnected in place of what gRPC raises for a channel that was closed."""
    try:
        yield
    except (grpc.aio.UsageError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith("Cannot invoke RPC"):
            raise
        raise NotConnected("this program closed the channel") from error


class _Waited(Protocol):
    """A future of gRPC's or of concurrent.futures, which other threads complete."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> object: ...

    def cancel(self) -> object: ...


async def _done(future: _Waited) -> None:
    """Wait on trio until *future* is done; cancelled, cancel it and don't wait."""
    task = trio.lowlevel.current_task()
    token = trio.lowlevel.current_trio_token()
    waiting = True

    def wake() -> None:
        nonlocal waiting
        if waiting:
            waiting = False
            trio.lowlevel.reschedule(task)

    def tell(_: object) -> None:
        with suppress(trio.RunFinishedError):  # nobody waits any more
            token.run_sync_soon(wake)

    def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        nonlocal waiting
        waiting = False
        future.cancel()
        return trio.lowlevel.Abort.SUCCEEDED

    future.add_done_callback(tell)
    await trio.lowlevel.wait_task_rescheduled(abort)
