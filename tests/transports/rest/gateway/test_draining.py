"""A gateway that stops, as ``wirecore tunnel gateway`` does, on either server of HTTP.

With nothing under way that takes no time, whatever callers hold open; what runs is answered.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import h2.events
import pytest
import trio
import trio.testing

from tests.cli.test_webwire_serve import write_certificate
from tests.resetting import close_resets
from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.gateway.test_hostile_callers import UPGRADE, caller, head
from wirecore._backend import Backend
from wirecore_cli.tunnel.front import Front
from wirecore_cli.tunnel.under_hypercorn import UnderHypercorn
from wirecore_cli.tunnel.under_uvicorn import UnderUvicorn
from wirecore_trio import rest, websocket
from wirecore_trio._listeners import open_listeners
from wirecore_trio.rest.gateway import Gateway
from wirecore_trio.websocket import ConnectionClosed, UpgradeRejected

GET = b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n"

#: Seconds that nothing here takes, and that a drain would last if it waited for its grace.
GRACE = 3600.0


class App:
    """Answers once it is told to go on; /stream never ends; a WebSocket is told its end.

    At /news it sends until its caller is gone, and lingers then until that is set.
    """

    def __init__(self) -> None:
        self.go = trio.Event()
        self.asked = 0
        self.codes: list[int] = []
        self.is_cut = False
        self.lingers = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._websocket(receive, send, endless=scope["path"] == "/news")
            return
        assert scope["type"] == "http"
        self.asked += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"news", "more_body": True})
            await trio.sleep(0.01)
        await self.go.wait()
        await send({"type": "http.response.body", "body": bytes(200_000)})

    async def _websocket(self, receive: Any, send: Any, *, endless: bool) -> None:
        await receive()
        self.asked += 1
        await self.go.wait()
        await send({"type": "websocket.accept"})
        if endless:
            try:
                while True:
                    await send({"type": "websocket.send", "text": "news"})
                    await trio.sleep(0.001)
            except OSError:
                self.is_cut = True
            await self.lingers.wait()
            return
        self.codes.append((await receive())["code"])


class Place:
    """A gateway that runs: *port* of its public side, *ended* once that has stopped."""

    def __init__(self, front: Front, gateway: Gateway, app: App, port: int) -> None:
        self.gateway = gateway
        self.app = app
        self.ended = trio.Event()
        self.stop = front.stop
        self.port = port

    async def dial(self) -> trio.SocketStream:
        """A connection of bytes to the public side."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def dial_tls(self) -> trio.SSLStream[trio.SocketStream]:
        """The same, by TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stream = trio.SSLStream(await self.dial(), context, https_compatible=True)
        await stream.do_handshake()
        return stream

    async def drained(self) -> None:
        """Stop, which may take no longer than a caller has to end TLS."""
        self.stop(GRACE)
        with trio.fail_after(20):
            await self.ended.wait()


#: What opens one: ``async with serving("uvicorn") as place``.
Serving: TypeAlias = Callable[..., Any]


@pytest.fixture
def serving(backend: Backend, tmp_path: Path) -> Serving:
    """See :data:`Serving`."""

    @asynccontextmanager
    async def open_place(under: str, *, tls: bool = False) -> AsyncIterator[Place]:
        certificate = None
        if tls:
            write_certificate(tmp_path)
            certificate = (tmp_path / "cert.pem", tmp_path / "cert.key")
        server = rest.Server(backend=backend)
        gateway, app = Gateway(server), App()
        kind = UnderUvicorn if under == "uvicorn" else UnderHypercorn
        front = kind(gateway, certificate=certificate, max_message_size=2**20)
        sockets = await open_listeners("127.0.0.1", 0)
        place = Place(front, gateway, app, sockets[0].getsockname()[1])

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(front.serve, sockets)
                task_status.started()
            place.ended.set()

        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            await nursery.start(serve)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with rest.connect(url, app, metadata="api", backend=backend):
                await until(lambda: bool(server.connections))
                yield place
                app.go.set()
            nursery.cancel_scope.cancel()

    return open_place


both = pytest.mark.parametrize("under", ["hypercorn", "uvicorn"])


# --- with nothing under way ---------------------------------------------------------------------


async def says_nothing(place: Place) -> Any:
    """A caller who has connected."""
    return await place.dial()


async def is_kept_alive(place: Place) -> Any:
    """A caller who was answered, and of whose next request the half is there."""
    stream = await place.dial()
    await stream.send_all(b"GET /nobody/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 503 " in await stream.receive_some()
    await stream.send_all(GET[:10])
    return stream


async def is_on_http2(place: Place) -> Any:
    """A caller of HTTP/2 who has asked for nothing."""
    stream = await place.dial()
    await stream.send_all(caller(window=10).data_to_send())
    await stream.receive_some()
    return stream


async def has_taken_all_back(place: Place) -> Any:
    """A browser's last request, of a page that is left again."""
    stream, connection = await place.dial(), caller(window=10)
    connection.send_headers(1, head("/api/"), end_stream=True)
    await stream.send_all(connection.data_to_send())
    await until(lambda: place.app.asked == 1)
    connection.reset_stream(1)
    await stream.send_all(connection.data_to_send())
    await until(lambda: not place.gateway.traffic.running)
    return stream


@pytest.mark.parametrize(
    ("under", "opened"),
    [
        ("hypercorn", says_nothing),
        ("hypercorn", is_kept_alive),
        ("hypercorn", is_on_http2),
        ("hypercorn", has_taken_all_back),
        ("uvicorn", says_nothing),
        ("uvicorn", is_kept_alive),
    ],
)
def test_what_is_open_is_no_matter(
    under: str, opened: Callable[[Place], Awaitable[Any]], serving: Serving, run_real: Run
) -> None:
    async def story() -> None:
        async with serving(under) as place, await opened(place):
            await place.drained()

    run_real(story)


def test_who_has_spoken_no_tls_yet_is_no_matter(serving: Serving, run_real: Run) -> None:
    async def story() -> None:
        async with serving("hypercorn", tls=True) as place, await place.dial():
            await place.drained()

    run_real(story)


@both
def test_who_doesnt_answer_the_end_of_tls_is_no_matter(
    under: str, serving: Serving, run_real: Run
) -> None:
    async def story() -> None:
        async with serving(under, tls=True) as place:
            stream = await place.dial_tls()
            await stream.send_all(b"GET /nobody/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 503 " in await stream.receive_some()
            await place.drained()
            await trio.aclose_forcefully(stream)

    run_real(story)


# --- what is under way --------------------------------------------------------------------------


@both
def test_a_request_that_runs_is_answered(under: str, serving: Serving, run_real: Run) -> None:
    """And half of another one behind it holds nothing."""

    async def story() -> None:
        async with serving(under) as place, await place.dial() as stream:
            await stream.send_all(GET + GET[:10])
            await until(lambda: place.app.asked == 1)
            place.stop(GRACE)
            await trio.sleep(0.1)
            place.app.go.set()
            got = b"".join([piece async for piece in stream])
            assert got.count(b"\0") == 200_000
            assert got.endswith(b"\r\n0\r\n\r\n")
            await place.drained()

    run_real(story)


def test_requests_of_http2_are_answered_to_their_end(serving: Serving, run_real: Run) -> None:
    """Later ones can be asked elsewhere: they are refused, and GOAWAY comes behind the answers."""

    async def story() -> None:
        async with serving("hypercorn") as place, await place.dial() as stream:
            connection = caller(window=10_000_000)
            connection.increment_flow_control_window(10_000_000)
            for stream_id in (1, 3):
                connection.send_headers(stream_id, head("/api/"), end_stream=True)
            await stream.send_all(connection.data_to_send())
            await until(lambda: place.app.asked == 2)
            place.stop(GRACE)
            await trio.sleep(0.1)
            connection.send_headers(5, head("/api/"))
            connection.send_data(5, b"with a body", end_stream=True)
            await stream.send_all(connection.data_to_send())
            seen: list[Any] = []
            async for data in stream:
                for event in connection.receive_data(data):
                    seen.append(event)
                    if isinstance(event, h2.events.StreamReset):
                        place.app.go.set()
            [refused] = [each for each in seen if isinstance(each, h2.events.StreamReset)]
            assert (refused.stream_id, refused.error_code) == (5, 7)  # REFUSED_STREAM
            bodies = [each for each in seen if isinstance(each, h2.events.DataReceived)]
            assert sum(len(each.data) for each in bodies) == 400_000
            ends = {each.stream_id for each in seen if isinstance(each, h2.events.StreamEnded)}
            assert ends == {1, 3}
            assert isinstance(seen[-1], h2.events.ConnectionTerminated)
            assert seen[-1].error_code == 0
            assert place.app.asked == 2
            await place.drained()

    run_real(story)


@both
def test_a_response_without_end_lasts_as_long_as_the_grace(
    under: str, serving: Serving, run_real: Run
) -> None:
    async def story() -> None:
        async with serving(under) as place, await place.dial() as stream:
            await stream.send_all(GET.replace(b"/api/", b"/api/stream"))
            assert b" 200 " in await stream.receive_some()
            place.stop(0.3)
            got = b"".join([piece async for piece in stream])
            assert not got.endswith(b"0\r\n\r\n"), "its caller sees that it was cut"
            await place.ended.wait()

    run_real(story)


def test_who_reads_slowly_gets_the_end_of_his_answer(serving: Serving, run_real: Run) -> None:
    """He grants more as he reads, which meets a closed socket if nobody waits for him."""

    async def story() -> None:
        async with serving("hypercorn") as place:
            place.app.go.set()
            slow = trio.SocketStream(trio.socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
            await slow.socket.connect(("127.0.0.1", place.port))
            connection = caller(window=2**24)
            connection.increment_flow_control_window(2**24)
            connection.send_headers(1, head("/api/"), end_stream=True)
            await slow.send_all(connection.data_to_send())
            await until(lambda: place.app.asked == 1)
            place.stop(GRACE)
            seen: list[Any] = []
            while data := await slow.receive_some(2**12):
                seen += connection.receive_data(data)
                if not any(isinstance(each, h2.events.ConnectionTerminated) for each in seen):
                    connection.increment_flow_control_window(2**12)
                    with suppress(trio.BrokenResourceError):  # all is here, and not read yet
                        await slow.send_all(connection.data_to_send())
                await trio.sleep(0.01)
            assert [each.stream_id for each in seen if isinstance(each, h2.events.StreamEnded)] == [
                1
            ]
            assert isinstance(seen[-1], h2.events.ConnectionTerminated)
            await place.ended.wait()
            await slow.aclose()

    run_real(story)


def test_a_request_of_http2_that_is_taken_back_meanwhile_ends_no_other(
    serving: Serving, run_real: Run
) -> None:
    async def story() -> None:
        async with serving("hypercorn") as place, await place.dial() as stream:
            connection = caller(window=2**20)
            connection.increment_flow_control_window(2**20)
            connection.send_headers(1, head("/api/"), end_stream=True)
            await stream.send_all(connection.data_to_send())
            await until(lambda: place.app.asked == 1)
            place.stop(GRACE)
            await trio.testing.wait_all_tasks_blocked(0.05)  # each connection has heard of it
            connection.send_headers(3, head("/api/"), end_stream=True)
            connection.reset_stream(3)
            connection.send_headers(5, head("/api/"), end_stream=True)
            await stream.send_all(connection.data_to_send())
            seen: list[Any] = []
            async for data in stream:
                for event in connection.receive_data(data):
                    seen.append(event)
                    if isinstance(event, h2.events.StreamReset):
                        place.app.go.set()
            ends = [each.stream_id for each in seen if isinstance(each, h2.events.StreamEnded)]
            assert ends == [1]
            await place.drained()

    run_real(story)


# --- WebSockets ---------------------------------------------------------------------------------


@both
def test_websockets_are_closed_at_once(under: str, serving: Serving, run_real: Run) -> None:
    async def story() -> None:
        async with serving(under) as place:
            place.app.go.set()
            async with websocket.connect(f"ws://127.0.0.1:{place.port}/api/") as ws:
                await place.gateway.close_websockets()
                await place.drained()
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.receive()
                assert caught.value.code == 1001
            await until(lambda: place.app.codes == [1001])

    run_real(story)


@both
def test_one_whose_caller_has_just_died_is_no_reason_not_to_stop(
    under: str, serving: Serving, run_real: Run
) -> None:
    """His server may raise at what he is told, while his publisher still does this and that."""

    async def story() -> None:
        async with serving(under) as place:
            place.app.go.set()
            stream = await place.dial()
            await stream.send_all(UPGRADE.replace(b"/nobody/", b"/api/news"))
            assert b" 101 " in await stream.receive_some()
            close_resets(stream)
            await trio.aclose_forcefully(stream)
            await until(lambda: place.app.is_cut)
            with trio.move_on_after(1):
                await place.gateway.close_websockets()
            place.app.lingers.set()
            await place.drained()

    run_real(story)


@both
def test_websockets_that_arent_open_yet_are_refused(
    under: str, serving: Serving, run_real: Run
) -> None:
    async def story() -> None:
        async with serving(under) as place:
            url = f"ws://127.0.0.1:{place.port}/api/"
            refused: list[int] = []

            async def dial() -> None:
                with pytest.raises(UpgradeRejected) as caught:
                    async with websocket.connect(url):
                        pass
                refused.append(caught.value.status)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(dial)
                await until(lambda: place.app.asked == 1)
                await place.gateway.close_websockets()
            await dial()
            assert refused == [503, 503]
            assert place.app.asked == 1
            await place.drained()

    run_real(story)
