"""The example service, ready to be used: ``ping.Ping`` to the server, ``ping.Gnip`` back.

Wire-compatible with the generated code of the Go side's example, and in need of no protobuf
library. The shape is that of generated code: a stub to call, a base class to serve.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from wirecore.protocols.wsrpc.ping import GnipRequest, GnipResponse, PingRequest, PingResponse

from ._peer import Caller, Peer
from ._service import MethodTypes


class PingStub:
    """Calls ``ping.Ping`` at the other end of *caller*."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def Ping(self, request: PingRequest) -> PingResponse:  # noqa: N802 (the method's name)
        """Call it; raises what ``Caller.invoke`` raises."""
        return await self._caller.invoke("Ping", request, PingResponse)


class PingService(ABC):
    """Serve ``ping.Ping`` by inheriting from this."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]] = {
        "Ping": MethodTypes(PingRequest, PingResponse)
    }

    @abstractmethod
    async def Ping(  # noqa: N802 (the method's name)
        self, request: PingRequest, peer: Peer
    ) -> PingResponse:
        """Answer a ping."""


class GnipStub:
    """Calls ``ping.Gnip`` at the other end of *caller*."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def Gnip(self, request: GnipRequest) -> GnipResponse:  # noqa: N802 (the method's name)
        """Call it; raises what ``Caller.invoke`` raises."""
        return await self._caller.invoke("Gnip", request, GnipResponse)


class GnipService(ABC):
    """Serve ``ping.Gnip`` by inheriting from this."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]] = {
        "Gnip": MethodTypes(GnipRequest, GnipResponse)
    }

    @abstractmethod
    async def Gnip(  # noqa: N802 (the method's name)
        self, request: GnipRequest, peer: Peer
    ) -> GnipResponse:
        """Answer a gnip."""


__all__ = [
    "GnipRequest",
    "GnipResponse",
    "GnipService",
    "GnipStub",
    "PingRequest",
    "PingResponse",
    "PingService",
    "PingStub",
]
