"""Calls the service of server.py over wsrpc, where it is called back, and over gRPC."""

from __future__ import annotations

import argparse

import grpc
import keys
import trio
from shout_pb2 import EchoRequest, EchoResponse, ShoutRequest
from shout_wsrpc import ShouterStub, WallService
from shout_wsrpc_grpc import ShouterGrpcStub

from wirecore_trio import wsrpc


class Wall(WallService):
    """Throws back the end of what hits it."""

    def Echo(self, request: EchoRequest, peer: wsrpc.Peer) -> EchoResponse:  # noqa: N802
        """Answer an echo."""
        return EchoResponse(text=request.text[-3:].lower())


async def shout(stub: ShouterStub, way: str, text: str) -> None:
    """Call, and print what comes back."""
    try:
        reply = await stub.Shout(ShoutRequest(text=text))
    except wsrpc.RpcError as error:
        print(f"{way}: {error}")
    else:
        print(f"{way}: {reply.text}, echo: {reply.echo or 'none'}")


async def main(wsrpc_port: int, grpc_port: int) -> None:
    """Call twice on each way: once well, once in vain."""
    credentials = wsrpc.ClientCredentials(keys.CLIENT, keys.public(keys.SERVER))
    async with wsrpc.connect(f"127.0.0.1:{wsrpc_port}", credentials, services=[Wall()]) as client:
        for text in ("hello", ""):
            await shout(ShouterStub(client), "wsrpc", text)
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        for text in ("hello", ""):
            await shout(ShouterGrpcStub(channel), "gRPC", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Calls shout.Shouter on 127.0.0.1.")
    parser.add_argument("wsrpc_port", nargs="?", type=int, default=1339)
    parser.add_argument("grpc_port", nargs="?", type=int, default=1340)
    given = parser.parse_args()
    trio.run(main, given.wsrpc_port, given.grpc_port)
