"""The callbacks of an engine, as a class and as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Line, Scripted
from wirecore.errors import InvalidOption
from wirecore_trio import engine, testing
from wirecore_trio.engine import (
    Callbacks,
    CloseMessage,
    Engine,
    Handler,
    NotConnected,
    Options,
    Session,
)

URL = "ws://feed.example/"

NAMES = (
    "on_open",
    "on_message",
    "on_read_error",
    "on_close",
    "on_close_error",
    "on_restart_error",
)


@pytest.mark.parametrize("name", NAMES)
def test_one_function_of_a_kind(name: str) -> None:
    callbacks = Callbacks()
    add = getattr(callbacks, name)

    def first(*arguments: object) -> None: ...

    assert add(first) is first  # a decorator leaves it as it was
    with pytest.raises(InvalidOption, match=f"{name} was given already"):
        add(first)


@pytest.mark.parametrize("name", NAMES)
def test_a_function_takes_what_it_gets(name: str) -> None:
    def takes_four(one: object, two: object, three: object, four: object) -> None: ...

    with pytest.raises(TypeError, match=f"{name} is called as {name}"):
        getattr(Callbacks(), name)(takes_four)
    with pytest.raises(TypeError, match=f"{name} must be a function"):
        getattr(Callbacks(), name)("on_open")


def test_so_does_a_method() -> None:
    class Wrong(Handler):
        async def on_message(self, message: str) -> None:  # type: ignore[override]
            raise AssertionError("nobody calls it")

    with pytest.raises(TypeError, match=r"on_message is called as on_message\(session, message\)"):
        Engine(URL, Wrong())


def test_an_engine_has_the_functions_that_were_there_when_it_was_made(run: Run) -> None:
    async def story() -> None:
        callbacks = Callbacks()
        adapter = Scripted()
        client = Engine(URL, callbacks, adapter=adapter)
        got: list[str] = []

        @callbacks.on_message
        def late(session: Session, message: str) -> None:
            got.append(message)

        async with client:
            adapter.lines[0].bring("m1")
            await trio.testing.wait_all_tasks_blocked()
        assert got == []

    run(story)


def all_six(told: list[str], *, as_async: bool) -> Callbacks:
    """Functions for all of them, which tell what they are called for."""
    callbacks = Callbacks()

    def teller(name: str) -> Callable[..., Any]:
        def plain(*arguments: object) -> None:
            told.append(name)

        async def async_(*arguments: object) -> None:
            await trio.lowlevel.checkpoint()
            plain()

        return async_ if as_async else plain

    for name in NAMES:
        getattr(callbacks, name)(teller(name))
    return callbacks


@pytest.mark.parametrize("as_async", [False, True], ids=["plain", "async"])
def test_each_may_be_plain_or_async(run: Run, as_async: bool) -> None:
    async def story() -> None:
        def on_dial(line: Line) -> None:
            if line.number == 2:
                raise ConnectionRefusedError("nobody listens")

        told: list[str] = []
        adapter = Scripted(on_dial)
        callbacks = all_six(told, as_async=as_async)
        options = Options(workers=1, retry_delay_base=1)
        async with Engine(URL, callbacks, options, adapter=adapter):
            adapter.lines[0].bring(ValueError("injected"), "m1")
            await trio.sleep(1)
            adapter.lines[0].lose()
            await trio.sleep(2)
            adapter.close_error = OSError("injected")
        assert told == [
            "on_open",
            "on_read_error",
            "on_message",
            "on_close",
            "on_restart_error",
            "on_open",
            "on_close",
            "on_close_error",
        ]

    run(story)


def test_what_a_plain_function_hands_on_is_awaited(run: Run) -> None:
    """A lambda or functools.partial around an async function gives a coroutine."""

    async def story() -> None:
        got: list[str] = []

        async def later(message: str) -> None:
            await trio.lowlevel.checkpoint()
            got.append(message)

        class Later:
            """No coroutine, and awaited all the same."""

            def __init__(self, message: str) -> None:
                self.message = message

            def __await__(self) -> Any:
                return later(self.message).__await__()

        callbacks = Callbacks()
        callbacks.on_message(lambda session, message: Later(message))
        adapter = Scripted()
        async with Engine(URL, callbacks, Options(workers=2), adapter=adapter):
            adapter.lines[0].bring("m1", "m2")
            await trio.testing.wait_all_tasks_blocked()
        assert got == ["m1", "m2"]

    run(story)


@pytest.mark.parametrize("given", [1000, "bye", (1000, "bye"), True])
def test_an_on_close_that_gives_nonsense_is_told_so(
    run: Run, caplog: pytest.LogCaptureFixture, given: object
) -> None:
    async def story() -> None:
        callbacks = Callbacks()
        callbacks.on_close(lambda session, details: given)
        adapter = Scripted()
        async with Engine(URL, callbacks, adapter=adapter):
            pass
        assert adapter.lines[0].closed == (1001, "Going away")

    run(story)
    [record] = caplog.records
    assert record.getMessage() == "on_close failed; the engine goes on"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == (
        f"on_close gives None or a CloseMessage, not {type(given).__name__}"
    )


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)])
def test_a_close_message_that_no_frame_holds_ends_the_connection_all_the_same(
    caplog: pytest.LogCaptureFixture, code: int, reason: str
) -> None:
    """It is refused in on_close, whose errors are logged, and the peer gets the usual one."""

    async def serve(peer: testing.ScriptedPeer) -> None:
        await peer.accept()
        await peer.expect_close(1001, "Going away")

    async def story() -> None:
        callbacks = Callbacks()
        callbacks.on_close(lambda session, details: CloseMessage(code, reason))
        async with testing.engine_pair(callbacks, serve) as client:
            session = client.session
            assert session is not None
            await client.stop()
            assert session.underlying is None

    testing.run(story)
    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], InvalidOption)


@pytest.mark.parametrize("name", NAMES[1:])
def test_one_that_raises_is_logged_and_the_engine_goes_on(
    run: Run, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async def story() -> None:
        def on_dial(line: Line) -> None:
            if line.number == 2:
                raise ConnectionRefusedError("nobody listens")

        def fail(*arguments: object) -> None:
            raise ValueError("injected")

        got: list[engine.Message] = []
        callbacks = Callbacks()
        getattr(callbacks, name)(fail)
        if name != "on_message":
            callbacks.on_message(lambda session, message: got.append(message))
        adapter = Scripted(on_dial)
        options = Options(workers=1, retry_delay_base=1)
        async with Engine(URL, callbacks, options, adapter=adapter) as client:
            adapter.lines[0].bring(ValueError("unreadable"), "m1")
            await trio.sleep(1)
            adapter.lines[0].lose()
            await trio.sleep(2)
            adapter.close_error = OSError("unsent")
            client.restart()
            await trio.sleep(1)
            adapter.lines[-1].bring("m2")
            adapter.close_error = None
            await trio.sleep(1)
            assert client.session is not None
        assert len(adapter.lines) == 4
        if name != "on_message":
            assert got == ["m1", "m2"]

    run(story)
    assert any(
        record.getMessage().startswith(f"{name} failed; the engine")
        and record.exc_info is not None
        and str(record.exc_info[1]) == "injected"
        for record in caplog.records
    )


def test_a_last_word_in_on_close(run: Run) -> None:
    """Where this end closes; where the peer has, nothing can be sent."""

    async def story() -> None:
        adapter, callbacks = Scripted(), Callbacks()
        told: list[str] = []

        @callbacks.on_close
        async def say_bye(session: Session, details: object) -> None:
            try:
                await session.send("bye")
            except NotConnected:
                told.append("too late")

        async with Engine(URL, callbacks, adapter=adapter) as client:
            adapter.lines[0].lose()
            await trio.sleep(1)
            await client.stop()
        assert [line.sent for line in adapter.lines] == [[], ["bye"]]
        assert told == ["too late"]

    run(story)


def test_stop_in_on_message(run: Run) -> None:
    """It waits for the end, which doesn't wait for on_message."""

    async def story() -> None:
        adapter, callbacks = Scripted(), Callbacks()
        told: list[str] = []

        @callbacks.on_message
        async def stop(session: Session, message: str) -> None:
            await client.stop()
            told.append("stopped")

        callbacks.on_close(lambda session, details: told.append("on_close"))
        async with Engine(URL, callbacks, Options(workers=1), adapter=adapter) as client:
            adapter.lines[0].bring("m1", "m2")
            await client.wait_ended()
            await trio.testing.wait_all_tasks_blocked()
            assert told == ["on_close", "stopped"]

    run(story)


@pytest.mark.parametrize("at", [1, 2], ids=["at first", "again"])
def test_stop_in_on_open_ends_the_attempt(run: Run, at: int) -> None:
    async def story() -> None:
        adapter, callbacks = Scripted(), Callbacks()

        @callbacks.on_open
        async def stop(session: Session) -> None:
            if session.number == at:
                await client.stop()

        client = Engine(URL, callbacks, adapter=adapter, autostart=False)
        async with client:
            if at == 1:
                with pytest.raises(engine.EngineStartError):
                    await client.start()
            else:
                await client.start()
                client.restart()
                await client.wait_ended()
            assert not client.is_started
            assert adapter.line is None
        assert len(adapter.lines) == at

    run(story)
