"""Subscriptions: sent on each connection, in their order, each acknowledged before the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Scripted
from wirecore import errors
from wirecore_trio.engine import Callbacks, Engine, Options, Session

URL = "ws://feed.example/"


def make(adapter: Scripted, **options: Any) -> tuple[Engine, list[str]]:
    """An engine, and the messages that its on_message gets."""
    got: list[str] = []
    callbacks = Callbacks()

    @callbacks.on_message
    def keep(session: Session, message: str) -> None:
        got.append(message)

    return Engine(URL, callbacks, Options(workers=1, **options), adapter=adapter), got


def is_(text: str) -> Callable[[object], bool]:
    """Acknowledged by this very message."""
    return lambda message: message == text


async def settle() -> None:
    """Until all wait."""
    await trio.testing.wait_all_tasks_blocked()


async def subscribed(client: Engine, adapter: Scripted, *names: str) -> None:
    """Subscribe to *names*, each of which is acknowledged at once."""
    for name in names:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.subscribe, name, is_(f"{name} ok"))
            await settle()
            adapter.lines[-1].bring(f"{name} ok")


def test_it_is_back_when_it_is_acknowledged(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, got = make(adapter)
        async with client:
            done = []

            async def subscribe() -> None:
                done.append(await client.subscribe("a", is_("a ok")))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(subscribe)
                await settle()
                assert adapter.lines[0].sent == ["a"]
                adapter.lines[0].bring("tick", "b ok")
                await settle()
                assert not done
                adapter.lines[0].bring("a ok")
            assert done[0].acknowledged
        assert got == ["tick", "b ok", "a ok"]  # on_message hears of all

    run(story)


def test_on_a_further_connection_each_waits_for_the_one_before(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            await subscribed(client, adapter, "a", "b")
            await client.subscribe("c")  # nothing acknowledges it
            adapter.lines[0].lose()
            await settle()
            [_, line] = adapter.lines
            assert line.sent == ["a"]
            line.bring("b ok")  # not what is waited for
            await settle()
            assert line.sent == ["a"]
            line.bring("a ok")
            await settle()
            assert line.sent == ["a", "b"]
            line.bring("b ok")
            await settle()
            assert line.sent == ["a", "b", "c"]

    run(story)


def test_they_come_after_on_open(run: Run) -> None:
    async def story() -> None:
        adapter, callbacks = Scripted(), Callbacks()

        @callbacks.on_open
        async def log_in(session: Session) -> None:
            await trio.sleep(1)
            await session.send("log in")

        async with Engine(URL, callbacks, adapter=adapter) as client:
            await client.subscribe("a")
            client.restart()
            await trio.sleep(2)
        assert [line.sent for line in adapter.lines] == [["log in", "a"], ["log in", "a"]]

    run(story)


def test_one_that_is_not_acknowledged_in_time_is_not_registered(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            begun = trio.current_time()
            with pytest.raises(errors.CallTimeout, match="within 3 s"):
                await client.subscribe("a", is_("a ok"), ack_timeout=3)
            assert trio.current_time() == begun + 3
            assert client.is_started
            client.restart()
            await settle()
        assert [line.sent for line in adapter.lines] == [["a"], []]

    run(story)


def test_one_not_acknowledged_again_makes_for_another_connection(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            await subscribed(client, adapter, "a")
            adapter.lines[0].lose()
            await trio.sleep(9)
            assert len(adapter.lines) == 2
            await trio.sleep(2)  # 10 s were over
            assert len(adapter.lines) == 3
            adapter.lines[2].bring("a ok")
            await trio.sleep(100)
        assert [line.sent for line in adapter.lines] == [["a"]] * 3
        assert adapter.lines[1].closed == (1001, "Going away")

    run(story)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("no acknowledgement of a subscription within 10 s")


@pytest.mark.parametrize("how", ["lost", "stop", "restart"])
def test_one_whose_connection_ends_meanwhile_is_not_registered(run: Run, how: str) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        raised: list[errors.CallLost] = []

        async def subscribe() -> None:
            with pytest.raises(errors.CallLost, match="before a subscription was ackn") as caught:
                await client.subscribe("a", is_("a ok"))
            raised.append(caught.value)

        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(subscribe)
            await settle()
            if how == "lost":
                adapter.lines[0].lose()
            elif how == "stop":
                await client.stop()
            else:
                client.restart()
            await settle()
            [told] = raised
            assert told.execution == "maybe_executed"  # it was sent
            assert not isinstance(told, errors.NotConnected)
            if how == "stop":
                await client.start()
            await settle()
        assert [line.sent for line in adapter.lines] == [["a"], []]

    run(story)


def test_it_is_asked_for_once_on_each_connection(run: Run) -> None:
    """Whoever is first after the open: what asks for all again, or the user."""

    async def story() -> None:
        for _ in range(20):
            adapter = Scripted()
            client, _ = make(adapter)
            async with client:
                await client.subscribe("a")
                await settle()
                client.restart()
                await settle()
            assert [line.sent for line in adapter.lines] == [["a"], ["a"]]

    run(story)


@pytest.mark.parametrize("how", ["restart", "stop and start"])
def test_on_a_further_connection_the_first_one_is_as_on_the_first(run: Run, how: str) -> None:
    """The end of the connection before isn't taken for the end of this one."""

    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            if how == "restart":
                client.restart()
                await settle()
            else:
                await client.stop()
                await client.start()
            await subscribed(client, adapter, "a")
        assert [line.sent for line in adapter.lines] == [[], ["a"]]

    run(story)


def test_without_a_connection_it_goes_with_the_next_one(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        client._autostart = False
        async with client:
            subscription = await client.subscribe("a", is_("a ok"))
            assert not subscription.acknowledged
            await client.start()
            await settle()
            assert adapter.lines[0].sent == ["a"]
            adapter.lines[0].bring("a ok")
            await settle()
            assert subscription.acknowledged

    run(story)


def test_what_is_cancelled_is_asked_for_no_more(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            first = await client.subscribe("a")
            await client.subscribe("b")
            first.cancel()
            first.cancel()
            client.restart()
            await settle()
        assert [line.sent for line in adapter.lines] == [["a", "b"], ["b"]]

    run(story)


def test_what_is_cancelled_while_it_is_asked_for_again_keeps_nobody_waiting(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            await subscribed(client, adapter, "a")
            later = await client.subscribe("b")
            adapter.lines[0].lose()
            await settle()
            later.cancel()  # it waits for a's acknowledgement
            adapter.lines[1].bring("a ok")
            await settle()
        assert [line.sent for line in adapter.lines] == [["a", "b"], ["a"]]

    run(story)


def test_a_function_gives_the_message_of_each_connection(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        numbers = iter(range(1, 100))
        async with client:
            await client.subscribe(lambda: f"subscribe {next(numbers)}")
            client.restart()
            await settle()
        assert [line.sent for line in adapter.lines] == [["subscribe 1"], ["subscribe 2"]]

    run(story)


def test_a_function_that_fails_at_first_is_the_callers(run: Run) -> None:
    def fail() -> str:
        raise ValueError("no message")

    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            with pytest.raises(ValueError, match="no message"):
                await client.subscribe(fail)
            client.restart()
            await settle()
            assert client.session is not None
        assert [line.sent for line in adapter.lines] == [[], []]

    run(story)


def test_one_that_fails_later_is_logged_and_keeps_nobody_from_the_others(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        numbers = iter((1, 0, 2))
        async with client:
            await client.subscribe(lambda: f"subscribe {4 // next(numbers)}")
            await client.subscribe("b")
            for _ in range(2):
                client.restart()
                await settle()
        sent = [["subscribe 4", "b"], ["b"], ["subscribe 2", "b"]]
        assert [line.sent for line in adapter.lines] == sent

    run(story)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("a subscription couldn't be sent")


async def later(message: object) -> bool:
    return True


async def made_later() -> str:
    return "a"


def divides(message: str) -> bool:
    return 1 // len(message) == 1


def passes_on(message: str) -> Awaitable[bool]:
    return later(message)


def passes_made_on() -> Awaitable[str]:
    return made_later()


@pytest.mark.parametrize("fails", [divides, passes_on])
def test_an_acknowledges_that_fails_acknowledges_nothing(
    run: Run, caplog: pytest.LogCaptureFixture, fails: Any
) -> None:
    """Be it by an error, or by a coroutine, which would be true of each message."""

    async def story() -> None:
        adapter = Scripted()
        client, got = make(adapter)

        async def subscribe() -> None:
            with pytest.raises(errors.CallTimeout):
                await client.subscribe("a", fails, ack_timeout=3)

        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(subscribe)
            await settle()
            adapter.lines[0].bring("")
        assert got == [""]

    run(story)
    [told] = [record.getMessage() for record in caplog.records]
    assert told == "a subscription's acknowledges failed, and it isn't acknowledged"


def test_one_message_acknowledges_one_the_one_that_waits_longest(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        order: list[str] = []

        async def subscribe(name: str) -> None:
            await client.subscribe(name, is_("ok"))
            order.append(name)

        async with client, trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(subscribe, name)
                await settle()
            for count in 1, 2, 3:
                adapter.lines[0].bring("ok")
                await settle()
                assert order == list("abc"[:count])

    run(story)


def test_arguments(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            with pytest.raises(TypeError, match="str, bytes or a function that gives it, not int"):
                await client.subscribe(5)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"acknowledges is called as acknowledges\(message"):
                await client.subscribe("a", lambda: True)  # type: ignore[misc, arg-type]
            with pytest.raises(TypeError, match=r"acknowledges must be a function of .*, not str"):
                await client.subscribe("a", "")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"acknowledges must .* without async"):
                await client.subscribe("a", later)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"message must .* without async"):
                await client.subscribe(made_later)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="its answer is wanted at once, and not coroutine"):
                await client.subscribe(passes_made_on)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="message gives str or bytes, not int"):
                await client.subscribe(lambda: 5)  # type: ignore[arg-type, return-value]
            with pytest.raises(TypeError, match="ack_timeout must be a number of seconds"):
                await client.subscribe("a", ack_timeout=None)  # type: ignore[arg-type]
            with pytest.raises(errors.InvalidOption, match="ack_timeout must be above 0, not 0"):
                await client.subscribe("a", is_("ok"), ack_timeout=0)
        assert adapter.lines[0].sent == []

    run(story)


def test_an_acknowledgement_that_is_read_by_hand_counts(run: Run) -> None:
    """Or who pauses just after a restart would bring about the next one."""

    async def story() -> None:
        adapter = Scripted()
        client, _ = make(adapter)
        async with client:
            await subscribed(client, adapter, "a")
            client.restart()
            await settle()
            async with client.pause() as session:
                adapter.lines[1].bring("a ok")
                assert await session.receive() == "a ok"
            await trio.sleep(100)
            assert client.session is session

    run(story)
