"""wirecore on trio: ``wirecore_trio.websocket``, ``wirecore_trio.wsrpc``, ``wirecore_trio.tls``.

Each is imported by its own name, so that nobody loads what they don't use. The names here load
when they are first asked for. ``drain_on_signal`` stops a server, or a pool's provider, in good
order; the others are for protocols of one's own: a :class:`wirecore.Session` is run by
``run_session`` (over any stream), ``connect_session``, ``reconnecting_sessions`` and
``serve_session`` (over WebSocket); docs/protocols.md tells how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

if TYPE_CHECKING:
    from ._errors import CallLost, ConnectionClosed, NotConnected
    from ._owner import Owner
    from ._signals import Drainable, drain_on_signal
    from ._supervise import RetryPolicy
    from .session._client import connect_session, reconnecting_sessions, run_session
    from .session._running import Running
    from .session._server import SessionServer, serve_session
    from .websocket._opened import Opened
    from .websocket._options import Options

__all__ = [
    "CallLost",
    "ConnectionClosed",
    "Drainable",
    "NotConnected",
    "Opened",
    "Options",
    "Owner",
    "RetryPolicy",
    "Running",
    "SessionServer",
    "connect_session",
    "drain_on_signal",
    "reconnecting_sessions",
    "run_session",
    "serve_session",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "_errors": ("CallLost", "ConnectionClosed", "NotConnected"),
            "_owner": ("Owner",),
            "_signals": ("Drainable", "drain_on_signal"),
            "_supervise": ("RetryPolicy",),
            "session._client": ("connect_session", "reconnecting_sessions", "run_session"),
            "session._running": ("Running",),
            "session._server": ("SessionServer", "serve_session"),
            "websocket._opened": ("Opened",),
            "websocket._options": ("Options",),
        },
    )
