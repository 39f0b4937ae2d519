"""A server that closes and keeps the stream open: how long its client waits for the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from wirecore.events import Close
from wirecore_trio.websocket import ConnectionClosed, Options

if TYPE_CHECKING:
    from tests.transports.conftest import OpenRaw, Run


@pytest.mark.parametrize("ping_interval", [20.0, None])
@pytest.mark.parametrize("how", ["receive", "aclose"])
def test_a_server_that_says_goodbye_and_keeps_the_stream_is_left_in_time(
    run_sockets: Run, open_raw_socket: OpenRaw, how: str, ping_interval: float | None
) -> None:
    """RFC 6455 section 7.1.1 leaves it to the server to end the stream, and some never do."""

    async def story() -> None:
        options = Options(close_timeout=7, ping_interval=ping_interval)
        ws, peer = open_raw_socket(client=True, options=options)
        await peer.close(1000)
        if how == "receive":
            with pytest.raises(ConnectionClosed):
                await ws.receive()
        else:
            await ws.aclose()
        assert trio.current_time() == pytest.approx(7, abs=0.1)
        assert [type(item) for item in await peer.rest()] == [Close]
        await ws.aclose()
        await peer.stream.aclose()

    run_sockets(story)
