"""httpx2 over a connection: ``httpx2.AsyncClient(transport=Transport(connection))``, on trio."""

from __future__ import annotations

import httpx2

from ._httpx import make_transport

__all__ = ["Transport"]

Transport = make_transport(httpx2)
