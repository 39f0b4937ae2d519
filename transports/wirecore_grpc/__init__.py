"""What serves wsrpc serves gRPC too, and the stubs that call wsrpc call gRPC.

In a trio program, beside its wsrpc server::

    server = wirecore_grpc.Server()
    add_ShouterService_to_grpc(server, shouter)
    await nursery.start(server.serve, "127.0.0.1:50051")

In an asyncio program that has a server of grpc.aio::

    async with wirecore_grpc.Adapter(grpc.aio.server()) as adapter:
        add_ShouterService_to_grpc(adapter, shouter)

To call, from trio or from asyncio::

    reply = await ShouterGrpcStub(channel).Shout(ShoutRequest(text="hi"))

The functions are those that protoc-gen-wsrpc_python makes; docs/codegen.md has whole programs.
"""

from __future__ import annotations

try:
    import grpc.aio  # noqa: F401 (only to say what is missing)
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("grpc"):
        raise
    raise ModuleNotFoundError(
        "wirecore_grpc needs grpcio, which isn't installed here: pip install 'wirecore[grpc]'",
        name=error.name,
    ) from error

from ._adapter import Adapter
from ._caller import GrpcCaller, GrpcChannel
from ._errors import GrpcOverloaded, GrpcStatus, GrpcUnknownMethod, NotOverGrpc
from ._peer import GrpcPeer
from ._server import Listening, Server
from ._serving import GrpcServing

__all__ = [
    "Adapter",
    "GrpcCaller",
    "GrpcChannel",
    "GrpcOverloaded",
    "GrpcPeer",
    "GrpcServing",
    "GrpcStatus",
    "GrpcUnknownMethod",
    "Listening",
    "NotOverGrpc",
    "Server",
]
