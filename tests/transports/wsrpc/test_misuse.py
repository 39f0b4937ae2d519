"""Mistakes of the program that uses it: each error says what happened and what to do."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

from wirecore.errors import InvalidState, LocalError, PeerRefused, UpgradeRejected
from wirecore_trio import wsrpc
from wirecore_trio._listeners import open_listeners
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import Backoff, CallLost, NotConnected, Peer, RetryPolicy

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


def test_what_connect_returns_is_entered_and_says_so(run: Run) -> None:
    connecting: Any = wsrpc.connect("h:1", wsrpc.ClientCredentials(ALICE, public(SERVER)))

    async def main() -> None:
        with pytest.raises(TypeError, match=r"use async with connect\(\.\.\.\) as client"):
            await connecting

    run(main)
    with pytest.raises(TypeError, match=r"use async with connect\(\.\.\.\) as client"), connecting:
        pass
    with pytest.raises(AttributeError, match=r"'call': use async with connect\(\.\.\.\) as client"):
        connecting.call("Ping", b"")
    assert not hasattr(connecting, "call")


def test_help_shows_what_is_for_users() -> None:
    """Whatever is public on a client has words, and is for those who use it."""
    shown = {name: getattr(wsrpc.Client, name) for name in dir(wsrpc.Client) if name[0] != "_"}
    assert set(shown) == {
        *("call", "invoke", "register", "handle"),
        *("state", "wait_for_state_change", "wait_ready"),
        *("connections", "last_error", "server_public_key"),
    }
    for name, value in shown.items():
        assert inspect.getdoc(value), name
    for state in wsrpc.State:
        assert f"*{state.name}*" in (wsrpc.State.__doc__ or "")


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


SWAPPED = "it is what was given as private_key here: the keys are swapped"


def test_a_client_whose_keys_are_swapped_is_told_so(open_world: Opener, run: Run) -> None:
    """Raw keys look alike, and the first that can be told of it is the server's own key."""

    async def main() -> None:
        async with open_world() as world:
            swapped = wsrpc.ClientCredentials(public(SERVER), ALICE)
            address = f"127.0.0.1:{world.port}"
            with pytest.raises(PeerRefused, match=f"{public(SERVER).hex()} .*; {SWAPPED}"):
                async with wsrpc.connect(address, swapped, retry=ONCE):
                    pass
            stranger = wsrpc.ClientCredentials(ALICE, public(CHARLIE))
            with pytest.raises(PeerRefused, match=r"allowed server keys$"):
                async with wsrpc.connect(address, stranger, retry=ONCE):
                    pass

    run(main)


def test_a_server_whose_keys_are_swapped_logs_it(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Its clients list what it says is its public key, and get as far as to show theirs."""

    async def main() -> None:
        swapped = wsrpc.ServerCredentials(public(ALICE), [SERVER])
        server = wsrpc.Server(swapped)
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            alice = wsrpc.ClientCredentials(ALICE, swapped.public_key)
            with pytest.raises(PeerRefused):
                async with wsrpc.connect(f"127.0.0.1:{listening.port}", alice, retry=ONCE):
                    pass
            await server.aclose()

    with caplog.at_level(logging.WARNING):
        run(main)
    assert f"{public(ALICE).hex()} is not on the list of allowed client keys; {SWAPPED}" in (
        caplog.text
    )


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
