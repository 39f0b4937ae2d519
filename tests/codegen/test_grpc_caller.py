"""Stubs over channels of gRPC, from trio, towards servers that know nothing of wirecore."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
import trio

import wirecore_grpc
from wirecore.errors import CallTimeout, InvalidOption, InvalidState, Overloaded, RpcError
from wirecore_grpc._errors import error_of
from wirecore_trio.wsrpc import CallLost, NotConnected
from wirecore_trio.wsrpc.ping import PingRequest, PingStub

Run = Callable[[Callable[[], Awaitable[object]]], None]


class Pinged(grpc.GenericRpcHandler):
    """Answers ``/ping.Ping/Ping`` with bytes, as the request's body asks."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.asked = threading.Event()

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == "/ping.Ping/Ping":
            return grpc.unary_unary_rpc_method_handler(self.ping)
        return None

    def ping(self, payload: bytes, context: Any) -> bytes:
        body = PingRequest.FromString(payload).body
        if body == "wait":
            context.add_callback(self.cancelled.set)
            self.asked.set()
            self.cancelled.wait(20)
        if body.startswith("fail "):
            code = grpc.StatusCode[body.removeprefix("fail ")]
            context.abort(code, f"because {code.name}")
        return payload


@pytest.fixture
def pinged() -> Pinged:
    return Pinged()


@pytest.fixture
def port(pinged: Pinged) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[pinged])
    number = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield number
    server.stop(None).wait()


@pytest.fixture
def channel(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as made:
        yield made


def caller(channel: wirecore_grpc.GrpcChannel, **arguments: Any) -> wirecore_grpc.GrpcCaller:
    return wirecore_grpc.GrpcCaller(channel, "ping.Ping", **arguments)


def test_a_stub_that_knows_no_protobuf_library_calls(channel: grpc.Channel, run: Run) -> None:
    async def main() -> None:
        stub = PingStub(caller(channel))
        assert (await stub.Ping(PingRequest(body="hello"))).body == "hello"
        bodies = []

        async def ping(body: str) -> None:
            bodies.append((await stub.Ping(PingRequest(body=body))).body)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(ping, str(number))
        assert sorted(bodies, key=int) == [str(number) for number in range(50)]

    run(main)


def test_a_cancelled_call_is_cancelled_at_the_server(
    channel: grpc.Channel, pinged: Pinged, run: Run
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(PingStub(caller(channel)).Ping, PingRequest(body="wait"))
            assert await trio.to_thread.run_sync(pinged.asked.wait, 20)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(pinged.cancelled.wait, 20)

    run(main)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNKNOWN", RpcError),
        ("NOT_FOUND", RpcError),
        ("CANCELLED", RpcError),
        ("UNIMPLEMENTED", wirecore_grpc.GrpcUnknownMethod),
        ("RESOURCE_EXHAUSTED", wirecore_grpc.GrpcOverloaded),
        ("UNAVAILABLE", CallLost),
        ("DEADLINE_EXCEEDED", CallTimeout),
    ],
)
def test_a_status_is_an_error_of_its_kind(
    channel: grpc.Channel, run: Run, code: str, kind: type[Exception]
) -> None:
    async def main() -> None:
        with pytest.raises(kind, match=f"because {code}") as raised:
            await PingStub(caller(channel)).Ping(PingRequest(body=f"fail {code}"))
        if isinstance(raised.value, wirecore_grpc.GrpcStatus):
            assert raised.value.code is grpc.StatusCode[code]
        if isinstance(raised.value, CallLost):
            assert raised.value.execution == "maybe_executed"

    run(main)


def test_a_message_that_is_too_big_isnt_an_overload() -> None:
    error = error_of(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max (5 vs. 4)"
    )
    assert isinstance(error, RpcError)
    assert not isinstance(error, Overloaded)


def test_without_a_server_nothing_was_sent(run: Run) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]

        async def main() -> None:
            with (
                grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
                pytest.raises(NotConnected) as raised,
            ):
                await PingStub(caller(channel)).Ping(PingRequest(body="x"))
            assert raised.value.execution == "not_sent"

        run(main)


def test_nobody_waits_for_ever(channel: grpc.Channel, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(CallTimeout):
            await PingStub(caller(channel, call_timeout=0.2)).Ping(PingRequest(body="wait"))

    run(main)


def test_a_channel_that_is_closed_ends_calls(port: int, pinged: Pinged, run: Run) -> None:
    async def main() -> None:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        stub = PingStub(caller(channel))
        async with trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(CallLost, match="closed the channel") as raised:
                    await stub.Ping(PingRequest(body="wait"))
                assert raised.value.execution == "maybe_executed"

            nursery.start_soon(call)
            await trio.to_thread.run_sync(pinged.asked.wait, 20)
            channel.close()
        with pytest.raises(NotConnected, match="closed the channel"):
            await stub.Ping(PingRequest(body="x"))

    run(main)


class Marking(grpc.UnaryUnaryClientInterceptor):
    """Sees what goes out, as interceptors of channels do."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        self.seen.append(client_call_details.method)
        return continuation(client_call_details, request)


def test_interceptors_of_the_channel_see_calls(channel: grpc.Channel, run: Run) -> None:
    marking = Marking()

    async def main() -> None:
        stub = PingStub(caller(grpc.intercept_channel(channel, marking)))
        assert (await stub.Ping(PingRequest(body="hello"))).body == "hello"
        with pytest.raises(RpcError, match="because NOT_FOUND"):
            await stub.Ping(PingRequest(body="fail NOT_FOUND"))

    run(main)
    assert marking.seen == ["/ping.Ping/Ping"] * 2


class AsyncioThread:
    """An asyncio loop in a thread, as a program that has one beside trio runs it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def asyncio_thread() -> Iterator[AsyncioThread]:
    thread = AsyncioThread()
    yield thread
    if not thread.loop.is_closed():
        thread.close()


def test_an_aio_channel_is_called_from_trio_through_its_loop(
    port: int, pinged: Pinged, asyncio_thread: AsyncioThread, run: Run
) -> None:
    async def open_channel() -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    channel = asyncio_thread.run(open_channel())

    async def main() -> None:
        stub = PingStub(caller(channel, loop=asyncio_thread.loop))
        assert (await stub.Ping(PingRequest(body="hello"))).body == "hello"
        with pytest.raises(RpcError, match="because NOT_FOUND"):
            await stub.Ping(PingRequest(body="fail NOT_FOUND"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stub.Ping, PingRequest(body="wait"))
            assert await trio.to_thread.run_sync(pinged.asked.wait, 20)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(pinged.cancelled.wait, 20)
        with pytest.raises(InvalidState, match="belongs to its asyncio loop"):
            await PingStub(caller(channel)).Ping(PingRequest())
        asyncio_thread.run(channel.close())
        with pytest.raises(NotConnected, match="closed the channel"):
            await stub.Ping(PingRequest())
        asyncio_thread.close()
        with pytest.raises(NotConnected, match="the loop of the aio channel has ended"):
            await stub.Ping(PingRequest())

    run(main)


def test_arguments_are_checked(channel: grpc.Channel, run: Run) -> None:
    with pytest.raises(TypeError, match="channel must be Channel"):
        wirecore_grpc.GrpcCaller("127.0.0.1:1", "ping.Ping")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="service must be str"):
        wirecore_grpc.GrpcCaller(channel, b"ping.Ping")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="call_timeout"):
        caller(channel, call_timeout=-1)
    assert repr(caller(channel)) == "<GrpcCaller of ping.Ping>"

    async def main() -> None:
        with pytest.raises(TypeError, match="payload must be bytes"):
            await caller(channel).call("Ping", "text")  # type: ignore[arg-type]

    run(main)


def test_without_grpcio_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['grpc'] = None; import wirecore_grpc"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("isn't installed here: pip install 'wirecore[grpc]'")
