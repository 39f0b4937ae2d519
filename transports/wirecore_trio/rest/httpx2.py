"""httpx2 over a connection, on trio, on asyncio, and in plain threads.

On trio it is ``httpx2.AsyncClient(transport=Transport(connection))``. Elsewhere the connection
lives in a portal: ``AsyncioTransport(portal, connection)`` is for an ``AsyncClient`` on asyncio,
``SyncTransport(portal, connection)`` for a ``Client`` where there is no loop.
"""

from __future__ import annotations

import httpx2

from ._httpx import make_transport
from ._httpx_portals import make_portal_transports

__all__ = ["AsyncioTransport", "SyncTransport", "Transport"]

Transport = make_transport(httpx2)
AsyncioTransport, SyncTransport = make_portal_transports(httpx2)
