"""Requests that are submitted: in no task where they can be sent, and told where they are done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run, Unread
from tests.transports.webwire.world import OpenServer, World, echo, lose_all, settle
from wirecore.errors import InvalidMessage, InvalidOption, InvalidState, UnsendableMessage
from wirecore_trio import webwire
from wirecore_trio._clock import current_clock
from wirecore_trio.webwire import ClientOptions, Payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Desk:
    """Handlers of a server; *begun*: the texts of what waits, or has waited, until *go_on*."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = trio.Event()

    def prepare(self, server: webwire.Server) -> None:
        """Give *server* its handlers."""
        server.request("echo", inline=True)(lambda request: request.payload)

        @server.request("work")
        async def work(request: webwire.Request[Payload]) -> str:
            self.begun.append(request.text)
            await self.go_on.wait()
            return f"{request.text}, done"

        @server.request("refuse")
        async def refuse(request: webwire.Request[Payload]) -> None:
            raise webwire.RequestError("NOT_NOW", "later")

        @server.request("silence", inline=True)
        def silence(request: webwire.Request[Payload]) -> str:
            return "null"


@asynccontextmanager
async def at_the_desk(
    open_server: OpenServer, options: ClientOptions | None = None, **keywords: Any
) -> AsyncIterator[tuple[World, webwire.Client, Desk]]:
    """A client of a server that handles any number of requests at once."""
    desk = Desk()
    async with (
        open_server(desk.prepare, concurrency=-1) as world,
        world.connect(options, **keywords) as client,
    ):
        yield world, client, desk


def tasks_of(client: webwire.Client) -> int:
    """How many tasks the client has."""
    return len(client._nursery.child_tasks)


# --- where they are done --------------------------------------------------------------------------


def test_many_at_a_time_without_a_task(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            tasks = tasks_of(client)
            done: webwire.Done[Payload] = webwire.Done()
            for number in range(64):
                client.submit("echo", str(number), done=done)
            assert tasks_of(client) == tasks
            replies: list[str] = []
            async for request in done:
                assert request.done
                assert request.name == "echo"
                assert request.result().text == request.payload == (await request.wait()).text
                replies.append(request.payload)
                if len(replies) == 500:
                    break
                if len(replies) <= 500 - 64:
                    client.submit("echo", str(len(replies) + 63), done=done)
            assert replies == [str(number) for number in range(500)]
            assert repr(done) == "<webwire.Done with 0 requests>"
            assert repr(request) == "<webwire.PendingRequest 'echo', answered>"

    run_sockets(main)


def test_in_the_order_in_which_they_end(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, desk):
            done: webwire.Done[Payload] = webwire.Done()
            slow = [client.submit("work", str(number), done=done) for number in range(3)]
            quick = client.submit("echo", "quick", done=done)
            assert await done.receive() is quick
            assert not any(each.done for each in slow)
            desk.go_on.set()
            ended: list[object] = []
            while len(ended) < 3:
                ended += await done.receive_many()
            assert set(ended) == set(slow)
            assert [each.result().text for each in slow] == ["0, done", "1, done", "2, done"]

    run_sockets(main)


@pytest.mark.parametrize("timeout", [None, 5])
def test_values_by_a_codec(
    open_server: OpenServer, run_sockets: Run, timeout: float | None
) -> None:
    """With a time of its own a request has a timer: that makes no difference here."""
    own: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    json = webwire.Json()

    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            values: list[Any] = [{"a": [1, 2.5]}, None, "text", []]
            sent = [client.submit("echo", value, codec=json, **own) for value in values]
            assert [await each.wait() for each in sent] == values
            assert [each.payload for each in sent] == values
            assert await client.submit("silence", "x", reply=json, **own).wait() is None

    run_sockets(main)


@pytest.mark.parametrize("timeout", [None, 5])
def test_failures_are_told_there_too(
    open_server: OpenServer, run_sockets: Run, timeout: float | None
) -> None:
    own: dict[str, Any] = {} if timeout is None else {"timeout": timeout}

    class Broken(webwire.Json):
        def decode(self, payload: Payload) -> Any:
            raise ZeroDivisionError

    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            done: webwire.Done[Any] = webwire.Done()
            cases: list[tuple[type[Exception], str, Any, dict[str, Any]]] = [
                (webwire.RequestError, "refuse", "", {}),
                (webwire.BufferOverflow, "echo", "x" * 8193, {}),
                (UnsendableMessage, "x" * 256, "", {}),
                (UnsendableMessage, "echo", float("nan"), {"codec": webwire.Json()}),
                (InvalidMessage, "echo", "no JSON", {"reply": webwire.Json()}),
                (ZeroDivisionError, "echo", "x", {"reply": Broken()}),
            ]
            for error, name, payload, codecs in cases:
                request = client.submit(name, payload, done=done, **codecs, **own)
                assert await done.receive() is request
                for _ in range(2):
                    with pytest.raises(error):
                        request.result()
                    with pytest.raises(error):
                        await request.wait()
            assert (await client.submit("echo", "on").wait()).text == "on"
            assert client.connections == 1

    run_sockets(main)


def test_wrong_arguments(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            submit: Any = client.submit
            wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
                ((5,), {}),
                (("echo", 5), {}),
                (("echo", "x"), {"done": []}),
                (("echo", "x"), {"codec": webwire.Json}),
                (("echo", "x"), {"reply": 5}),
                (("echo", "x"), {"timeout": "5"}),
            ]
            for arguments, keywords in wrong:
                with pytest.raises(TypeError):
                    submit(*arguments, **keywords)
            for name in ("bogus", "pending"):
                with pytest.raises(TypeError, match=rf"submit\(\) .*'{name}'"):
                    submit("echo", "x", **{name: 1})
            with pytest.raises(InvalidOption, match="timeout"):
                submit("echo", "x", timeout=-1)
            pending = client.submit("echo", "x")
            with pytest.raises(InvalidState, match="the request 'echo' is under way: await"):
                pending.result()
            with pytest.raises(TypeError, match=r"await pending.wait\(\)"):
                await pending
            assert (await pending.wait()).text == "x"

    run_sockets(main)


@pytest.mark.parametrize("own", [False, True])
def test_one_without_a_reply_in_time(open_server: OpenServer, run_sockets: Run, own: bool) -> None:
    async def main() -> None:
        options = ClientOptions(request_timeout=60 if own else 2)
        async with at_the_desk(open_server, options) as (_, client, desk):
            began, tasks = trio.current_time(), tasks_of(client)
            timeout: dict[str, Any] = {"timeout": 2} if own else {}
            late = client.submit("work", "late", **timeout)
            assert tasks_of(client) == tasks
            with pytest.raises(webwire.DeadlineExceeded, match="within 2 s"):
                await late.wait()
            assert trio.current_time() - began == pytest.approx(2, abs=0.5)
            assert repr(late) == "<webwire.PendingRequest 'work', failed>"
            desk.go_on.set()
            assert (await client.submit("echo", "next").wait()).text == "next"

    run_sockets(main)


def test_times_of_their_own_leave_nothing_behind(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        options = ClientOptions(request_timeout=1)
        async with at_the_desk(open_server, options) as (_, client, desk):
            endless = client.submit("work", "endless", timeout=None)
            for seconds in (5, None, 0.5):
                assert (await client.submit("echo", "x", timeout=seconds).wait()).text == "x"
            given_up = client.submit("work", "given up", timeout=5)
            given_up.cancel()
            timers = [timer for timer in current_clock()._heap if timer.callback is not None]
            assert len(timers) < 4  # each end's own
            await trio.sleep(10)
            assert not endless.done
            desk.go_on.set()
            assert (await endless.wait()).text == "endless, done"

    run_sockets(main)


def test_a_thread_that_submits_is_told_where_to_and_harms_nobody(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            await settle()
            for text in ("one", "two"):
                with pytest.raises(RuntimeError, match="from_thread"):
                    await trio.to_thread.run_sync(client.submit, "echo", "elsewhere")
                assert (await client.request("echo", text)).text == text

            def submit() -> webwire.PendingRequest[Payload]:
                return trio.from_thread.run_sync(client.submit, "echo", "here")

            pending = await trio.to_thread.run_sync(submit)
            assert (await pending.wait()).text == "here"

    run_sockets(main)


# --- what becomes of them -------------------------------------------------------------------------


def test_one_that_is_given_up(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, desk):
            done: webwire.Done[Payload] = webwire.Done()
            pending = client.submit("work", "job", done=done)
            await settle()
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    with pytest.raises(InvalidState, match="the request 'work' was cancelled"):
                        await pending.wait()

                for _ in range(3):
                    nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                pending.cancel()
                pending.cancel()  # once is enough
            assert len(done) == 1
            desk.go_on.set()  # its reply is dropped
            assert (await client.submit("echo", "next").wait()).text == "next"
            assert await done.receive() is pending
            assert len(done) == 0

    run_sockets(main)


def test_what_is_given_up_before_it_begins_is_not_sent(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server, wait=False) as (_, client, desk):
            waits = client.submit("work", "never")
            waits.cancel()
            with pytest.raises(InvalidState):
                await waits.wait()
            await client.connect()
            await settle()
            assert desk.begun == []
            assert repr(waits) == "<webwire.PendingRequest 'work', cancelled>"

    run_sockets(main)


@pytest.mark.parametrize("submitted", [False, True])
def test_who_closes_does_not_wait_for_what_was_given_up(
    open_server: OpenServer, run_sockets: Run, submitted: bool
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (world, client, _):
            scope = trio.CancelScope()

            async def request() -> None:
                with scope:
                    await client.request("work", "no end")

            async with trio.open_nursery() as nursery:
                if submitted:
                    pending = client.submit("work", "no end")
                else:
                    nursery.start_soon(request)
                await settle()
                nursery.start_soon(client.close)
                await settle()
                assert len(world.server.connections) == 1
                if submitted:
                    pending.cancel()
                else:
                    scope.cancel()
            assert client.status is webwire.Status.DISCONNECTED

    run_sockets(main)


@pytest.mark.parametrize("count", [3, 2500])
def test_what_is_lost_with_its_connection(
    open_server: OpenServer, run_sockets: Run, count: int
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (world, client, desk):
            done: webwire.Done[Payload] = webwire.Done()
            requests = {client.submit("work", "job", done=done) for _ in range(count)}
            await settle()
            assert len(desk.begun) == count
            await lose_all(world)
            assert {await done.receive() for _ in requests} == requests
            for request in requests:
                with pytest.raises(webwire.Disconnected) as caught:
                    request.result()
                assert caught.value.execution == "maybe_executed"
            assert len(done) == 0
            assert len(desk.begun) == count  # none was sent again

    run_sockets(main)


def test_without_a_connection_they_wait_for_one(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server, wait=False) as (world, client, _):
            done: webwire.Done[Payload] = webwire.Done()
            first = {client.submit("echo", str(n), done=done) for n in range(5)}
            assert {await done.receive() for _ in first} == first
            await lose_all(world)
            assert client.status is not webwire.Status.CONNECTED
            second = {client.submit("echo", str(n), done=done) for n in range(5)}
            given_up = client.submit("echo", "no", done=done)
            given_up.cancel()
            ended = {await done.receive() for _ in range(6)}
            assert ended == second | {given_up}
            assert {each.result().text for each in first | second} == set("01234")
            assert client.connections == 2

    run_sockets(main)


def test_no_connection_in_time(run_sockets: Run) -> None:
    async def main() -> None:
        async with webwire.connect("ws://127.0.0.1:1/", wait=False) as client:
            with pytest.raises(webwire.ConnectionTimeout):
                await client.submit("echo", "x", timeout=3).wait()

    run_sockets(main)


def test_who_does_not_connect_by_himself_and_who_was_left(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server, autoconnect=False) as (world, client, _):
            await lose_all(world)
            done: webwire.Done[Payload] = webwire.Done()
            fails = [client.submit("echo", "x", done=done)]
            assert await done.receive() is fails[0]
            left = client
        fails.append(left.submit("echo", "x", done=done))
        assert await done.receive() is fails[1]
        for each, why in zip(fails, [r"await client\.connect\(\) \(", "was left"], strict=True):
            with pytest.raises(webwire.Disconnected, match=why) as caught:
                each.result()
            assert caught.value.execution == "not_sent"

    run_sockets(main)


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_under_way_when_the_client_is_left(
    open_server: OpenServer, run_sockets: Run, fails: bool
) -> None:
    async def main() -> None:
        pending = []
        try:
            async with at_the_desk(open_server) as (_, client, _):
                pending.append(client.submit("work", "a"))
                pending.append(client.submit("work", "b", timeout=50))
                await settle()
                pending.append(client.submit("work", "c"))  # hasn't left yet
                if fails:
                    raise ZeroDivisionError
        except* ZeroDivisionError:
            assert fails
        for each in pending:
            assert each.done
            with pytest.raises(webwire.Disconnected, match="this client closed the connection"):
                each.result()

    run_sockets(main)


def test_where_there_is_no_room_they_wait_for_it_and_then_no_more(
    open_server: OpenServer, run_sockets: Run
) -> None:
    received: list[str] = []
    turn = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def note(request: webwire.Request[Payload]) -> None:
            await turn.wait()
            received.append(request.text.rstrip())

    async def main() -> None:
        # The server reads no more than it has room for: what comes then waits in the client.
        async with (
            open_server(prepare, max_queue=1, buffer_size=65536) as world,
            world.connect(ClientOptions(buffer_size=65536, high_water=65536)) as client,
        ):
            done: webwire.Done[Payload] = webwire.Done()
            tasks, sent, crowded = tasks_of(client), 0, 0
            while crowded < 40:
                client.submit("note", f"{sent:<60000}", done=done)
                sent += 1
                crowded += tasks_of(client) > tasks
                if sent % 10 == 0:
                    await settle()
            turn.set()
            for _ in range(sent):
                await done.receive()
            assert sorted(received, key=int) == [str(number) for number in range(sent)]
            await settle()
            assert tasks_of(client) == tasks
            for number in range(sent, sent + 200):
                client.submit("note", str(number), done=done)
            assert tasks_of(client) == tasks
            for _ in range(200):
                await done.receive()
            assert received[sent:] == [str(number) for number in range(sent, sent + 200)]

    run_sockets(main)


@pytest.mark.parametrize("fails", [False, True])
def test_one_that_is_given_up_as_its_reply_is_read_is_told_once(
    open_server: OpenServer, run_sockets: Run, fails: bool
) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            requests: list[webwire.PendingRequest[Any]] = []

            class GivingUp(webwire.Json):
                def decode(self, payload: Payload) -> Any:
                    for each in requests:
                        each.cancel()
                    if fails:
                        raise ZeroDivisionError
                    return super().decode(payload)

            done: webwire.Done[Any] = webwire.Done()
            requests += [client.submit("echo", "1", reply=GivingUp(), done=done) for _ in range(9)]
            assert {await done.receive() for _ in requests} == set(requests)
            await settle()
            assert len(done) == 0
            assert {repr(each) for each in requests} == {
                "<webwire.PendingRequest 'echo', cancelled>"
            }

    run_sockets(main)


def test_what_has_failed_holds_no_connection(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with at_the_desk(open_server) as (_, client, _):
            failed = client.submit("echo", "no JSON", reply=webwire.Json())
            with pytest.raises(InvalidMessage):
                await failed.wait()
            error: Any = failed.outcome
            assert error.__cause__ is not None
            assert error.__cause__.__traceback__ is None

    run_sockets(main)


def test_one_after_another_is_read_in_place(
    open_server: OpenServer, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_server(echo) as world, world.connect() as client:
            rhythm = Unread(monkeypatch)
            done: webwire.Done[Payload] = webwire.Done()
            for number in range(3):
                client.submit("echo", str(number), done=done)
                assert (await done.receive()).result().text == str(number)
            assert rhythm.asked >= 3
            rhythm.asked = 0
            assert (await client.submit("echo", "alone").wait()).text == "alone"
            assert rhythm.asked

    run_sockets(main)
