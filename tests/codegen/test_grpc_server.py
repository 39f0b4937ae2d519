"""One implementation of a service, over wsrpc and over gRPC, in one trio program."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trio
import trio.testing
from google.protobuf.empty_pb2 import Empty

import wirecore_grpc
from tests.codegen.services import SHOUTER, shouter
from wirecore.errors import InvalidOption, InvalidState, Overloaded, RpcError, UnknownMethod
from wirecore_trio import Drainable, tls, wsrpc

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated

Run = Callable[[Callable[[], Awaitable[object]]], None]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))


def public(private_key: bytes) -> bytes:
    return tls.public_key_of(tls.load_private_key(private_key))


@asynccontextmanager
async def serving(
    generated: Generated, service: Any, **arguments: Any
) -> AsyncIterator[tuple[wirecore_grpc.Server, grpc.Channel]]:
    """A gRPC server that serves *service*, and a channel to it."""
    server = wirecore_grpc.Server(**arguments)
    generated.module("rich_wsrpc_grpc").add_ShouterService_to_grpc(server, service)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1:0")
        with grpc.insecure_channel(f"127.0.0.1:{listening.port}") as channel:
            yield server, channel
        await server.aclose()


def test_the_same_object_answers_over_wsrpc_and_over_grpc(generated: Generated, run: Run) -> None:
    rich, made = generated.module("rich_pb2"), generated.module("rich_wsrpc")
    over_grpc = generated.module("rich_wsrpc_grpc")
    service = shouter(generated)
    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]), services=[service])

    async def main() -> None:
        async with (
            serving(generated, service) as (_, channel),
            trio.open_nursery() as nursery,
        ):
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            async with wsrpc.connect(f"127.0.0.1:{listening.port}", credentials) as client:
                for stub in (made.ShouterStub(client), over_grpc.ShouterGrpcStub(channel)):
                    reply = await stub.Shout(rich.ShoutRequest(text="hi", times=2))
                    assert reply.text == "HIHI"
                    assert (await stub.Nested(rich.Outer.Inner(text="abc"))).text == "cba"
                    assert (await stub.Nothing(Empty())).seconds == 1
                    reply = await stub.import__(rich.ShoutRequest(text="x"))
                    assert reply.text == "imported x"
            await server.aclose()

    run(main)
    # Plain handlers ran in threads on either way, where they may block.
    assert threading.get_ident() not in service.threads


def test_the_path_has_the_true_package(generated: Generated, run: Run) -> None:
    """Any gRPC client finds it: here one that knows nothing of wirecore."""
    rich = generated.module("rich_pb2")

    async def main() -> None:
        async with serving(generated, shouter(generated)) as (_, channel):
            shout = channel.unary_unary(
                "/codegen.cases.v1.Shouter/Shout",
                request_serializer=rich.ShoutRequest.SerializeToString,
                response_deserializer=rich.ShoutResponse.FromString,
            )
            request = rich.ShoutRequest(text="plain")
            reply = await trio.to_thread.run_sync(lambda: shout(request, timeout=20))
            assert reply.text == "PLAIN"

    run(main)


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("refuse", RpcError, grpc.StatusCode.UNKNOWN),
        ("unknown", UnknownMethod, grpc.StatusCode.UNIMPLEMENTED),
        ("overload", Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_errors_raised_on_purpose_have_their_status_and_text(
    generated: Generated, run: Run, text: str, kind: type[RpcError], code: grpc.StatusCode
) -> None:
    from tests.codegen.services import ERRORS

    stub_of = generated.module("rich_wsrpc_grpc").ShouterGrpcStub
    request = generated.module("rich_pb2").ShoutRequest(text=text)

    async def main() -> None:
        async with serving(generated, shouter(generated)) as (_, channel):
            with pytest.raises(kind, match=f"^{ERRORS[text]}$") as raised:
                await stub_of(channel).Shout(request)
        assert isinstance(raised.value, wirecore_grpc.GrpcStatus)
        assert raised.value.code is code

    run(main)


@pytest.mark.parametrize("text", ["crash", "wrong type", "call back"])
def test_other_errors_stay_in_the_log(
    generated: Generated, run: Run, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    stub_of = generated.module("rich_wsrpc_grpc").ShouterGrpcStub
    request = generated.module("rich_pb2").ShoutRequest(text=text)

    async def main() -> None:
        async with serving(generated, shouter(generated)) as (_, channel):
            with pytest.raises(wirecore_grpc.GrpcStatus) as raised:
                await stub_of(channel).Shout(request)
        assert raised.value.code is grpc.StatusCode.INTERNAL
        found = re.fullmatch(r"internal error ([0-9a-f-]{36})", raised.value.text)
        assert found is not None
        [record] = [each for each in caplog.records if each.name == "wirecore.grpc"]
        assert record.levelno == logging.ERROR
        assert found[1] in record.getMessage()
        assert record.exc_info is not None

    run(main)


def test_a_handler_may_choose_the_status(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)
    not_found = wirecore_grpc.GrpcStatus("no such word", code=grpc.StatusCode.NOT_FOUND)

    async def refuse(request: Any, peer: Any) -> Any:
        raise not_found

    service.Shout = refuse

    async def main() -> None:
        async with serving(generated, service) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            with pytest.raises(wirecore_grpc.GrpcStatus, match="no such word") as raised:
                await stub.Shout(rich.ShoutRequest())
        assert raised.value.code is grpc.StatusCode.NOT_FOUND

    run(main)
    with pytest.raises(InvalidOption, match="OK is no error"):
        wirecore_grpc.GrpcStatus("", code=grpc.StatusCode.OK)


def test_fields_that_are_missing_are_told_to_the_log_alone(
    generated: Generated, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    old, made = generated.module("old_pb2"), generated.module("old_wsrpc")
    over_grpc = generated.module("old_wsrpc_grpc")

    class Old(made.OldService):  # type: ignore[name-defined]  # made later
        def Forget(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return old.Needy()

        def Unwrap(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request.detail

    async def main() -> None:
        server = wirecore_grpc.Server()
        over_grpc.add_OldService_to_grpc(server, Old())
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1:0")
            with (
                grpc.insecure_channel(f"127.0.0.1:{listening.port}") as channel,
                pytest.raises(wirecore_grpc.GrpcStatus, match=r"^internal error ") as raised,
            ):
                await over_grpc.OldGrpcStub(channel).Forget(old.Lax())
            await server.aclose()
        assert raised.value.code is grpc.StatusCode.INTERNAL
        assert "missing required fields" in caplog.text

    run(main)


def test_a_request_that_cant_be_decoded_is_told_so(generated: Generated, run: Run) -> None:
    async def main() -> None:
        async with serving(generated, shouter(generated)) as (_, channel):
            caller = wirecore_grpc.GrpcCaller(channel, SHOUTER)
            with pytest.raises(
                wirecore_grpc.GrpcStatus, match="can't be decoded: 1 bytes are no ShoutRequest"
            ) as raised:
                await caller.call("Shout", b"\xff")
        assert raised.value.code is grpc.StatusCode.INTERNAL

    run(main)


def test_unknown_methods_and_services_are_unimplemented(generated: Generated, run: Run) -> None:
    async def main() -> None:
        async with serving(generated, shouter(generated)) as (_, channel):
            for service, method in ((SHOUTER, "Nonsense"), ("pb.Shouter", "Shout")):
                with pytest.raises(UnknownMethod):
                    await wirecore_grpc.GrpcCaller(channel, service).call(method, b"")

    run(main)


def test_who_goes_away_cancels_the_handler(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def main() -> None:
        async with serving(generated, service) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stub.Shout, rich.ShoutRequest(text="wait"))
                await service.waiting.wait()
                assert not service.cancelled.is_set()
                nursery.cancel_scope.cancel()
            await service.cancelled.wait()
            # And nothing else: the next call goes through.
            assert (await stub.Shout(rich.ShoutRequest(text="x"))).text == "X"

    run(main)


def test_the_callers_time_is_the_handlers(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def main() -> None:
        async with serving(generated, service) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel, call_timeout=0.3)
            with pytest.raises(wsrpc.CallTimeout):
                await stub.Shout(rich.ShoutRequest(text="wait"))
            await service.cancelled.wait()

    run(main)


def test_a_handler_gets_so_much_time_and_no_more(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")

    async def main() -> None:
        async with serving(generated, shouter(generated), handler_timeout=0.05) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            with pytest.raises(RpcError, match="the handler took longer than handler_timeout"):
                await stub.Shout(rich.ShoutRequest(text="wait"))

    run(main)


def test_over_the_bound_requests_are_refused_at_once(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def main() -> None:
        async with serving(generated, service, max_handlers=1) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stub.Shout, rich.ShoutRequest(text="wait"))
                await service.waiting.wait()
                with pytest.raises(Overloaded, match="max_handlers is 1"):
                    await stub.Shout(rich.ShoutRequest(text="x"))
                nursery.cancel_scope.cancel()

    run(main)


def test_the_peer_tells_who_calls_and_cant_be_called(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def main() -> None:
        async with serving(generated, service) as (_, channel):
            caller = wirecore_grpc.GrpcCaller(channel, SHOUTER, metadata=[("who", "Alice")])
            stub = generated.module("rich_wsrpc").ShouterStub(caller)
            await stub.Shout(rich.ShoutRequest(text="x"))
        peer: Any = service.peer
        assert isinstance(service.peer, wsrpc.Peer)
        assert re.fullmatch(r"<GrpcPeer at ipv4:127\.0\.0\.1:\d+>", repr(peer))
        assert ("who", "Alice") in peer.metadata
        with pytest.raises(wirecore_grpc.NotOverGrpc, match="without a TLS certificate"):
            _ = peer.public_key
        with pytest.raises(wirecore_grpc.NotOverGrpc, match="no way back to the client"):
            await peer.call("Shout", b"")

    run(main)


class Counting(grpc.aio.ServerInterceptor):
    """Sees every call, as interceptors of grpc.aio do."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.messages: list[object] = []

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.seen.append(handler_call_details.method)
        handler = await continuation(handler_call_details)
        if handler is None:
            return None

        async def noted(request: Any, context: Any) -> Any:
            reply = await handler.unary_unary(request, context)
            self.messages += [request, reply]
            return reply

        return grpc.unary_unary_rpc_method_handler(
            noted, handler.request_deserializer, handler.response_serializer
        )


def test_interceptors_see_calls_and_their_messages(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    counting = Counting()

    async def main() -> None:
        async with serving(generated, shouter(generated), interceptors=[counting]) as (_, channel):
            stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
            await stub.Shout(rich.ShoutRequest(text="x"))

    run(main)
    assert counting.seen == [f"/{SHOUTER}/Shout"]
    assert counting.messages == [rich.ShoutRequest(text="x"), rich.ShoutResponse(text="X")]


@pytest.mark.parametrize("drained", [True, False], ids=["drain", "aclose"])
def test_drain_lets_handlers_finish_and_aclose_doesnt(
    generated: Generated, run: Run, drained: bool
) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)
    begun, go = trio.Event(), trio.Event()
    outcomes: list[object] = []

    async def slow(request: Any, peer: Any) -> Any:
        begun.set()
        await go.wait()
        return rich.ShoutResponse(text="done")

    service.Shout = slow

    async def call(channel: grpc.Channel) -> None:
        stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)
        try:
            outcomes.append((await stub.Shout(rich.ShoutRequest())).text)
        except (RpcError, wsrpc.CallLost) as error:
            outcomes.append(error)

    async def main() -> None:
        async with serving(generated, service) as (server, channel), trio.open_nursery() as nursery:
            nursery.start_soon(call, channel)
            await begun.wait()
            drainable: Drainable = server  # so that drain_on_signal takes it
            nursery.start_soon(drainable.wait_closed)
            if drained:
                nursery.start_soon(drainable.drain)
                await trio.testing.wait_all_tasks_blocked()
                go.set()
            else:
                await server.aclose()

    run(main)
    [outcome] = outcomes
    if drained:
        assert outcome == "done"
    else:
        assert isinstance(outcome, RpcError | wsrpc.CallLost)


def test_cancelling_serve_ends_calls_and_the_loop(generated: Generated, run: Run) -> None:
    rich = generated.module("rich_pb2")
    service = shouter(generated)

    async def main() -> None:
        async with trio.open_nursery() as around:
            async with trio.open_nursery() as nursery:
                server = wirecore_grpc.Server()
                generated.module("rich_wsrpc_grpc").add_ShouterService_to_grpc(server, service)
                listening = await nursery.start(server.serve, "127.0.0.1:0")
                channel = grpc.insecure_channel(f"127.0.0.1:{listening.port}")
                stub = generated.module("rich_wsrpc_grpc").ShouterGrpcStub(channel)

                async def call() -> None:
                    with pytest.raises((RpcError, wsrpc.CallLost)):
                        await stub.Shout(rich.ShoutRequest(text="wait"))

                around.start_soon(call)
                await service.waiting.wait()
                nursery.cancel_scope.cancel()
            assert service.cancelled.is_set()
        channel.close()
        # Closed twice is closed.
        await server.aclose()
        with pytest.raises(InvalidState, match="serves once"):
            await server.serve("127.0.0.1:0")

    run(main)


def test_a_server_may_be_stopped_while_it_starts(run: Run) -> None:
    async def closed() -> None:
        server = wirecore_grpc.Server()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, "127.0.0.1:0")
            await trio.testing.wait_all_tasks_blocked()  # its thread has begun, no more
            await server.aclose()

    async def cancelled() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wirecore_grpc.Server().serve, "127.0.0.1:0")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    run(closed)
    run(cancelled)


def test_an_address_that_is_taken_is_an_error(generated: Generated, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def main() -> None:
            with pytest.raises(OSError, match=rf"gRPC can't listen on 127\.0\.0\.1:{port}"):
                await wirecore_grpc.Server().serve(f"127.0.0.1:{port}")

        run(main)


def test_what_is_registered_wrongly_is_refused(generated: Generated, run: Run) -> None:
    service = shouter(generated)

    async def main() -> None:
        async with serving(generated, service) as (server, _):
            with pytest.raises(InvalidState, match="once it has started"):
                server.register("a.Shouter", service)

    run(main)
    server = wirecore_grpc.Server()
    server.register(SHOUTER, service)
    server.register("another.Shouter", service)  # here methods may share their names
    with pytest.raises(InvalidOption, match="is served already"):
        server.register(SHOUTER, service)
    with pytest.raises(InvalidOption, match="no service's name"):
        server.register("/a/b", service)
    with pytest.raises(InvalidOption, match="max_handlers"):
        wirecore_grpc.Server(max_handlers=0)
    with pytest.raises(TypeError, match="handler_timeout"):
        wirecore_grpc.Server(handler_timeout="1")  # type: ignore[arg-type]


def test_a_server_that_never_served_is_closed_at_once(run: Run) -> None:
    async def main() -> None:
        server = wirecore_grpc.Server()
        await server.aclose()
        await server.drain()
        await server.wait_closed()
        with pytest.raises(InvalidState):
            await server.serve("127.0.0.1:0")

    run(main)
