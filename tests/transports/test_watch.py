"""One task that reads for all connections of a run, whose readers sleep meanwhile."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Turns
from tests.transports.watch_story import Wired, end, settle, the_watch, wired
from wirecore.moving_rules import RECEIVE_BUFFER
from wirecore_trio import _watch
from wirecore_trio._link import SocketLink
from wirecore_trio._pausing import pause, read_on
from wirecore_trio._watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transports.conftest import Run

pytestmark = pytest.mark.skipif(_watch._epoll is None, reason="this system has no epoll")

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="nobody's")


class Other(Exception):
    """What isn't expected of a session."""


@contextmanager
def alone_no_more(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits by himself in here."""

    def wait_readable(_: SocketLink) -> Any:
        raise AssertionError("it is watched")

    with monkeypatch.context() as patches:
        patches.setattr(SocketLink, "wait_readable", wait_readable)
        yield


# --- reading --------------------------------------------------------------------------------------


def test_what_comes_is_read_while_the_readers_sleep(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 3)
            with alone_no_more(monkeypatch):
                for number in range(20):
                    for each in connections[: number % 3 + 1]:
                        each.send(b"echo %d" % number)
                    await settle()
            assert [len(each.events) for each in connections] == [20, 13, 6]
            assert all(each.sleeps for each in connections)
            assert connections[2].theirs.recv(100) == b"2581114" + b"17"
            end(connections)
        assert [each.ends for each in connections] == [[None]] * 3

    run_sockets(story)


def test_one_alone_waits_by_itself(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one = Wired()
            nursery.start_soon(one.pump.run_reader)
            await settle()
            one.send()
            await settle()
            assert (one.events, one.sleeps, the_watch().readers) == ([b"x"], False, 1)
            other = Wired()
            nursery.start_soon(other.pump.run_reader)
            await settle()
            assert (one.sleeps, other.sleeps) == (False, True)
            one.send()
            await settle()
            assert one.sleeps
            other.end()
            await settle()
            assert the_watch().readers == 1
            one.send()
            await settle()
            assert (len(one.events), one.sleeps) == (3, False)
            one.end()
        assert the_watch()._watched == {}

    run_sockets(story)


def test_it_is_handled_as_the_reader_would(run_sockets: Run) -> None:
    async def story() -> None:
        seen: list[str] = []

        async def read(one: Wired, name: str) -> None:
            WHOSE.set(name)
            one.react = lambda: seen.append(WHOSE.get())
            await one.pump.run_reader()

        connections = [Wired(), Wired()]
        async with trio.open_nursery() as nursery:
            for each, name in zip(connections, ("one's", "other's"), strict=True):
                nursery.start_soon(read, each, name)
            for _ in range(3):
                for each in connections:
                    each.send()
                    await settle()
            assert all(each.sleeps for each in connections)
            assert seen == ["one's", "other's"] * 3
            end(connections)

    run_sockets(story)


def test_many_at_once_are_all_read_and_others_have_turns_between(run_sockets: Run) -> None:
    async def story() -> None:
        turns = Turns()
        at: list[int] = []
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 3 * _watch._READ_IN_A_ROW)
            for each in connections:
                each.react = lambda: at.append(turns.count)
                each.send()
            nursery.start_soon(turns.run)
            for _ in range(12):
                await trio.lowlevel.checkpoint()
            assert [each.events for each in connections] == [[b"x"]] * len(connections)
            assert len(set(at)) >= 2
            nursery.cancel_scope.cancel()
        end(connections)

    run_sockets(story)


def test_a_flood_gives_others_their_turn(run_sockets: Run) -> None:
    async def story() -> None:
        turns = Turns()
        async with trio.open_nursery() as nursery:
            flooded, other = await wired(nursery, 2)

            async def flood() -> None:
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(flooded.theirs))
                for _ in range(64):
                    await stream.send_all(bytes(RECEIVE_BUFFER))

            nursery.start_soon(turns.run)
            nursery.start_soon(flood)
            other.send()
            while sum(map(len, flooded.events)) < 64 * RECEIVE_BUFFER:
                await trio.lowlevel.checkpoint()
            assert turns.count > 8
            assert other.events == [b"x"]
            nursery.cancel_scope.cancel()
        end([flooded, other])

    run_sockets(story)


# --- what wakes a reader --------------------------------------------------------------------------


def test_the_end_of_the_stream_and_of_the_session_are_the_readers(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            closed, finished, put_off, stays = await wired(nursery, 4)
            closed.theirs.close()
            finished.send(b"bye")
            put_off.send(b"last")
            await settle()
            assert closed.ends == finished.ends == put_off.ends == [None]
            assert the_watch().readers == 1
            stays.end()
        assert the_watch()._watched == {}
        finished.theirs.close()
        put_off.theirs.close()

    run_sockets(story)


def test_who_has_finished_and_still_has_to_send_isnt_asked_again_and_again(
    run_sockets: Run,
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            one.write(bytes(8 << 20))
            one.send(b"bye")
            await settle()
            assert one.ends == []
            one.send(b"nobody wants that")
            await settle()  # else it would never be settled
            assert not one.sleeps
            one.theirs.setblocking(False)
            while one.ends == []:
                with suppress(BlockingIOError):
                    one.theirs.recv(1 << 20)
                await trio.lowlevel.checkpoint()
            other.end()
        one.theirs.close()

    run_sockets(story)


def test_who_is_paused_isnt_read_until_he_reads_on(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            pause(one.pump)
            one.send()
            other.send()
            await settle()
            assert (one.events, other.events, one.sleeps) == ([], [b"x"], False)
            read_on(one.pump)
            await settle()
            assert (one.events, one.sleeps) == ([b"x"], True)
            end([one, other])

    run_sockets(story)


class Stop(BaseException):
    """What ends a process."""


def test_what_ends_the_process_comes_from_the_reader_and_others_go_on(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            raised: list[BaseException] = []

            async def read() -> None:
                try:
                    await one.pump.run_reader()
                except Stop as error:
                    raised.append(error)

            one = Wired()
            nursery.start_soon(read)
            other, another = await wired(nursery, 2)
            one.send()
            await settle()
            assert one.sleeps
            one.raises = Stop()
            one.send()
            other.send()
            await settle()
            assert raised == [one.raises]
            assert other.events == [b"x"]
            end([one, other, another])

    run_sockets(story)


def test_a_defect_of_the_session_ends_its_connection_alone(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            one.raises = Other()
            one.send()
            other.send()
            await settle()
            assert (one.ends, other.events) == ([one.raises], [b"x"])
            one.theirs.close()
            other.end()

    run_sockets(story)


def test_a_link_that_waits_for_something_else_now_is_left_to_its_reader(run_sockets: Run) -> None:
    async def story() -> None:
        class Stuck:
            """Around a socket: once it has read it waits for what a test says, and no file."""

            owes = False

            def __init__(self, inner: SocketLink) -> None:
                self.inner = inner
                self.event = trio.Event()
                self.number = inner.number

            def try_recv_into(self, buffer: memoryview) -> int | None:
                size = self.inner.try_recv_into(buffer)
                if size and bytes(buffer[:size]) == b"stuck":
                    self.number = -1
                return size

            async def wait_readable(self) -> None:
                await self.event.wait()
                self.number = self.inner.number

            def __getattr__(self, name: str) -> Any:
                return getattr(self.inner, name)

        async with trio.open_nursery() as nursery:
            other = Wired()
            nursery.start_soon(other.pump.run_reader)
            await settle()
            one = Wired(around=Stuck)
            nursery.start_soon(one.pump.run_reader)
            await settle()
            reader = one.pump._watched
            assert reader is not None
            assert one.sleeps
            one.send(b"stuck")
            await settle()
            assert not one.sleeps
            assert reader._number == -1
            one.send(b"more")
            await settle()
            assert one.events == [b"stuck"]
            one.link.event.set()
            await settle()
            assert one.events == [b"stuck", b"more"]
            assert one.sleeps
            end([one, other])

    run_sockets(story)


# --- cancellation and ends ------------------------------------------------------------------------


def test_a_reader_that_is_cancelled_leaves_nothing_and_may_begin_again(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            again = Wired()
            with trio.move_on_after(0.1):
                await again.pump.run_reader()
            assert the_watch().readers == 2
            assert set(the_watch()._watched) == {one.number, other.number}
            again.send()
            nursery.start_soon(again.pump.run_reader)
            await settle()
            assert (again.events, again.sleeps) == ([b"x"], True)
            end([one, other, again])

    run_sockets(story)


def test_a_reader_that_is_cancelled_by_what_he_reads_ends_behind_it(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            another, other = await wired(nursery, 2)
            scope = trio.CancelScope()
            one = Wired()

            async def read() -> None:
                with scope:
                    await one.pump.run_reader()

            nursery.start_soon(read)
            await settle()
            assert one.sleeps
            one.react = scope.cancel
            one.send()
            other.send()
            await settle()
            assert scope.cancelled_caught
            assert (one.events, other.events, one.ends) == ([b"x"], [b"x"], [])
            one.end()
            nursery.cancel_scope.cancel()
        end([another, other])

    run_sockets(story)


def test_an_end_from_elsewhere_wakes_the_reader_and_frees_the_number(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            number = one.number
            other.react = lambda: one.pump.end(None)  # while both have something
            one.send()
            other.send()
            await settle()
            assert one.ends == [None]
            assert number not in the_watch()._watched
            ours, theirs = socket.socketpair()
            assert number in (ours.fileno(), theirs.fileno())  # the number is another's now
            assert not one.events or one.events == [b"x"]
            assert other.sleeps
            other.end()
            ours.close()
            theirs.close()
            one.theirs.close()

    run_sockets(story)


def test_a_number_that_is_anothers_now_is_left_alone(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2)
            watch = the_watch()
            watch.remove(one.number, other.pump._watched)  # type: ignore[arg-type]
            assert set(watch._watched) == {one.number, other.number}
            ours, theirs = socket.socketpair()
            number = ours.fileno()
            watch.add(number, other.pump._watched)  # type: ignore[arg-type]
            ours.close()  # behind its back
            watch.remove(number, other.pump._watched)  # type: ignore[arg-type]
            assert number not in watch._watched
            theirs.close()
            end([one, other])

    run_sockets(story)


def test_behind_the_end_of_the_run_nothing_is_watched() -> None:
    kept: list[Any] = []

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            kept.extend(await wired(nursery, 2))
            kept.append(the_watch())
            nursery.cancel_scope.cancel()

    trio.run(story)
    one, other, watch = kept
    assert watch._list.closed
    assert watch._watched == {}
    assert watch.over
    for each in (one, other):
        each.link.socket.close()
        each.theirs.close()


# --- where it can't be ----------------------------------------------------------------------------


async def each_waits_by_itself() -> None:
    async with trio.open_nursery() as nursery:
        connections = [Wired() for _ in range(3)]
        for each in connections:
            nursery.start_soon(each.pump.run_reader)
        for _ in range(5):
            for each in connections:
                each.send()
            await settle()
        assert [each.events for each in connections] == [[b"x"] * 5] * 3
        assert not any(each.sleeps for each in connections)
        end(connections)


@pytest.mark.parametrize("lacks", ["epoll", "room"])
def test_where_there_is_no_list_or_no_room_each_waits_by_itself(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    def add(*_: object) -> None:
        raise OSError(28, "no room")

    if lacks == "epoll":
        monkeypatch.setattr(_watch, "_epoll", None)
    else:
        monkeypatch.setattr(Watch, "add", add)

    run_sockets(each_waits_by_itself)


def test_where_the_list_cant_be_waited_for_each_waits_by_itself(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wait_readable: Any = trio.lowlevel.wait_readable

    def has_no_room(sock: Any) -> Any:
        if isinstance(sock, int):
            raise OSError(28, "no room")
        return wait_readable(sock)

    monkeypatch.setattr(trio.lowlevel, "wait_readable", has_no_room)

    async def story() -> None:
        await each_waits_by_itself()
        assert the_watch().over

    run_sockets(story)
    (record,) = caplog.records
    assert "each connection waits by itself" in record.getMessage()


def test_who_goes_on_at_the_end_of_the_run_waits_by_himself() -> None:
    """Such as a system task with a last word, which it says under a shield."""
    connections: list[Wired] = []

    async def read(each: Wired) -> None:
        with trio.CancelScope(shield=True):
            await each.pump.run_reader()

    async def read_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            await read(connections[2])

    async def say_the_last() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert the_watch().over
                for each in connections:
                    each.send(b"last word")
                    each.theirs.close()

    async def main() -> None:
        connections.extend(Wired() for _ in range(3))
        one, other, _ = connections
        for each in (one, other):
            trio.lowlevel.spawn_system_task(read, each)
        trio.lowlevel.spawn_system_task(read_late)
        trio.lowlevel.spawn_system_task(say_the_last)
        await settle()
        for each in (one, other):
            each.send()
        await settle()
        assert (one.sleeps, other.sleeps) == (True, True)

    trio.run(main)
    assert [each.events[-1] for each in connections] == [b"last word"] * 3
    assert [each.ends for each in connections] == [[None]] * 3
