"""An adapter that gives many messages at once: what is promised of each holds all the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import ScriptedMany
from wirecore_trio import testing
from wirecore_trio.engine import (
    Callbacks,
    CloseDetails,
    ConnectionClosed,
    Engine,
    Message,
    NotConnected,
    Options,
    Session,
)

URL = "ws://feed.example/"

TEN = [f"m{number}" for number in range(1, 11)]


@pytest.mark.parametrize("workers", [1, 3])
def test_they_start_in_order_as_many_at_a_time_as_there_are_workers(run: Run, workers: int) -> None:
    async def story() -> None:
        started: list[tuple[float, Message]] = []
        callbacks = Callbacks()

        @callbacks.on_message
        async def take_a_second(session: Session, message: Message) -> None:
            started.append((trio.current_time() - begun, message))
            await trio.sleep(1)

        adapter = ScriptedMany()
        async with Engine(URL, callbacks, Options(workers=workers), adapter=adapter):
            begun = trio.current_time()
            adapter.lines[0].bring(*TEN)
            await trio.sleep(11)
        assert started == [(number // workers, message) for number, message in enumerate(TEN)]

    run(story)


def test_who_pauses_reads_on_where_the_callbacks_are(run: Run) -> None:
    async def story() -> None:
        got: list[Message] = []
        callbacks = Callbacks()

        @callbacks.on_message
        async def ask(session: Session, message: Message) -> None:
            got.append(message)
            if message == "m2":
                async with session.pause():
                    by_hand.append(await session.receive())
                    by_hand.append(await session.receive())

        by_hand: list[Message] = []
        adapter = ScriptedMany()
        async with Engine(URL, callbacks, Options(workers=1), adapter=adapter) as client:
            adapter.lines[0].bring(*TEN)
            await trio.testing.wait_all_tasks_blocked()
            async with client.pause() as session:
                adapter.lines[0].bring("m11")
                by_hand.append(await session.receive())
        assert by_hand == ["m3", "m4", "m11"]
        assert got == ["m1", "m2", *TEN[4:]]

    run(story)


@pytest.mark.parametrize("ask", ["restart", "exit"])
@pytest.mark.parametrize("fails", [False, True], ids=["", "fails"])
@pytest.mark.parametrize("blocks", [False, True], ids=["at once", "later"])
def test_after_restart_and_exit_the_others_are_dropped(
    run: Run, ask: str, blocks: bool, fails: bool
) -> None:
    async def story() -> None:
        got: list[Message] = []
        callbacks = Callbacks()

        @callbacks.on_message
        async def leave(session: Session, message: Message) -> None:
            got.append(message)
            if message == "m3":
                if blocks:
                    await trio.sleep(1)
                getattr(session, ask)()
                if fails:
                    raise ValueError("injected")

        adapter = ScriptedMany()
        async with Engine(URL, callbacks, Options(workers=1), adapter=adapter) as client:
            adapter.lines[0].bring(*TEN)
            await trio.sleep(2)
            assert client.is_started == (ask == "restart")
        assert got == ["m1", "m2", "m3"]
        assert len(adapter.lines) == (2 if ask == "restart" else 1)

    run(story)


def test_others_have_their_turn_between_many(run: Run) -> None:
    """A stop in the middle of many messages is heard."""

    async def story() -> None:
        got: list[Message] = []
        callbacks = Callbacks()
        callbacks.on_message(lambda session, message: got.append(message))
        adapter = ScriptedMany()
        async with Engine(URL, callbacks, adapter=adapter) as client:
            await trio.testing.wait_all_tasks_blocked()
            adapter.lines[0].bring(*("x" for _ in range(10_000)))
            while not got:
                await trio.lowlevel.checkpoint()
            await client.stop()
        assert 0 < len(got) < 1000

    run(story)


def test_what_came_before_the_end_is_given_out(run: Run) -> None:
    async def story() -> None:
        told: list[object] = []
        callbacks = Callbacks()
        callbacks.on_message(lambda session, message: told.append(message))
        callbacks.on_read_error(lambda session, error: told.append(str(error)))
        callbacks.on_close(lambda session, details: told.append(details and details.code))
        adapter = ScriptedMany()
        async with Engine(URL, callbacks, adapter=adapter):
            adapter.lines[0].bring("m1", "m2", ValueError("injected"), "m3")
            adapter.lines[0].lose(4000)
            await trio.testing.wait_all_tasks_blocked()
        assert told == ["m1", "m2", "injected", "m3", 4000, None]

    run(story)


def test_of_wirecores_own_adapter_none_is_lost_and_the_end_comes_last() -> None:
    """Interrupted by pauses again and again, in which some are read by hand."""
    sent = [f"m{number}" for number in range(2000)]

    async def feed(peer: testing.ScriptedPeer) -> None:
        await peer.accept()
        for message in sent:
            await peer.send(message)
        await peer.close(4000, "that's all")

    async def story() -> None:
        got: list[Message] = []
        ends: list[CloseDetails | None] = []
        callbacks = Callbacks()

        @callbacks.on_message
        async def take(session: Session, message: Message) -> None:
            got.append(message)
            if len(got) % 7 == 0:
                await trio.lowlevel.checkpoint()

        callbacks.on_close(lambda session, details: ends.append(details))
        options = Options(workers=1, auto_reconnect=False)
        async with testing.engine_pair(callbacks, feed, options=options) as client:
            with suppress(NotConnected, ConnectionClosed):
                while True:
                    async with client.pause() as session:
                        got.append(await session.receive())
                    await trio.lowlevel.checkpoint()
            await client.wait_ended()
        assert got == sent
        assert ends == [CloseDetails(4000, "that's all")]

    testing.run(story)
