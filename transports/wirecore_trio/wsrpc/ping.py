"""The example service, ready to be used: ``Ping`` to the server, ``Gnip`` back.

The services of the original's example, ``ping.Ping`` and ``ping.Gnip``, have one method each; on
the wire it has its bare name. Wire-compatible with the generated code of the Go side's example,
and in need of no protobuf library. The shape is that of generated code: a stub to call, a base
class to serve.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import ClassVar

from wirecore.protocols.wsrpc.ping import GnipRequest, GnipResponse, PingRequest, PingResponse

from ._peer import Caller, Peer
from ._service import MethodTypes


class PingStub:
    """Calls ``Ping`` at the other end of *caller*."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def Ping(self, request: PingRequest) -> PingResponse:  # noqa: N802 (the method's name)
        """Call it; raises what ``Caller.invoke`` raises."""
        return await self._caller.invoke("Ping", request, PingResponse)


class PingService(ABC):
    """Serve ``Ping`` by inheriting from this."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]] = {
        "Ping": MethodTypes(PingRequest, PingResponse)
    }

    @abstractmethod
    def Ping(  # noqa: N802 (the method's name)
        self, request: PingRequest, peer: Peer
    ) -> PingResponse | Awaitable[PingResponse]:
        """Answer a ping: ``async def`` in a task, or ``def`` in a thread, where it may block."""


class GnipStub:
    """Calls ``Gnip`` at the other end of *caller*."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def Gnip(self, request: GnipRequest) -> GnipResponse:  # noqa: N802 (the method's name)
        """Call it; raises what ``Caller.invoke`` raises."""
        return await self._caller.invoke("Gnip", request, GnipResponse)


class GnipService(ABC):
    """Serve ``Gnip`` by inheriting from this."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]] = {
        "Gnip": MethodTypes(GnipRequest, GnipResponse)
    }

    @abstractmethod
    def Gnip(  # noqa: N802 (the method's name)
        self, request: GnipRequest, peer: Peer
    ) -> GnipResponse | Awaitable[GnipResponse]:
        """Answer a gnip: ``async def`` in a task, or ``def`` in a thread, where it may block."""


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
