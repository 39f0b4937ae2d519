"""Starlette and FastAPI on top, and what another server of ASGI on trio makes of the same."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import trio
import trio.testing

from tests.transports.rest.memory_incoming import MemoryCaller, MemoryIncoming, serve
from wirecore_trio.rest._asgi import AsgiHandler
from wirecore_trio.rest._lifespan import Lifespan, LifespanFailed

pytest.importorskip("fastapi")  # Starlette comes with it
import fastapi
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transports.conftest import Run

#: Starlette cancels with anyio, whose releases ask for a trio of their time.
cancels = pytest.mark.skipif(
    tuple(map(int, version("trio").split(".")[:2])) < (0, 32),
    reason="trio is older than anyio asks for",
)

JSON = ((b"Host", b"api.test"), (b"Content-Type", b"application/json"))


class Build(Protocol):
    """Makes an application that notes what happens in it."""

    def __call__(self, notes: list[Any]) -> Any: ...


def thread(request: Request) -> JSONResponse:
    return JSONResponse({"main": threading.current_thread() is threading.main_thread()})


async def echo(request: Request) -> Response:
    length = 0
    async for piece in request.stream():
        length += len(piece)
    return PlainTextResponse(f"{length} of {request.path_params['name']}")


async def about(request: Request) -> JSONResponse:
    assert request.client is not None
    return JSONResponse(
        {
            "url": str(request.url),
            "client": request.client.host,
            "pool": request.state.pool,
            "caller": request.scope["extensions"]["wirecore.rest"]["metadata"],
            "echo": str(request.url_for("echo", name="x")),
        }
    )


async def events(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                yield f"data: {number}\n\n"
                await trio.sleep(1)
        finally:
            request.app.state.notes.append("the events ended")

    return StreamingResponse(lines(), media_type="text/event-stream")


async def background(request: Request) -> PlainTextResponse:
    async def work() -> None:
        await trio.sleep(60)
        request.app.state.notes.append("worked")

    return PlainTextResponse("soon", background=BackgroundTask(work))


async def fail(request: Request) -> Response:
    raise ValueError("a bug")


def starlette_app(notes: list[Any]) -> Starlette:
    """An application on Starlette."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        notes.append("up")
        yield {"pool": "a pool"}
        notes.append("down")

    app = Starlette(
        routes=[
            Route("/thread", thread),
            Route("/echo/{name}", echo, methods=["POST"], name="echo"),
            Route("/about", about),
            Mount("/api", routes=[Route("/about", about)]),
            Route("/events", events),
            Route("/background", background),
            Route("/fail", fail),
        ],
        lifespan=lifespan,
    )
    app.state.notes = notes
    return app


def fastapi_app(notes: list[Any]) -> fastapi.FastAPI:
    """The same, as far as it is written in another way, on FastAPI."""

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[dict[str, Any]]:
        notes.append("up")
        yield {"pool": "a pool"}
        notes.append("down")

    app = fastapi.FastAPI(lifespan=lifespan)

    def session() -> Any:  # a dependency of this kind runs in threads, before and after
        notes.append(threading.current_thread() is threading.main_thread())
        yield "a session"
        notes.append("closed")

    async def pool(request: fastapi.Request) -> Any:
        yield request.state.pool

    def thread(with_: str = fastapi.Depends(session)) -> dict[str, Any]:
        assert with_ == "a session"
        return {"main": threading.current_thread() is threading.main_thread()}

    async def add(
        one: int = fastapi.Body(), two: int = fastapi.Body(), of: str = fastapi.Depends(pool)
    ) -> dict[str, Any]:
        return {"sum": one + two, "pool": of}

    async def work() -> None:
        await trio.sleep(60)
        notes.append("worked")

    async def background(tasks: fastapi.BackgroundTasks) -> str:
        tasks.add_task(work)
        return "soon"

    async def fail() -> None:
        raise ValueError("a bug")

    app.add_api_route("/thread", thread)
    app.add_api_route("/add", add, methods=["POST"])
    app.add_api_route("/background", background)
    app.add_api_route("/fail", fail)
    return app


both = pytest.mark.parametrize("build", [starlette_app, fastapi_app])


@both
def test_functions_without_async_run_in_threads(run_real: Run, build: Build) -> None:
    async def story() -> None:
        notes: list[Any] = []
        incoming = MemoryIncoming(target="/thread")
        async with Lifespan(app := build(notes)) as lifespan:
            await serve(AsgiHandler(app, state=lifespan.state), incoming)
        assert (incoming.status, incoming.body) == (200, b'{"main":false}')
        middle = [] if build is starlette_app else [False, "closed"]
        assert notes == ["up", *middle, "down"]

    run_real(story)


@both
def test_what_isnt_there_and_what_fails(
    run: Run, caplog: pytest.LogCaptureFixture, build: Build
) -> None:
    async def story() -> None:
        missing, wrong, bug = await serve(
            AsgiHandler(build([])),
            MemoryIncoming(target="/nowhere"),
            MemoryIncoming("DELETE", "/background"),
            MemoryIncoming(target="/fail"),
        )
        assert [missing.status, wrong.status] == [404, 405]
        # Both answer themselves, and raise what it was for their server to report.
        assert (bug.status, bug.body) == (500, b"Internal Server Error")

    run(story)
    assert "a bug" in caplog.text


@both
def test_background_tasks_run_behind_the_response(run: Run, build: Build) -> None:
    async def story() -> None:
        notes: list[Any] = []
        incoming = MemoryIncoming(target="/background")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(build(notes)), incoming)
            await incoming.wait_happened(3)
            assert (incoming.status, incoming.end) == (200, "end")
            assert notes == []
            incoming.go()  # it has what it wanted
        assert notes == ["worked"]

    run(story)


@both
def test_head_is_what_get_is_without_a_body(run: Run, build: Build) -> None:
    async def story() -> None:
        get, head = await serve(
            AsgiHandler(build([])),
            MemoryIncoming("GET", "/background"),
            MemoryIncoming("HEAD", "/background"),
        )
        if build is fastapi_app:  # which serves HEAD where it is told to
            assert head.status == 405
        else:
            assert head.fields == get.fields
        assert head.body == b""
        assert get.body

    run(story)


def test_a_startup_that_fails_is_told_by_the_framework(run: Run) -> None:
    async def story() -> None:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            raise OSError("no database")
            yield

        for app in (Starlette(lifespan=lifespan), fastapi.FastAPI(lifespan=lifespan)):
            with pytest.raises(LifespanFailed, match="no database") as caught:
                async with Lifespan(app):
                    raise AssertionError("it never started")
            assert "no database" in caught.value.message

    run(story)


# --- Starlette ----------------------------------------------------------------------------------


def test_starlette_reads_a_body_as_it_comes(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", "/echo/a%20b", body=None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(starlette_app([])), incoming)
            for _ in range(5):
                incoming.feed(b"x" * 1000)
                await trio.testing.wait_all_tasks_blocked()
            assert incoming.taken == 5
            incoming.finish()
        assert incoming.body == b"5000 of a b"

    run(story)


@pytest.mark.parametrize("target", ["/about?x=1", "/api/about?x=1"])
def test_starlette_knows_where_it_is(run: Run, target: str) -> None:
    async def story() -> None:
        notes: list[Any] = []
        incoming = MemoryIncoming(
            target=target, scheme=b"https", caller=MemoryCaller(metadata={"name": "alice"})
        )
        async with Lifespan(app := starlette_app(notes)) as lifespan:
            handler = AsgiHandler(app, root_path="/mounted", state=lifespan.state)
            await serve(handler, incoming)
        assert incoming.status == 200
        about = JSONResponse(
            {
                "url": f"https://api.test/mounted{target}",
                "client": "192.0.2.7",
                "pool": "a pool",
                "caller": {"name": "alice"},
                "echo": "https://api.test/mounted/echo/x",
            }
        )
        assert incoming.body == about.body

    run(story)


@cancels
def test_events_leave_as_they_are_made_and_end_when_the_caller_goes(run: Run) -> None:
    async def story() -> None:
        notes: list[Any] = []
        incoming = MemoryIncoming(target="/events")
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(starlette_app(notes)), incoming)
            for number in range(3):
                await incoming.wait_happened(number + 2)
                assert trio.current_time() == began + number
                assert incoming.pieces[-1] == b"data: %d\n\n" % number
            assert incoming.fields[b"content-type"].startswith(b"text/event-stream")
            incoming.go()
        assert notes == ["the events ended"]
        assert trio.current_time() == began + 2  # at once, and not with the next event
        assert (len(incoming.pieces), incoming.end) == (3, "")

    run(story)


@cancels
def test_middleware_that_stands_between(run: Run) -> None:
    async def story() -> None:
        notes: list[Any] = []
        app = starlette_app(notes)

        async def count(request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            response.headers["x-counted"] = "yes"
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=count)
        incoming = MemoryIncoming("POST", "/echo/x", body=b"123")
        streaming = MemoryIncoming(target="/events")
        await serve(AsgiHandler(app), incoming)
        assert (incoming.fields[b"x-counted"], incoming.body) == (b"yes", b"3 of x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), streaming)
            await streaming.wait_happened(3)
            streaming.go()
        assert notes == ["the events ended"]

    run(story)


def test_compression_stands_between(run: Run) -> None:
    async def story() -> None:
        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse("a" * 10000)

        app = Starlette(routes=[Route("/", page)], middleware=[Middleware(GZipMiddleware)])
        incoming = MemoryIncoming(fields=((b"Host", b"api.test"), (b"Accept-Encoding", b"gzip")))
        await serve(AsgiHandler(app), incoming)
        assert incoming.fields[b"content-encoding"] == b"gzip"
        assert incoming.fields[b"content-length"] == b"%d" % len(incoming.body)

    run(story)


def test_files_are_sent_as_bodies(run_real: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "file.bin"
        path.write_bytes(bytes(range(256)) * 1000)

        async def file(request: Request) -> FileResponse:
            return FileResponse(path)

        handler = AsgiHandler(Starlette(routes=[Route("/", file)]))
        part_of = ((b"Host", b"api.test"), (b"Range", b"bytes=256-511"))
        whole, head, part = await serve(
            handler, MemoryIncoming(), MemoryIncoming("HEAD"), MemoryIncoming(fields=part_of)
        )
        assert whole.body == path.read_bytes()
        assert len(whole.pieces) > 1
        assert (head.body, head.fields[b"content-length"]) == (b"", b"256000")
        assert (part.status, part.body) == (206, bytes(range(256)))
        matches = ((b"Host", b"api.test"), (b"If-None-Match", whole.fields[b"etag"]))
        (unchanged,) = await serve(handler, MemoryIncoming(fields=matches))
        assert unchanged.status in (200, 304)

    run_real(story)


# --- FastAPI --------------------------------------------------------------------------------------


def test_fastapi_checks_bodies_and_injects(run: Run) -> None:
    async def story() -> None:
        notes: list[Any] = []
        good = MemoryIncoming("POST", "/add", JSON, body=b'{"one": 1, "two": 2}')
        bad = MemoryIncoming("POST", "/add", JSON, body=b'{"one": 1, "two": "x"}')
        async with Lifespan(app := fastapi_app(notes)) as lifespan:
            await serve(AsgiHandler(app, state=lifespan.state), good, bad)
        assert (good.status, good.body) == (200, b'{"sum":3,"pool":"a pool"}')
        assert bad.status == 422
        assert notes == ["up", "down"]

    run(story)


def test_fastapi_describes_itself(run: Run) -> None:
    async def story() -> None:
        schema, docs = await serve(
            AsgiHandler(fastapi_app([])),
            MemoryIncoming(target="/openapi.json"),
            MemoryIncoming(target="/docs"),
        )
        assert b'"/add"' in schema.body
        assert docs.status == 200

    run(story)
