"""Runs for tests: what they give back, and what they say is left over."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
import trio

from wirecore_trio import websocket
from wirecore_trio.testing import LeftOver, Network, memory_pair, run


async def echo(ws: websocket.WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def test_time_jumps_and_the_result_comes_back() -> None:
    async def story() -> float:
        await trio.sleep(3600)
        return trio.current_time()

    assert run(story) == 3600


def test_a_network_is_entered() -> None:
    network = Network()

    async def story() -> None:
        await network.start(websocket.serve, echo, "server.test", 80)
        async with websocket.connect("ws://server.test/") as ws:
            await ws.send("x")
            assert await ws.receive() == "x"

    run(story, network=network)
    assert len(network.connections) == 1


def test_patience_ends() -> None:
    with pytest.raises(trio.TooSlowError):
        run(trio.sleep_forever, patience=10)


def test_what_is_no_story() -> None:
    with pytest.raises(TypeError, match="a story is an async function: it returned int"):
        run(lambda: 1)  # type: ignore[arg-type, return-value]


def test_what_is_left_over_is_told() -> None:
    kept: list[Any] = []

    async def forget() -> None:
        kept.extend(await memory_pair())

    with pytest.raises(LeftOver, match="a timer of"):
        run(forget)

    async def forget_a_socket() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            ws = await websocket.connect(f"ws://127.0.0.1:{server.port}/").__aenter__()
            kept.append(ws)
            nursery.cancel_scope.cancel()

    with pytest.raises(LeftOver, match="not closed at the end of the test"):
        run(forget_a_socket, clock=trio.testing.MockClock(autojump_threshold=0.05))
    kept.pop()._pump.link.socket.close()


def real_time() -> trio.abc.Clock:
    return trio.testing.MockClock(autojump_threshold=0.05)


def test_what_other_threads_have_open_is_theirs() -> None:
    """As of a fixture that keeps a server and a client in a thread with a run of its own."""
    opened, leave = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            async with websocket.connect(f"ws://127.0.0.1:{server.port}/"):
                opened.set()
                await trio.to_thread.run_sync(leave.wait)
            nursery.cancel_scope.cancel()

    async def story() -> None:
        thread.start()
        await trio.to_thread.run_sync(opened.wait)

    thread = threading.Thread(target=trio.run, args=(elsewhere,))
    try:
        run(story, clock=real_time())
    finally:
        leave.set()
        thread.join()


def test_what_other_threads_have_the_run_do_is_theirs() -> None:
    async def asked_for() -> None:
        begun.set()
        await trio.sleep_forever()

    def ask(token: trio.lowlevel.TrioToken) -> None:
        with pytest.raises(trio.Cancelled):  # as the run ends
            trio.from_thread.run(asked_for, trio_token=token)

    async def story() -> None:
        threads.append(threading.Thread(target=ask, args=(trio.lowlevel.current_trio_token(),)))
        threads[0].start()
        await begun.wait()

    begun, threads = trio.Event(), list[threading.Thread]()
    run(story, clock=real_time())
    threads[0].join()


def test_a_system_task_of_the_users_is_theirs_and_one_of_ours_is_told() -> None:
    async def theirs() -> None:
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="of the user's")

    run(theirs)

    async def ours() -> None:
        client, _ = await memory_pair()
        with trio.move_on_after(1):
            await client.wait_closed()  # somebody reads for it from now on
        kept.append(client)

    kept: list[Any] = []
    with pytest.raises(LeftOver, match="the task 'wirecore keeper'"):
        run(ours)


def test_a_socket_of_the_run_before_hides_none_of_this_one() -> None:
    """Each run is told of its own, though the first one's is still open."""
    kept: list[Any] = []

    async def forget_a_socket() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            kept.append(await websocket.connect(f"ws://127.0.0.1:{server.port}/").__aenter__())
            nursery.cancel_scope.cancel()

    for _ in range(2):
        with pytest.raises(LeftOver, match=r"<socket\.socket") as caught:
            run(forget_a_socket, clock=real_time())
        assert str(caught.value).count("<socket.socket") == 1
    for ws in kept:
        ws._pump.link.socket.close()


def orders(seed: int | None) -> list[int]:
    """The order in which twenty tasks run."""
    found: list[int] = []

    async def note(number: int) -> None:
        found.append(number)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)

    run(story, seed=seed)
    return found


def test_a_seed_decides_the_order_of_tasks() -> None:
    from trio._core import _run

    before = _run._ALLOW_DETERMINISTIC_SCHEDULING
    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    assert sorted(orders(None)) == list(range(20))
    assert before == _run._ALLOW_DETERMINISTIC_SCHEDULING


def test_a_run_within_a_run_fails_and_changes_nothing() -> None:
    from trio._core import _run

    before = _run._r

    async def inner() -> None:
        pass

    async def story() -> int:
        with pytest.raises(RuntimeError, match="inside a run"):
            run(inner, seed=2)
        return 5

    assert run(story, seed=1) == 5
    assert _run._r is before


def test_runs_of_other_threads_change_nothing_of_that_order() -> None:
    from trio._core import _run

    before = _run._r
    stop = threading.Event()

    async def be_busy() -> None:
        async def step() -> None:
            while not stop.is_set():
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(step)

    wanted = orders(1)
    others = [threading.Thread(target=trio.run, args=(be_busy,)) for _ in range(2)]
    others[1] = threading.Thread(target=partial(run, be_busy, seed=2, patience=float("inf")))
    for other in others:
        other.start()
    try:
        assert [orders(1) for _ in range(200)] == [wanted] * 200
    finally:
        stop.set()
        for other in others:
            other.join()
    assert _run._r is before
