"""Both ends of each protocol in memory: they talk, they connect again, and leave nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from wirecore import errors
from wirecore_trio import engine, pool, rest, webwire, wsrpc
from wirecore_trio.testing import (
    FaultInjector,
    Network,
    Pair,
    ScriptedPeer,
    engine_pair,
    memory_pair,
    pool_pair,
    rest_pair,
    webwire_pair,
    wsrpc_credentials,
    wsrpc_pair,
)
from wirecore_trio.websocket import ConnectionClosed, Options

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def test_two_ends_of_a_websocket(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = await memory_pair(Options(close_timeout=3), faults=faults)
        await client.send("there")
        assert await server.receive() == "there"
        await server.send(b"and back")
        assert await client.receive() == b"and back"
        faults.cut()
        for end in (client, server):
            with pytest.raises(ConnectionClosed):
                await end.receive()
            await end.aclose()

    run(story)


def test_wsrpc_with_its_keys_and_tls(run: Run) -> None:
    async def shout(payload: bytes, peer: wsrpc.Peer) -> bytes:
        return payload.upper()

    async def story() -> None:
        for_server, for_client = wsrpc_credentials()
        server = wsrpc.Server(for_server, handlers={"Shout": shout})
        pair = wsrpc_pair(server, for_client)
        async with pair as client:
            assert await client.call("Shout", b"hello") == b"HELLO"
            assert client.server_public_key == for_server.public_key
            pair.network.connections[0].reset()
            await client.wait_for_state_change(wsrpc.State.READY)
            assert await client.wait_ready()
            assert await client.call("Shout", b"again") == b"AGAIN"
            assert len(pair.network.connections) == 2

    run(story)


def test_wsrpc_refuses_a_key_that_is_not_listed(run: Run) -> None:
    async def story() -> None:
        for_server, _ = wsrpc_credentials()
        _, strangers = wsrpc_credentials()
        with pytest.raises(errors.PeerRefused):
            async with wsrpc_pair(wsrpc.Server(for_server), strangers):
                pass

    run(story)


def echoing() -> webwire.Server:
    server = webwire.Server()
    server.request(inline=True)(lambda request: request.payload)
    return server


def test_webwire(run: Run) -> None:
    async def story() -> None:
        pair = webwire_pair(echoing())
        async with pair as client:
            assert (await client.request("", b"one")).data == b"one"
            with pair.network.faults.black_hole():
                with trio.move_on_after(3) as scope:
                    await client.request("", b"lost")
                assert scope.cancelled_caught
            pair.network.connections[0].cut()
            await trio.sleep(5)
            assert (await client.request("", b"two")).data == b"two"
            assert len(pair.network.connections) == 2

    run(story)


class Echo:
    @pool.exported(inline=True)
    def text(self, value: str) -> str:
        return value


def test_pool(run: Run) -> None:
    async def story() -> None:
        server = pool.PoolServer()
        server.bind("/pool")
        pair = pool_pair(server, pool.Provider(Echo()), "/pool", connections=2)
        async with pair:
            assert len(server.providers) == 2
            assert await server.call("Echo.Text", "one", str) == "one"
            for connection in pair.network.connections:
                connection.reset()
            await trio.sleep(30)
            assert await server.call("Echo.Text", "two", str) == "two"
        with pytest.raises(errors.InvalidOption, match="leave out wait="):
            pool_pair(server, pool.Provider(Echo()), wait=False)

    run(story)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_rest_in_both_directions(run: Run) -> None:
    async def story() -> None:
        server = rest.Server(hello)
        pair = rest_pair(server, hello, metadata="me")
        async with pair as client:
            assert (await client.request("GET", "/there")).body == b"/there"
            [connection] = server.find("me")
            assert (await connection.request("GET", "/back")).body == b"/back"
            pair.network.connections[0].cut()
            await trio.sleep(30)
            assert (await client.request("GET", "/again")).body == b"/again"

    run(story)


def test_the_engine_against_a_script(run: Run) -> None:
    seen: list[tuple[float, object]] = []
    handler = engine.Callbacks()

    @handler.on_message
    async def message(session: engine.Session, message: object) -> None:
        seen.append((trio.current_time(), message))

    async def first(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.send("one")
        await trio.sleep(2)
        await peer.reset()

    async def second(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.send(b"two")
        await peer.expect_close(1001, "Going away")

    async def story() -> None:
        pair = engine_pair(handler, first, second, options=engine.Options(workers=1))
        async with pair as running:
            assert running.is_started
            await trio.sleep(10)
        assert seen == [(0, "one"), (2, b"two")]

    run(story)


def test_several_pairs_in_one_network(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            async with webwire_pair(echoing(), network=network) as client:
                assert (await client.request("", b"one")).data == b"one"
            assert network.connections[0].over
            with pytest.raises(TypeError, match="network"):
                webwire_pair(echoing(), network="x")  # type: ignore[arg-type]

    run(story)


def test_an_exception_of_the_body_arrives_as_itself(run: Run) -> None:
    async def fail(pair: Pair[webwire.Client]) -> None:
        async with pair:
            raise ZeroDivisionError

    async def story() -> None:
        with pytest.raises(ZeroDivisionError):
            await fail(webwire_pair(echoing()))

    run(story)
