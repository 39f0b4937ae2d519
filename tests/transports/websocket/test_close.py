"""The end: who closes, with which code, in which state, and what everybody else then sees."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.constants import CloseCode, Opcode
from wirecore.errors import InvalidOption, ProtocolError
from wirecore.events import Close
from wirecore_trio.websocket import AlreadyClosed, ConnectionClosed, Options, WebSocket

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, Run

PATIENCE = Options(close_timeout=7)


async def end_of(ws: WebSocket) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        await ws.receive()
    return caught.value


# --- codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("client_closes", [False, True])
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (4999, "grüße")])
def test_codes_and_reasons_go_both_ways(
    open_pair: OpenPair, run: Run, client_closes: bool, code: int, reason: str
) -> None:
    async def story() -> None:
        one, other = open_pair()
        if not client_closes:
            one, other = other, one
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(one.aclose, code, reason))
            error = await end_of(other)
        assert (error.code, error.reason, error.clean) == (code, reason, True)
        assert isinstance(error, trio.BrokenResourceError)
        with pytest.raises(AlreadyClosed) as caught:
            await one.receive()
        assert isinstance(caught.value, trio.ClosedResourceError)
        for ws in (one, other):
            assert ws.closed
            assert not ws.sendable

    run(story)


@pytest.mark.parametrize("code", [999, 1004, 1006, 1015, 2999, 5000, 0, -1])
def test_a_code_that_may_not_be_sent_changes_nothing(
    open_pair: OpenPair, run: Run, code: int
) -> None:
    async def story() -> None:
        client, server = open_pair()
        with pytest.raises(InvalidOption, match=f"close code {code}"):
            await client.aclose(code)
        with pytest.raises(InvalidOption):
            client.abort(code)
        await client.send(b"still open")
        assert await server.receive() == b"still open"
        client.abort()
        server.abort()

    run(story)


@pytest.mark.parametrize(
    ("code", "quiet"), [(1000, True), (1001, True), (None, True), (1002, False), (4000, False)]
)
def test_how_an_iteration_ends(open_raw: OpenRaw, run: Run, code: int | None, quiet: bool) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.message(b"1")
        await peer.message(b"2")
        await peer.close(code, "" if code is None else "why")
        got: list[Any] = []

        async def iterate() -> None:
            got.extend([message async for message in ws])

        if quiet:
            await iterate()
        else:
            with pytest.raises(ConnectionClosed, match=f"{code}: why"):
                await iterate()
        assert got == ([b"1", b"2"] if quiet else [])
        assert await peer.next() == Close(code, "")

    run(story)


def test_an_iteration_over_a_broken_connection_raises_and_over_ones_own_end_doesnt(
    open_raw: OpenRaw, run: Run
) -> None:
    async def story() -> None:
        async def iterate(ws: WebSocket) -> None:
            async for _ in ws:
                ws.abort()

        ws, peer = open_raw()
        await peer.stream.aclose()
        with pytest.raises(ConnectionClosed, match="1006"):
            await iterate(ws)

        ws, peer = open_raw()
        await peer.message(b"x")
        await iterate(ws)

        ws, peer = open_raw()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(iterate, ws)
            await trio.testing.wait_all_tasks_blocked()
            ws.abort()

    run(story)


def test_a_rule_that_the_peer_broke_is_the_cause(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.send(peer.frame(Opcode.CONTINUATION, b"of nothing"))
        error = await end_of(ws)
        assert error.code == CloseCode.ABNORMAL
        assert isinstance(error.__cause__, ProtocolError)
        assert error.__cause__.close_code == 1002
        assert (await peer.next()).code == 1002
        assert await peer.next() is None

    run(story)


def test_what_came_before_the_end_can_be_received_and_answered(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.send(
            peer.frame(Opcode.BINARY, b"1"), peer.frame(Opcode.CLOSE, b"\x03\xe8"), b"rubbish"
        )
        assert await ws.receive() == b"1"
        await ws.send(b"an answer to 1")
        assert (await end_of(ws)).code == 1000
        assert await peer.rest() == [b"an answer to 1", Close(1000, "")]

    run(story)


# --- aclose ---------------------------------------------------------------------------------


def test_closing_waits_for_the_peer_and_drops_what_still_comes(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.aclose)
            assert await peer.next() == Close(1000, "")
            for _ in range(3):
                await trio.sleep(1)
                await peer.message(b"too late")
            await peer.close()
        assert trio.current_time() - start == 3
        assert await peer.next() is None
        with pytest.raises(AlreadyClosed):
            await ws.receive()

    run(story)


def test_a_client_leaves_it_to_the_server_to_end_the_stream(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        for ends in (True, False):
            ws, peer = open_raw(client=True, options=PATIENCE)
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.aclose)
                assert await peer.next() == Close(1000, "")
                await peer.close()
                await trio.sleep(2)
                assert not ws.closed
                if ends:
                    await peer.stream.aclose()
            assert trio.current_time() - start == (2 if ends else 7)

    run(story)


@pytest.mark.parametrize("client", [False, True])
def test_a_peer_that_never_answers_is_waited_for_only_so_long(
    open_raw: OpenRaw, run: Run, client: bool
) -> None:
    async def story() -> None:
        ws, peer = open_raw(client=client, options=PATIENCE)
        start = trio.current_time()
        await ws.aclose(1001, "bye")
        assert trio.current_time() - start == 7
        assert await peer.rest() == [Close(1001, "bye")]

    run(story)


def test_a_peer_that_sends_for_ever_is_waited_for_only_so_long(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=PATIENCE)
        start = trio.current_time()

        async def flood() -> None:
            while not ws.closed:
                await peer.message(bytes(1000))
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await ws.aclose()
            assert trio.current_time() - start == pytest.approx(7)
            assert len(ws._baton.queued) == 0

    run(story)


@pytest.mark.parametrize("trickles", [False, True])
def test_a_peer_that_doesnt_read_is_waited_for_only_so_long(
    open_raw_socket: OpenRaw, run_sockets: Run, trickles: bool
) -> None:
    """The close frame lies behind ten megabytes; a few bytes now and then buy no time."""

    async def story() -> None:
        ws, peer = open_raw_socket(options=PATIENCE)
        await ws.send(bytes(10_000_000))
        start = trio.current_time()

        async def trickle() -> None:
            while trickles and not ws.closed:
                await peer.stream.receive_some(10_000)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            await ws.aclose()
            assert trio.current_time() - start == pytest.approx(7)
            nursery.cancel_scope.cancel()
        await peer.stream.aclose()

    run_sockets(story)


def test_closing_twice_and_at_the_same_time(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        async with trio.open_nursery() as nursery:
            for code in (1000, 1001, 1002):
                nursery.start_soon(ws.aclose, code)
                await trio.testing.wait_all_tasks_blocked()
            assert await peer.next() == Close(1000, "")
            await peer.close()
        await ws.aclose()
        ws.abort()
        ws.abort(1001)
        assert await peer.next() is None

    run(story)


def test_a_receiver_gets_what_still_comes_while_another_task_closes(
    open_raw: OpenRaw, run: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw()

        async def receive() -> None:
            assert await ws.receive() == b"just in time"
            with pytest.raises(AlreadyClosed):
                await ws.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ws.aclose)
            assert await peer.next() == Close(1000, "")
            await peer.message(b"just in time")
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(AlreadyClosed):
                await ws.send(b"x")
            with pytest.raises(AlreadyClosed):
                await ws.receive()
            await peer.close()

    run(story)


@pytest.mark.parametrize("kept", [False, True])
def test_a_receiver_hears_of_a_close_by_another_task(
    open_raw: OpenRaw, run: Run, kept: bool
) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        if kept:
            ws._baton.attend()

        async def receive() -> None:
            with pytest.raises(AlreadyClosed):
                await ws.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ws.aclose)
            await peer.next()
            await peer.close()

    run(story)


def test_closing_what_a_keeper_reads(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        ws._baton.attend()
        await peer.message(b"kept")
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.aclose)
            await peer.next()
            await peer.message(b"dropped")
            await trio.testing.wait_all_tasks_blocked()
            await peer.close()
        with pytest.raises(AlreadyClosed):
            await ws.receive()

    run(story)


def test_closing_where_nobody_takes_from_a_full_queue(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(max_queue=1))
        ws._baton.attend()
        for _ in range(3):
            await peer.message(b"x")
            await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.aclose)
            await peer.next()
            await peer.close()

    run(story)


def test_a_cancelled_close_closes_at_once(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        start = trio.current_time()
        with trio.move_on_after(1) as scope:
            await ws.aclose()
        assert scope.cancelled_caught
        assert trio.current_time() - start == 1
        assert ws.closed
        assert await peer.rest() == [Close(1000, "")]

        ws, peer = open_raw()
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.aclose()
        assert scope.cancelled_caught
        assert ws.closed
        assert await peer.rest() in ([Close(1000, "")], [])  # if the stream was quick

    run(story)


def test_one_of_two_that_close_is_cancelled(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, _ = open_raw(options=PATIENCE)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.aclose)
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await ws.aclose()
        assert trio.current_time() - start == 1

    run(story)


def test_closing_after_the_peer_has(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        for client in (False, True):
            ws, peer = open_raw(client=client, options=PATIENCE)
            await peer.close(1001)
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.aclose)
                assert (await peer.next()).code in (1000, 1001)
                await peer.stream.aclose()
            assert trio.current_time() == start

            ws, peer = open_raw(client=client)
            await peer.stream.aclose()
            await ws.aclose()
            assert trio.current_time() == start

    run(story)


def test_nothing_can_be_sent_once_the_peer_has_closed(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(client=True)
        await peer.close(1001, "going")
        ws._baton.attend()
        await trio.testing.wait_all_tasks_blocked()
        assert not ws.closed  # the server hasn't ended the stream yet
        assert not ws.sendable
        for verb in (partial(ws.send, b"x"), ws.ping):
            with pytest.raises(ConnectionClosed, match="1001: going"):
                await verb()
        await peer.stream.aclose()
        await ws.wait_closed()

    run(story)


# --- abort, wait_closed, async with ---------------------------------------------------------


@pytest.mark.parametrize("code", [None, 1001])
def test_aborting(open_raw: OpenRaw, run: Run, code: int | None) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.message(b"queued")
        ws._baton.attend()
        await trio.testing.wait_all_tasks_blocked()
        await ws.send(b"1")
        await ws.send(b"2")
        ws.abort(code, "going" if code else "")
        assert ws.closed
        for verb in ("receive", "receive_many", "ping"):
            with pytest.raises(AlreadyClosed):
                await getattr(ws, verb)()
        rest = await peer.rest()
        if code is not None:
            assert rest == [b"1", b"2", Close(1001, "going")]
        await ws.wait_closed()

    run(story)


def test_waiting_for_the_end(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.wait_closed)
            nursery.start_soon(ws.wait_closed)
            await trio.testing.wait_all_tasks_blocked()
            await peer.message(b"kept")
            await peer.close()
        assert await ws.receive() == b"kept"

    run(story)


@pytest.mark.parametrize(
    ("error", "code"), [(None, 1000), (ValueError(), 1011), (KeyboardInterrupt(), 1001)]
)
def test_leaving_its_block_closes(
    open_raw: OpenRaw, run: Run, error: BaseException | None, code: int
) -> None:
    async def story() -> None:
        ws, peer = open_raw()

        async def leave() -> None:
            async with ws:
                if error is not None:
                    raise error

        async with trio.open_nursery() as nursery:

            async def look() -> None:
                if error is None:
                    await leave()
                else:
                    with pytest.raises(type(error)) as caught:
                        await leave()
                    assert caught.value is error

            nursery.start_soon(look)
            assert await peer.next() == Close(code, "")
            if error is None:
                await peer.close()

    run(story)
