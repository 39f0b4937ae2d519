"""Connections of HTTP/2 to a gateway: what hypercorn does to some requests, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.connection
import h2.events
import pytest
import trio
from hypercorn.config import Config

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.gateway.test_hostile_callers import caller, dial, head
from tests.transports.rest.gateway.world import OpenGateway, World
from tests.transports.rest.world import Parked

_MOST = 3


#: A close frame of a WebSocket's caller, with 1000; its mask is 0.
_CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class Caller:
    """One connection, and what comes over it."""

    def __init__(self, stream: trio.SocketStream, window: int) -> None:
        self.seen: list[h2.events.Event] = []
        self._stream = stream
        self._connection = caller(window=window)

    async def ask_websocket(self, path: str) -> int:
        """Ask for a WebSocket, as RFC 8441 has it; its id."""
        stream_id = self._connection.get_next_available_stream_id()
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), *head(path)[1:]]
        self._connection.send_headers(stream_id, [*fields, ("sec-websocket-version", "13")])
        await self._flush()
        return stream_id

    async def grant(self, size: int, stream_id: int) -> None:
        """Take so much more."""
        self._connection.increment_flow_control_window(size, stream_id)
        self._connection.increment_flow_control_window(size)
        await self._flush()

    async def ask(self, *paths: str, end: bool = True) -> int:
        """Send requests for these, or only begin the connection; the id of the last."""
        last = 0
        for path in paths:
            last = self._connection.get_next_available_stream_id()
            self._connection.send_headers(last, head(path), end_stream=end)
        await self._flush()
        return last

    async def send(self, stream_id: int, data: bytes) -> None:
        """Send a piece of a request's body."""
        self._connection.send_data(stream_id, data)
        await self._flush()

    async def _flush(self) -> None:
        await self._stream.send_all(self._connection.data_to_send())

    async def until(self, kind: type[h2.events.Event], count: int = 1) -> Any:
        """The last of *count* events of a *kind*, which have come or are waited for."""
        while len(self.of(kind)) < count:
            data = await self._stream.receive_some()
            assert data, self.seen
            self.seen += self._connection.receive_data(data)
        return self.of(kind)[-1]

    def of(self, kind: type[h2.events.Event]) -> list[Any]:
        """The events of that *kind* so far."""
        return [each for each in self.seen if isinstance(each, kind)]

    async def end(self) -> None:
        """Read on until the connection is closed."""
        while data := await self._stream.receive_some():
            self.seen += self._connection.receive_data(data)


@asynccontextmanager
async def connected(world: World, window: int = 65_535) -> AsyncIterator[Caller]:
    """A caller of the gateway, who takes *window* bytes of each response for a start."""
    async with await dial(world) as stream:
        yield Caller(stream, window)


class Chatty:
    """Sends 3000 bytes over each WebSocket, and remembers its end."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(3000)})
        self.codes.append((await receive())["code"])


def test_a_websocket_that_is_closed_while_much_waits_holds_up_nobody(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    async def story() -> None:
        app = Chatty()
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            connected(world, window=1000) as http,
        ):
            websocket = await http.ask_websocket("/api/")
            await http.until(h2.events.DataReceived)
            await http.send(websocket, _CLOSE)
            await until(lambda: app.codes == [1000])
            asked = await http.ask("/api/")
            await http.until(h2.events.ResponseReceived, 2)
            assert http.of(h2.events.ResponseReceived)[-1].stream_id == asked
            await http.grant(10_000, websocket)
            await http.until(h2.events.StreamEnded, 2)
            assert {each.stream_id for each in http.of(h2.events.StreamEnded)} == {
                websocket,
                asked,
            }

    run_real(story)


def test_who_asks_nothing_is_told_that_it_is_over(
    open_gateway: OpenGateway, run_real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Config, "keep_alive_timeout", 0.1)

    async def story() -> None:
        async with open_gateway() as world, connected(world) as http:
            await http.ask()
            assert (await http.until(h2.events.ConnectionTerminated)).error_code == 0
            await http.end()

    run_real(story)


def test_many_requests_end_a_connection_between_them(
    open_gateway: OpenGateway, run_real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none of them: those that are asked beside the last one of them are answered, too."""
    monkeypatch.setattr(Config, "keep_alive_max_requests", _MOST)
    monkeypatch.setattr(Config, "keep_alive_timeout", 0.1)

    async def story() -> None:
        app = Parked()
        paths = [f"/{number}" for number in range(2 * _MOST)]
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            connected(world) as http,
        ):
            await http.ask(*(f"/api{path}" for path in paths))
            await app.wait_for(*paths)
            for path in paths:
                app.waiting[path].set()
            last = await http.until(h2.events.ConnectionTerminated)
            assert (last.error_code, last.last_stream_id) == (0, 4 * _MOST - 1)
            assert len(http.of(h2.events.StreamEnded)) == 2 * _MOST
            assert {each.headers[0][1] for each in http.of(h2.events.ResponseReceived)} == {b"200"}
            await http.end()

    run_real(story)


def test_an_upload_that_nobody_wants_ends_no_other_request(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    async def story() -> None:
        app = Parked()
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            connected(world) as http,
        ):
            await http.ask("/api/")
            await app.wait_for("/")
            upload = await http.ask("/nobody/", end=False)
            await http.send(upload, bytes(1000))
            assert (await http.until(h2.events.StreamEnded)).stream_id == upload
            await http.send(upload, bytes(1000))
            reset = await http.until(h2.events.StreamReset)
            assert (reset.stream_id, reset.error_code) == (upload, 0)
            app.waiting["/"].set()
            await http.until(h2.events.StreamEnded, 2)
            statuses = Counter(each.headers[0][1] for each in http.of(h2.events.ResponseReceived))
            assert statuses == {b"503": 1, b"200": 1}

    run_real(story)
