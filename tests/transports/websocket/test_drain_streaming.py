"""A server that stops, in the middle of a message that a handler sends in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio.websocket import ConnectionClosed, WebSocket

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.websocket.conftest import World


class Teller:
    """Sends a message in parts, one for each time it is told to, while another task receives."""

    def __init__(self, *, listening: bool = True) -> None:
        self.listening = listening
        self.go_on = trio.Event()

    async def handle(self, ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            if self.listening:
                nursery.start_soon(self._receive, ws)
            async with ws.streaming() as message:
                await message.send(b"begun")
                await self.go_on.wait()
                await message.send(b", ended")
            if not self.listening:
                await self._receive(ws)

    async def _receive(self, ws: WebSocket) -> None:
        async for _ in ws:
            pass


@pytest.mark.parametrize("listening", [True, False])
def test_a_message_that_has_begun_is_ended(world: World, run_sockets: Run, listening: bool) -> None:
    async def story() -> None:
        teller = Teller(listening=listening)
        async with world.serving(teller.handle) as server, trio.open_nursery() as nursery:
            ws = await world.connect(server).__aenter__()
            await trio.testing.wait_all_tasks_blocked(0.02)
            nursery.start_soon(server.drain)
            await trio.testing.wait_all_tasks_blocked(0.02)
            teller.go_on.set()
            assert await ws.receive() == b"begun, ended"
            with pytest.raises(ConnectionClosed) as caught:
                await ws.receive()
            assert (caught.value.code, caught.value.clean) == (1001, True)

    run_sockets(story)


def test_a_message_that_never_ends_has_the_drains_grace(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(Teller().handle) as server:
            ws = await world.connect(server).__aenter__()
            await trio.testing.wait_all_tasks_blocked(0.02)
            start = trio.current_time()
            await server.drain(grace=7)
            assert trio.current_time() - start == pytest.approx(7, abs=0.5)
            with pytest.raises(ConnectionClosed):
                await ws.receive()
            ws.abort()

    run_sockets(story)
