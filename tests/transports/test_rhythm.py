"""Waiting in place: for messages that follow each other closely, never for long, never in vain."""

from __future__ import annotations

import socket
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Turns, web_socket
from tests.transports.pump_story import ScriptedLink, Story
from wirecore.errors import InvalidOption
from wirecore.moving_rules import POLITE
from wirecore_trio import _rhythm, tls, websocket, wsrpc
from wirecore_trio._dispatch import Workers
from wirecore_trio._done import Done
from wirecore_trio._link import SocketLink, StreamLink
from wirecore_trio._rhythm import current_rhythm, take_turn
from wirecore_trio._waiter import Waiter, callers_of
from wirecore_trio.wsrpc._channel import Channel
from wirecore_trio.wsrpc._registry import Registry
from wirecore_trio.wsrpc._upgrade import make_session

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend
    from wirecore.events import Buffer
    from wirecore_trio._pump import Pump


@pytest.fixture(autouse=True)
def nobody_is_seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no other task of the run were at work, unless a story is about that."""
    if "others_are_seen" not in request.keywords:
        monkeypatch.setattr(_rhythm, "_ready_tasks", lambda: None)
        monkeypatch.setattr(_rhythm, "idle_loop", lambda: None)


def be_close(pump: Pump, times: int = 1_000_000) -> None:
    """As if *pump* alone had read in this run, *times* in a row, and fast; the loop had a turn."""
    rhythm = current_rhythm()
    rhythm.had_turn()
    rhythm.pump, rhythm.close, rhythm.at = pump, times, pump.now()


def have_a_turn_due() -> None:
    """As if so many had waited in place in a row that the loop's turn is due."""
    while current_rhythm().pays():
        pass


def test_a_socket_says_whether_it_is_readable_without_sleep_too() -> None:
    ours, theirs = socket.socketpair()
    link = SocketLink(ours)
    assert not link.readable_within(0)
    theirs.send(b"x")
    assert link.readable_within(0)
    assert link.try_recv_into(memoryview(bytearray(8))) == 1
    assert not link.readable_within(0)
    theirs.close()
    assert link.readable_within(0)  # its end can be read
    ours.close()


def test_reads_are_close_while_no_other_connection_reads(run: Run) -> None:
    async def story() -> None:
        one, other = Story(ScriptedLink(*[b"x"] * 40)), Story(ScriptedLink(b"y"))
        rhythm = current_rhythm()
        for expected in range(5):
            assert one.pump.read()
            assert (rhythm.pump, rhythm.close) == (one.pump, expected)
        assert other.pump.read()
        assert (rhythm.pump, rhythm.close) == (other.pump, 0)
        for _ in range(3):
            assert one.pump.read()
        assert rhythm.close == 2
        await trio.sleep(1)
        assert one.pump.read()
        assert rhythm.close == 0

    run(story)


def test_the_option_has_bounds() -> None:
    wrong: Any = None
    for options in (websocket.Options, wsrpc.Options):
        assert options(eager_wait=0).eager_wait == 0
        for seconds in (-0.001, 0.011):
            with pytest.raises(InvalidOption, match="eager_wait"):
                options(eager_wait=seconds)
        with pytest.raises(TypeError, match="eager_wait must be a number of seconds"):
            options(eager_wait=wrong)


# --- one connection -------------------------------------------------------------------------


def test_what_is_there_is_read_and_what_isnt_is_waited_for_in_vain(run: Run) -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        pump_story = Story(SocketLink(ours), eager_wait=0.001)
        be_close(pump_story.pump)
        theirs.send(b"there")
        assert pump_story.pump.read_in_place()
        assert pump_story.events == [b"there"]
        assert not pump_story.pump.read_in_place()
        assert current_rhythm().close == 0
        theirs.send(b"too late")
        assert not pump_story.pump.read_in_place()
        theirs.close()
        pump_story.pump.end(None)

    run(story)


def test_where_nothing_can_come_or_the_link_cant_tell_it_isnt_waited_for(run: Run) -> None:
    async def story() -> None:
        off = Story(ScriptedLink(b"x"))
        be_close(off.pump)
        assert not off.pump.read_in_place()
        ended = Story(ScriptedLink(b"bye", b"x"), eager_wait=0.001)
        ended.pump.read()
        be_close(ended.pump)
        assert not ended.pump.read_in_place()
        stream = Story(StreamLink(trio.testing.memory_stream_pair()[0]), eager_wait=0.001)
        be_close(stream.pump)
        assert not stream.pump.read_in_place()
        full = Story(ScriptedLink(b"x", room=0), eager_wait=0.001)
        full.write(b"this waits for room")
        be_close(full.pump)
        assert not full.pump.read_in_place()
        full.pump.end(None)
        ours, theirs = socket.socketpair()
        link = SocketLink(ours)
        ours.close()
        assert not link.readable_within(0.001)
        theirs.close()

    run(story)


def test_what_waits_to_be_sent_with_others_is_sent_first(run: Run) -> None:
    async def story() -> None:
        link = ScriptedLink(b"x")
        sender = Story(link, eager_wait=0.001)
        sender.write(b"one", b"two")
        assert link.sent == [b"one"]
        be_close(sender.pump)
        assert sender.pump.read_in_place()
        assert link.sent == [b"one", b"two"]
        sender.pump.end(None)

    run(story)


def test_a_reader_that_has_woken_somebody_waits_in_the_loop(run: Run) -> None:
    async def story() -> None:
        link = ScriptedLink(b"one")
        reader = Story(link, eager_wait=0.001)
        turns: list[bytes] = []

        def wake() -> None:
            turns.append(reader.events[-1])
            reader.pump.woke = reader.events[-1] == b"one"
            link.reads += [b"two"] * (len(turns) == 1)
            be_close(reader.pump)

        reader.react = wake
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            assert turns == [b"one", b"two"]
            assert not reader.pump.woke
            reader.pump.end(None)

    run(story)


def test_messages_are_received_in_place_and_others_have_their_turn(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        ws = web_socket(SocketLink(ours), client=False, backend=backend)
        frame = backend.frames.encode_frame(2, b"x" * 64, True)
        turns = Turns()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            await trio.lowlevel.checkpoint()
            be_close(ws._pump)
            for _ in range(90):
                theirs.send(frame)
                assert await ws.receive() == b"x" * 64
            # One turn of the loop for nine messages; without waiting in place there are 90.
            assert 9 <= turns.count <= 30
            nursery.cancel_scope.cancel()
        theirs.close()
        ws.abort()

    run_sockets(story)


def test_a_turn_that_is_due_is_taken_without_parking(run: Run) -> None:
    async def story() -> None:
        reader = Story(ScriptedLink(), eager_wait=0.001)
        be_close(reader.pump)
        assert not reader.pump.turn_is_due()
        have_a_turn_due()
        assert reader.pump.turn_is_due()
        with trio.fail_after(1):
            await reader.pump.wait_readable()  # and nothing came
        assert reader.pump.turn_is_due()  # until who waited says so
        reader.pump.had_turn()
        assert not reader.pump.turn_is_due()
        reader.pump.end(None)

    run(story)


def test_while_a_task_takes_its_turn_the_reader_leaves_it_what_can_be_read_in_place(
    run: Run,
) -> None:
    async def story() -> None:
        reader = Story(ScriptedLink(), eager_wait=0.001)
        rhythm = current_rhythm()
        be_close(reader.pump)
        have_a_turn_due()
        turn = reader.pump.take_turn()
        turn.send(None)  # as trio does, up to where it gives way
        assert reader.pump.turning == 1
        rhythm.had_turn()  # as a reader says that had the turn
        reader.link.reads += [b"x"]
        assert not reader.pump.read_on(9)
        assert reader.events == [b"x"]  # what is there is read, and no more is waited for
        turn.close()
        assert not reader.pump.turning
        await reader.pump.take_turn()
        assert not reader.pump.turning
        assert not rhythm.turn_is_due()
        with trio.CancelScope() as scope:
            scope.cancel()
            await take_turn(rhythm)
        assert scope.cancelled_caught
        assert not reader.pump.turning
        reader.pump.end(None)

    run(story)


@pytest.mark.others_are_seen
def test_while_other_tasks_are_at_work_the_loop_has_its_turn_behind_each_wait(run: Run) -> None:
    async def story() -> None:
        reader = Story(ScriptedLink(), eager_wait=0.001)
        rhythm = current_rhythm()
        be_close(reader.pump)

        async def turn_is_due_behind_one() -> bool:
            for _ in range(POLITE + 2):  # in a pass they may come behind who looks
                await reader.pump.take_turn()
            assert rhythm.pays()
            return rhythm.turn_is_due()

        assert not await turn_is_due_behind_one()
        turns = Turns()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            assert await turn_is_due_behind_one()
            nursery.cancel_scope.cancel()
        assert not await turn_is_due_behind_one()
        reader.pump.end(None)

    run(story)


def test_who_has_had_the_loops_turn_finds_that_another_waits_at_the_done_by_then(run: Run) -> None:
    async def story() -> None:
        reader = Story(ScriptedLink(), eager_wait=0.001)
        be_close(reader.pump)
        have_a_turn_due()
        done: Done[Any] = Done()
        ended: list[str] = []

        async def take() -> None:
            try:
                await done.receive()
            except trio.BusyResourceError:
                ended.append("busy")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(take)
            await trio.testing.wait_all_tasks_blocked()
            assert ended == ["busy"]
            assert done.is_awaited
            nursery.cancel_scope.cancel()
        reader.pump.end(None)

    run(story)


class StaleLink(ScriptedLink):
    """What it has waited for is gone by then, so many times."""

    stale = 3

    async def wait_readable(self) -> None:
        if self.stale:
            self.stale -= 1
            await trio.lowlevel.checkpoint()
        else:
            await super().wait_readable()


def test_a_reader_for_whom_nothing_is_left_waits_for_nothing_in_place(run: Run) -> None:
    async def story() -> None:
        link = StaleLink()
        reader = Story(link, eager_wait=0.001)
        be_close(reader.pump)
        rhythm = current_rhythm()
        reader.pump.woke = True  # it begins with a wait in the loop
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            assert link.stale == 0
            assert rhythm.close == 1_000_000  # a wait in vain would have it begin anew
            link.change(b"x")
            await trio.testing.wait_all_tasks_blocked()
            assert reader.events == [b"x"]
            reader.pump.end(None)

    run(story)


# --- calls ----------------------------------------------------------------------------------


class AnsweringLink(SocketLink):
    """A socket whose other end is a wsrpc session that answers before a send returns.

    Behind an answer it may close the connection, as RFC 6455 has it: the socket stays open.
    """

    __slots__ = ("closes", "session", "theirs")

    def __init__(self, backend: Backend) -> None:
        ours, self.theirs = socket.socketpair()
        super().__init__(ours)
        self.session = make_session(client=False, options=wsrpc.Options(), backend=backend)
        self.session.start(0.0)
        self.closes = False

    def try_send(self, data: Buffer) -> int:
        sent = super().try_send(data)
        received = self.session.receive(self.theirs.recv(1 << 16), 0.0)
        for _, call_id, payload in received[1] if received else ():
            self.session.reply(call_id, payload[::-1])
            if self.closes:
                self.session.close()
        outbox = self.session.outbox
        if outbox.pending:
            self.theirs.sendall(bytes(outbox.take(1 << 16)))
            outbox.clear()
        return sent


def start_channel(
    link: AnsweringLink, backend: Backend, nursery: trio.Nursery, registry: Registry | None = None
) -> Channel:
    """The client's end over *link*; its reader begins with the next turn of the loop."""
    options = wsrpc.Options()
    channel = Channel(
        link,
        make_session(client=True, options=options, backend=backend),
        public_key=b"S" * 32,
        registry=Registry() if registry is None else registry,
        workers=Workers(nursery),
        options=options,
    )
    nursery.start_soon(channel.run)
    return channel


def test_a_call_reads_its_answer_itself(run_sockets: Run, backend: Backend) -> None:
    async def story() -> None:
        link = AnsweringLink(backend)
        async with trio.open_nursery() as nursery:
            channel = start_channel(link, backend, nursery)
            be_close(channel._pump)
            assert await channel.call("Echo", b"early") == b"ylrae"  # there is no reader yet
            await trio.testing.wait_all_tasks_blocked()
            be_close(channel._pump)
            with trio.testing.assert_no_checkpoints():
                assert await channel.call("Echo", b"abc") == b"cba"
            channel.close()
        link.theirs.close()

    run_sockets(story)


def test_a_close_behind_the_answer_is_seen_although_nothing_more_comes(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        link = AnsweringLink(backend)
        async with trio.open_nursery() as nursery:
            channel = start_channel(link, backend, nursery)
            await trio.testing.wait_all_tasks_blocked()
            be_close(channel._pump)
            link.closes = True
            with trio.testing.assert_no_checkpoints():
                assert await channel.call("Echo", b"abc") == b"cba"
            assert channel.ended
            with pytest.raises(wsrpc.NotConnected):
                await channel.call("Echo", b"abc")
        link.theirs.close()

    run_sockets(story)


def test_who_has_an_answer_has_a_turn_before_others_wait_in_place(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        link = AnsweringLink(backend)
        order: list[str] = []
        async with trio.open_nursery() as nursery:
            channel = start_channel(link, backend, nursery)

            async def call(name: str) -> None:
                for _ in range(100):
                    assert await channel.call("Echo", name.encode()) == name[::-1].encode()
                    order.append(name)

            be_close(channel._pump)
            async with trio.open_nursery() as callers:
                callers.start_soon(call, "one")
                callers.start_soon(call, "two")
            # Alone in place, one would be through before the other.
            assert "two" in order[:20] and "one" in order[:20]
            be_close(channel._pump, times=0)
            with trio.CancelScope() as scope:
                scope.cancel()
                await channel.call("Echo", b"cancelled")
            assert scope.cancelled_caught
            assert channel._callers.woken == 0
            assert await channel.call("Echo", b"next") == b"txen"
            await trio.testing.wait_all_tasks_blocked()
            be_close(channel._pump)
            with trio.testing.assert_no_checkpoints():
                assert await channel.call("Echo", b"abc") == b"cba"
            channel.close()
        link.theirs.close()

    run_sockets(story)


STORY: ContextVar[str] = ContextVar("STORY", default="the reader's")


def test_a_request_that_comes_meanwhile_is_handled_in_the_readers_context(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        link = AnsweringLink(backend)
        seen: list[str] = []

        def note(payload: bytes, peer: wsrpc.Peer) -> bytes:
            seen.append(STORY.get())
            return b""

        async with trio.open_nursery() as nursery:
            registry = Registry()
            registry.handle("Note", note, inline=True)
            channel = start_channel(link, backend, nursery, registry)
            await trio.testing.wait_all_tasks_blocked()
            STORY.set("the caller's")
            be_close(channel._pump)
            link.session.call(Waiter(callers_of(link.session.forget)), "Note", b"", 0.0)
            with trio.testing.assert_no_checkpoints():
                assert await channel.call("Echo", b"abc") == b"cba"
            assert seen == ["the reader's"]
            channel.close()
        link.theirs.close()

    run_sockets(story)


# --- handlers in tasks ------------------------------------------------------------------------


class AskingLink(SocketLink):
    """A socket whose other end sends the next of *requests* before a send returns.

    Each is the name of a method; that of the answers comes into *answers*.
    """

    __slots__ = ("answers", "requests", "session", "theirs")

    def __init__(self, backend: Backend, *requests: str) -> None:
        ours, self.theirs = socket.socketpair()
        super().__init__(ours)
        self.session = make_session(client=True, options=wsrpc.Options(), backend=backend)
        self.session.start(0.0)
        self.requests = list(requests)
        self.answers: list[bytes] = []

    def ask(self) -> None:
        call = Waiter(callers_of(self.session.forget))
        self.session.call(call, self.requests.pop(0), b"%d" % len(self.answers), 0.0)
        self.theirs.sendall(bytes(self.session.outbox.take(1 << 16)))
        self.session.outbox.clear()

    def try_send(self, data: Buffer) -> int:
        sent = super().try_send(data)
        answered = self.session.receive(self.theirs.recv(1 << 16), 0.0)
        for _, payload, error in answered[0] if answered else ():
            assert not error
            self.answers.append(payload)
        if self.requests:
            self.ask()
        return sent


async def serve_in_tasks(
    link: AskingLink, backend: Backend, handlers: dict[str, Any]
) -> tuple[int, int]:
    """Serve all that *link* asks for: turns that others had, and tasks that handlers had."""
    turns, tasks = Turns(), set()
    registry = Registry()

    async def echo(payload: bytes, peer: wsrpc.Peer) -> bytes:
        tasks.add(trio.lowlevel.current_task())
        return payload

    for name, handler in {"Echo": echo, **handlers}.items():
        registry.handle(name, handler, inline=name.startswith("Inline"))
    wanted = len(link.requests)
    async with trio.open_nursery() as nursery:
        channel = Channel(
            link,
            make_session(client=False, options=wsrpc.Options(), backend=backend),
            public_key=b"C" * 32,
            registry=registry,
            workers=Workers(nursery),
            options=wsrpc.Options(),
        )
        nursery.start_soon(channel.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(turns.run)
        await trio.lowlevel.checkpoint()
        turns.count = 0
        be_close(channel._pump)
        link.ask()
        while len(link.answers) < wanted:
            await trio.lowlevel.checkpoint()
        channel.close()
        nursery.cancel_scope.cancel()
    link.theirs.close()
    assert link.answers == [b"%d" % number for number in range(wanted)]
    return turns.count, len(tasks)


def test_who_has_handled_a_request_handles_the_next_in_place_and_others_have_their_turn(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        link = AskingLink(backend, *["Echo"] * 640)
        turns, tasks = await serve_in_tasks(link, backend, {})
        # One turn for 64 requests or more, as the clock stands still; else 1,280 and more.
        assert 5 <= turns <= 60
        assert tasks <= 4  # the reader may come before who has had the turn

    run_sockets(story)


def test_handlers_that_wait_are_answered_in_order_among_those_that_dont(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        async def wait(payload: bytes, peer: wsrpc.Peer) -> bytes:
            with trio.move_on_after(5):  # a scope of its own task's, which others mustn't see
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
            return payload

        link = AskingLink(backend, *["Echo", "Wait", "Echo", "Echo"] * 20)
        await serve_in_tasks(link, backend, {"Wait": wait})

    run_sockets(story)


def test_what_comes_in_place_is_handled_in_the_contexts_that_it_has_otherwise(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        seen: list[tuple[str, str]] = []

        def inline(payload: bytes, peer: wsrpc.Peer) -> bytes:
            seen.append(("inline", STORY.get()))
            return payload

        async def changes(payload: bytes, peer: wsrpc.Peer) -> bytes:
            seen.append(("in a task", STORY.get()))
            STORY.set("a request's")
            return payload

        STORY.set("the server's")
        link = AskingLink(backend, *["Changes", "Inline"] * 10)
        turns, _ = await serve_in_tasks(link, backend, {"Inline": inline, "Changes": changes})
        assert seen == [("in a task", "the server's"), ("inline", "the server's")] * 10
        assert turns < 20  # some were handled in place

    run_sockets(story)


def test_whom_a_read_in_place_has_woken_has_a_turn_before_the_next(
    run_sockets: Run, backend: Backend
) -> None:
    async def story() -> None:
        link = AskingLink(backend, *["Echo"] * 60)
        order: list[str] = []

        async def note() -> None:
            while True:
                await event.wait()
                order.append("woken")

        event = trio.Event()
        pumps: list[Pump] = []

        def wakes(payload: bytes, peer: wsrpc.Peer) -> bytes:
            nonlocal event
            order.append("wakes")
            event.set()
            event = trio.Event()
            pumps[0].woke = True  # as an owner says it that has answered a caller
            return payload

        link.requests[5:5] = ["InlineWakes", "Echo"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)
            await trio.testing.wait_all_tasks_blocked()

            async def echo(payload: bytes, peer: wsrpc.Peer) -> bytes:
                if not pumps:
                    assert isinstance(peer, Channel)
                    pumps.append(peer._pump)
                order.append("echo")
                return payload

            await serve_in_tasks(link, backend, {"InlineWakes": wakes, "Echo": echo})
            nursery.cancel_scope.cancel()
        at = order.index("wakes")
        assert order[at : at + 3].count("woken") == 1

    run_sockets(story)


def test_a_reader_that_pauses_isnt_read_for(run_sockets: Run) -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        reader = Story(SocketLink(ours), eager_wait=0.001)
        theirs.send(b"one")
        be_close(reader.pump)
        assert not reader.pump.read_for_reader()  # there is none
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            assert reader.events == [b"one"]
            reader.pump.paused = trio.Event()
            theirs.send(b"two")
            be_close(reader.pump)
            assert not reader.pump.read_for_reader()
            assert reader.events == [b"one"]
            reader.pump.paused.set()
            reader.pump.paused = None
            be_close(reader.pump)
            assert reader.pump.read_for_reader()
            assert reader.events == [b"one", b"two"]
            reader.pump.end(None)
        theirs.close()

    run_sockets(story)


def test_both_ends_wait_in_place_and_every_answer_is_right(backend: Backend) -> None:
    """Each end in a run of its own, over sockets and TLS, one call after the other."""
    server_key, client_key = tls.generate_private_key(), tls.generate_private_key()
    ports: list[int] = []
    listening, failures = threading.Event(), []

    async def serve() -> None:
        server = wsrpc.Server(
            wsrpc.ServerCredentials(server_key, [tls.public_key_of(client_key)]), backend=backend
        )
        server.handle("Reverse", lambda payload, peer: payload[::-1], inline=True)
        stop = trio.Event()

        def stop_serving(payload: bytes, peer: wsrpc.Peer) -> bytes:
            stop.set()
            return b""

        server.handle("Stop", stop_serving, inline=True)
        async with trio.open_nursery() as nursery:
            ports.append((await nursery.start(server.serve, "127.0.0.1", 0)).port)
            listening.set()
            with trio.fail_after(20):
                await stop.wait()
            await server.drain()

    def run_server() -> None:
        try:
            trio.run(serve)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    thread = threading.Thread(target=run_server)
    thread.start()
    assert listening.wait(10)

    async def call() -> None:
        credentials = wsrpc.ClientCredentials(client_key, tls.public_key_of(server_key))
        address = f"127.0.0.1:{ports[0]}"
        with trio.fail_after(20):
            async with wsrpc.connect(address, credentials, backend=backend) as client:
                for number in range(2000):
                    payload = b"%d" % number
                    assert await client.call("Reverse", payload) == payload[::-1]
                await client.call("Stop", b"")

    trio.run(call)
    thread.join(10)
    assert not failures
