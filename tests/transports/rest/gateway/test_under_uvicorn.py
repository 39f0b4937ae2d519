"""What ``wirecore tunnel gateway`` has uvicorn do that it doesn't by itself."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from tests.resetting import close_resets
from tests.transports.conftest import Run
from wirecore_cli.tunnel.bounded_http import BoundedHttp
from wirecore_cli.tunnel.under_uvicorn import UnderUvicorn
from wirecore_trio._listeners import open_listeners


def test_a_caller_who_goes_in_mid_response_is_no_news(
    run_real: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """uvloop's transport is closed a while before uvicorn is told, and then it can't be written."""
    pytest.importorskip("uvloop")
    told = trio.Event()

    class ToldLate(BoundedHttp):
        """One that is told later than its transport is closed, as it is, by chance, elsewhere."""

        def connection_lost(self, exc: Exception | None) -> None:
            self.loop.call_later(0.2, super().connection_lost, exc)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def endless() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"news", "more_body": True})
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(endless)
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()
        told.set()

    async def story() -> None:
        front = UnderUvicorn(app, certificate=None, max_message_size=1, http=ToldLate)
        sockets = await open_listeners("127.0.0.1", 0)
        port: int = sockets[0].getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(front.serve, sockets)
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await stream.receive_some()
            close_resets(stream)
            await trio.aclose_forcefully(stream)
            await told.wait()
            front.stop(None)

    with caplog.at_level(logging.INFO):
        run_real(story)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
