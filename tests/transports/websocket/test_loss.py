"""Connections that break: cut at every byte, reset, half closed; always ConnectionClosed."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.resetting import close_resets
from wirecore.constants import Opcode
from wirecore.events import Close
from wirecore_trio._link import SocketLink
from wirecore_trio.websocket import ConnectionClosed, Options, WebSocket, connect

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, OpenRaw, RawPeer, Run
    from tests.transports.websocket.conftest import World


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


def reset(peer: RawPeer) -> Awaitable[None]:
    """Close with a reset instead of an orderly end."""
    stream = peer.stream
    assert isinstance(stream, trio.SocketStream)
    close_resets(stream)
    return stream.aclose()


async def receive_all(ws: WebSocket) -> tuple[list[Any], ConnectionClosed]:
    """All messages that come, and how it ended."""
    got: list[Any] = []
    while True:
        try:
            got.append(await ws.receive())
        except ConnectionClosed as error:
            return got, error


async def end_of(ws: WebSocket) -> ConnectionClosed:
    _, error = await receive_all(ws)
    return error


# --- truncated ------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [False, True])
def test_a_stream_that_is_cut_anywhere_is_1006(open_raw: OpenRaw, run: Run, client: bool) -> None:
    def make(peer: RawPeer) -> tuple[list[bytes], list[Any]]:
        """Frames, and for each what has come once it is whole."""
        return [
            peer.frame(Opcode.BINARY, b"whole"),
            peer.frame(Opcode.PING, b"ping"),
            peer.frame(Opcode.TEXT, b"frag", fin=False),
            peer.frame(Opcode.CONTINUATION, b"ment"),
            peer.frame(Opcode.BINARY, bytes(200)),
            peer.frame(Opcode.CLOSE, b"\x03\xe8bye"),
        ], [[b"whole"], [], [], ["fragment"], [bytes(200)], []]

    async def story() -> None:
        ws, peer = open_raw(client=client)
        ws.abort()
        frames, messages = make(peer)
        stream = b"".join(frames)
        ends = [sum(map(len, frames[: n + 1])) for n in range(len(frames))]
        for cut in range(len(stream) + 1):
            ws, peer = open_raw(client=client)
            if cut:
                await peer.stream.send_all(stream[:cut])
            await peer.stream.send_eof()  # type: ignore[attr-defined]  # a stapled stream
            got, error = await receive_all(ws)
            assert got == [
                m for end, ms in zip(ends, messages, strict=True) if end <= cut for m in ms
            ]
            whole = cut == len(stream)
            assert (error.code, error.clean) == ((1000, True) if whole else (1006, False))

    run(story)


# --- broken ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["eof", "reset", "close"])
def test_whoever_waits_gets_connection_closed(
    open_raw_socket: OpenRaw, run_sockets: Run, how: str
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(ping_interval=None))
        ends: list[str] = []

        async def lose(name: str, verb: Callable[[], Awaitable[Any]]) -> None:
            with pytest.raises(ConnectionClosed) as caught:
                await verb()
            assert isinstance(caught.value, trio.BrokenResourceError)
            assert caught.value.code == (1001 if how == "close" else 1006)
            ends.append(name)

        async def send_on() -> None:
            while True:
                await ws.send(bytes(100_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose, "receive", ws.receive)
            nursery.start_soon(lose, "ping", ws.ping)
            nursery.start_soon(lose, "send", send_on)
            nursery.start_soon(ws.wait_closed)
            await settle()
            if how == "close":
                await peer.close(1001)
                await settle()
                await peer.stream.aclose()
            else:
                await (reset(peer) if how == "reset" else peer.stream.aclose())
        assert sorted(ends) == ["ping", "receive", "send"]
        await lose("after", ws.receive)
        await lose("after", ws.ping)

    run_sockets(story)


def test_a_reset_while_nobody_waits(open_raw_socket: OpenRaw, run_sockets: Run) -> None:
    async def story() -> None:
        for kept in (False, True):
            ws, peer = open_raw_socket()
            if kept:
                ws._baton.attend()
                await settle()
            await reset(peer)
            await settle()
            assert ws.closed == kept
            with suppress(ConnectionClosed):
                await ws.send(b"x")
            error = await end_of(ws)
            assert error.code == 1006
            assert isinstance(error.__cause__, trio.BrokenResourceError)
            assert isinstance(error.__cause__.__cause__, OSError)
            with pytest.raises(ConnectionClosed):
                await ws.send(b"x")

    run_sockets(story)


def test_messages_before_a_reset_are_received_also_by_a_sender(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    """Several reads of them: a send that fails must not throw away what lies in the socket."""

    async def story() -> None:
        ws, peer = open_raw_socket(client=True)
        for number in range(10):
            await peer.message(b"%d" % number)
        await peer.close(4000, "enough")
        await settle()
        ws._pump._view = ws._pump._view[:4]  # one frame or so a read
        await peer.stream.aclose()  # what we send from now on is answered with a reset
        for _ in range(3):
            with suppress(ConnectionClosed):
                await ws.send(b"x")
            await settle()
        got, error = await receive_all(ws)
        assert got == [b"%d" % number for number in range(10)]
        assert (error.code, error.reason) == (4000, "enough")

    run_sockets(story)


def test_a_ping_among_the_last_words_doesnt_cost_the_rest(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    """Its pong can't be sent any more, and fails in the middle of reading."""

    async def story() -> None:
        ws, peer = open_raw_socket(client=True)
        frames = [peer.frame(Opcode.PING, b"x"), peer.frame(Opcode.PING, b"y")]
        await peer.send(*frames, *frames)
        for number in range(10):
            await peer.message(b"%d" % number)
        await peer.close(4000, "enough")
        await settle()
        await peer.stream.aclose()
        ws._pump._view = ws._pump._view[:6]
        got, error = await receive_all(ws)
        assert got == [b"%d" % number for number in range(10)]
        assert (error.code, error.reason) == (4000, "enough")

    run_sockets(story)


def test_a_peer_that_half_closes_gets_what_was_on_its_way(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(high_water=10_000_000))
        await ws.send(bytes(1_000_000))
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        async with trio.open_nursery() as nursery:

            async def lose() -> None:
                assert (await end_of(ws)).code == 1006

            nursery.start_soon(lose)
            assert await peer.rest() == [bytes(1_000_000)]
        await peer.stream.aclose()

    run_sockets(story)


def test_a_peer_that_half_closes_and_doesnt_read_is_left_soon(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(high_water=10_000_000))
        await ws.send(bytes(5_000_000))
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        start = trio.current_time()
        reads = 0
        real = SocketLink.try_recv_into

        def counted(link: SocketLink, buffer: memoryview) -> int | None:
            nonlocal reads
            reads += 1
            return real(link, buffer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SocketLink, "try_recv_into", counted)
            await end_of(ws)
        assert trio.current_time() - start == pytest.approx(5)
        assert reads < 10  # and costs nothing meanwhile
        await peer.stream.aclose()

    run_sockets(story)


def test_a_close_frame_that_cant_be_answered_still_counts(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket()
        await peer.close(1001, "going")
        await settle()
        await peer.stream.aclose()
        await settle()
        error = await end_of(ws)
        assert (error.code, error.reason) == (1001, "going")

    run_sockets(story)


# --- TLS ------------------------------------------------------------------------------------


def test_a_tls_stream_that_breaks(world: World, run_sockets: Run, authority: Authority) -> None:
    async def hang_up(ws: WebSocket) -> None:
        message = await ws.receive()
        link: Any = ws._pump.link
        sock = link.inner.socket
        if message == b"reset":
            close_resets(sock)
            link.inner.close()
        elif message == b"rubbish":
            sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))
            await trio.sleep(1)
        else:
            sock.shutdown(socket.SHUT_WR)
            await trio.sleep(1)

    async def story() -> None:
        async with world.serving(hang_up, ssl_context=authority.server_context()) as server:
            for how in (b"reset", b"rubbish", b"cut"):
                async with connect(
                    f"wss://127.0.0.1:{server.port}/",
                    ssl_context=authority.client_context(),
                    backend=world.backend,
                ) as ws:
                    await ws.send(how)
                    error = await end_of(ws)
                    assert error.code == 1006
                    with pytest.raises(ConnectionClosed):
                        await ws.send(b"x")

    run_sockets(story)


# --- the peer says goodbye in odd ways ------------------------------------------------------


def test_what_follows_a_close_frame_is_ignored(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(client=True)
        await peer.send(peer.frame(Opcode.CLOSE, b""), peer.frame(Opcode.BINARY, b"too late"))

        async def lose() -> None:
            assert (await end_of(ws)).code == 1005

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            assert await peer.next() == Close(None, "")
            await peer.message(b"much too late")
            await trio.testing.wait_all_tasks_blocked()
            await peer.stream.aclose()

    run(story)


def test_the_first_bytes_may_be_the_last(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        for leftover, code in ((b"\x88\x80\0\0\0\0", 1005), (b"\xff", 1006), (b"\x88\x02", 1006)):
            ws, peer = open_raw(leftover=leftover)
            assert (await end_of(ws)).code == code
            await peer.rest()

    run(story)
