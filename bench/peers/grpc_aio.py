"""gRPC's asyncio API."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from bench.peers.load import Meter, Outcome, Task, calls
from bench.peers.ping_messages import (
    METHOD,
    SERVICE,
    PingReply,
    PingRequest,
    answers,
    questions,
)

PACKAGE = "grpcio"


async def ping(request: PingRequest, context: grpc.aio.ServicerContext) -> PingReply:
    """Answers with what it was asked."""
    return PingReply(body=request.body)


def serve(task: Task) -> None:
    """A server with the one method."""

    async def main() -> None:
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            ping, PingRequest.FromString, PingReply.SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        task.listening(port)
        await server.wait_for_termination()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Calls over one channel."""

    async def main() -> Outcome:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{task.port}") as channel:
            call = channel.unary_unary(
                f"/{SERVICE}/{METHOD}", PingRequest.SerializeToString, PingReply.FromString
            )
            return await callers(task, call)

    return asyncio.run(main())


async def callers(task: Task, call) -> Outcome:
    """``task.in_flight`` asyncio tasks that call protobuf methods."""
    meter, asked, expected = Meter(task), questions(task), answers(task)
    async with asyncio.TaskGroup() as group:
        for _ in range(task.in_flight):
            group.create_task(calls(call, meter, asked, expected))
    return meter.outcome()
