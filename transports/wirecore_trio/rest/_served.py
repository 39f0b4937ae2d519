"""A request that came: the exchange behind :class:`Incoming`, and the task that serves it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from wirecore.protocols.rest.happenings import Stream
from wirecore.protocols.rest.heads import Fields, RequestHead, ResponseHead

from ._exchange import Exchange
from ._incoming import Caller, Gone, Handler

if TYPE_CHECKING:
    from ._channel import Channel

logger = logging.getLogger("wirecore.rest")


class Served(Exchange):
    """A request, as who serves it sees it; see :class:`Incoming` for its methods.

    It is the job of a worker, too, once *handler* is set.
    """

    __slots__ = (
        "_callback",
        "_gone",
        "_on_drain",
        "answered",
        "connection",
        "handler",
        "head",
        "is_draining",
        "on_end",
    )

    def __init__(self, channel: Channel, stream: Stream, connection: Caller) -> None:
        super().__init__(channel)
        self._stream = stream
        self._gone: trio.Event | None = None
        self._callback: Callable[[], object] | None = None
        self._on_drain: Callable[[], object] | None = None
        self.connection = connection
        self.handler: Handler
        self.is_draining = False
        #: Is told when it was served.
        self.on_end: Callable[[Served], object]
        self.head: RequestHead = stream.request
        #: The status of the last answer; None before.
        self.answered: int | None = None

    # --- see Exchange -----------------------------------------------------------------------------

    def refused(self, error: Exception) -> Exception:
        """See Exchange."""
        return Gone(str(error))

    def lost(self, why: str, *, is_sent: bool) -> Exception:
        """See Exchange."""
        return Gone(why)

    def fail(self, error: Exception) -> None:
        """See Exchange."""
        super().fail(error)
        if self._gone is not None:
            self._gone.set()
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    # --- see Incoming -----------------------------------------------------------------------------

    async def respond(
        self,
        status: int,
        fields: Fields,
        data: bytes = b"",
        *,
        end: bool = False,
        trailers: Fields = (),
    ) -> None:
        """See Incoming."""
        channel, stream = self._channel, self._stream
        await channel.drained()
        self._check()
        head = ResponseHead(status, fields)
        size = len(data)
        whole = size <= stream.room
        channel.respond(
            stream,
            head,
            data if whole else b"",
            end=end and whole,
            trailers=trailers if whole else (),
        )
        self.answered = status
        if whole:
            await trio.lowlevel.checkpoint()
        else:
            await self.send_body(data, end=end, trailers=trailers)

    async def send(self, data: bytes, *, end: bool = False, trailers: Fields = ()) -> None:
        """See Incoming."""
        self._check()
        await self.send_body(data, end=end, trailers=trailers)
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._stream.over and not self._stream.sent_end:
            raise Gone

    def reset(self, why: str) -> None:
        """See Incoming."""
        self.give_up(why)

    async def wait_gone(self) -> None:
        """See Incoming."""
        if self.error is None:
            if self._gone is None:
                self._gone = trio.Event()
            await self._gone.wait()
        await trio.lowlevel.checkpoint()

    def on_gone(self, callback: Callable[[], object]) -> None:
        """See Incoming."""
        if self.error is None:
            self._callback = callback
        else:
            callback()

    def on_drain(self, callback: Callable[[], object]) -> None:
        """See Incoming."""
        if self.is_draining:
            callback()
        else:
            self._on_drain = callback

    def drain(self) -> None:
        """Its connection waits for its end."""
        self.is_draining = True
        callback, self._on_drain = self._on_drain, None
        if callback is not None:
            callback()

    async def run(self) -> None:
        """Serve it. Raises nothing but cancellation."""
        try:
            await self.handler(self)
        except Exception:
            logger.exception("a handler of requests failed")
        finally:
            if not self._stream.sent_end:
                self.give_up("the request wasn't served to its end")
            self._keep(0)
            self._pieces.clear()
            self._callback = self._on_drain = None
            self.on_end(self)


class Backlog:
    """Requests that wait for an application, on a connection that has none yet."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: dict[Served, trio.CancelScope] = {}

    def add(self, request: Served) -> None:
        """*request* came; somebody is to :meth:`wait` with it."""
        scope = self._requests[request] = trio.CancelScope()
        request.on_gone(scope.cancel)

    async def wait(self, request: Served, seconds: float | None) -> None:
        """Give *request* up when none takes it in time."""
        scope = self._requests.get(request)
        if scope is not None:  # else it was taken already
            with scope:
                await trio.sleep(math.inf if seconds is None else seconds)
        if self._requests.pop(request, None) is not None:
            request.give_up("no application serves here")

    def take(self) -> list[Served]:
        """Those that nobody gave up, and that aren't here any more."""
        requests, self._requests = self._requests, {}
        for scope in requests.values():
            scope.cancel()
        return [request for request in requests if request.error is None]
