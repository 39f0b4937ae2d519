"""Applications that need asyncio, served from trio: real loops in real threads, no luck."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run, bounded
from tests.transports.rest.world import OpenServer, answer, read
from wirecore.errors import InvalidOption, InvalidState
from wirecore_trio import rest
from wirecore_trio._crossing import CutOff
from wirecore_trio._errors import alone
from wirecore_trio.portal import AsyncioPortal

pytest.importorskip("fastapi")
pytest.importorskip("quart")
import fastapi
import quart

HTTP = {"type": "http", "state": {}}


@pytest.fixture
def run(run_real: Run) -> Run:
    """Run a story in real time, as there are threads; none may be left over."""

    def run_checked(story: Callable[[], Awaitable[None]]) -> None:
        try:
            bounded(run_real, 60)(story)
        finally:
            assert threads() == 0

    return run_checked


async def nothing() -> Any:
    """``receive`` of a call that gets nothing."""
    await trio.sleep_forever()


async def ignored(message: Any) -> None:
    """``send`` of a call whose answer is looked at nowhere."""


class Signals:
    """Events that asyncio sets, and trio waits for."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._events: dict[str, trio.Event] = {}

    def _event(self, name: str) -> trio.Event:
        return self._events.setdefault(name, trio.Event())

    def tell(self, name: str) -> None:
        """*name* has come; from any thread."""
        self._token.run_sync_soon(lambda: self._event(name).set())

    async def wait(self, name: str) -> None:
        """Wait for *name*."""
        await self._event(name).wait()


# --- frameworks ---------------------------------------------------------------------------------


def test_quart_serves_through_an_outbound_connection(open_server: OpenServer, run: Run) -> None:
    app = quart.Quart(__name__)
    seen: list[str] = []

    locks: list[asyncio.Lock] = []

    @app.before_serving
    async def start() -> None:
        locks.append(asyncio.Lock())
        seen.append("started")

    @app.after_serving
    async def stop() -> None:
        seen.append("stopped")

    @app.post("/add")
    async def add() -> Any:
        async with locks[0]:
            await asyncio.sleep(0)
            return {"sum": sum(await quart.request.get_json())}

    @app.post("/capitals")
    async def capitals() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            async for piece in body:
                yield piece.upper()

        body = quart.request.body
        return pieces(), {"X-Loop": type(asyncio.get_running_loop()).__name__}

    @app.websocket("/ws")
    async def backwards() -> None:
        while True:
            text = await quart.websocket.receive()
            await quart.websocket.send(text[::-1])

    async def story() -> None:
        given, gives = trio.open_memory_channel[bytes](1)
        async with open_server() as world, world.connect(rest.AsyncioApp(app)):
            [behind] = await world.joined()
            response = await behind.request(
                "POST", "/add", content=b"[1, 2, 3]", headers={"Content-Type": "application/json"}
            )
            assert response.body.strip() == b'{"sum":6}'
            # Each piece has come back before the next one leaves: nothing waits for a whole.
            await given.send(b"one")
            async with behind.stream("POST", "/capitals", content=gives) as answered:
                assert answered.header("x-loop") is not None
                assert await answered.receive() == b"ONE"
                await given.send(b"two")
                assert await answered.receive() == b"TWO"
                await given.aclose()
                assert await answered.receive() is None
            async with behind.websocket("/ws") as ws:
                await ws.send("abc")
                assert await ws.receive() == "cba"
            assert (await behind.request("GET", "/none")).status == 404
            assert seen == ["started"]
        assert seen == ["started", "stopped"]

    run(story)


def test_fastapi_with_what_only_asyncio_has(open_server: OpenServer, run: Run) -> None:
    asked: list[int] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        yield {"queue": queue, "loop": asyncio.get_running_loop()}
        asked.append(queue.qsize())

    app = fastapi.FastAPI(lifespan=lifespan)

    async def of_state(request: fastapi.Request) -> Any:
        assert request.state.loop is asyncio.get_running_loop()
        return request.state.queue

    needs_queue = fastapi.Depends(of_state)

    @app.put("/{number}")
    async def put(number: int, queue: Any = needs_queue) -> int:
        await queue.put(number)
        return int(queue.qsize())

    @app.get("/thread")
    def in_thread() -> str:  # which anyio has run in a thread, of asyncio's side
        return threading.current_thread().name

    @app.get("/events")
    async def events() -> Any:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0)

        return fastapi.responses.StreamingResponse(pieces(), media_type="text/event-stream")

    async def story() -> None:
        async with open_server(rest.AsyncioApp(app)) as world, world.connect() as client:
            assert (await client.request("PUT", "/7")).body == b"1"
            assert (await client.request("PUT", "/8")).body == b"2"
            assert b"AnyIO" in (await client.request("GET", "/thread")).body
            response = await client.request("GET", "/events")
            assert response.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
            await world.server.drain()
        assert asked == [2]

    run(story)


def test_a_hundred_requests_at_once(open_server: OpenServer, run: Run) -> None:
    together: list[asyncio.Barrier] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = await read(receive)
        if not together:
            together.append(asyncio.Barrier(100))
        await together[0].wait()
        await answer(send, body)

    async def story() -> None:
        async with open_server(rest.AsyncioApp(app)) as world, world.connect() as client:

            async def one(number: int) -> None:
                content = b"%d" % number * 1000
                assert (await client.request("POST", "/", content=content)).body == content

            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(one, number)
            await world.server.drain()

    run(story)


# --- what passes --------------------------------------------------------------------------------


def test_a_caller_that_goes_is_seen_and_the_application_cancelled(
    open_server: OpenServer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        signals = Signals()
        found: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            await read(receive)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            found.append(await receive())
            with pytest.raises(OSError, match="gone") as caught:
                await send({"type": "http.response.body", "body": b"b", "more_body": True})
            found.append(caught.type)
            try:
                signals.tell("waits")
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                signals.tell("cancelled")
                raise

        async with (
            rest.AsyncioApp(app) as served,
            open_server() as world,
            world.connect() as client,
        ):
            [theirs] = await world.joined()
            theirs._serve_with(rest.AsgiHandler(served, grace=0.2))
            async with client.stream("GET", "/") as response:
                assert await response.receive() == b"a"
            await signals.wait("waits")
            await signals.wait("cancelled")
        assert found == [{"type": "http.disconnect"}, rest.Gone]

    run(story)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_websockets_pass_as_everything_does(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"][::-1]})

    async def story() -> None:
        incoming = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "abc"},
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        async with rest.AsyncioApp(app) as served:
            await served({"type": "websocket"}, receive, send)
        assert sent == [
            {"type": "websocket.accept"},
            {"type": "websocket.send", "text": "cba"},
        ]

    run(story)


def test_exceptions_arrive_as_themselves_with_their_tracebacks(run: Run) -> None:
    class Mine(Exception):
        pass

    async def deep_within() -> None:
        raise Mine("broken")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(OSError, match="it has") as caught:
            await send({})
        assert caught.value is gone
        await deep_within()

    gone = rest.Gone("it has")

    async def send(message: Any) -> None:
        raise gone

    async def story() -> None:
        async with rest.AsyncioApp(app) as served:
            with pytest.raises(Mine, match="broken") as caught:
                await served(HTTP, nothing, send)
            frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert "deep_within" in frames

    run(story)


def test_what_ends_programs_ends_the_server(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(3)

    async def story() -> None:
        async with rest.AsyncioApp(app) as served:
            with pytest.raises(SystemExit):
                await served(HTTP, nothing, ignored)
            with pytest.raises(SystemExit):  # and the loop is as it was
                await served(HTTP, nothing, ignored)

    run(story)


def test_each_call_has_the_context_that_it_was_made_in(run: Run) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    found: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(who.get())
        who.set("the application")
        await send({})

    async def send(message: Any) -> None:
        found.append(who.get())

    async def story() -> None:
        async with rest.AsyncioApp(app) as served:
            await served(HTTP, nothing, send)
            who.set("the caller")
            await served(HTTP, nothing, send)
            assert who.get() == "the caller"
        assert found == ["nobody", "the application", "the caller", "the application"]

    run(story)


def test_a_message_that_comes_for_who_is_cancelled_just_then_is_kept(run: Run) -> None:
    async def story() -> None:
        given = threading.Event()
        messages = [b"first", b"second"]
        found: list[Any] = []

        async def receive() -> Any:
            given.set()
            return messages.pop(0)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            waiting = asyncio.create_task(receive())
            await asyncio.sleep(0)
            given.wait()  # the loop stands still until trio has given the message
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            found.append(await receive())
            found.append(await receive())

        async with rest.AsyncioApp(app) as served:
            await served(HTTP, receive, ignored)
        assert found == [b"first", b"second"]

    run(story)


# --- cancellation -------------------------------------------------------------------------------


def test_cancelling_waits_for_what_the_application_does_at_its_end(run: Run) -> None:
    async def story() -> None:
        signals = Signals()
        cleaned: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                signals.tell("begun")
                await receive()
            finally:
                await asyncio.sleep(0.01)
                await send({})
                cleaned.append("up")

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async with rest.AsyncioApp(app) as served, trio.open_nursery() as nursery:
            nursery.start_soon(served, HTTP, nothing, send)
            await signals.wait("begun")
            nursery.cancel_scope.cancel()
        assert (cleaned, sent) == (["up"], [{}])

    run(story)


def test_one_that_is_cancelled_before_it_began_never_runs(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it ran")

    async def story() -> None:
        async with rest.AsyncioApp(app) as served:
            await served._sides()
            with trio.CancelScope() as scope:
                scope.cancel()
                await served(HTTP, nothing, ignored)
            assert scope.cancelled_caught

    run(story)


def test_an_error_in_place_of_being_cancelled_is_told(run: Run) -> None:
    async def story() -> None:
        signals = Signals()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                signals.tell("begun")
                await receive()
            except asyncio.CancelledError:
                raise ValueError("at its end") from None

        async with rest.AsyncioApp(app) as served, trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def call() -> None:
                with pytest.raises(ValueError, match="at its end"), scope:
                    await served(HTTP, nothing, ignored)

            nursery.start_soon(call)
            await signals.wait("begun")
            scope.cancel()

    run(story)


def test_an_application_that_cancels_itself_has_failed(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    async def story() -> None:
        async with rest.AsyncioApp(app) as served:
            with pytest.raises(CutOff, match="cancelled there"):
                await served(HTTP, nothing, ignored)

    run(story)


def test_who_ignores_cancellation_is_left_behind(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        signals = Signals()
        found: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            goes_on = asyncio.Event()
            for _ in range(2):  # asyncio cancels once, and once more at the loop's end
                try:
                    signals.tell("begun")
                    await goes_on.wait()
                except asyncio.CancelledError:
                    signals.tell("ignored")
                    for call in (receive, lambda: send({})):
                        try:
                            await call()
                        except BaseException as error:
                            found.append(type(error))
                            raise

        async with rest.AsyncioApp(app, patience=0.1) as served:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(served, HTTP, nothing, ignored)
                    await signals.wait("begun")
                    scope.cancel()
            assert scope.cancelled_caught
            await signals.wait("ignored")
        assert found == [rest.Gone]

    run(story)
    assert "it goes on, and nobody waits for it" in caplog.text


def test_a_loop_that_something_blocks_is_left_behind(
    run_real: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirecore_trio._asyncio_thread._LAST", 0.1)
    release = threading.Event()

    async def story() -> None:
        signals = Signals()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            signals.tell("blocks")
            release.wait()

        async with rest.AsyncioApp(app, patience=0.1) as served, trio.open_nursery() as nursery:
            nursery.start_soon(served, HTTP, nothing, ignored)
            await signals.wait("blocks")
            nursery.cancel_scope.cancel()

    try:
        bounded(run_real, 60)(story)
    finally:
        [thread] = loops()
        release.set()
        thread.join()
    assert "its thread is left behind" in caplog.text


def test_ctrl_c_ends_it_all(run_real: Run) -> None:
    ended: list[str] = []

    async def story() -> None:
        signals = Signals()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                signals.tell("begun")
                await receive()
            finally:
                ended.append("cancelled")

        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rest.AsyncioApp(app), HTTP, nothing, ignored)
                await signals.wait("begun")
                signal.raise_signal(signal.SIGINT)
                await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        bounded(run_real, 60)(story)
    assert ended == ["cancelled"]
    assert threads() == 0


# --- lifespan and thread ------------------------------------------------------------------------


class Asked:
    """An application that notes what its lifespan is asked, and on which loop."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self.loops: set[int] = set()
        self._answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loops.add(id(asyncio.get_running_loop()))
        if scope["type"] == "http":
            await answer(send, scope["state"]["word"].encode())
            return
        scope["state"]["word"] = "shared"
        for stage in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{stage}"
            self.asked.append(stage)
            answered = self._answers.get(stage, "complete")
            if answered is None:
                return
            if isinstance(answered, Exception):
                raise answered
            await send({"type": f"lifespan.{stage}.{answered}"})
            if answered == "failed":
                return


#: Threads that other files' tests have in this process: servers that several tests share.
_others: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def count_own_threads() -> None:
    """Count those of a test alone."""
    _others.update(threading.enumerate())


def loops() -> list[threading.Thread]:
    """The threads of this test's loops."""
    own = set(threading.enumerate()) - _others
    return [thread for thread in own if thread.name == "wirecore-asyncio"]


def threads() -> int:
    """How many loops of this test's run."""
    return len(loops())


def test_the_thread_lives_as_long_as_the_lifespan(open_server: OpenServer, run: Run) -> None:
    async def story() -> None:
        app = Asked()
        served = rest.AsyncioApp(app)
        for _ in range(2):  # and it may be served again
            async with open_server(served) as world, world.connect() as client:
                assert threads() == 1
                for _ in range(2):
                    assert (await client.request("GET", "/")).body == b"shared"
                assert len(app.loops) == 1
                await world.server.drain()
            assert threads() == 0
            assert app.asked == ["startup", "shutdown"]
            app.asked.clear()
            app.loops.clear()
        with pytest.raises(InvalidState, match="has shut down"):
            await served(HTTP, nothing, ignored)

    run(story)


def test_one_that_fails_to_start_isnt_served(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(rest.LifespanFailed):
            async with rest.Lifespan(rest.AsyncioApp(Asked(startup="failed"))):
                raise AssertionError("it was served")
        assert threads() == 0

    run(story)


@pytest.mark.parametrize(
    ("answers", "logged"),
    [
        ({"startup": ValueError("no")}, "raised in its startup, and is served without lifespan"),
        ({"startup": None}, "supports no lifespan"),
        ({"shutdown": "complete"}, ""),
    ],
    ids=["raises", "returns", "knows it"],
)
def test_the_loop_runs_up_to_the_shutdown_whatever_the_applications_lifespan_does(
    answers: Any, logged: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        app = Asked(**answers)
        served = rest.AsyncioApp(app)
        async with rest.Lifespan(served) as lifespan:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            await served({"type": "http", "state": dict(lifespan.state)}, nothing, send)
            assert sent[-1]["body"] == b"shared"
            assert len(app.loops) == 1
        assert threads() == 0

    caplog.set_level(logging.INFO, "wirecore.rest")
    run(story)
    assert logged in caplog.text


def test_a_lifespan_that_ends_while_it_is_served(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("in between")

    async def story() -> None:
        with pytest.raises(rest.LifespanFailed, match="ValueError"):
            async with rest.Lifespan(rest.AsyncioApp(app)):
                pass
        assert threads() == 0

    run(story)
    assert "lifespan ended while it is served" in caplog.text


def test_one_that_fails_to_shut_down(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(rest.LifespanFailed, match="shutdown"):
            async with rest.Lifespan(rest.AsyncioApp(Asked(shutdown=ValueError("no")))):
                pass
        assert threads() == 0

    run(story)


def test_without_lifespan_the_thread_begins_with_the_first_call(run: Run) -> None:
    async def story() -> None:
        scope = {"type": "http", "state": {"word": "a"}}
        async with rest.AsyncioApp(Asked()) as served:
            assert threads() == 0
            async with trio.open_nursery() as nursery:  # the first two at once
                nursery.start_soon(served, scope, nothing, ignored)
                nursery.start_soon(served, scope, nothing, ignored)
            assert threads() == 1
        assert threads() == 0
        other = rest.AsyncioApp(Asked())
        await other(scope, nothing, ignored)
        await other.aclose()
        assert threads() == 0

    run(story)


def test_the_thread_ends_with_trios_run_at_the_latest() -> None:
    served = rest.AsyncioApp(Asked())
    scope = {"type": "http", "state": {"word": "a"}}
    for _ in range(2):
        trio.run(served, scope, nothing, ignored)
        assert threads() == 0


def test_a_loop_of_another_make(run: Run) -> None:
    uvloop = pytest.importorskip("uvloop")
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        await answer(send, b"x")

    async def story() -> None:
        async with rest.AsyncioApp(app, loop_factory=uvloop.new_event_loop) as served:
            await served(HTTP, nothing, ignored)
        assert isinstance(found[0], uvloop.Loop)

    run(story)


def test_a_loop_that_cant_be_made(run: Run) -> None:
    def factory() -> Any:
        raise RuntimeError("no loop today")

    async def story() -> None:
        async with rest.AsyncioApp(Asked(), loop_factory=factory) as served:
            with pytest.raises(RuntimeError, match="no loop today"):
                await served(HTTP, nothing, ignored)
            assert threads() == 0

    run(story)


def test_a_thread_that_cant_be_started(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story() -> None:
        async with rest.AsyncioApp(Asked()) as served:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", no_thread)
                with pytest.raises(RuntimeError, match="new thread"):
                    await served(HTTP, nothing, ignored)
            await served({"type": "http", "state": {"word": "a"}}, nothing, ignored)

    run(story)


def test_what_the_application_has_left_over_is_cancelled(run: Run) -> None:
    async def story() -> None:
        signals = Signals()
        left: list[Any] = []

        async def background() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                signals.tell("cancelled")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            left.append(asyncio.create_task(background()))
            left.append(asyncio.create_task(receive()))
            await asyncio.sleep(0)

        async with rest.AsyncioApp(app) as served:
            await served(HTTP, nothing, ignored)
        await signals.wait("cancelled")
        assert isinstance(left[1].exception(), rest.Gone)

    run(story)


def test_its_arguments() -> None:
    with pytest.raises(TypeError, match="app"):
        rest.AsyncioApp("app")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="loop_factory"):
        rest.AsyncioApp(Asked(), loop_factory="uvloop")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="patience"):
        rest.AsyncioApp(Asked(), patience=-1)
    with pytest.raises(TypeError, match="portal"):
        rest.AsyncioApp(Asked(), portal="portal")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not both"):
        rest.AsyncioApp(Asked(), portal=AsyncioPortal(), loop_factory=asyncio.new_event_loop)


def test_a_portal_that_isnt_open_has_no_loop(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(InvalidState, match="isn't open"):
            await rest.AsyncioApp(Asked(), portal=AsyncioPortal())(HTTP, nothing, ignored)

    run(story)
