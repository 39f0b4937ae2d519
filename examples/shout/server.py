"""One service, made from shout.proto, over wsrpc and over gRPC at once.

Make the modules that it imports first, in this folder::

    pip install 'wirecore[codegen,grpc]'
    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. \
        --wsrpc_python_out=. --wsrpc_python_opt=grpc shout.proto
"""

from __future__ import annotations

import argparse

import keys
import trio
from shout_pb2 import EchoRequest, ShoutRequest, ShoutResponse
from shout_wsrpc import ShouterService, WallStub, add_ShouterService_to
from shout_wsrpc_grpc import add_ShouterService_to_grpc

import wirecore_grpc
from wirecore_trio import wsrpc


class Shouter(ShouterService):
    """Shouts, and listens for the echo where the client can be called back."""

    async def Shout(self, request: ShoutRequest, peer: wsrpc.Peer) -> ShoutResponse:  # noqa: N802
        """Answer a shout."""
        if not request.text:
            raise wsrpc.RpcError("nothing to shout")
        loud = request.text.upper()
        try:
            echo = await WallStub(peer).Echo(EchoRequest(text=loud))
        except wirecore_grpc.NotOverGrpc:
            return ShoutResponse(text=loud)
        return ShoutResponse(text=loud, echo=echo.text)


async def main(wsrpc_port: int, grpc_port: int) -> None:
    """Serve until killed."""
    shouter = Shouter()
    server = wsrpc.Server(wsrpc.ServerCredentials(keys.SERVER, [keys.public(keys.CLIENT)]))
    add_ShouterService_to(server, shouter)
    grpc_server = wirecore_grpc.Server()
    add_ShouterService_to_grpc(grpc_server, shouter)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", wsrpc_port)
        grpc_listening = await nursery.start(grpc_server.serve, f"127.0.0.1:{grpc_port}")
        print(f"wsrpc on {listening.port}, gRPC on {grpc_listening.port}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serves shout.Shouter on 127.0.0.1.")
    parser.add_argument("wsrpc_port", nargs="?", type=int, default=1339)
    parser.add_argument("grpc_port", nargs="?", type=int, default=1340)
    given = parser.parse_args()
    try:
        trio.run(main, given.wsrpc_port, given.grpc_port)
    except* KeyboardInterrupt:
        print("stopped")
