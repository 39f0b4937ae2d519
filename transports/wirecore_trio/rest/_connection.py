"""One connection, as its users see it at either end: calling over it, and serving on it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.events import Ping, Pong
from wirecore.protocols.rest import frames
from wirecore.protocols.rest.happenings import Stream

from .._arguments import require_type
from .._dispatch import Workers
from .._errors import NotConnected
from ._incoming import Handler
from ._requesting import Requesting
from ._served import Backlog, Served

if TYPE_CHECKING:
    from wirecore.websocket import Request as HttpRequest

    from ._asgi_types import App
    from ._channel import Channel
    from ._options import Options

logger = logging.getLogger("wirecore.rest")

#: How many requests in a row are refused before the connection is closed, in ``max_streams``.
_MOST_REFUSALS: Final = 16

#: Gets the payload of a ping or a pong.
ControlHook: TypeAlias = Callable[["Connection", bytes], object]


class Connection(Requesting):
    """An open connection.

    *id*: what its server calls it. *metadata*: what its client said of itself. *remote_address*:
    who is there, for logs. *http_request*: the request that opened it, at a server; None at a
    client. *connected_at*: when it was opened, in trio's time. *multiplexed*: whether both ends are
    ours: then both may call, many requests at once. Else the peer may be the original, and one end
    calls, one request at a time: which one, the first request or :meth:`serve` decides.
    """

    def __init__(
        self,
        options: Options,
        workers: Workers,
        *,
        remote_address: str,
        host: bytes,
        scheme: bytes,
        metadata: Any = None,
        http_request: HttpRequest | None = None,
        on_ping: ControlHook | None = None,
        on_pong: ControlHook | None = None,
    ) -> None:
        self._options = options
        self._host = host
        self._scheme = scheme
        self._workers = workers
        self._channel: Channel
        self._on_ping = on_ping
        self._on_pong = on_pong
        self._handler: Handler | None = None
        self._backlog = Backlog()
        self._serving: set[Served] = set()
        self._pongs: dict[bytes, float | None] = {}
        self._refused = 0  # in a row
        self._peer_leaves = False
        self._draining = False
        self.id = ""
        self.metadata = metadata
        self.remote_address = remote_address
        self.http_request = http_request
        self.connected_at = trio.current_time()

    def __repr__(self) -> str:
        return f"<rest.Connection {self.id or 'without an id'} to {self.remote_address}>"

    @property
    def multiplexed(self) -> bool:
        """See the class."""
        return self._channel.session.multiplexed

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._channel.ended

    @property
    def error(self) -> Exception | None:
        """Why it has ended; None while it is open, and where this end has closed it."""
        return self._channel.error

    # --- serving --------------------------------------------------------------------------------

    def serve(
        self, app: App, *, root_path: str = "", state: Mapping[str, Any] | None = None
    ) -> None:
        """Answer the peer's requests with *app*, an application of ASGI 3.0, from now on.

        Those that came before wait for it. *root_path*, *state*: see :class:`AsgiHandler`. Of the
        application's lifespan :class:`Lifespan` takes care.

        Raises InvalidState where there is an application already, or where this end calls, on a
        connection with one direction; NotConnected where the connection has ended; TypeError.
        """
        from ._asgi import AsgiHandler

        most = self._options.max_message_size
        self._serve_with(AsgiHandler(app, root_path=root_path, state=state, max_message_size=most))

    def _serve_with(self, handler: Handler) -> None:
        if self._handler is not None:
            raise errors.InvalidState("an application serves on this connection already")
        if self._channel.ended:
            raise NotConnected(f"the connection to {self.remote_address} has ended")
        if not self.multiplexed:
            if not self._channel.undecided:
                raise errors.InvalidState(
                    "this end calls over this connection, which has one direction: the peer isn't "
                    "wirecore's"
                )
            self._handler = handler
            self._channel.serve_alone()
        self._handler = handler
        for request in self._backlog.take():
            self._start(request, handler)

    def _requested(self, channel: Channel, stream: Stream) -> None:
        """See the channel's Listener."""
        request = Served(channel, stream, self)
        if len(self._serving) >= 2 * self._options.max_streams:
            self._refuse(request)
            return
        self._refused = 0
        stream.owner = request
        if self._handler is not None:
            self._start(request, self._handler)
        else:
            self._backlog.add(request)
            channel.start_soon(self._backlog.wait, request, self._options.app_timeout)

    def _refuse(self, request: Served) -> None:
        """Too many are still being served of those whose caller has gone, or has its answer."""
        self._refused += 1
        if self._refused <= _MOST_REFUSALS * self._options.max_streams:
            request.give_up(frames.refusal("max_streams", "too many are still being served"))
        elif self._channel.session.open:
            logger.warning("%r asks on and on, and is closed", self)
            self._channel.close(CloseCode.POLICY_VIOLATION, "too many requests")

    def _start(self, request: Served, handler: Handler) -> None:
        request.handler = handler
        self._serving.add(request)
        request.on_end = self._served
        if self._draining:
            request.drain()
        if self._workers.start(request.run()):
            self._channel.woke()

    def _served(self, request: Served) -> None:
        self._serving.remove(request)
        if not self._serving:
            self._channel.tell_change()

    # --- calling, see Requesting ----------------------------------------------------------------

    async def _acquire(self, *, multiplexed: bool = False) -> Channel:
        channel = self._channel
        if multiplexed and not self.multiplexed:
            raise errors.InvalidState(
                "the peer isn't wirecore's: WebSockets pass between our own ends alone"
            )
        if channel.undecided:
            channel.call_alone()
        elif not self.multiplexed and self._handler is not None:
            raise errors.InvalidState(
                "this end serves on this connection, which has one direction: the peer isn't "
                "wirecore's"
            )
        if self._peer_leaves or not channel.session.open or channel.ended:
            # Who tries again and again mustn't stop the others.
            await trio.lowlevel.checkpoint()
            raise NotConnected(
                f"the connection to {self.remote_address} "
                f"{'has ended' if channel.ended else 'is about to end, and takes no more requests'}"
            )
        await channel.turn()
        return channel

    async def _reach(self) -> None:
        """See Requesting: it is there, or it never is again."""

    @property
    def leaving(self) -> bool:
        """Whether the peer takes no more requests, as it is about to leave."""
        return self._peer_leaves

    # --- pings ----------------------------------------------------------------------------------

    async def ping(self, data: bytes | None = None) -> float:
        """Send a ping, and wait for its answer; how long that took, in seconds.

        *data*: 1 to 125 bytes; None for random ones. The original answers only while it reads.
        Raises NotConnected where the connection ends before, InvalidOption for other data.
        """
        require_type("data", data, bytes, optional=True)
        if self._channel.ended:
            raise NotConnected(f"the connection to {self.remote_address} has ended")
        token = self._channel.ping(data)
        begun = trio.current_time()
        self._pongs[token] = None
        try:
            while self._pongs[token] is None:
                if self._channel.ended:
                    raise NotConnected(f"the connection to {self.remote_address} has ended")
                await self._channel.wait_for_change()
            answered = self._pongs[token]
        finally:
            del self._pongs[token]
        assert answered is not None
        return answered - begun

    def pong(self, data: bytes = b"") -> None:
        """Send a pong nobody asked for, or the answer to a ping that a hook was given."""
        self._channel.pong(data)

    def _control(self, event: Ping | Pong) -> bool:
        """A ping or pong came; whether it is seen to."""
        hook = self._on_ping if isinstance(event, Ping) else self._on_pong
        if isinstance(event, Pong) and event.payload in self._pongs:
            self._pongs[event.payload] = trio.current_time()
            self._channel.tell_change()
        if hook is None:
            return False
        try:
            hook(self, event.payload)
        except Exception:
            logger.exception("the hook for pings or pongs of %r failed", self)
        return True

    async def _run(self, leftover: bytes) -> None:
        await self._channel.run(leftover)

    # --- the end --------------------------------------------------------------------------------

    async def aclose(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Close it, and wait for its end. Requests under way, in both directions, are lost.

        With 1001 by default: towards an original that calls any other code has it dial again, or
        ends its process. Cancelled, it is closed at once. Idempotent.
        """
        try:
            self._channel.close(code, reason)
            await self._channel.wait_ended()
            await trio.lowlevel.checkpoint()
        finally:
            self._channel.abort()

    async def wait_closed(self) -> None:
        """Wait until it has ended."""
        await self._channel.wait_ended()
        await trio.lowlevel.checkpoint()

    def drain(self) -> None:
        """Take no more requests; close when those that run, in both directions, are answered.

        Applications that serve WebSockets are told that these end.
        """
        if not self._draining:
            self._draining = True
            self._channel.leave()
            for request in list(self._serving):
                request.drain()
            if not self._channel.ended:  # else its tasks may have ended, too
                self._channel.start_soon(self._close_in_order)

    async def _close_in_order(self) -> None:
        """Close it, once nothing is under way."""
        channel = self._channel
        channel.watched = True
        if self.multiplexed:
            # What the peer had sent before it heard comes before its pong.
            with trio.move_on_after(self._options.close_timeout), suppress(errors.WirecoreError):
                await self.ping()
        while (self._serving or channel.calling) and not channel.ended:
            await channel.wait_for_change()
        channel.close()

    def _leaving(self, channel: Channel) -> None:
        """See the channel's Listener."""
        self._peer_leaves = True


OnConnection: TypeAlias = Callable[[Connection], Awaitable[object]]
