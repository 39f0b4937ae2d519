"""The trio side of the example: await calls, and serve methods that are called."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import trio
from session import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Answer,
    Entry,
    Fault,
    JsonRpc,
    Params,
    Received,
    Request,
)

import wirecore
from wirecore_trio import CallLost, NotConnected, Opened, Owner, Running

logger = logging.getLogger("jsonrpc2")

#: A method: it is called with the peer that asks, and the params, by position or by name.
Method: TypeAlias = Callable[..., Awaitable[Any]]

#: The answer to what is asked while the server stops.
STOPPING = Fault(-32001, "Server is stopping")


def make_session(opened: Opened) -> JsonRpc:
    """The session of a new connection."""
    return JsonRpc(opened.connection())


class Waiting(wirecore.Call):
    """A call, and the task that waits for its outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.done = trio.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def finish(self, result: Any, error: Exception | None) -> None:
        """The outcome is there."""
        self.result, self.error = result, error
        self.done.set()


class Peer(Owner[Received]):
    """The other end of a JSON-RPC connection. *methods*: what it may call here, by name."""

    def __init__(self, running: Running[JsonRpc], methods: Mapping[str, Method]) -> None:
        self.running = running
        self._session = running.session
        self._methods = methods

    # --- calling ------------------------------------------------------------------------------

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call *method* with params by position or by name, and wait for its result.

        Raises Fault where the peer answers with one, CallLost where the connection breaks
        (NotConnected where it has before). Cancelled, it forgets the call: the peer isn't told.
        """
        await self.running.drained()
        waiting = Waiting()
        self._queue([(waiting, method, _params(args, kwargs))], batch=False)
        try:
            await waiting.done.wait()
        finally:
            self._session.forget(waiting)
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    async def notify(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Call *method*, and want no answer."""
        await self.running.drained()
        self._queue([(None, method, _params(args, kwargs))], batch=False)

    async def batch(self, *calls: tuple[str, Params]) -> list[Any]:
        """Call several methods at once; their results in order, a Fault in the place of some."""
        await self.running.drained()
        waiting = [Waiting() for _ in calls]
        entries: list[Entry] = [
            (one, method, params) for one, (method, params) in zip(waiting, calls, strict=True)
        ]
        self._queue(entries, batch=True)
        try:
            for one in waiting:
                await one.done.wait()
        finally:
            for one in waiting:
                self._session.forget(one)
        for one in waiting:
            if one.error is not None and not isinstance(one.error, Fault):
                raise one.error
        return [one.result if one.error is None else one.error for one in waiting]

    def _queue(self, entries: list[Entry], *, batch: bool) -> None:
        if self.running.ended:
            raise NotConnected("the connection has ended")
        try:
            self._session.call_batch(entries, trio.current_time(), batch=batch)
        except wirecore.NotConnected as error:
            raise NotConnected("the connection is being closed") from error
        self.running.write()

    # --- what the session's transport tells: see Owner ------------------------------------------

    def received(self, happened: Received) -> None:
        """Wake who waits, and begin what was asked for."""
        for item in happened:
            if isinstance(item, Answer):
                if isinstance(item.call, Waiting):
                    item.call.finish(item.result, item.fault)
            elif self.running.draining:
                self._session.reply_fault(item, STOPPING)
            elif item.method not in self._methods:
                self._session.reply_fault(item, Fault(METHOD_NOT_FOUND))
            else:
                self.running.start_soon(self._handle, item)

    def on_finish(self) -> None:
        """No answer will come any more."""
        self._end_calls()

    def on_end(self, error: BaseException | None) -> None:
        """The connection is gone; requests that are being handled go on to their end."""
        self._end_calls()

    def _end_calls(self) -> None:
        why = f"the connection was lost: {self._session.closed_error()}"
        for call, execution in self._session.lost():
            if isinstance(call, Waiting):
                call.finish(None, CallLost(why, execution=execution))

    # --- serving ------------------------------------------------------------------------------

    async def _handle(self, request: Request) -> None:
        try:
            try:
                result = await self._run(request)
                await self.running.drained()  # else who reads nothing would have all be kept here
                self._session.reply(request, result)
            except Fault as fault:
                self._session.reply_fault(request, fault)  # raises where its data aren't JSON
        except Exception:
            logger.exception("%s failed; the peer is told of an internal error", request.method)
            self._session.reply_fault(request, Fault(INTERNAL_ERROR))
        finally:
            self.running.write()

    async def _run(self, request: Request) -> Any:
        method = self._methods[request.method]
        args = request.params if isinstance(request.params, list) else []
        kwargs = request.params if isinstance(request.params, dict) else {}
        try:
            inspect.signature(method).bind(self, *args, **kwargs)
        except TypeError as error:
            raise Fault(INVALID_PARAMS, data=str(error)) from error
        return await method(self, *args, **kwargs)


def _params(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Params:
    if args and kwargs:
        raise TypeError("params go by position or by name, not both (section 4.2)")
    return list(args) or kwargs or None
