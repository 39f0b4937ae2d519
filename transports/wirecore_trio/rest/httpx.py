"""httpx over a connection: ``httpx.AsyncClient(transport=Transport(connection))``, on trio."""

from __future__ import annotations

import httpx

from ._httpx import make_transport

__all__ = ["Transport"]

Transport = make_transport(httpx)
