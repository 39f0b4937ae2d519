"""An application of ASGI answers one request: what it reads, and how it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.rest.applications import Messages, body, sends, start
from tests.transports.rest.memory_incoming import MemoryIncoming, serve
from wirecore.errors import InvalidOption
from wirecore_trio.rest._asgi import AsgiHandler
from wirecore_trio.rest._incoming import Gone

if TYPE_CHECKING:
    from tests.transports.conftest import Run


# --- the request's body -----------------------------------------------------------------------


def test_a_body_comes_piece_by_piece_and_then_the_end_of_the_exchange(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)
        got: Messages = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (message := await receive())["more_body"]:
                got.append(message)
            got.append(message)
            await sends(start(), body(b"thanks"))(scope, receive, send)
            got.append(await receive())
            got.append(await receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            incoming.feed(b"one")
            await trio.testing.wait_all_tasks_blocked()
            assert [message["body"] for message in got] == [b"one"]  # it waits for no more
            incoming.feed(b"two")
            await trio.testing.wait_all_tasks_blocked()
            incoming.finish()
        assert got == [
            {"type": "http.request", "body": b"one", "more_body": True},
            {"type": "http.request", "body": b"two", "more_body": True},
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
            {"type": "http.disconnect"},
        ]
        assert incoming.body == b"thanks"

    run(story)


def test_only_what_is_asked_for_is_read(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)
        incoming.feed(b"one")
        incoming.feed(b"two")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert (await receive())["body"] == b"one"
            await sends(start(413), body(b"too much"))(scope, receive, send)

        await serve(AsgiHandler(app), incoming)
        assert incoming.taken == 1
        assert (incoming.status, incoming.body, incoming.end) == (413, b"too much", "end")

    run(story)


def test_who_reads_while_another_task_answers_is_told_of_the_end(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)  # whose body never comes
        got: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def read() -> None:
                got.append((await receive())["type"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                await send(start())
                await send(body(b"done"))

        await serve(AsgiHandler(app), incoming)
        assert got == ["http.disconnect"] * 2

    run(story)


def test_a_read_that_is_cancelled_loses_nothing(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with trio.move_on_after(1):
                await receive()
            incoming.feed(b"late")
            incoming.finish()
            data = (await receive())["body"]
            await sends(start(), body(data))(scope, receive, send)

        await serve(AsgiHandler(app), incoming)
        assert incoming.body == b"late"

    run(story)


# --- callers that go ----------------------------------------------------------------------------


def test_an_application_is_told_that_its_caller_has_gone(run: Run) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            told.append(await receive())
            try:
                await send(start())
            except OSError as error:
                told.append(error)
            told.append(await receive())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            assert told == []
            incoming.go()
        assert told[0] == told[2] == {"type": "http.disconnect"}
        assert isinstance(told[1], Gone)
        assert incoming.happened == []

    run(story)


@pytest.mark.parametrize("grace", [0, 7.5])
def test_one_that_neither_reads_nor_sends_is_cancelled_after_its_grace(
    run: Run, grace: float
) -> None:
    async def story() -> None:
        ended: list[float] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(trio.current_time())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app, grace=grace), incoming)
            await trio.sleep(100)
            assert ended == []
            went = trio.current_time()
            incoming.go()
        assert ended == [went + grace]
        assert incoming.happened == []

    run(story)


def test_without_a_bound_it_runs_to_its_end(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        done: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await trio.sleep(1000)
            done.append("saved")
            await sends(start(), body(b"saved"))(scope, receive, send)

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app, grace=None), incoming)
            await trio.testing.wait_all_tasks_blocked(0)
            incoming.go()
        assert done == ["saved"]
        assert incoming.happened == []

    run(story)
    assert caplog.records == []  # what it raised is a consequence: for who debugs


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_becomes_of_that_in_an_application_is_no_fault_of_its(
    run: Run, caplog: pytest.LogCaptureFixture, wrapped: bool
) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            incoming.go()
            if not wrapped:
                raise ValueError("of its own")
            try:
                await send(start())
            except OSError:
                raise ValueError("a consequence")  # noqa: B904 - as frameworks do

        incoming = MemoryIncoming()
        await AsgiHandler(app)(incoming)
        assert incoming.happened == []

    run(story)
    assert ("of its own" in caplog.text) is not wrapped
    assert "a consequence" not in caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_a_send_that_waits_for_room_ends_when_the_caller_goes(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(sends(start(), body(b"12345"))), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert (incoming.body, incoming.end) == (b"123", "")

    run(story)


def test_a_body_that_breaks_off(run: Run) -> None:
    async def story() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.extend([await receive(), await receive()])
            raise ValueError("half a body")

        incoming = MemoryIncoming("POST", body=None)
        incoming.feed(b"half")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert [message["type"] for message in got] == ["http.request", "http.disconnect"]
        assert incoming.happened == []

    run(story)


def test_work_behind_the_response_goes_on_when_the_caller_goes(run: Run) -> None:
    async def story() -> None:
        done: list[float] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await sends(start(), body(b"later"))(scope, receive, send)
            await trio.sleep(1000)
            done.append(trio.current_time())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            await incoming.wait_happened(3)
            incoming.go()
        assert len(done) == 1

    run(story)


def test_a_caller_that_goes_while_500_is_sent(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(sends()), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert incoming.status == 500
        assert incoming.end == ""

    run(story)


# --- the end from outside -----------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_handler_that_is_cancelled_resets(run: Run, begun: bool) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if begun:
                await sends(start(), body(b"1", more=True))(scope, receive, send)
            await trio.sleep_forever()

        with trio.move_on_after(1) as scope:
            await AsgiHandler(app)(incoming)
        assert scope.cancelled_caught
        assert incoming.end == "reset"

    run(story)


def test_what_ends_programs_passes(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise SystemExit(3)

        incoming = MemoryIncoming()
        with pytest.raises(SystemExit):
            await AsgiHandler(app)(incoming)
        assert incoming.end == "reset"

    run(story)


# --- options ------------------------------------------------------------------------------------


def test_options_that_make_no_sense() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async def other(request: Any) -> None: ...

    for given in (1, other, app(None, None, None)):
        with pytest.raises(TypeError, match="app"):
            AsgiHandler(given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="root_path must be str"):
        AsgiHandler(app, root_path=b"/x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="grace must be a number"):
        AsgiHandler(app, grace="5")  # type: ignore[arg-type]
    for grace in (-1, float("nan")):
        with pytest.raises(InvalidOption, match="grace must be 0 at least"):
            AsgiHandler(app, grace=grace)
