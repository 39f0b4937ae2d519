"""Applications of ASGI that need asyncio, served from trio: they run on a loop of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import trio

from wirecore.session.limits import check_at_least

from .._arguments import require_async, require_callable, require_seconds, require_type
from .._asyncio_thread import AsyncioThread
from .._errors import require_trio
from ._incoming import Gone
from ._kept_thread import KeepsThread
from ._whole_lifespan import WholeLifespan

if TYPE_CHECKING:
    import asyncio

    from .._bridge import AsyncioSide, TrioSide
    from ..portal import AsyncioPortal
    from ._asgi_types import Message, Receive, Scope, Send

#: An application of ASGI 3.0, whatever it calls the types of what it takes, as Quart its own.
AnyApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


class AsyncioApp(KeepsThread):
    """*app*, which needs asyncio, as an application of ASGI that runs on trio.

        rest.Server(rest.AsyncioApp(quart_app))

    *app* runs on an asyncio loop in a thread of its own, and what it awaits of its server is
    carried out on trio: it gets each message and each exception, and is cancelled, as if it ran
    there. Scopes of all kinds pass, and what *app* raises arrives with its traceback.
    ``scope["state"]`` is the same object on both sides.

    The thread begins with the lifespan or the first call, and ends with the lifespan (this has one
    where *app* has none), at ``aclose`` or the end of an ``async with``, and at the latest with
    trio's run. *loop_factory*: makes the loop, as ``uvloop.new_event_loop``; by default asyncio
    does. *portal*: in a program on asyncio, *app* runs on the loop that this portal was opened on,
    in place of a thread. *patience*: seconds that *app* has to end when it is cancelled. asyncio
    cancels once: who ignores that is left behind, which is logged, and reaches its server no more.

    Calls raise what *app* raises, and InvalidState once it has shut down. Raises TypeError and
    InvalidOption for arguments that make no sense.
    """

    def __init__(
        self,
        app: AnyApp,
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        portal: AsyncioPortal | None = None,
        patience: float = 10.0,
    ) -> None:
        require_async("app", app, "scope", "receive", "send")
        if loop_factory is not None:
            require_callable("loop_factory", loop_factory)
        if portal is not None:
            from ..portal import AsyncioPortal

            require_type("portal", portal, AsyncioPortal)
            if loop_factory is not None:
                raise TypeError("a portal has its loop already: give it or loop_factory, not both")
        require_seconds("patience", patience, optional=False)
        check_at_least("patience", patience, 0)
        super().__init__()
        self._app = app
        self._loop_factory = loop_factory
        self._portal = portal
        self._patience = patience
        self._thread: AsyncioThread | None = None
        self._starting = trio.Lock()

    def __repr__(self) -> str:
        return f"<rest.AsyncioApp of {self._app!r:.200}>"

    # --- the loop -------------------------------------------------------------------------------

    async def _sides(self) -> tuple[TrioSide, AsyncioSide]:
        """Both sides of the bridge to the loop, which is started where it doesn't run yet."""
        if self._portal is not None:
            return self._portal._sides()
        if self._thread is None or self._thread.ended:
            async with self._starting:
                self._check_not_shut_down()
                if self._thread is None or self._thread.ended:
                    self._thread = await AsyncioThread.start(self._loop_factory, self._patience)
        return self._thread.here, self._thread.there

    async def _end_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.stop()

    async def __aenter__(self) -> Self:
        """See KeepsThread."""
        require_trio()
        return await super().__aenter__()

    # --- calls ----------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and wait for its end."""
        if scope["type"] == "lifespan":
            async with self._kept():
                await WholeLifespan(receive, send).serve(partial(self._call, scope))
        else:
            await self._call(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        here, there = await self._sides()
        call = _Call(here, there, receive, send)
        try:
            await there.from_trio(
                here,
                partial(self._app, scope, call.receive, call.send),
                patience=self._patience,
            )
        finally:
            call.end()


class _Call:
    """One call of the application: ``receive`` and ``send`` as it awaits them on asyncio."""

    __slots__ = ("_ended", "_here", "_kept", "_receive", "_scopes", "_send", "_there")

    def __init__(self, here: TrioSide, there: AsyncioSide, receive: Receive, send: Send) -> None:
        self._here = here
        self._there = there
        self._receive = receive
        self._send = send
        self._ended = False
        #: Messages that came for who was cancelled just then.
        self._kept: deque[Message] = deque()
        #: What is being carried out on trio.
        self._scopes: set[trio.CancelScope] = set()

    async def receive(self) -> Message:
        if self._kept:
            return self._kept.popleft()
        call = partial(self._carry_out, self._receive)
        return await self._here.from_asyncio(self._there, call, self._keep)

    async def send(self, message: Message) -> None:
        call = partial(self._carry_out, self._send, message)
        await self._here.from_asyncio(self._there, call)

    async def _keep(self, message: Message) -> None:
        self._kept.append(message)

    # --- on trio --------------------------------------------------------------------------------

    async def _carry_out(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if self._ended:
            raise Gone("the call that this belongs to is over")
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                return await function(*arguments)
            finally:
                self._scopes.discard(scope)
        raise Gone("the call that this belongs to is over")

    def end(self) -> None:
        """The application has returned, or is left behind: nothing reaches its server any more."""
        self._ended = True
        for scope in list(self._scopes):
            scope.cancel()
