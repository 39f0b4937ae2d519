"""httpx2 and httpx on asyncio, and without a loop: through a portal, as over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio

from tests.transports.pool.world import until
from tests.transports.rest.world import AT_ONCE, answer, read
from wirecore._backend import Backend
from wirecore.protocols.rest.heads import ResponseHead
from wirecore_trio import rest
from wirecore_trio.portal import AsyncioPortal, BlockingPortal
from wirecore_trio.rest._httpx_portals import _Answer

SIZE = 3_000_000


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def transports(library: Any) -> Any:
    return importlib.import_module(f"wirecore_trio.rest.{library.__name__}")


class Api:
    """An application on trio, with something at each path; and what became of its calls."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self.reads = threading.Event()
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        path = scope["path"]
        self.seen.append((scope["method"], scope["raw_path"], dict(scope["headers"])))
        if path == "/echo":
            await answer(send, await read(receive), 201)
        elif path == "/mirror":  # piece by piece
            await self._mirror(receive, send)
        elif path == "/breaks":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            raise ValueError("it broke")
        elif path == "/early":  # answers, and reads nothing
            await answer(send, b"no", 413)
        elif path == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await self._wait(receive)
        else:
            assert path == "/slow"
            self.reads.set()
            await self._wait(receive)

    async def _mirror(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            body = message["body"]
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _wait(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


def serves_nothing(server: rest.Server) -> bool:
    """Whether nothing is left of what *server* was asked."""
    return not any(connection._serving for connection in server.connections)


Story = Callable[[AsyncioPortal, Any, Any], Awaitable[None]]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def run(library: Any, backend: Backend, api: Api) -> Callable[[Story], None]:
    """Run a story on asyncio: with a portal, a client within it, and the library's over that."""

    async def main(story: Story) -> None:
        async with asyncio.timeout(120), AsyncioPortal() as portal:
            server = rest.Server(api, backend=backend)
            bound = await portal.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{bound.port}/"
            connecting = rest.connect(url, options=rest.ClientOptions(retry=AT_ONCE))
            async with portal.entered(connecting) as client:
                transport = transports(library).AsyncioTransport(portal, client)
                async with library.AsyncClient(transport=transport, base_url="http://api") as http:
                    await story(portal, client, http)
                await portal.run(until, partial(serves_nothing, server))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def run_story(story: Story) -> None:
        asyncio.run(main(story))
        assert "wirecore-trio" not in {thread.name for thread in threading.enumerate()}

    return run_story


Run = Callable[[Story], None]


async def pieces(size: int = SIZE, each: int = 50_000) -> AsyncIterator[bytes]:
    """A body of so many bytes, made on asyncio."""
    for _ in range(size // each):
        await asyncio.sleep(0)
        yield bytes(each)


def test_requests_of_all_kinds(library: Any, run: Run, api: Api) -> None:
    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        response = await http.post("/echo", params={"a": "b c"}, json={"a": 1})
        assert (response.status_code, response.reason_phrase) == (201, "Created")
        assert response.json() == {"a": 1}
        assert (await http.get("/echo")).content == b""
        assert len((await http.put("/echo", content=bytes(SIZE))).content) == SIZE
        assert len((await http.put("/echo", content=pieces())).content) == SIZE
        assert len((await http.put("/mirror", content=pieces())).content) == SIZE
        assert (await http.put("/early", content=pieces())).status_code == 413
        method, path, headers = api.seen[0]
        assert (method, path) == ("POST", b"/echo")
        assert b"x-correlation-id" in headers
        # What a portal runs is there as well.
        assert (await portal.run(client.request, "POST", "/echo", content=b"x")).body == b"x"

    run(story)


def test_bodies_stream_both_ways_at_once(library: Any, run: Run) -> None:
    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        words: asyncio.Queue[bytes] = asyncio.Queue()

        async def content() -> AsyncIterator[bytes]:
            while word := await words.get():
                yield word

        words.put_nowait(b"one")
        async with http.stream("POST", "/mirror", content=content()) as response:
            found = response.aiter_bytes()
            assert await anext(found) == b"one"
            words.put_nowait(b"two")
            assert await anext(found) == b"two"
            words.put_nowait(b"")
            with pytest.raises(StopAsyncIteration):
                await anext(found)

    run(story)


def test_a_hundred_at_once(library: Any, run: Run) -> None:
    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        async def one(number: int) -> None:
            content = b"%d" % number * 1000
            assert (await http.post("/echo", content=content)).content == content

        await asyncio.gather(*map(one, range(100)))

    run(story)


def test_leaving_a_response_gives_up_both_bodies(library: Any, run: Run, api: Api) -> None:
    ended: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    begun = asyncio.Event()

    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        async with http.stream("POST", "/endless", content=content()) as response:
            found = response.aiter_bytes()  # kept, as it closes the response when it is dropped
            assert await anext(found) == b"x"
            await begun.wait()
        assert await asyncio.to_thread(api.gone.wait, 60)
        assert ended == ["closed"]

    run(story)


def test_cancelling_the_task_cancels_the_request(library: Any, run: Run, api: Api) -> None:
    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        task = asyncio.create_task(http.post("/slow", content=pieces()))
        assert await asyncio.to_thread(api.reads.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(api.gone.wait, 60)

    run(story)


def test_its_errors_are_the_librarys(library: Any, run: Run) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("the disk is gone")

    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        with pytest.raises(library.ReadTimeout):
            await http.get("/slow", timeout=library.Timeout(None, read=0.05))
        with pytest.raises(library.ReadTimeout):
            await http.get("/endless", timeout=library.Timeout(None, read=0.05))
        with pytest.raises(library.RemoteProtocolError, match="internal error"):
            await http.get("/breaks")
        with pytest.raises(library.LocalProtocolError):
            await http.get("/echo", headers={"X": b"a\r\nb"})
        with pytest.raises(OSError, match="the disk is gone"):
            await http.post("/echo", content=broken())

    run(story)


def test_a_lost_connection_and_none(library: Any, run: Run, api: Api) -> None:
    async def main() -> None:
        async with AsyncioPortal() as portal:
            nowhere = rest.connect("ws://127.0.0.1:1/", wait=False)
            async with portal.entered(nowhere) as client:
                transport = transports(library).AsyncioTransport(portal, client)
                async with library.AsyncClient(transport=transport) as http:
                    with pytest.raises(library.ConnectTimeout):
                        await http.get("http://api/", timeout=0.05)
                    with pytest.raises(library.ConnectTimeout):
                        await http.post("http://api/", content=pieces(), timeout=0.05)
        with pytest.raises(library.LocalProtocolError, match="isn't open"):
            await transport.handle_async_request(library.Request("GET", "http://api/"))

    async def story(portal: AsyncioPortal, client: Any, http: Any) -> None:
        task = asyncio.create_task(http.get("/slow", timeout=None))
        assert await asyncio.to_thread(api.reads.wait, 60)
        connection = client.connection

        async def break_off() -> None:
            connection._channel.abort()

        await portal.run(break_off)
        with pytest.raises(library.ReadError):
            await task
        assert (await http.get("/echo")).status_code == 201  # over the next connection

    run(story)
    asyncio.run(main())


def test_an_application_on_the_programs_own_loop(library: Any, backend: Backend) -> None:
    """Of an asyncio program behind NAT, which serves, and is called through its connection."""
    lock = asyncio.Lock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            loops.append(asyncio.get_running_loop())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            loops.append(asyncio.get_running_loop())
            await send({"type": "lifespan.shutdown.complete"})
            return
        async with lock:
            loops.append(asyncio.get_running_loop())
            await answer(send, await read(receive))

    loops: list[Any] = []

    async def main() -> None:
        async with AsyncioPortal() as portal:
            server = rest.Server(backend=backend)
            bound = await portal.start(server.serve, "127.0.0.1", 0)
            served = rest.AsyncioApp(app, portal=portal)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with portal.entered(rest.connect(url, served)):
                [connection] = server.connections
                transport = transports(library).AsyncioTransport(portal, connection)
                async with library.AsyncClient(transport=transport) as http:
                    assert (await http.post("http://api/", content=b"x")).content == b"x"
        assert loops == [asyncio.get_running_loop()] * 3

    asyncio.run(main())


class ArrivesLate:
    """A call the rest of whose body arrives as who asks for it without waiting gives up."""

    def __init__(self) -> None:
        self.ended = False
        self.error = None
        self.left = False
        self._pieces = [b"first"]

    async def receive(self) -> bytes | None:
        if self._pieces:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return self._pieces.pop(0)
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            if not self.ended:
                self._pieces, self.ended = [b"second"], True
            raise
        return None

    async def leave(self) -> None:
        self.left = True


def test_what_arrives_just_as_nobody_waits_isnt_lost(library: Any) -> None:
    async def main() -> None:
        call: Any = ArrivesLate()
        request = library.Request("GET", "http://api/")
        answer = await _Answer(library, call, request, ResponseHead(200, ())).begin()
        assert (answer.data, answer.ended, call.left) == (b"first", False, False)
        assert await answer.fetch() == b"second"
        assert (answer.ended, call.left) == (True, True)

    trio.run(main)


# --- without a loop -------------------------------------------------------------------------------


@pytest.fixture
def sync(library: Any, backend: Backend, api: Api) -> Iterator[Any]:
    """The library's client, without a loop."""

    @contextmanager
    def opened() -> Iterator[Any]:
        with BlockingPortal() as portal:
            server = rest.Server(api, backend=backend)
            bound = portal.start(server.serve, "127.0.0.1", 0)
            with portal.entered(rest.connect(f"ws://127.0.0.1:{bound.port}/")) as client:
                transport = transports(library).SyncTransport(portal, client)
                with library.Client(transport=transport, base_url="http://api") as http:
                    yield http
                portal.run(until, partial(serves_nothing, server))

    with opened() as http:
        yield http
    assert "wirecore-trio" not in {thread.name for thread in threading.enumerate()}


def test_clients_without_a_loop(sync: Any, library: Any, api: Api) -> None:
    def content() -> Iterator[bytes]:
        for _ in range(SIZE // 50_000):
            yield bytes(50_000)

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError("the disk is gone")

    assert sync.post("/echo", json={"a": 1}).json() == {"a": 1}
    assert len(sync.put("/echo", content=bytes(SIZE)).content) == SIZE
    assert len(sync.put("/mirror", content=content()).content) == SIZE
    with pytest.raises(library.ReadTimeout):
        sync.get("/slow", timeout=library.Timeout(None, read=0.05))
    with pytest.raises(library.RemoteProtocolError, match="internal error"):
        sync.get("/breaks")
    with pytest.raises(OSError, match="the disk is gone"):
        sync.post("/echo", content=broken())
    api.gone.clear()
    with sync.stream("GET", "/endless") as response:
        assert next(response.iter_bytes()) == b"x"
    assert api.gone.wait(60)


def test_many_threads_share_a_client(sync: Any) -> None:
    found: list[bytes] = []

    def one(number: int) -> None:
        content = b"%d" % number * 1000
        assert sync.post("/echo", content=content).content == content
        found.append(content)

    workers = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 20


def test_transports_are_made_of_a_portal_and_a_connection(library: Any) -> None:
    for name, portal, other in (
        ("AsyncioTransport", AsyncioPortal(), BlockingPortal()),
        ("SyncTransport", BlockingPortal(), AsyncioPortal()),
    ):
        make = getattr(transports(library), name)
        with pytest.raises(TypeError, match="connection"):
            make(portal, "ws://127.0.0.1/")
        with pytest.raises(TypeError, match="portal"):
            make(other, "ws://127.0.0.1/")
