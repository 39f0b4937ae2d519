"""One address that a server listens on: which connections it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from .._dispatch import Workers
from .._network import AnyListener
from ..websocket import _accepting
from ..websocket._accepting import Serving
from ..websocket._opened import Upgraded

if TYPE_CHECKING:
    from ._connection import Connection
    from ._server import Server


class Bound(_accepting.Bound["Connection"]):
    """What ``serve`` gives to its ``task_status``: a server's bound addresses."""

    def __init__(
        self,
        server: Server,
        serving: Serving,
        listeners: Sequence[AnyListener],
        workers: Workers,
        scope: trio.CancelScope,
    ) -> None:
        super().__init__(serving, listeners, scope)
        self._server = server
        self._workers = workers

    def _connect(self, upgraded: Upgraded, peer: str) -> Connection | None:
        opened = upgraded.opened
        if self._server.stopping:
            return None
        return self._server._make_connection(upgraded.link, opened, self._workers, peer)
