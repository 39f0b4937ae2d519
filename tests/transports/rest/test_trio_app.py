"""Applications on trio, served from asyncio: real loops in real threads, no luck."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
import trio

from tests.transports.rest.world import answer, read
from wirecore.errors import InvalidState
from wirecore_trio import rest
from wirecore_trio._crossing import CutOff
from wirecore_trio.portal import AsyncioPortal
from wirecore_trio.rest._hints import hints_of

uvicorn = pytest.importorskip("uvicorn")

KIB = 1024


def http(*fields: tuple[bytes, bytes]) -> dict[str, Any]:
    """A scope."""
    return {"type": "http", "headers": list(fields)}


class Caller:
    """A server's end of a call: what it receives, then nothing until :meth:`leave`; what it sent.

    *asked*: how often the application, or somebody for it, asked for a message.
    """

    def __init__(self, *messages: dict[str, Any], kind: str = "http") -> None:
        self._messages = list(messages)
        self._kind = kind
        self._gone = asyncio.Event()
        self.asked = 0
        self.sent: list[Any] = []
        self.may_send = asyncio.Event()
        self.may_send.set()

    async def receive(self) -> Any:
        self.asked += 1
        if self._messages:
            return self._messages.pop(0)
        await self._gone.wait()
        return {"type": f"{self._kind}.disconnect"}

    async def send(self, message: Any) -> None:
        await self.may_send.wait()
        self.sent.append(message)

    def leave(self) -> None:
        """The caller goes."""
        self._gone.set()


def posted(*pieces: bytes) -> list[dict[str, Any]]:
    """The messages of a body."""
    return [
        {"type": "http.request", "body": piece, "more_body": at < len(pieces) - 1}
        for at, piece in enumerate(pieces)
    ]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Each story ends what it began."""
    yield
    assert "wirecore-trio" not in {thread.name for thread in threading.enumerate()}


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run *story* on asyncio, for a minute at most."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other thread does."""
    while not condition():  # noqa: ASYNC110 - the other thread sets no event of this loop
        await asyncio.sleep(0.001)


# --- what passes --------------------------------------------------------------------------------


def test_a_request_and_its_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.lowlevel.checkpoint()
        scope["state"]["seen"] = True
        await answer(send, (await read(receive)).upper())

    async def story() -> None:
        caller = Caller(*posted(b"one ", b"two"))
        state: dict[str, Any] = {}
        async with rest.TrioApp(app) as served:
            await served({**http(), "state": state}, caller.receive, caller.send)
        assert b"".join(message.get("body", b"") for message in caller.sent) == b"ONE TWO"
        assert state == {"seen": True}

    run(story)


def test_under_uvicorn_with_its_lifespan() -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                told.append((await receive())["type"])
                await send({"type": f"lifespan.{stage}.complete"})
            return
        with trio.fail_after(10):
            await answer(send, await read(receive))

    async def story() -> None:
        config = uvicorn.Config(rest.TrioApp(app), port=0, log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def one(number: int) -> None:
                body = b"%d" % number * 10 * number
                assert (await client.post("/", content=body)).content == body

            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(one(number))
            megabytes = bytes(3_000_000)
            assert (await client.post("/", content=megabytes)).content == megabytes
        server.should_exit = True
        await serving
        assert told == ["lifespan.startup", "lifespan.shutdown"]

    run(story)


def test_a_websocket_that_is_sent_to_by_several_tasks() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})

        async def echo() -> None:
            await send({"type": "websocket.send", "text": (await receive())["text"]})

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(echo)
        assert (await receive())["type"] == "websocket.disconnect"

    async def story() -> None:
        texts = [letter * 100 * KIB for letter in "abc"]
        caller = Caller(
            {"type": "websocket.connect"},
            *({"type": "websocket.receive", "text": text} for text in texts),
            kind="websocket",
        )
        caller.may_send.clear()
        async with rest.TrioApp(app) as served:
            call = asyncio.create_task(
                served({"type": "websocket", "headers": []}, caller.receive, caller.send)
            )
            await until(lambda: caller.asked >= 2)
            caller.may_send.set()
            await until(lambda: len(caller.sent) == 4)
            caller.leave()
            await call
        assert sorted(message["text"] for message in caller.sent[1:]) == texts

    run(story)


def test_either_end_waits_for_the_other() -> None:
    pieces = 40
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": bytes(16 * KIB), "more_body": True})
            sent.append(16 * KIB)
        await send({"type": "http.response.body"})

    async def story() -> None:
        caller = Caller(*posted(*[bytes(16 * KIB)] * pieces))
        caller.may_send.clear()
        async with rest.TrioApp(app) as served:
            call = asyncio.create_task(served(http(), caller.receive, caller.send))
            # Seven are less than 128 KiB; the eighth waits until one of them has gone.
            await until(lambda: len(sent) == 7)
            await asyncio.sleep(0.05)
            assert len(sent) == 7
            caller.may_send.set()
            await call
        assert len(sent) == pieces
        assert len(caller.sent) == pieces + 2

    run(story)


def test_so_much_is_read_ahead_and_no_more() -> None:
    go_on = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.to_thread.run_sync(go_on.wait)
        await answer(send, b"%d" % len(await read(receive)))

    async def story() -> None:
        caller = Caller(*posted(*[bytes(16 * KIB)] * 40))
        async with rest.TrioApp(app) as served:
            call = asyncio.create_task(served(http(), caller.receive, caller.send))
            await until(lambda: caller.asked == 8)
            await asyncio.sleep(0.05)
            assert caller.asked == 8
            go_on.set()
            await call
        assert caller.sent[-1]["body"] == b"655360"

    run(story)


def test_a_body_that_waits_for_100_is_asked_for_by_the_application_alone() -> None:
    asked: list[int] = []
    callers: list[Caller] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(callers[-1].asked)
        if scope["path"] == "/read":
            await read(receive)
        await answer(send, b"")

    async def story() -> None:
        async with rest.TrioApp(app) as served:
            for path in ("/read", "/unread"):
                caller = Caller(*posted(b"body"))
                callers.append(caller)
                scope = {**http((b"expect", b"100-continue")), "path": path}
                await served(scope, caller.receive, caller.send)
                asked.append(caller.asked)
        assert asked[0] == 0
        assert asked[1] >= 1
        assert asked[2:] == [0, 0]

    run(story)


# --- ends ---------------------------------------------------------------------------------------


def test_a_caller_that_goes() -> None:
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        hints = hints_of(scope)
        assert hints is not None
        assert hints.is_whole
        assert (await receive())["body"] == b"all"
        assert not hints.is_whole
        gone = trio.Event()
        hints.on_gone(gone.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await gone.wait()
        found.append(await receive())
        hints.on_gone(lambda: found.append("and now"))

    async def story() -> None:
        caller = Caller(*posted(b"all"))
        async with rest.TrioApp(app) as served:
            call = asyncio.create_task(served(http(), caller.receive, caller.send))
            await until(lambda: bool(caller.sent))
            caller.leave()
            await call
        assert found == [{"type": "http.disconnect"}, "and now"]

    run(story)


@pytest.mark.parametrize("waits_for", ["anything", "room"])
def test_a_call_that_is_cancelled_has_ended(waits_for: str) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if waits_for == "anything":
                await trio.sleep_forever()
            ended.append("waits")
            with trio.CancelScope(shield=True), pytest.raises(rest.Gone):
                await send(
                    {"type": "http.response.body", "body": bytes(200 * KIB), "more_body": True}
                )
        finally:
            ended.append("ended")
            await trio.lowlevel.checkpoint()

    async def story() -> None:
        caller = Caller()
        async with rest.TrioApp(app) as served:
            call = asyncio.create_task(served(http(), caller.receive, caller.send))
            if waits_for == "room":
                caller.may_send.clear()
                await until(lambda: bool(ended))
            else:
                await until(lambda: bool(caller.sent))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert ended[-1] == "ended"

    run(story)


def test_exceptions_arrive_as_themselves() -> None:
    class Mine(Exception):
        pass

    async def deep_within() -> None:
        raise Mine("broken")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(KeyError, match="received"):
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with pytest.raises(OSError, match="sent") as caught:
            await send({"type": "http.response.body", "body": bytes(200 * KIB), "more_body": True})
        assert caught.value is broken
        await deep_within()

    broken = OSError("sent")

    async def receive() -> Any:
        raise KeyError("received")

    async def send(message: Any) -> None:
        raise broken

    async def story() -> None:
        async with rest.TrioApp(app) as served:
            with pytest.raises(Mine) as caught:
                await served(http(), receive, send)
            frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert "deep_within" in frames

    run(story)


def test_a_server_that_fails_behind_the_last_message_is_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"")

    async def send(message: Any) -> None:
        raise RuntimeError("no such message")

    async def story() -> None:
        async with rest.TrioApp(app) as served:
            with pytest.raises(RuntimeError, match="no such message"):
                await served(http(), Caller(*posted(b"")).receive, send)

    run(story)


# --- where it runs ------------------------------------------------------------------------------


def test_an_application_without_lifespan_has_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, threading.current_thread().name.encode())

    async def story() -> None:
        served = rest.TrioApp(app)
        lives: asyncio.Queue[Any] = asyncio.Queue()
        told: list[Any] = []

        async def tell(message: Any) -> None:
            told.append(message["type"])

        lives.put_nowait({"type": "lifespan.startup"})
        life = asyncio.create_task(served({"type": "lifespan"}, lives.get, tell))
        await until(lambda: told == ["lifespan.startup.complete"])
        for _ in range(2):
            caller = Caller(*posted(b""))
            await served(http(), caller.receive, caller.send)
            assert caller.sent[-1]["body"] == b"wirecore-trio"
        lives.put_nowait({"type": "lifespan.shutdown"})
        await life
        assert told[1:] == ["lifespan.shutdown.complete"]
        with pytest.raises(InvalidState, match="has shut down"):
            await served(http(), caller.receive, caller.send)

    run(story)


def test_in_a_portal_beside_what_lives_there() -> None:
    tokens: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, repr(trio.lowlevel.current_trio_token() in tokens).encode())

    async def token_there() -> Any:
        return trio.lowlevel.current_trio_token()

    async def story() -> None:
        async with AsyncioPortal() as portal:
            tokens.append(await portal.run(token_there))
            served = rest.TrioApp(app, portal=portal)
            caller = Caller(*posted(b""))
            await served(http(), caller.receive, caller.send)
            assert caller.sent[-1]["body"] == b"True"
        with pytest.raises(InvalidState):
            await served(http(), caller.receive, caller.send)

    run(story)


def test_a_run_that_ends_by_itself() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep_forever()

    async def breaks() -> None:
        raise ValueError("it breaks")

    async def begins(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await breaks()

    async def story() -> None:
        portal = AsyncioPortal()
        await portal.__aenter__()
        served = rest.TrioApp(app, portal=portal)
        call = asyncio.create_task(served(http(), Caller().receive, Caller().send))
        await portal.start(begins)
        with pytest.raises(CutOff):
            await call
        with pytest.raises(ValueError, match="it breaks"):
            await portal.__aexit__(None, None, None)

    run(story)


def test_not_on_trio_nor_on_two_loops() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"")

    served = rest.TrioApp(app)
    with pytest.raises(InvalidState, match="the application itself"):
        trio.run(partial(served, http(), Caller().receive, Caller().send))

    async def call() -> None:
        caller = Caller(*posted(b""))
        await served(http(), caller.receive, caller.send)

    async def story() -> None:
        await call()
        with pytest.raises(InvalidState, match="another loop"):
            await asyncio.to_thread(asyncio.run, call())
        await served.aclose()

    run(story)
    with pytest.raises(TypeError):
        rest.TrioApp(app, portal=1)  # type: ignore[arg-type]
