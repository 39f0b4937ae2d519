"""A server whose connections each run a session of their own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Generic, Unpack

import trio

from .._arguments import require_known
from .._errors import alone, require_trio
from .._network import AnyListener
from ..websocket._accepting import Accepting, ServeOptions, Serving
from ..websocket._opened import Upgraded
from ._client import MakeOwner, MakeSession, require_makers
from ._running import AnyOwner, AnySession, Attended

logger = logging.getLogger("wirecore.session")


class SessionServer(Accepting[Attended[Any, AnyOwner]], Generic[AnyOwner]):
    """A running server; :func:`serve_session` gives it to ``task_status``."""

    def __init__(
        self,
        make_session: MakeSession[AnySession],
        make_owner: MakeOwner[AnySession, AnyOwner],
        serving: Serving,
        listeners: Sequence[AnyListener],
    ) -> None:
        super().__init__(serving, listeners)

        def begin(upgraded: Upgraded, name: str) -> Attended[Any, AnyOwner]:
            return Attended(
                upgraded.link,
                make_session(upgraded.opened),
                make_owner,
                options=upgraded.opened.options,
                leftover=upgraded.leftover,
                name=name,
            )

        self._made = begin

    @property
    def owners(self) -> list[AnyOwner]:
        """The owners of the open connections."""
        return [connection.owner for connection in self.connections]

    def _begin(self, upgraded: Upgraded, peer: str) -> Attended[Any, AnyOwner] | None:
        request = upgraded.opened.request
        # Without the query, which may be secret.
        name = peer if request is None else f"{request.path} from {peer}"
        try:
            return self._made(upgraded, name)
        except Exception:
            logger.exception("no session was made (%s); the connection is closed", name)
            return None

    async def _attend(self, connection: Attended[Any, AnyOwner], peer: str) -> None:
        try:
            with alone():
                await connection.run()
        finally:
            self.connections.discard(connection)


async def serve_session(
    make_session: MakeSession[AnySession],
    make_owner: MakeOwner[AnySession, AnyOwner],
    host: str | None = None,
    port: int = 0,
    *,
    task_status: trio.TaskStatus[SessionServer[AnyOwner]] = trio.TASK_STATUS_IGNORED,
    **serving: Unpack[ServeOptions],
) -> None:
    """Serve a protocol over WebSocket, each connection with a session and an owner of its own::

        server = await nursery.start(serve_session, make_session, Peer, "127.0.0.1", 8000)

    *make_session* is called with what was :class:`Opened` (its ``request`` says what the client
    asked for), *make_owner* with the :class:`Running` session; what either raises is logged, and
    closes that connection. Listens, upgrades and bounds as :func:`wirecore_trio.websocket.serve`
    does, whose other arguments it takes; its ``options`` are the connections'.

    ``task_status`` gives the :class:`SessionServer`. Returns after ``server.drain()``, which
    closes each session when the last of its owner's tasks has ended (see ``Running.draining``);
    cancelled, it has every session close, waits for nothing and cancels all tasks. Raises OSError
    where it can't listen, TypeError and InvalidOption for wrong arguments.
    """
    require_trio()
    require_known("serve_session", serving, ServeOptions.__optional_keys__)
    require_makers(make_session, make_owner)
    checked = Serving(host, port, **serving)
    server = SessionServer(make_session, make_owner, checked, await checked.listen())
    task_status.started(server)
    with alone():
        await server.run()


__all__ = ["SessionServer", "serve_session"]
