"""Ends that meet: a loss beside a restart, a stop beside an on_open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.libraries import adapters
from tests.transports.engine.scripted import Diary, Line, Scripted, ScriptedMany
from tests.transports.engine.test_engine import make, wait
from wirecore_trio import engine
from wirecore_trio.engine import Engine, Options, Session
from wirecore_trio.testing import Network, ScriptedPeer
from wirecore_trio.testing import run as run_story

URL = "ws://feed.example/"

# --- a loss, and a restart in the same pass of trio's loop ----------------------------------------


async def restart(client: Engine, line: Line) -> None:
    line.lose(4000, "bye")
    client.restart()


async def leave(client: Engine, line: Line) -> None:
    line.lose(4000, "bye")
    client.exit()


async def stop(client: Engine, line: Line) -> None:
    line.lose(4000, "bye")
    await client.stop()


async def restart_who_read_it(client: Engine, line: Line) -> None:
    async with client.pause() as session:
        line.lose(4000, "bye")
        with pytest.raises(engine.ConnectionClosed):
            await session.receive()
        session.restart()


@pytest.mark.parametrize("seed", range(2))  # the order of tasks in a pass
@pytest.mark.parametrize("kind", [Scripted, ScriptedMany])
@pytest.mark.parametrize("ask", [restart, leave, stop, restart_who_read_it])
def test_a_loss_in_the_same_pass_is_told_and_nothing_is_closed(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[Engine, Line], Awaitable[None]],
    kind: type[Scripted],
    seed: int,
) -> None:
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio._core._run._r.seed(seed)

    async def story() -> None:
        adapter, diary = kind(), Diary()
        async with make(adapter, diary) as client:
            await wait(1)
            await ask(client, adapter.lines[0])
            await wait(1)
            again = "restart" in ask.__name__
            assert client.is_started is again
        ours = ["on_open 2 again", "on_close none"] if again else []
        assert diary.what == ["on_open 1", "on_close 4000 bye", *ours]
        assert adapter.lines[0].closed is None

    run(story)


def test_a_loss_behind_the_restart_is_none(run: Run) -> None:
    """This end closes: what the peer says then is its answer."""

    async def story() -> None:
        async def lose(session: Session, details: object) -> None:
            adapter.lines[0].lose(4000, "bye")

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_close=lose) as client:
            client.restart()
            await wait(1)
        assert diary.what[1] == "on_close none"
        assert adapter.lines[0].closed == (1001, "Going away")

    run(story)


def test_an_adapter_that_lets_nobody_go_holds_no_restart_up_for_long(run: Run) -> None:
    class Stubborn(Scripted):
        async def receive(self) -> engine.Message:
            with trio.CancelScope(shield=True):
                return await super().receive()
            raise AssertionError("it isn't cancelled")

    async def story() -> None:
        adapter, diary = Stubborn(), Diary()
        async with make(adapter, diary) as client:
            client.restart()
            await wait(2)
            assert client.session is not None
            assert client.session.number == 2
        assert diary.what == ["on_open 1", "on_close none", "on_open 2 again", "on_close none"]

    run(story)


# --- connections that are accepted, and closed at once --------------------------------------------


async def leave_soon(peer: ScriptedPeer) -> None:
    """Accept, and close after a second."""
    await peer.accept()
    await trio.sleep(1)
    await peer.close(1013, "try again later")


@pytest.mark.parametrize(
    ("stable_after", "opened"),
    [
        (None, [0, 1, 2, 3, 10, 11, 12]),
        (1.0, [0, 1, 2, 3, 10, 11, 12]),  # they were open for as long
        (1.5, [0, 3, 8, 13, 20, 23, 28]),  # delays of 2, 4, 4 s, and again from the beginning
    ],
)
def test_one_that_ends_too_soon_counts_as_an_attempt_that_failed(
    stable_after: float | None, opened: list[float]
) -> None:
    class Noting(engine.Handler):
        async def on_open(self, session: Session) -> None:
            found.append(trio.current_time())
            if len(found) == len(opened):
                session.exit()

        async def on_restart_error(self, error: Exception, *_: object) -> None:
            raise AssertionError("no attempt fails")

    async def stay_longer(peer: ScriptedPeer) -> None:
        await peer.accept()
        await trio.sleep(7)
        await peer.close(1012)

    async def story() -> None:
        network.scripted(URL, leave_soon, leave_soon, leave_soon, stay_longer, leave_soon)
        options = Options(retry_delay_base=2, retry_delay_max_exponent=2, stable_after=stable_after)
        async with Engine(URL, Noting(), options) as client:
            await client.wait_ended()
        assert found == opened

    network = Network()
    found: list[float] = []
    run_story(story, network=network)


# --- a stop beside an on_open ---------------------------------------------------------------------


async def stay(peer: ScriptedPeer) -> None:
    """Accept, and be there."""
    await peer.accept()
    await peer.wait_ended()


async def mute(peer: ScriptedPeer) -> None:
    """Accept, and answer no close frame."""
    peer.answers_close = False
    await stay(peer)


@pytest.mark.parametrize("make_adapter", adapters())
@pytest.mark.parametrize("how", ["at first", "again", "where it fails"])
def test_a_stop_waits_for_no_answer_of_a_peers_in_on_open(
    make_adapter: Callable[[], Any], how: str
) -> None:
    class Slow(engine.Handler):
        async def on_open(self, session: Session) -> None:
            if session.restarting or how == "at first":
                opening.set()
                if how == "where it fails":
                    raise ValueError("on_open says no")
                await trio.sleep_forever()

    async def start(client: Engine) -> None:
        if how == "at first":
            with pytest.raises(engine.EngineStartError, match="it was stopped meanwhile"):
                await client.start()
        else:
            await client.start()
            client.restart()

    async def story() -> None:
        server = network.scripted(URL, *([mute] if how == "at first" else [stay, mute]))
        client = Engine(URL, Slow(), adapter=make_adapter(), autostart=False)
        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(start, client)
            await opening.wait()
            await trio.sleep(0.1)
            begun = trio.current_time()
            await client.stop()
            assert trio.current_time() - begun < 1
        assert server.peers[-1].record[0].kind == "close", "the peer isn't told"

    opening, network = trio.Event(), Network()
    run_story(story, network=network)


def test_stop_in_on_open_itself(run: Run) -> None:
    """It is cancelled there, as at the open timeout, and start says why."""

    async def story() -> None:
        async def end(session: Session) -> None:
            await client.stop()

        adapter, diary = Scripted(), Diary()
        client = make(adapter, diary, on_open=end)
        client._autostart = False
        async with client:
            begun = trio.current_time()
            with pytest.raises(engine.EngineStartError, match="it was stopped meanwhile"):
                await client.start()
            assert trio.current_time() == begun
        assert adapter.lines[0].closed == (1001, "websocket client has been interrupted")

    run(story)
