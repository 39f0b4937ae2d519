"""grpclib: gRPC in Python on asyncio."""

from __future__ import annotations

import asyncio
import socket

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from bench.peers.grpc_aio import callers
from bench.peers.load import Outcome, Task
from bench.peers.ping_messages import METHOD, SERVICE, PingReply, PingRequest

PACKAGE = "grpclib"


class Service:
    """The one method, as generated code would declare it."""

    async def ping(self, stream: Stream[PingRequest, PingReply]) -> None:
        """Answers with what it was asked."""
        request = await stream.recv_message()
        await stream.send_message(PingReply(body=request.body))

    def __mapping__(self) -> dict[str, Handler]:
        handler = Handler(self.ping, Cardinality.UNARY_UNARY, PingRequest, PingReply)
        return {f"/{SERVICE}/{METHOD}": handler}


def serve(task: Task) -> None:
    """A server with the one method."""

    async def main() -> None:
        server = Server([Service()])
        # asyncio turns Nagle's algorithm off only where the socket names its protocol.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        await server.start(sock=listener)
        task.listening(listener.getsockname()[1])
        await server.wait_closed()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Calls over one channel."""

    async def main() -> Outcome:
        async with Channel("127.0.0.1", task.port) as channel:
            method = UnaryUnaryMethod(channel, f"/{SERVICE}/{METHOD}", PingRequest, PingReply)
            return await callers(task, method)

    return asyncio.run(main())
