"""What a server answers to those who ask over plain HTTP whether it is well."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidState
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc import Peer

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER = bytes([1]) * 32


async def ask(port: int, request: str = "GET /healthz") -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body of the answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"{request} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        data = b"".join([chunk async for chunk in stream])
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, body


async def status(port: int, path: str) -> int:
    return (await ask(port, f"GET {path}"))[0]


def test_a_server_that_listens_is_alive_and_ready(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            health = await world.nursery.start(world.server.serve_health, "127.0.0.1", 0)
            for path in ("/healthz", "/livez", "/readyz", "/healthz?verbose"):
                code, fields, body = await ask(health.port, f"GET {path}")
                assert (code, body) == (200, b"ok\n")
                assert fields["connection"] == "close"
                assert fields["content-length"] == "3"
            code, fields, body = await ask(health.port, "HEAD /readyz")
            assert (code, fields["content-length"], body) == (200, "3", b"")

    run(main)


def test_other_paths_and_methods_are_told_so(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            health = await world.nursery.start(world.server.serve_health, "127.0.0.1", 0)
            assert await status(health.port, "/") == 404
            assert await status(health.port, "/healthz/more") == 404
            code, fields, _ = await ask(health.port, "POST /healthz")
            assert (code, fields["allow"]) == (405, "get, head")
            assert (await ask(health.port, "nonsense"))[0] == 400
            assert await status(health.port, "/livez") == 200, "it goes on"

    run(main)


def test_before_it_listens_a_server_is_alive_and_not_ready(run: Run) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, []))
        async with trio.open_nursery() as nursery:
            health = await nursery.start(server.serve_health, "127.0.0.1", 0)
            assert await status(health.port, "/livez") == 200
            code, _, body = await ask(health.port, "GET /readyz")
            assert (code, body) == (503, b"not listening\n")
            await nursery.start(server.serve, "127.0.0.1", 0)
            assert await status(health.port, "/readyz") == 200
            await server.aclose()

    run(main)


def test_while_it_drains_a_server_is_alive_and_not_ready(open_world: Opener, run: Run) -> None:
    running, go_on = trio.Event(), trio.Event()

    async def slow(payload: bytes, peer: Peer) -> bytes:
        running.set()
        await go_on.wait()
        return payload

    async def main() -> None:
        async with open_world(prepare=lambda server: server.handle("Slow", slow)) as world:
            health = await world.nursery.start(world.server.serve_health, "127.0.0.1", 0)
            async with world.connect() as client, trio.open_nursery() as nursery:
                nursery.start_soon(client.call, "Slow", b"")
                await running.wait()
                nursery.start_soon(world.server.drain)
                await trio.testing.wait_all_tasks_blocked(0.01)
                code, _, body = await ask(health.port, "GET /readyz")
                assert (code, body) == (503, b"draining\n")
                assert await status(health.port, "/livez") == 200
                assert await status(health.port, "/healthz") == 200
                go_on.set()
            await world.server.wait_closed()
            await trio.testing.wait_all_tasks_blocked(0.01)
            with pytest.raises(OSError, match="all attempts to connect"):
                await trio.open_tcp_stream("127.0.0.1", health.port)

    run(main)


def test_who_asks_for_nothing_is_left_after_a_while() -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, []))
        async with trio.open_nursery() as nursery:
            health = await nursery.start(server.serve_health, "127.0.0.1", 0)
            async with await trio.open_tcp_stream("127.0.0.1", health.port) as silent:
                await silent.send_all(b"GET /hea")
                started = trio.current_time()
                assert await silent.receive_some() == b""
                assert trio.current_time() - started == pytest.approx(5, abs=0.1)
            await server.aclose()

    clock = trio.testing.MockClock(autojump_threshold=0.05)
    trio.run(main, clock=clock)


def test_probes_are_answered_on_sockets_that_were_bound_before(run: Run) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, []))
        [bound] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        family, kind, proto = bound.socket.family, bound.socket.type, bound.socket.proto
        listener = socket.socket(family, kind, proto, bound.socket.detach())
        port = listener.getsockname()[1]
        async with trio.open_nursery() as nursery:
            start = partial(server.serve_health, listeners=[listener])
            health = await nursery.start(start)
            assert health.port == port
            assert await status(port, "/livez") == 200
            await server.aclose()
        with pytest.raises(InvalidState):
            await server.serve("127.0.0.1", 0)

    run(main)
