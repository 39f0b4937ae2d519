"""One message to many connections: encoded once, and nobody is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Turns
from wirecore_trio.websocket import Limits, Options, RawText, WebSocket, broadcast

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, Run


@pytest.mark.parametrize("message", ["text", b"binary", RawText(b"raw"), b"x" * 300_000])
def test_everybody_gets_the_message(open_pair: OpenPair, run: Run, message: Any) -> None:
    async def story() -> None:
        pairs = [open_pair() for _ in range(5)]
        got: list[Any] = []

        async def receive(client: WebSocket) -> None:
            got.append(await client.receive())

        async with trio.open_nursery() as nursery:
            for client, _ in pairs:
                nursery.start_soon(receive, client)
            assert await broadcast((server for _, server in pairs), message) == []
        assert got == [message.decode() if isinstance(message, RawText) else message] * 5
        # A client may do it too, with a mask of its own for each.
        assert await broadcast([client for client, _ in pairs], message) == []
        for client, server in pairs:
            await server.receive()
            await client.aclose()

    run(story)


def test_a_servers_frames_are_made_once(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        pairs = [open_pair() for _ in range(3)]
        seen: list[Any] = []
        for _, server in pairs:
            taken = server._connection.outbox.take
            assert taken(1) == b""
            server._pump._writing = True  # what is queued stays there, to be looked at
        assert await broadcast([server for _, server in pairs], b"shared") == []
        for client, server in pairs:
            piece = server._connection.outbox.take(1)
            seen.append(piece.obj if isinstance(piece, memoryview) else piece)
            server._pump._writing = False
            server._pump.push()
            assert await client.receive() == b"shared"
            await client.aclose()
        assert all(piece is seen[0] for piece in seen)

    run(story)


def test_who_cant_take_it_now_is_left_out_and_told(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        gone_client, gone = open_pair()
        await gone_client.aclose()
        full_client, full = open_pair(server=Options(high_water=10))
        half_client, half = open_pair()
        good_client, good = open_pair()
        full._pump._writing = True  # its peer takes nothing
        await full.send(b"x" * 20)
        async with half.streaming() as part:
            await part.send(b"first ")
            left_out = await broadcast([gone, full, half, good], "news")
            await part.send(b"last")
        assert left_out == [gone, full, half]
        assert await good_client.receive() == "news"
        assert await half_client.receive() == b"first last"
        full._pump._writing = False
        full._pump.push()
        for client in (full_client, half_client, good_client):
            await client.aclose()

    run(story)


def test_a_bound_below_the_high_water_mark_leaves_out_and_stops_nobody(
    open_pair: OpenPair, run: Run
) -> None:
    async def story() -> None:
        full_client, full = open_pair(server=Options(limits=Limits(max_queued_bytes=10)))
        good_client, good = open_pair()
        full._pump._writing = True  # its peer takes nothing
        await full.send(b"x" * 20)
        assert await broadcast([full, good], "news") == [full]
        assert await good_client.receive() == "news"
        full._pump._writing = False
        full._pump.push()
        for client in (full_client, good_client):
            await client.aclose()

    run(story)


def test_others_have_their_turn_meanwhile(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        turns = Turns()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            await broadcast([server] * 2560, b"x")
            assert turns.count > 5
            nursery.cancel_scope.cancel()
        with trio.testing.assert_checkpoints():
            assert await broadcast([], "nobody") == []
        received = 0
        while received < 2560:
            received += len(await client.receive_many())
        await client.aclose()

    run(story)


def test_what_is_no_message_reaches_nobody(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        with pytest.raises(TypeError, match="a message is str, bytes"):
            await broadcast([server], 5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"for one, send to it, or give \[ws\]"):
            await broadcast(server, "x")  # type: ignore[arg-type]
        await client.aclose()

    run(story)
