"""What servers count of themselves, as OpenMetrics text; without OpenTelemetry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.transports.conftest import Run
from tests.transports.rest import world as rest_world
from tests.transports.rest.world import answer
from tests.transports.telemetry.seen import Seen
from tests.transports.test_metrics import ask
from tests.transports.webwire import world as webwire_world
from wirecore import errors
from wirecore._backend import Backend
from wirecore.protocols.webwire import RequestError
from wirecore_trio import rest, webwire, wsrpc
from wirecore_trio._meter import MOST_NAMES, OTHER, Meter, Tally
from wirecore_trio.tls import generate_private_key
from wirecore_trio.webwire._metered import MeteredConnection
from wirecore_trio.wsrpc._metered import MeteredChannel

Samples = dict[tuple[str, ...], float]


def samples_of(page: str) -> Samples:
    """The samples of *page*, by name and values of labels."""
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


async def look(server: Any) -> Samples:
    """What ``/metrics`` of *server* says."""
    async with trio.open_nursery() as nursery:
        page = await nursery.start(server.serve_metrics)
        status, _, body = await ask(page.port)
        nursery.cancel_scope.cancel()
    assert status == 200
    return samples_of(body.decode())


def starting(found: Samples, name: str) -> Samples:
    """Those of *found* that are called *name*, without that."""
    return {key[1:]: value for key, value in found.items() if key[0] == name}


async def refuse(payload: bytes, peer: wsrpc.Peer) -> bytes:
    raise errors.RpcError("no")


async def wait(payload: bytes, peer: wsrpc.Peer) -> bytes:
    await trio.sleep_forever()
    return payload


async def echo(payload: bytes, peer: wsrpc.Peer) -> bytes:
    return payload


def test_wsrpc_counts_calls_in_both_directions(open_wsrpc: Any, run_sockets: Run) -> None:
    handlers = {"Echo": echo, "Refuse": refuse, "Wait": wait}

    async def fails(call: Callable[[], Awaitable[object]], error: type[Exception]) -> None:
        with pytest.raises(error):
            await call()

    async def story() -> None:
        def prepare(server: wsrpc.Server) -> None:
            server.handle("Inline", lambda payload, peer: payload, inline=True)

        options = wsrpc.Options(max_handlers=1, call_timeout=2, on_disconnect="cancel")
        async with open_wsrpc(
            prepare=prepare, handlers=handlers, options=options, metrics=True
        ) as world:
            async with world.connect(handlers=handlers) as client:
                for name in ("Echo", "Echo", "Inline"):
                    await client.call(name, b"")
                await fails(partial(client.call, "Refuse", b""), errors.RpcError)
                for made_up in range(3):
                    call = partial(client.call, f"Nobody{made_up}", b"")
                    await fails(call, wsrpc.UnknownMethod)
                [key] = world.server.connected_keys
                peer = world.server.peer(key)
                await peer.call("Echo", b"")
                await fails(partial(peer.call, "Refuse", b""), errors.RpcError)
                with trio.move_on_after(1):
                    await peer.call("Wait", b"")
                await fails(partial(peer.call, "Wait", b""), errors.CallTimeout)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.call, "Wait", b"")
                    await trio.testing.wait_all_tasks_blocked(0.02)
                    await fails(partial(client.call, "Echo", b""), wsrpc.Overloaded)
                    found = await look(world.server)
                    assert found["wirecore_wsrpc_served_calls_in_flight",] == 1
                    nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(wsrpc.PeerRefused):
                async with world.connect(
                    generate_private_key(), retry=wsrpc.RetryPolicy(attempts=1)
                ):
                    pass
            await trio.testing.wait_all_tasks_blocked(0.05)
            found = await look(world.server)

        assert starting(found, "wirecore_wsrpc_served_calls_total") == {
            ("Echo", "ok"): 2,
            ("Echo", "refused"): 1,
            ("Inline", "ok"): 1,
            ("Refuse", "error"): 1,
            ("Wait", "lost"): 1,
            ("_OTHER", "refused"): 3,
        }
        assert starting(found, "wirecore_wsrpc_made_calls_total") == {
            ("Echo", "ok"): 1,
            ("Refuse", "error"): 1,
            ("Wait", "cancelled"): 1,
            ("Wait", "timeout"): 1,
        }
        assert found["wirecore_wsrpc_served_call_seconds_count", "Echo"] == 3
        assert found["wirecore_wsrpc_made_call_seconds_sum", "Wait"] == pytest.approx(3, abs=0.1)
        assert found["wirecore_wsrpc_served_calls_in_flight",] == 0
        assert found["wirecore_wsrpc_connections",] == 0
        assert found["wirecore_wsrpc_accepted_connections_total",] == 2
        assert found["wirecore_wsrpc_refused_connections_total",] == 1

    run_sockets(story)


def test_webwire_counts_requests(backend: Backend, run_sockets: Run) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.request("refuse")
        async def refuse(request: webwire.Request[Any]) -> None:
            raise RequestError("NO")

        @server.request("wrong")
        async def wrong(request: webwire.Request[Any]) -> Any:
            return 3.5

        @server.request("wait")
        async def wait(request: webwire.Request[Any]) -> None:
            await trio.sleep_forever()

        @server.request("inline", inline=True)
        def inline(request: webwire.Request[Any]) -> Any:
            return request.payload

    async def story() -> None:
        server = webwire.Server(
            webwire.ServerOptions(on_disconnect="cancel"), metrics=True, backend=backend
        )
        prepare(server)
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            world = webwire_world.World(server, bound.port, nursery, backend)
            async with world.connect() as client:
                for name in ("inline", "inline", "refuse", "wrong", "made up", "also"):
                    try:
                        await client.request(name, "x")
                    except errors.WirecoreError:
                        pass
                with trio.move_on_after(1):
                    await client.request("wait", "x")
                found = await look(server)
                assert found["wirecore_webwire_served_requests_in_flight",] == 1
                assert found["wirecore_webwire_connections",] == 1
            await trio.testing.wait_all_tasks_blocked(0.05)
            status, _ = await world.http(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 400 " in status
            await trio.testing.wait_all_tasks_blocked(0.05)
            found = await look(server)
            nursery.cancel_scope.cancel()
        assert starting(found, "wirecore_webwire_served_requests_total") == {
            ("inline", "ok"): 2,
            ("refuse", "error"): 1,
            ("wrong", "error"): 1,
            ("wait", "lost"): 1,
            ("_OTHER", "refused"): 2,
        }
        assert found["wirecore_webwire_served_requests_in_flight",] == 0
        assert found["wirecore_webwire_accepted_connections_total",] == 2
        assert found["wirecore_webwire_refused_connections_total",] == 1

    run_sockets(story)


def test_rest_counts_requests(backend: Backend, run_sockets: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] != "lifespan"
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
        elif scope["path"] == "/wait":
            await trio.sleep_forever()
        else:
            await answer(send, b"x", int(scope["path"][1:]))

    async def story() -> None:
        server = rest.Server(app, metrics=True, backend=backend)
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            world = rest_world.World(server, bound, backend)
            async with world.connect() as client:
                for method, path in (("GET", "/200"), ("GET", "/200"), ("BREW", "/418")):
                    await client.request(method, path)
                async with client.websocket("/chat") as ws:
                    assert [message async for message in ws] == []
                with pytest.raises(errors.CallTimeout):
                    await client.request("POST", "/wait", timeout=1)
                assert (await look(server))["wirecore_rest_connections",] == 1
                await trio.sleep(10)
                found = await look(server)
            nursery.cancel_scope.cancel()
        assert starting(found, "wirecore_rest_served_requests_total") == {
            ("GET", "200"): 2,
            ("GET", "101"): 1,
            ("_OTHER", "418"): 1,
            ("POST", "none"): 1,
        }
        assert found["wirecore_rest_served_request_seconds_count", "GET"] == 2
        assert found["wirecore_rest_served_requests_in_flight",] == 0

    run_sockets(story)


def test_it_goes_together_with_opentelemetry(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            open_wsrpc(handlers={"Echo": echo}, metrics=True) as world,
            world.connect(handlers={"Echo": echo}) as client,
        ):
            await client.call("Echo", b"")
            [key] = world.server.connected_keys
            await world.server.peer(key).call("Echo", b"")
            assert len(seen.spans) == 4
            found = await look(world.server)
            assert found["wirecore_wsrpc_served_calls_total", "Echo", "ok"] == 1
            assert found["wirecore_wsrpc_made_calls_total", "Echo", "ok"] == 1

    run_sockets(story)


def servers() -> list[Any]:
    """One of each kind, which counts nothing."""
    return [
        wsrpc.Server(wsrpc.ServerCredentials(generate_private_key(), [])),
        webwire.Server(),
        rest.Server(),
    ]


@pytest.mark.parametrize("server", servers(), ids=["wsrpc", "webwire", "rest"])
def test_a_server_that_counts_nothing_says_so(server: Any, run_sockets: Run) -> None:
    async def story() -> None:
        with pytest.raises(errors.InvalidState, match="metrics=True"):
            server.metrics()
        with pytest.raises(errors.InvalidState, match="metrics=True"):
            await server.serve_metrics()

    run_sockets(story)


def test_metrics_is_a_bool() -> None:
    for make in (
        partial(wsrpc.Server, wsrpc.ServerCredentials(generate_private_key(), [])),
        webwire.Server,
        rest.Server,
    ):
        with pytest.raises(TypeError, match="metrics"):
            make(metrics="yes")  # type: ignore[arg-type]


def test_nothing_is_counted_unless_asked_for(
    open_wsrpc: Any, backend: Backend, run_sockets: Run
) -> None:
    """Connections are then of the classes that count nothing."""

    async def story() -> None:
        async with open_wsrpc() as world, world.connect():
            assert not any(
                isinstance(each, MeteredChannel) for each in world.server._connections.all
            )
        async with webwire_world.serving(backend) as other, other.connect():
            assert not isinstance(other.only(), MeteredConnection)

    run_sockets(story)


def test_there_are_so_many_names_and_no_more(run_sockets: Run) -> None:
    async def story() -> None:
        tally = Tally("made_calls", "All.")
        for number in range(MOST_NAMES + 50):
            tally.end(f"m{number}", "ok", tally.begin())
        found = samples_of(Meter("x", tally).page(0))
        counted = starting(found, "wirecore_x_made_calls_total")
        assert len(counted) == MOST_NAMES + 1
        assert counted[OTHER, "ok"] == 50

    run_sockets(story)
