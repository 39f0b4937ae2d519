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
from tests.transports.pump_story import Story
from wirecore._backend import default
from wirecore.moving_rules import AWAKE, CONTENDED, FEWEST, RECEIVE_BUFFER, SLICE, TURN
from wirecore_trio import _rhythm, _watch
from wirecore_trio._link import SocketLink
from wirecore_trio._pausing import pause, read_on
from wirecore_trio._watch import Watch, current_watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.transports.conftest import Run
    from wirecore.events import Buffer

pytestmark = pytest.mark.skipif(_watch._epoll is None, reason="this system has no epoll")

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="nobody's")


class Other(Exception):
    """What isn't expected of a session."""


class Wired(Story):
    """A pump over a socket; the test has the other end."""

    def __init__(self, eager_wait: float = 0.0) -> None:
        ours, self.theirs = socket.socketpair()
        super().__init__(SocketLink(ours), eager_wait=eager_wait)
        self.raises: BaseException | None = None

    def received(self, happened: list[Any]) -> None:
        super().received(happened)
        if self.raises is not None:
            raise self.raises

    def send(self, data: Buffer = b"x") -> None:
        self.theirs.sendall(data)

    @property
    def number(self) -> int:
        number: int = self.link.socket.fileno()
        return number

    @property
    def sleeps(self) -> bool:
        """Whether its reader does, and is watched."""
        reader = self.pump._watched
        return reader is not None and reader._task is not None and reader._number == self.number

    def end(self) -> None:
        self.pump.end(None)
        self.theirs.close()


def the_watch() -> Watch:
    watch = current_watch()
    assert watch is not None
    return watch


async def settle() -> None:
    """Until all that was sent was read."""
    await trio.testing.wait_all_tasks_blocked(0.01)


async def wired(nursery: trio.Nursery, number: int, eager_wait: float = 0.0) -> list[Wired]:
    """So many connections, whose readers sleep."""
    all_of_them = [Wired(eager_wait) for _ in range(number)]
    for each in all_of_them:
        nursery.start_soon(each.pump.run_reader)
    await settle()
    for each in all_of_them:  # the first waited by itself, until there was a second
        each.send(b"first")
    await settle()
    for each in all_of_them:
        assert each.sleeps
        each.events.clear()
    return all_of_them


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
            for each in connections:
                each.end()
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
            for each in connections:
                each.end()

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
        for each in connections:
            each.end()

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
        flooded.end()
        other.end()

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
            one.end()
            other.end()

    run_sockets(story)


def sleeping(one: Story) -> bool:
    reader = one.pump._watched
    return reader is not None and reader._task is not None


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
            for each in (one, other, another):
                each.end()

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
            ours, theirs = socket.socketpair()
            link: Any = Stuck(SocketLink(ours))
            one = Story(link)
            nursery.start_soon(one.pump.run_reader)
            await settle()
            reader = one.pump._watched
            assert reader is not None
            assert sleeping(one)
            theirs.sendall(b"stuck")
            await settle()
            assert not sleeping(one)
            assert reader._number == -1
            theirs.sendall(b"more")
            await settle()
            assert one.events == [b"stuck"]
            link.event.set()
            await settle()
            assert one.events == [b"stuck", b"more"]
            assert sleeping(one)
            one.pump.end(None)
            theirs.close()
            other.end()

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
            for each in (one, other, again):
                each.end()

    run_sockets(story)


def test_a_reader_that_is_cancelled_by_what_he_reads_ends_behind_it(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            _, other = await wired(nursery, 2)
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
        _.end()
        other.end()

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
            one.end()
            other.end()

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

    async def story() -> None:
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
            for each in connections:
                each.end()

    run_sockets(story)


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
            assert the_watch().over
            for each in connections:
                each.end()

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


# --- looking without sleep ------------------------------------------------------------------------


class Time:
    """A core, on which time passes only as a test says: *on_way* is what others do with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, ready: bool = False) -> None:
        self.now = 100.0
        self.ways = 0
        self.on_way: Callable[[], object] = lambda: None
        core = default.ticking.Core(lambda: self.now, self._give_way)
        monkeypatch.setattr(_rhythm, "Core", lambda *_, **__: core)
        if not ready:
            monkeypatch.setattr(_rhythm, "_ready_tasks", lambda: None)

    def _give_way(self) -> None:
        self.ways += 1
        self.on_way()

    def pass_by(self, seconds: float = AWAKE) -> None:
        self.now += seconds


async def be_close(connections: list[Wired], times: int = FEWEST + 1) -> None:
    """Messages of several connections follow each other closely."""
    for number in range(times):
        connections[number % len(connections)].send()
        await settle()


def test_messages_that_follow_each_other_closely_are_looked_for(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            one, other = connections
            time.on_way = time.pass_by
            time.now += 1  # it was long ago
            await be_close(connections, FEWEST)
            assert time.ways == 0
            turns = Turns()
            nursery.start_soon(turns.run)
            sent: list[int] = []

            def send_next() -> None:
                if len(sent) == 5:
                    time.pass_by()
                    return
                sent.append(turns.count)
                (one if len(sent) % 2 else other).send(b"in place")

            time.on_way = send_next
            one.send()
            while len(sent) < 5:
                await trio.lowlevel.checkpoint()
            assert len(set(sent)) == 1  # nobody else had a turn between
            await trio.lowlevel.checkpoint()
            assert one.events.count(b"in place") + other.events.count(b"in place") == 5
            nursery.cancel_scope.cancel()
        one.end()
        other.end()

    run_sockets(story)


def test_who_alone_has_all_that_comes_reads_it_himself(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2, eager_wait=0.001)
            other.send()  # what came before was another's
            await settle()
            for _ in range(FEWEST):
                assert one.sleeps
                one.send()
                await settle()
            reader = one.pump._watched
            assert reader is not None
            woken: list[trio.lowlevel.Task] = []
            reschedule = trio.lowlevel.reschedule

            def note(task: trio.lowlevel.Task, *more: Any) -> None:
                woken.append(task)
                reschedule(task, *more)

            monkeypatch.setattr(trio.lowlevel, "reschedule", note)
            task = reader._task
            one.send()
            await settle()
            assert woken == [task]
            one.end()
            other.end()

    run_sockets(story)


def test_looks_in_vain_are_short_and_become_seldom(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(AWAKE / 3.9)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            time.now += 1
            await be_close(connections, FEWEST)
            assert time.ways == 0
            await be_close(connections, 1)
            assert time.ways == 4  # a tenth of a millisecond
            await be_close(connections, FEWEST + 1)
            assert time.ways == 4
            await be_close(connections, 4 * FEWEST)
            assert time.ways == 8
            for each in connections:
                each.end()

    run_sockets(story)


def test_who_computes_on_the_core_is_left_alone_for_long(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(2 * SLICE)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            await be_close(connections)
            assert time.ways == 1
            assert the_watch()._looking.needed == CONTENDED
            for each in connections:
                each.end()

    run_sockets(story)


def test_the_loop_has_its_turn_in_time(run_sockets: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            time.on_way = time.pass_by
            time.now += 1
            await be_close(connections, FEWEST)
            turns = Turns()
            nursery.start_soon(turns.run)
            sent: list[int] = []

            def send_next() -> None:
                time.pass_by(TURN / 5)
                if len(sent) < 50:
                    sent.append(turns.count)
                    connections[len(sent) % 2].send()

            time.on_way = send_next
            connections[0].send()
            while len(sent) < 50:
                await trio.lowlevel.checkpoint()
            # Five in each turn, and tasks have theirs in any order.
            assert max(map(sent.count, sent)) <= 2 * 5
            assert len(set(sent)) >= 50 / (2 * 5)
            nursery.cancel_scope.cancel()
        for each in connections:
            each.end()

    run_sockets(story)


def test_it_doesnt_look_while_others_are_at_work(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch, ready=True)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            turns = Turns()
            nursery.start_soon(turns.run)
            for number in range(30):
                connections[number % 2].send()
                for _ in range(4):
                    await trio.lowlevel.checkpoint()
            assert sum(len(each.events) for each in connections) == 30
            assert time.ways == 0
            nursery.cancel_scope.cancel()
        for each in connections:
            each.end()

    run_sockets(story)


def test_a_connection_whose_option_is_0_has_the_thread_not_held(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2)
            await be_close(connections, 3 * FEWEST)
            assert time.ways == 0
            for each in connections:
                each.end()

    run_sockets(story)


def test_the_shortest_option_of_those_that_were_read_bounds_a_look(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(AWAKE / 39)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=AWAKE / 10)
            time.now += 1
            await be_close(connections)
            assert time.ways == 4
            for each in connections:
                each.end()

    run_sockets(story)


def test_who_was_woken_has_his_turn_before_it_looks(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            one, _ = connections
            time.on_way = time.pass_by
            time.now += 1
            await be_close(connections, FEWEST)
            lot = trio.lowlevel.ParkingLot()
            order: list[str] = []

            async def wait() -> None:
                while True:
                    await lot.park()
                    order.append("woken")

            def wake() -> None:
                lot.unpark()
                one.pump.woke = True

            def look() -> None:
                order.append("looks")
                time.pass_by()

            nursery.start_soon(wait)
            await settle()
            one.react, time.on_way = wake, look
            for _ in range(5):
                time.now += 1
                await be_close(connections, 1)
                order.clear()
                for _ in range(8 * FEWEST):
                    one.send()
                    await settle()
                assert "looks" in order
                at = order.index("looks")
                assert order[at - 1] == "woken"
            nursery.cancel_scope.cancel()
        for each in connections:
            each.end()

    run_sockets(story)
