"""Applications of ASGI that run on trio, served from asyncio: by uvicorn, for one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wirecore.errors import InvalidState

from .._arguments import require_async, require_type
from ._kept_thread import KeepsThread
from ._trio_call import TrioCall
from ._whole_lifespan import WholeLifespan

if TYPE_CHECKING:
    from .._bridge import AsyncioSide, TrioSide
    from ..portal import AsyncioPortal
    from ._asgi_types import Receive, Scope, Send
    from ._asyncio_app import AnyApp


class TrioApp(KeepsThread):
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
        super().__init__()
        self._app = app
        self._portal = portal
        self._own: AsyncioPortal | None = None

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
            self._check_not_shut_down()
            from ..portal import AsyncioPortal

            portal = self._own = AsyncioPortal()
            await portal.__aenter__()
        there, home = portal._sides()
        if home.loop is not loop:
            raise InvalidState(
                "the application is served on another loop: it is for one server, with a lifespan"
            )
        return there, home

    async def _end_thread(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(None, None, None)

    # --- calls ----------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and wait for its end."""
        if scope["type"] == "lifespan":
            async with self._kept():
                there, home = await self._sides()
                await TrioCall(there, home, self._live, receive, send).run(scope)
        else:
            there, home = await self._sides()
            await TrioCall(there, home, self._app, receive, send).run(scope)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await WholeLifespan(receive, send).serve(partial(self._app, scope))
