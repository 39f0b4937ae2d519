"""picows on asyncio: compiled, with callbacks for frames."""

from __future__ import annotations

import asyncio
import time
from itertools import cycle

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from bench.peers.load import Meter, Outcome, Task

PACKAGE = "picows"


class EchoBack(WSListener):
    """Sends back every message."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A whole message, since nobody here sends fragments."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


class Echo(WSListener):
    """Keeps ``task.in_flight`` messages under way; ``finished`` is set at the end."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.meter = Meter(task)
        self._outgoing, self._expected = cycle(task.messages()), cycle(task.messages())
        self._under_way = task.in_flight
        self._started = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Fills the window."""
        self._started = time.perf_counter()
        for _ in range(self._task.in_flight):
            transport.send(WSMsgType.BINARY, next(self._outgoing))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One came back, another leaves."""
        try:
            self.meter.check(frame.get_payload_as_bytes(), next(self._expected))
        except Exception as error:
            self.finished.set_exception(error)
            raise
        if self._task.in_flight == 1:
            over = self.meter.answered(self._started)
            self._started = time.perf_counter()
        else:
            over = self.meter.arrived()
        if not over:
            transport.send(WSMsgType.BINARY, next(self._outgoing))
            return
        self._under_way -= 1
        if self._under_way == 0:
            self.finished.set_result(None)


def serve(task: Task) -> None:
    """An echo server."""

    def listener(request: WSUpgradeRequest) -> WSListener:
        return EchoBack()

    async def main() -> None:
        server = await ws_create_server(listener, "127.0.0.1", 0)
        task.listening(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        transport, listener = await ws_connect(lambda: Echo(task), url)
        assert isinstance(listener, Echo)
        await listener.finished
        transport.disconnect()
        return listener.meter.outcome()

    return asyncio.run(main())
