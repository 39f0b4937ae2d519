"""The server between connections: how they come in, how they go, and how it stops in good order."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from wirecore._backend import Backend
from wirecore.errors import InvalidState, PeerRefused, UpgradeRejected
from wirecore.websocket import ClientHandshake
from wirecore_trio import wsrpc
from wirecore_trio._link import Link
from wirecore_trio._listeners import open_listeners
from wirecore_trio._upgrade import send_all
from wirecore_trio.tls import PinnedTLSStream, connect_pinned_tls, load_private_key, public_key_of
from wirecore_trio.wsrpc import NotConnected, Peer, RetryPolicy, State, _server
from wirecore_trio.wsrpc._address import peer_address

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))

ONCE = RetryPolicy(attempts=1)


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


def echo(payload: bytes, peer: Peer) -> bytes:
    return payload


def serve_echo(server: wsrpc.Server) -> None:
    server.handle("Echo", echo, inline=True)


async def dial_tls(port: int) -> PinnedTLSStream:
    """Alice's TLS stream, before any upgrade."""
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    return await connect_pinned_tls("127.0.0.1", port, credentials)


async def read_to_end(stream: PinnedTLSStream) -> bytes:
    data = b""
    while chunk := await stream.receive_some(65536):
        data += chunk
    return data


async def gone(world: Any) -> None:
    """Wait until the server has seen the last of all that came in."""
    (acceptor,) = world.server._acceptors
    await acceptor.wait_idle()


def test_it_serves_on_sockets_that_were_bound_before(backend: Backend, run: Run) -> None:
    """As a service manager hands them over, or a process that drops its rights."""

    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]), backend=backend)
        serve_echo(server)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(partial(server.serve, listeners=sockets))
            assert listening.addresses == [sock.getsockname() for sock in sockets]
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            for _, port in listening.addresses:
                async with wsrpc.connect(f"127.0.0.1:{port}", credentials) as client:
                    assert await client.call("Echo", b"x") == b"x"
            await server.aclose()

    run(main)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the system has no Unix sockets")
def test_it_serves_on_a_unix_socket(backend: Backend, run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]), backend=backend)
        serve_echo(server)
        path = str(tmp_path / "socket")
        sockets = [socket.socket(socket.AF_UNIX)]
        sockets[0].bind(path)
        sockets[0].listen()
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(partial(server.serve, listeners=sockets))
            assert listening.addresses == [path]
            with pytest.raises(InvalidState, match="listens on no port"):
                _ = listening.port
            stream = PinnedTLSStream(
                await trio.open_unix_socket(path), wsrpc.ClientCredentials(ALICE, public(SERVER))
            )
            handshake = ClientHandshake(host="localhost", target="/")
            await stream.send_all(handshake.request())
            while handshake.receive(await stream.receive_some(65536)) is None:
                pass
            assert server.connected_keys == [public(ALICE)]
            await trio.aclose_forcefully(stream)
            await server.aclose()

    run(main)


def test_a_client_that_goes_away_at_any_time_is_nothing_to_be_logged(
    open_world: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Before its upgrade, or after it in good order; and neither end takes it for a loss."""

    async def main() -> None:
        async with open_world(prepare=serve_echo) as world:
            await (await dial_tls(world.port)).aclose()
            await gone(world)
            async with world.connect() as client:
                assert await client.call("Echo", b"x") == b"x"

    with caplog.at_level(logging.INFO):
        run(main)
    assert not [record for record in caplog.records if record.name == "wirecore.wsrpc"]


def test_the_log_says_where_a_refused_client_was(
    open_world: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_world() as world:
            async with await trio.open_tcp_stream("127.0.0.1", world.port) as stream:
                address = f"127.0.0.1:{stream.socket.getsockname()[1]}"
                await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
                while await stream.receive_some(4096):
                    pass
            await gone(world)
            assert f"a client at {address} wasn't let in: what the client sent" in caplog.text
            caplog.clear()
            with pytest.raises(PeerRefused):
                async with world.connect(CHARLIE, retry=ONCE):
                    pass
            await gone(world)
            assert re.search(
                r"a client at 127\.0\.0\.1:\d+ wasn't let in: the client's", caplog.text
            )
            caplog.clear()
            async with world.connect():
                with pytest.raises(UpgradeRejected):
                    async with world.connect(retry=ONCE):
                        pass
            key = public(ALICE).hex()
            assert re.search(
                rf"a connection of {key}, from 127\.0\.0\.1:\d+, was refused", caplog.text
            )

    with caplog.at_level(logging.INFO):
        run(main)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the system has no Unix sockets")
def test_where_a_client_is_has_a_name_for_every_socket() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_address(ours) == "a Unix socket"
    with socket.socket() as unconnected:
        assert peer_address(unconnected) == "an address that is gone"


def test_a_key_removed_during_its_upgrade_does_not_get_in(
    open_world: Opener, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_world() as world:

            async def remove_and_send(link: Link, data: bytes) -> None:
                world.credentials.replace([public(BOB)])
                await send_all(link, data)

            monkeypatch.setattr(_server, "send_all", remove_and_send)
            async with await dial_tls(world.port) as stream:
                await stream.send_all(ClientHandshake(host="127.0.0.1", target="/").request())
                answer = await read_to_end(stream)
            assert answer.endswith(b"\r\n\r\n"), "nothing comes behind the head"
            assert world.server.connected_keys == []

    run(main)


def test_removing_the_key_of_a_client_that_is_not_there_is_no_matter(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_echo) as world, world.connect() as alice:
            world.credentials.replace([public(ALICE)])
            assert await alice.call("Echo", b"x") == b"x"

    run(main)


def test_calls_to_a_client_that_is_not_connected_let_others_run(
    open_world: Opener, run: Run
) -> None:
    """To try again and again is no good idea, but it mustn't stop everything else."""

    async def main() -> None:
        async with open_world() as world:
            peer = world.server.peer(public(BOB))
            with trio.testing.assert_checkpoints(), pytest.raises(NotConnected):
                await peer.call("Echo", b"")

    run(main)


def test_a_client_serves_single_methods_too(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world, world.connect() as client:
            client.handle("Echo", echo, inline=True)
            assert await world.server.peer(public(ALICE)).call("Echo", b"x") == b"x"

    run(main)


# --- drain ------------------------------------------------------------------------------------

LARGE = 30_000_000  # more than the buffers of two sockets


@pytest.mark.parametrize("inline", [True, False])
def test_drain_lets_answers_arrive(open_world: Opener, run: Run, inline: bool) -> None:
    """Whoever was served before the end has it in full, however long it takes to send."""

    async def main() -> None:
        begun = trio.Event()

        def large(payload: bytes, peer: Peer) -> bytes:
            if inline:
                begun.set()
            else:
                trio.from_thread.run_sync(begun.set)
            return bytes(LARGE)

        async with open_world() as world:
            world.server.handle("Large", large, inline=inline)
            async with world.connect() as client:
                sizes: list[int] = []

                async def call() -> None:
                    sizes.append(len(await client.call("Large", b"")))

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(call)
                    await begun.wait()
                    await world.server.drain()
                assert sizes == [LARGE]
                await client.wait_for_state_change(State.READY)
                assert client.last_error.code == 1000

    run(main)


def test_a_server_can_be_told_twice_to_drain(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        begun, release = trio.Event(), trio.Event()

        async def work(payload: bytes, peer: Peer) -> bytes:
            begun.set()
            await release.wait()
            return b"done"

        async with open_world() as world:
            world.server.handle("Work", work)
            async with world.connect() as client, trio.open_nursery() as nursery:
                answers: list[bytes] = []

                async def call() -> None:
                    answers.append(await client.call("Work", b""))

                nursery.start_soon(call)
                await begun.wait()
                nursery.start_soon(world.server.drain, None)
                nursery.start_soon(world.server.drain, None)
                await trio.testing.wait_all_tasks_blocked()
                release.set()
            assert answers == [b"done"]

    run(main)


def test_drain_cuts_who_does_not_take_its_answers(
    open_world: Opener, run: Run, backend: Backend
) -> None:
    async def main() -> None:
        begun = trio.Event()

        def large(payload: bytes, peer: Peer) -> bytes:
            begun.set()
            return bytes(LARGE)

        async with open_world() as world:
            world.server.handle("Large", large, inline=True)
            envelope = backend.envelope.encode_request("Large", "an id", b"")
            handshake = ClientHandshake(host="127.0.0.1", target="/")
            async with await dial_tls(world.port) as stream:
                await stream.send_all(handshake.request())
                while handshake.receive(await stream.receive_some(65536)) is None:
                    pass
                await stream.send_all(backend.frames.encode_message(envelope, True))
                await begun.wait()
                await world.server.drain(grace=0.05)
                assert world.server.connected_keys == []

    run(main)


# --- when a server has ended ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["aclose", "drain", "cancel"])
def test_a_server_has_ended_when_its_last_handler_is_through(run: Run, how: str) -> None:
    order: list[str] = []
    begun = trio.Event()

    async def tidy(payload: bytes, peer: Peer) -> bytes:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.05)
                order.append("tidied up")
        return b""

    async def main() -> None:
        server = wsrpc.Server(
            wsrpc.ServerCredentials(SERVER, [public(ALICE)]), handlers={"Tidy": tidy}
        )

        async def wait_closed() -> None:
            await server.wait_closed()
            order.append("closed")

        async def watch() -> None:
            order.extend([str(len(change.connected)) async for change in server.changes()])
            order.append("no more changes")

        async with trio.open_nursery() as nursery:
            for waits in (wait_closed, watch, server.serve_health):
                nursery.start_soon(waits)
            async with trio.open_nursery() as serving:
                listening = await serving.start(server.serve, "127.0.0.1", 0)
                credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
                address = f"127.0.0.1:{listening.port}"
                async with wsrpc.connect(address, credentials) as client:
                    nursery.start_soon(lose, client)
                    await begun.wait()
                    if how == "cancel":
                        serving.cancel_scope.cancel()
                    elif how == "drain":
                        await server.drain(grace=0.01)
                    else:
                        await server.aclose()
        assert order[0] == "tidied up"
        assert sorted(order[1:]) == ["0", "1", "closed", "no more changes"]
        with pytest.raises(InvalidState, match="make a new one"):
            await server.serve("127.0.0.1", 0)

    async def lose(client: wsrpc.Client) -> None:
        with pytest.raises(wsrpc.CallLost):
            await client.call("Tidy", b"")

    run(main)


def test_drained_while_it_looks_for_its_address_a_server_does_not_begin(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, []))
        found = []
        look = open_listeners

        async def look_and_be_drained(host: str | None, port: int) -> list[socket.socket]:
            found.extend(await look(host, port))
            await server.drain()
            return found

        monkeypatch.setattr(_server, "listen", look_and_be_drained)
        await server.serve("127.0.0.1", 0)
        assert [listener.fileno() for listener in found] == [-1]
        await server.wait_closed()

    run(main)
