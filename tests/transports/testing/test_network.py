"""A network in memory: names, ports, TLS and refusals, for everything that dials and listens."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore import errors
from wirecore_trio import websocket, webwire
from wirecore_trio.testing import Network

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run


async def echo(ws: websocket.WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def says(url: str, word: str = "hello", **dialing: object) -> None:
    """A server at *url* sends back *word*."""
    async with websocket.connect(url, **dialing) as ws:  # type: ignore[arg-type]
        await ws.send(word)
        assert await ws.receive() == word


def test_names_and_ports_lead_to_who_listens_there(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            for host, port in (("one.test", 80), ("two.test", 8080), (None, 90)):
                await network.start(partial(websocket.serve, echo, host, port))
            for url in ("ws://one.test/", "ws://TWO.test:8080/", "ws://any.test:90/"):
                await says(url)
            assert [str(each.target) for each in network.connections] == [
                "one.test port 80",
                "two.test port 8080",
                "any.test port 90",
            ]
            assert all(each.over for each in network.connections)

    run(story)


def test_the_names_of_this_machine_are_one(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            server = await network.start(websocket.serve, echo, "127.0.0.1", 0)
            await says(f"ws://localhost:{server.port}/")
            await says(f"ws://[::1]:{server.port}/")
            another = await network.start(websocket.serve, echo, "127.0.0.1", 0)
            assert server.port != another.port

    run(story)


def test_where_nobody_listens_a_dial_is_refused(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            server = await network.start(partial(websocket.serve, echo, "one.test", 80))
            for url in ("ws://two.test/", "ws://one.test:81/"):
                with pytest.raises(ConnectionRefusedError, match=r"which has one\.test port 80"):
                    await says(url)
            await server.drain()
            with pytest.raises(ConnectionRefusedError, match="which has no listener"):
                await says("ws://one.test/")

    run(story)


def test_an_address_is_taken_once(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "one.test", 80))
            with pytest.raises(OSError, match=r"one\.test port 80 is taken") as caught:
                await websocket.serve(echo, "one.test", 80)
            assert caught.value.errno == errno.EADDRINUSE
            network.scripted("ws://two.test/", lambda peer: peer.accept())
            with pytest.raises(OSError, match=r"two\.test port 80 is taken"):
                network.scripted("ws://two.test/", lambda peer: peer.accept())

    run(story)


def test_paths_of_unix_sockets(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            serve = partial(websocket.serve, echo, unix_path="/run/it")
            server = await network.start(serve)
            assert server.addresses == ["/run/it"]
            await says("ws://ignored.test/", unix_path="/run/it")
            with pytest.raises(ConnectionRefusedError, match="/run/that refused"):
                await says("ws://ignored.test/", unix_path="/run/that")

    run(story)


def test_tls_is_the_real_one(run: Run, authority: Authority, another_authority: Authority) -> None:
    async def story() -> None:
        async with Network() as network:
            context = authority.server_context()
            serve = partial(websocket.serve, echo, "server.test", 443, ssl_context=context)
            await network.start(serve)
            await says("wss://server.test/", ssl_context=authority.client_context())
            with pytest.raises(errors.PeerRefused):
                await says("wss://server.test/", ssl_context=another_authority.client_context())

    run(story)


def test_a_servers_bounds_hold(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            serve = partial(websocket.serve, echo, "server.test", 80, max_connections=1)
            await network.start(serve)
            async with websocket.connect("ws://server.test/"):
                with pytest.raises(errors.UpgradeRejected) as caught:
                    await says("ws://server.test/")
                assert caught.value.status == 503
            await says("ws://server.test/")

            serve = partial(websocket.serve, echo, "shy.test", 80, max_handshakes=1)
            await network.start(serve)
            silent = await network.dial("shy.test", 80)
            await trio.lowlevel.checkpoint()
            with pytest.raises(errors.UpgradeRejected):
                await says("ws://shy.test/")
            await silent.aclose()

    run(story)


def test_health_is_asked_through_it_too(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            server = webwire.Server()
            await network.start(server.serve, "server.test", 80)
            await network.start(server.serve_health, "server.test", 81)
            async with await network.dial("server.test", 81) as stream:
                await stream.send_all(b"GET /readyz HTTP/1.1\r\nHost: server.test\r\n\r\n")
                answer = b"".join([data async for data in stream])
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"ok\n")

    run(story)


def test_a_connection_knows_its_number_and_the_server_its_name(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            server = webwire.Server()
            await network.start(server.serve, "server.test", 80)
            async with webwire.connect("ws://server.test/"):
                [connection] = server.connections
                assert connection.remote_address == "memory:1"
            assert [each.number for each in network.connections] == [1]

    run(story)


def test_after_it_the_systems_network_is_back(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{server.port}/"
            async with Network():
                with pytest.raises(ConnectionRefusedError, match="in memory"):
                    await says(url)
                async with Network() as inner:
                    await inner.start(websocket.serve, echo, "127.0.0.1", server.port)
                    await says(url)
                with pytest.raises(ConnectionRefusedError, match="in memory"):
                    await says(url)
            await says(url)
            await server.drain()

    run_sockets(story)


def test_leaving_ends_what_is_left(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "server.test", 80))
            connecting = websocket.connect("ws://server.test/")
            ws = await connecting.__aenter__()
        with pytest.raises(websocket.ConnectionClosed) as caught:
            await ws.receive()
        assert caught.value.code == 1001, "the server was cancelled"
        await connecting.__aexit__(None, None, None)
        assert all(each.over for each in network.connections)

    run(story)


def test_an_exception_of_the_body_arrives_as_itself(run: Run) -> None:
    async def story() -> None:
        network = Network()

        async def fail() -> None:
            async with network:
                await network.start(partial(websocket.serve, echo, "server.test", 80))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        with pytest.raises(errors.InvalidState, match="entered already"):
            await network.__aenter__()

    run(story)


def test_it_is_used_once_it_is_entered() -> None:
    with pytest.raises(errors.InvalidState, match="enter the network first"):
        _ = Network().nursery
    with pytest.raises(errors.InvalidOption, match="capacity"):
        Network(capacity=0)
    with pytest.raises(TypeError, match="faults"):
        Network(faults=1)  # type: ignore[arg-type]


def test_who_cancels_its_nursery_leaves_it_as_any_nursery(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "server.test", 80))
            network.nursery.cancel_scope.cancel()
            await trio.sleep_forever()
        done.append(trio.current_time())

    done: list[float] = []
    run(story)
    assert done == [0]
