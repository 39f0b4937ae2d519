"""Applications of ASGI that run on trio, served from asyncio: by uvicorn, for one."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wirecore.errors import InvalidState

from .._arguments import require_async, require_type
from ._trio_call import TrioCall
from ._whole_lifespan import WholeLifespan

if TYPE_CHECKING:
    from .._bridge import AsyncioSide, TrioSide
    from ..portal import AsyncioPortal
    from ._asgi_types import Receive, Scope, Send
    from ._asyncio_app import AnyApp


class TrioApp:
    """*app*, which runs on trio, as an application of ASGI for a server on asyncio.

        app = rest.TrioApp(trio_app)        # and then: uvicorn module:app

    *app* runs in a trio run in a thread of its own, and what it awaits of its server is carried
    out on asyncio: it gets each message and each exception, and is cancelled, as if it ran there.
    It may be ahead of its server by 128 KiB, and its server of it. Scopes of all kinds pass, and
    what *app* raises arrives with its traceback. ``scope["state"]`` is the same object on both
    sides.

    The thread begins with the lifespan or the first call, and ends with the lifespan (this has one
    where *app* has none), or at ``aclose`` or the end of an ``async with``. *portal*: *app* runs
    in this one's trio run, in place of a thread.

    Calls raise what *app* raises; InvalidState once it has shut down, on another loop than the one
    it began on, and on trio; CutOff, which is one, where trio's run has ended. Raises TypeError for
    arguments that make no sense.
    """

    def __init__(self, app: AnyApp, *, portal: AsyncioPortal | None = None) -> None:
        from ..portal import AsyncioPortal

        require_async("app", app, "scope", "receive", "send")
        require_type("portal", portal, AsyncioPortal, optional=True)
        self._app = app
        self._portal = portal
        self._own: AsyncioPortal | None = None
        #: Lifespans and blocks that keep the thread.
        self._users = 0
        self._shut_down = False

    def __repr__(self) -> str:
        return f"<rest.TrioApp of {self._app!r:.200}>"

    # --- the run --------------------------------------------------------------------------------

    async def _sides(self) -> tuple[TrioSide, AsyncioSide]:
        """Both sides of the bridge to trio's run, which is started where there is none yet."""
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidState(
                "rest.TrioApp is for servers on asyncio: on trio give them the application itself"
            ) from None
        portal = self._portal or self._own
        if portal is None:
            if self._shut_down:
                raise InvalidState(
                    "the application has shut down: another lifespan, or async with, starts it "
                    "again"
                )
            from ..portal import AsyncioPortal

            portal = self._own = AsyncioPortal()
            await portal.__aenter__()
        there, home = portal._sides()
        if home.loop is not loop:
            raise InvalidState(
                "the application is served on another loop: it is for one server, with a lifespan"
            )
        return there, home

    def _enter(self) -> None:
        self._users += 1
        self._shut_down = False

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users:
            await self.aclose()

    async def aclose(self) -> None:
        """Cancel what still runs of the application, and end its thread.

        Raises what ended trio's run before.
        """
        self._shut_down = True
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        """Keep the run up to the end of the block, whatever lifespans begin and end in it."""
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    # --- calls ----------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and wait for its end."""
        if scope["type"] == "lifespan":
            self._enter()
            try:
                there, home = await self._sides()
                await TrioCall(there, home, self._live, receive, send).run(scope)
            finally:
                await self._leave()
        else:
            there, home = await self._sides()
            await TrioCall(there, home, self._app, receive, send).run(scope)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await WholeLifespan(receive, send).serve(partial(self._app, scope))
