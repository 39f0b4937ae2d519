"""The contract of an engine's adapter, tried out: what every library behind it must do."""

from __future__ import annotations

import trio

from .._errors import ConnectionClosed
from ._adapter_closures import Closures
from ._adapter_dialling import Dialling
from ._adapter_messages import Messages


class AdapterConformance(Dialling, Messages, Closures):
    """Tests that every :class:`wirecore_trio.engine.adapters.Adapter` passes.

    Derive from it where pytest looks, and give it the adapter::

        class TestMine(AdapterConformance):
            def make_adapter(self):
                return Mine()

    Each test runs over TCP on loopback, in real time, against a server by script or one of
    wirecore's.
    """

    def test_a_conversation_with_a_real_server(self) -> None:
        from ..websocket import WebSocket, serve

        ended: list[BaseException | None] = []

        async def echo(ws: WebSocket) -> None:
            try:
                while True:
                    await ws.send(await ws.receive())
            except ConnectionClosed as error:
                ended.append(error)
                raise

        async def main() -> None:
            adapter = self.make_adapter()
            async with trio.open_nursery() as nursery:
                server = await nursery.start(serve, echo, "127.0.0.1", 0)
                for number in range(3):
                    await adapter.dial(f"ws://127.0.0.1:{server.port}/")
                    for message in ("text", b"binary", "x" * 70_000):
                        await adapter.send(message)
                        assert await adapter.receive() == message
                    await adapter.ping()
                    await adapter.close(4000 + number, "for now")
                with trio.move_on_after(1):
                    while len(ended) < 3:  # noqa: ASYNC110
                        await trio.sleep(0.001)
                nursery.cancel_scope.cancel()
            codes = [error.code for error in ended if isinstance(error, ConnectionClosed)]
            assert codes == [4000, 4001, 4002]

        self._main(main)
