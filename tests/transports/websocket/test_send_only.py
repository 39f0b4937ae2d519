"""A program that only sends: nobody receives, and the connection lives all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from wirecore.constants import Opcode
from wirecore.events import Close, Pong
from wirecore_trio.websocket import ConnectionClosed

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, Run


def test_who_never_receives_keeps_the_connection(open_pair: OpenPair, run: Run) -> None:
    """Its pings are answered by the peer, and the pongs are seen."""

    async def story() -> None:
        sender, receiver = open_pair()
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                async for _ in receiver:
                    pass

            nursery.start_soon(receive)
            for _ in range(300):
                await sender.send("tick")
                await trio.sleep(1)
            assert not sender.closed
            await sender.aclose()

    run(story)


def test_who_never_receives_answers_pings_and_sees_the_close(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.send(peer.frame(Opcode.PING, b"there?"))
        assert await peer.next() == Pong(b"there?")
        await peer.close(1001)
        assert await peer.next() == Close(1001, "")
        await trio.sleep(0.1)
        with pytest.raises(ConnectionClosed) as caught:
            await ws.send("too late")
        assert caught.value.code == 1001

    run(story)


def test_many_senders_take_turns_when_there_is_room(open_pair: OpenPair, run: Run) -> None:
    """Each that waited sends once, whatever the order, and none is forgotten."""

    async def story() -> None:
        one, other = open_pair()
        received = 0
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await one.send(bytes(20_000))

            for _ in range(500):
                nursery.start_soon(send)
            while received < 500:
                received += len(await other.receive_many())
        one.abort()
        other.abort()

    run(story)
