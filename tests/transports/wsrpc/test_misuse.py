"""Mistakes of the program that uses it: each error says what happened and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import trio

from wirecore.errors import InvalidState, LocalError, UpgradeRejected
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio._listeners import open_listeners
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import CallLost, NotConnected, Peer, RetryPolicy

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 4))

QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))
ONCE = RetryPolicy(attempts=1)


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


@pytest.mark.parametrize("port", [-1, 65536, 70_000])
def test_a_port_is_checked_before_it_is_cut_down(open_world: Opener, run: Run, port: int) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, []))
        with pytest.raises(ValueError, match=f"0 to 65535, not {port}"):
            await server.serve("127.0.0.1", port)

    run(main)


def test_outside_of_trio_the_error_says_so() -> None:
    async def connect() -> None:
        credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
        async with wsrpc.connect("127.0.0.1:1", credentials):
            pass

    async def serve() -> None:
        await wsrpc.Server(wsrpc.ServerCredentials(SERVER, [])).serve("127.0.0.1", 0)

    for function in (connect, serve):
        with pytest.raises(LocalError, match=r"trio\.run\(main\)"):
            asyncio.run(function())


def test_what_ends_a_server_comes_out_of_serve_as_itself(run: Run) -> None:
    class Enough(BaseException):
        pass

    async def enough(payload: bytes, peer: Peer) -> bytes:
        raise Enough

    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
        server.handle("Enough", enough)
        listeners = await open_listeners("127.0.0.1", 0)
        port = listeners[0].getsockname()[1]

        async def call() -> None:
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            async with wsrpc.connect(f"127.0.0.1:{port}", credentials) as client:
                with pytest.raises(CallLost):
                    await client.call("Enough", b"")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            with pytest.raises(Enough):
                await server.serve(listeners=listeners)

    run(main)


def test_what_connect_returns_is_entered_once(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            connecting = world.connect()
            async with connecting as client:
                with pytest.raises(InvalidState, match="entered already: call connect again"):
                    async with connecting:
                        pass
                assert client.state is wsrpc.State.READY
            with pytest.raises(InvalidState, match="entered already: call connect again"):
                async with connecting:
                    pass

    run(main)


def test_a_call_without_a_connection_says_why(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            async with world.connect(CHARLIE, wait=False, retry=QUICK) as client:
                while client.last_error is None:
                    await client.wait_for_state_change(client.state)
                with pytest.raises(NotConnected, match="refused this client's public key"):
                    await client.call("Ping", b"")
            with pytest.raises(NotConnected, match="within its async with"):
                await client.call("Ping", b"")
            async with world.connect():
                with pytest.raises(UpgradeRejected, match="this key has another connection"):
                    async with world.connect(retry=ONCE):
                        pass

    run(main)
