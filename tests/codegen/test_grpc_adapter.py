"""Services of wsrpc in an asyncio program: trio in a thread, beside a server of grpc.aio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
import trio

import wirecore_grpc
from tests.codegen.services import SHOUTER, shouter
from wirecore.errors import InvalidState, RpcError
from wirecore_trio import wsrpc

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated


@asynccontextmanager
async def adapted(
    generated: Generated, service: Any, **arguments: Any
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server of grpc.aio that serves *service*."""
    server = grpc.aio.server()
    async with wirecore_grpc.Adapter(server, **arguments) as adapter:
        generated.module("rich_wsrpc_grpc").add_ShouterService_to_grpc(adapter, service)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await server.stop(None)


def in_time(main: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(bounded())
    assert not [each for each in threading.enumerate() if each.name == "wirecore-trio"]


def make_it_wait(service: Any) -> tuple[threading.Event, threading.Event]:
    """Have its Shout wait for ever; events that tell that it does, and that it was cancelled."""
    begun, cancelled = threading.Event(), threading.Event()

    async def wait(request: Any, peer: Any) -> Any:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    service.Shout = wait
    return begun, cancelled


def test_stubs_and_services_work_from_asyncio(generated: Generated) -> None:
    rich = generated.module("rich_pb2")

    async def main() -> None:
        async with adapted(generated, shouter(generated)) as channel:
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            assert (await stub.Shout(rich.ShoutRequest(text="hi"))).text == "HI"
            assert (await stub.Nested(rich.Outer.Inner(text="abc"))).text == "cba"
            many = [stub.Shout(rich.ShoutRequest(text=str(number))) for number in range(50)]
            assert [reply.text for reply in await asyncio.gather(*many)] == [
                str(number) for number in range(50)
            ]
            with pytest.raises(RpcError, match="the shop is closed"):
                await stub.Shout(rich.ShoutRequest(text="refuse"))

    in_time(main)


@pytest.mark.parametrize(
    ("text", "arrives"), [("a\ud800b", "a?b"), ("x" * 20_000, "x" * 4096), ("grüße", "grüße")]
)
def test_whatever_text_an_error_has_it_arrives(
    generated: Generated, text: str, arrives: str
) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def fail(request: Any, peer: Any) -> Any:
        raise RpcError(text)

    service.Shout = fail

    async def main() -> None:
        async with adapted(generated, service) as channel:
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            with pytest.raises(RpcError) as caught:
                await stub.Shout(rich.ShoutRequest())
            assert caught.value.text == arrives

    in_time(main)


def test_a_call_that_is_cancelled_cancels_its_handler(generated: Generated) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)
    begun, cancelled = make_it_wait(service)

    async def main() -> None:
        async with adapted(generated, service) as channel:
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            calling = asyncio.create_task(stub.Shout(rich.ShoutRequest()))
            assert await asyncio.to_thread(begun.wait, 20)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            assert await asyncio.to_thread(cancelled.wait, 20)

    in_time(main)


def test_leaving_cancels_handlers_that_still_run(generated: Generated) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)
    begun, cancelled = make_it_wait(service)

    async def main() -> None:
        server = grpc.aio.server()
        async with wirecore_grpc.Adapter(server) as adapter:
            generated.module("rich_wsrpc_grpc").add_ShouterService_to_grpc(adapter, service)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            calling = asyncio.create_task(stub.Shout(rich.ShoutRequest(text="wait")))
            assert await asyncio.to_thread(begun.wait, 20)
        # The server wasn't stopped, as it should have been: its calls fail, none hangs.
        with pytest.raises(wsrpc.CallLost, match="stopping"):
            await calling
        with pytest.raises(wsrpc.CallLost, match="stopping"):
            await stub.Shout(rich.ShoutRequest(text="late"))
        await channel.close()
        await server.stop(None)

    in_time(main)
    assert cancelled.is_set()


def test_what_ends_trio_is_raised_where_one_leaves(generated: Generated) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def give_up(request: Any, peer: Any) -> Any:
        raise SystemExit(3)

    service.Shout = give_up

    async def main() -> None:
        async def call() -> None:
            async with adapted(generated, service) as channel:
                stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
                with pytest.raises(wsrpc.CallLost, match="stopping"):
                    await stub.Shout(rich.ShoutRequest())

        with pytest.raises(SystemExit):
            await call()

    in_time(main)


def test_it_is_entered_before_use_and_once(generated: Generated) -> None:
    async def main() -> None:
        adapter = wirecore_grpc.Adapter(grpc.aio.server())
        with pytest.raises(InvalidState, match="register within async with"):
            adapter.register(SHOUTER, shouter(generated))
        async with adapter:
            pass
        with pytest.raises(InvalidState, match="entered already"):
            async with adapter:
                pass

    in_time(main)
