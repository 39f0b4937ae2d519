"""The spans and durations of wsrpc's calls."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from tests.transports.conftest import Run
from tests.transports.telemetry.seen import Seen, id_of, parent_of, told
from wirecore import errors
from wirecore_trio import wsrpc


async def fail(payload: bytes, peer: wsrpc.Peer) -> bytes:
    raise errors.RpcError(f"no {payload.decode()}")


async def break_down(payload: bytes, peer: wsrpc.Peer) -> bytes:
    raise KeyError(payload)


def handlers(found: list[int]) -> dict[str, Any]:
    """What notes the span that a handler runs in."""

    def note(payload: bytes, peer: wsrpc.Peer) -> bytes:
        found.append(get_current_span().get_span_context().span_id)
        return payload

    async def wait(payload: bytes, peer: wsrpc.Peer) -> bytes:
        note(payload, peer)
        await trio.sleep_forever()
        return payload

    async def ask(payload: bytes, peer: wsrpc.Peer) -> bytes:
        note(payload, peer)
        return await peer.call("Thread", payload)

    return {"Thread": note, "Wait": wait, "Ask": ask, "Fail": fail, "Break": break_down}


def test_a_call_has_a_span_at_each_side(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    found: list[int] = []

    async def story() -> None:
        async with (
            open_wsrpc(handlers=handlers(found)) as world,
            world.connect(handlers=handlers(found)) as client,
        ):
            with seen.tracers.get_tracer("user").start_as_current_span("outer") as outer:
                assert await client.call("Thread", b"secret") == b"secret"
            client_span, server_span = seen.client(), seen.server()
            assert client_span.name == server_span.name == "Thread"
            assert told(client_span) == {
                "rpc.system.name": "wsrpc",
                "rpc.method": "Thread",
                "server.address": "127.0.0.1",
                "server.port": world.port,
            }
            assert told(server_span) == {"rpc.system.name": "wsrpc", "rpc.method": "Thread"}
            assert client_span.status.status_code is StatusCode.UNSET
            assert client_span.instrumentation_scope is not None
            assert client_span.instrumentation_scope.name == "wirecore_trio.wsrpc"
            assert parent_of(client_span) == outer.get_span_context().span_id
            assert parent_of(server_span) == id_of(client_span)
            assert found == [id_of(server_span)]

    run_sockets(story)
    for side in ("client", "server"):
        [(attributes, (count, seconds))] = seen.durations(f"rpc.{side}.call.duration").items()
        assert dict(attributes)["rpc.method"] == "Thread"
        assert count == 1
        assert seconds > 0
    assert seen.bounds("rpc.client.call.duration")[:3] == (0.005, 0.01, 0.025)


def test_inline_handlers_and_calls_back_have_theirs(
    seen: Seen, open_wsrpc: Any, run_sockets: Run
) -> None:
    found: list[int] = []

    async def story() -> None:
        def prepare(server: wsrpc.Server) -> None:
            server.handle("Inline", handlers(found)["Thread"], inline=True)

        async with (
            open_wsrpc(prepare=prepare, handlers=handlers(found)) as world,
            world.connect(handlers=handlers(found)) as client,
        ):
            await client.call("Inline", b"")
            assert found == [id_of(seen.server())]
            seen.forget()
            await client.call("Ask", b"")
            by_name = {(span.kind, span.name): span for span in seen.spans}
            asked = by_name[SpanKind.SERVER, "Ask"]
            # The call back is made within the handler, and so within its span.
            assert parent_of(by_name[SpanKind.CLIENT, "Thread"]) == id_of(asked)
            assert found[1:] == [id_of(asked), id_of(by_name[SpanKind.SERVER, "Thread"])]
            assert len(by_name) == 4

            seen.forget()
            [key] = world.server.connected_keys
            await world.server.peer(key).call("Thread", b"")
            assert seen.client().name == seen.server().name == "Thread"

    run_sockets(story)


@pytest.mark.parametrize(
    ("method", "raised", "client", "server"),
    [
        ("Fail", errors.RpcError, "RpcError", "RpcError"),
        ("Break", errors.RpcError, "RpcError", "KeyError"),
        ("Nothing", wsrpc.UnknownMethod, "UnknownMethod", "UnknownMethod"),
    ],
)
def test_errors(
    seen: Seen,
    open_wsrpc: Any,
    run_sockets: Run,
    method: str,
    raised: type[Exception],
    client: str,
    server: str,
) -> None:
    async def story() -> None:
        async with open_wsrpc(handlers=handlers([])) as world, world.connect() as peer:
            with pytest.raises(raised):
                await peer.call(method, b"secret")

    run_sockets(story)
    assert told(seen.client())["error.type"] == client
    assert told(seen.server())["error.type"] == server
    for span in seen.spans:
        assert span.status.status_code is StatusCode.ERROR
        # A handler's words may hold what it was called with.
        assert span.status.description is None
        assert not span.events
        assert "secret" not in span.to_json()
    [attributes] = seen.durations("rpc.server.call.duration")
    assert dict(attributes)["error.type"] == server
    if method == "Nothing":
        # Names that a peer chooses aren't names of series.
        assert seen.server().name == "wsrpc"
        assert dict(attributes)["rpc.method"] == "_OTHER"
        assert told(seen.server())["rpc.method_original"] == "Nothing"


def test_what_is_refused_is_seen_too(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            open_wsrpc(handlers=handlers([]), options=wsrpc.Options(max_handlers=1)) as world,
            world.connect() as client,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(client.call, "Wait", b"")
            await trio.testing.wait_all_tasks_blocked(0.02)
            with pytest.raises(wsrpc.Overloaded):
                await client.call("Wait", b"")
            assert told(seen.client())["error.type"] == "Overloaded"
            assert told(seen.server())["error.type"] == "Overloaded"
            assert seen.server().name == "Wait"
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_replies_that_cannot_be_sent(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        options = wsrpc.Options(max_send_size=1000)
        async with (
            open_wsrpc(handlers=handlers([]), options=options) as world,
            world.connect() as client,
        ):
            with pytest.raises(errors.RpcError, match="too large"):
                await client.call("Thread", bytes(2000))

    run_sockets(story)
    assert told(seen.server())["error.type"] == "LocalLimitExceeded"
    assert told(seen.client())["error.type"] == "RpcError"


def test_a_server_that_stops_refuses(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            open_wsrpc(handlers=handlers([])) as world,
            world.connect() as client,
            trio.open_nursery() as nursery,
        ):

            async def ends() -> None:
                with pytest.raises(errors.CallLost):
                    await client.call("Wait", b"")

            nursery.start_soon(ends)
            await trio.testing.wait_all_tasks_blocked(0.02)
            nursery.start_soon(world.server.drain, 1)
            await trio.testing.wait_all_tasks_blocked(0.02)
            with pytest.raises(errors.RpcError):
                await client.call("Thread", b"")
            assert told(seen.server())["error.type"] == "stopping"

    run_sockets(story)


def test_time_cancellation_and_loss(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        options = wsrpc.Options(call_timeout=1, on_disconnect="cancel")
        async with (
            open_wsrpc(handlers=handlers([]), options=options) as world,
            world.connect(options=options) as client,
        ):
            with pytest.raises(errors.CallTimeout):
                await client.call("Wait", b"")
            assert told(seen.client())["error.type"] == "CallTimeout"
            assert "call_timeout" in (seen.client().status.description or "")
            seen.forget()
            with trio.move_on_after(0.5):
                await client.call("Wait", b"")
            assert told(seen.client())["error.type"] == "cancelled"
            seen.forget()
            async with trio.open_nursery() as nursery:

                async def lost() -> None:
                    with pytest.raises(errors.CallLost):
                        await client.call("Wait", b"")

                nursery.start_soon(lost)
                await trio.testing.wait_all_tasks_blocked(0.02)
                [key] = world.server.connected_keys
                world.server._connections.get(key).close()
            assert told(seen.client())["error.type"] == "CallLost"
            seen.forget()
            missing = world.server.peer(bytes([7]) * 32)
            with pytest.raises(errors.NotConnected):
                await missing.call("Wait", b"")
            assert told(seen.client())["error.type"] == "NotConnected"

    run_sockets(story)


def test_misuse_is_what_it_is_without(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_wsrpc() as world, world.connect() as client:
            with pytest.raises(TypeError, match="method"):
                await client.call(3, b"")
            with pytest.raises(TypeError, match="payload"):
                await client.call("Ping", "text")
            [key] = world.server.connected_keys
            for peer in (world.server.peer(key), world.server._channel(key)):
                with pytest.raises(TypeError, match="method"):
                    await peer.call(3, b"")

    run_sockets(story)
