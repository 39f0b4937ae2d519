"""One call of an application that runs on trio, by a server on asyncio: what crosses, both ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from .._crossing import Crossing, CutOff
from ._hints import with_hints
from ._incoming import Gone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from .._bridge import AsyncioSide, TrioSide
    from ._asgi_types import App, Message, Receive, Scope, Send

#: Bytes that may be ahead of who takes them, in each direction; the last message may go beyond.
_AHEAD: Final = 128 * 1024

_OVER: Final = "the call that this belongs to is over"
_LAST_KINDS: Final = frozenset({"http.disconnect", "websocket.disconnect"})


class TrioCall:
    """A call of *app*, which runs in the run of *there*, by who awaits :meth:`run` on asyncio.

    *home*: the server's loop. *receive*, *send*: as the server gave them.

    To cross costs a wakeup, and so messages are left where the other thread finds them, which is
    woken once for as many as are there. A request crosses with as much of its body as has come;
    what comes then, or that the caller goes, is told without being asked for. Either thread may be
    ahead of the other by so many bytes, and then waits for it.
    """

    # What isn't said to be of one thread is written by one, and read by the other: each looks at
    # what it waits for once more when it has said that it waits.

    __slots__ = (
        "_app",
        "_cancelled",
        "_crossing",
        "_error",
        "_fetching",
        "_gone",
        "_home",
        "_is_awake",
        "_is_told",
        "_on_gone",
        "_outgoing",
        "_passed",
        "_readers",
        "_reading",
        "_receive",
        "_received",
        "_room",
        "_send",
        "_senders",
        "_sending",
        "_sent",
        "_taken",
        "_there",
        "_waiting",
    )

    def __init__(
        self, there: TrioSide, home: AsyncioSide, app: App, receive: Receive, send: Send
    ) -> None:
        self._there = there
        self._home = home
        self._app = app
        self._receive = receive
        self._send = send
        self._crossing: Crossing[None]
        # What came of the server: messages, and what its receive raised.
        self._received: deque[Message | BaseException] = deque()
        self._taken = 0  # in bytes; written on trio
        # What goes to it, in bytes; those that it has taken are counted on asyncio.
        self._outgoing: deque[Message] = deque()
        self._sent = 0
        self._passed = 0
        # On asyncio: who asks the server for more; whether the caller has gone; what is left of the
        # room for what comes, but for what was taken; run, which waits; and what ended it.
        self._fetching: asyncio.Task[Message] | None = None
        self._gone = False
        self._room = _AHEAD
        self._waiting: asyncio.Future[None] | None = None
        self._cancelled: asyncio.CancelledError | None = None
        #: Whether run looks, or will look, at what there is.
        self._is_awake = True
        #: What the server's send raised, and whether the application was told.
        self._error: BaseException | None = None
        self._is_told = False
        # On trio: who waits, and how many.
        self._reading = trio.lowlevel.ParkingLot()
        self._readers = 0
        self._sending = trio.lowlevel.ParkingLot()
        self._senders = 0
        self._on_gone: Callable[[], object] | None = None

    # --- on asyncio -----------------------------------------------------------------------------

    async def run(self, scope: Scope) -> None:
        """Call the application with *scope*, and wait for its end.

        Raises what it raises, CutOff where trio's run ends before, and what the server's ``send``
        raised where the application ended without being told.
        """
        import asyncio

        if scope["type"] == "http":
            scope = with_hints(scope, self)
        crossing = self._crossing = Crossing(partial(self._call, scope), self._wake)
        try:
            if not _waits_for_100(scope):
                self._fetch()
                await asyncio.sleep(0)  # what is there goes with the call
                self._fetched_already()
            self._there.start(crossing)
            await self._carry_on(crossing)
        finally:
            if self._fetching is not None:
                self._fetching.cancel()
        if self._cancelled is not None:
            if not crossing.returned:
                with suppress(CutOff):
                    crossing.result()
            raise self._cancelled
        crossing.result()
        if self._error is not None and not self._is_told:
            raise self._error

    async def _carry_on(self, crossing: Crossing[None]) -> None:
        """Pass on what the application sends, up to its end."""
        import asyncio

        while True:
            # In this order: what it sent before its end is there when that is seen.
            self._is_awake = False
            is_over = crossing.over
            try:
                await self._pass_on()
                if is_over:
                    return
                waiting = self._waiting = self._home.loop.create_future()
                if not self._is_awake:
                    await waiting
            except asyncio.CancelledError as error:
                if self._cancelled is None:
                    self._cancelled = error
                    self._there.cancel(crossing)
                    self._fail(Gone(_OVER))
            finally:
                self._waiting = None

    async def _pass_on(self) -> None:
        outgoing = self._outgoing
        while outgoing and self._error is None:
            message = outgoing.popleft()
            try:
                await self._send(message)
            except Exception as error:  # noqa: BLE001 - raised to who sends
                self._fail(error)
                return
            self._passed += _size(message)
            if self._senders:
                self._there.tell(self._sending.unpark_all)

    def _fail(self, error: BaseException) -> None:
        """Nothing reaches the server any more."""
        self._error = error
        self._there.tell(self._sending.unpark_all)

    def _awaken(self) -> None:
        self._is_awake = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _fetch(self) -> None:
        """Ask the server for a message."""
        self._fetching = self._home.loop.create_task(self._next())
        self._fetching.add_done_callback(self._fetched)

    def _next(self) -> Coroutine[Any, Any, Message]:
        # What ASGI says is awaitable needn't be a coroutine, but servers have nothing else.
        receiving: Coroutine[Any, Any, Message] = self._receive()  # type: ignore[assignment]
        return receiving

    def _fetched_already(self) -> None:
        fetching = self._fetching
        if fetching is not None and fetching.done():
            self._take(fetching)

    def _fetched(self, fetching: asyncio.Task[Message]) -> None:
        if fetching is not self._fetching:
            return  # it was there already
        self._take(fetching)
        if self._readers or (self._gone and self._on_gone is not None):
            self._there.tell(self._arrived)

    def _take(self, fetching: asyncio.Task[Message]) -> None:
        self._fetching = None
        if fetching.cancelled():
            self._received.append(CutOff(_OVER))
            return
        error = fetching.exception()
        if error is not None:
            self._received.append(error)
            return
        message = fetching.result()
        self._room -= _size(message)
        self._received.append(message)
        if message["type"] in _LAST_KINDS:
            self._gone = True
        elif self._room + self._taken > 0:
            self._fetch()

    def _fetch_more(self) -> None:
        """The application waits for more."""
        if self._fetching is None and not self._received and not self._crossing.over:
            self._fetch()

    # --- on trio --------------------------------------------------------------------------------

    async def _call(self, scope: Scope) -> None:
        await self._app(scope, self.receive, self.send)

    def _wake(self) -> None:
        """Have run look at what there is."""
        if not self._is_awake:
            self._is_awake = True
            self._home.tell(self._awaken)

    async def receive(self) -> Message:
        """What ASGI calls receive."""
        received = self._received
        if received:
            await trio.lowlevel.checkpoint()
        while not received:
            self._readers += 1
            try:
                if not received:
                    if self._fetching is None:
                        self._home.tell(self._fetch_more)
                    await self._reading.park()
            finally:
                self._readers -= 1
        message = received.popleft()
        if isinstance(message, BaseException):
            raise message
        self._taken += _size(message)
        return message

    def _arrived(self) -> None:
        self._reading.unpark_all()
        if self._gone and self._on_gone is not None:
            callback, self._on_gone = self._on_gone, None
            callback()

    async def send(self, message: Message) -> None:
        """What ASGI calls send. It returns once there is room for more, where more may follow."""
        self._check()
        self._outgoing.append(message)
        self._sent += _size(message)
        self._wake()
        if not message.get("more_body", message["type"] == "websocket.send"):
            return
        while self._is_full:
            self._senders += 1
            try:
                if self._is_full:
                    await self._sending.park()
            finally:
                self._senders -= 1
            self._check()

    @property
    def _is_full(self) -> bool:
        return self._sent - self._passed >= _AHEAD and self._error is None

    def _check(self) -> None:
        if self._error is not None:
            self._is_told = True
            raise self._error

    # --- hints, see there -----------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """See Hints."""
        if not self._received:
            return False
        message = self._received[0]
        return (
            not isinstance(message, BaseException)
            and message["type"] == "http.request"
            and not message.get("more_body", False)
        )

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """See Hints."""
        self._on_gone = callback
        if callback is not None and self._gone:
            self._on_gone = None
            callback()


def _size(message: Message) -> int:
    data = message.get("body") or message.get("bytes") or message.get("text")
    return len(data) if data else 0


def _waits_for_100(scope: Scope) -> bool:
    """Whether the caller sends its body once it is told to: the server does when it is asked."""
    if scope["type"] == "http":
        for name, _ in scope["headers"]:
            if name == b"expect":
                return True
    return False
