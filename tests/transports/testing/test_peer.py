"""Peers by script: what they can do to a client and to a server, and what they record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore import errors
from wirecore.constants import Opcode
from wirecore_trio import websocket
from wirecore_trio.testing import Network, Recorded, ScriptedPeer, ScriptedServer
from wirecore_trio.websocket import ConnectionClosed, Options

if TYPE_CHECKING:
    from tests.transports.conftest import Run

URL = "ws://server.test/"


def shown(peer: ScriptedPeer) -> list[tuple[float, str, str, bytes]]:
    """What *peer* recorded, in short."""
    return [(each.time, _way(each), each.kind, each.payload) for each in peer.record]


def _way(each: Recorded) -> str:
    return "sent" if each.sent else "came"


# --- attempts to connect ------------------------------------------------------------------------


def test_each_attempt_has_its_script_and_the_last_one_all_that_follow(run: Run) -> None:
    async def greet(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.send(f"attempt {peer.number}")
        await peer.wait_ended()

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(
                URL,
                lambda peer: peer.refuse(),
                lambda peer: peer.refuse(TimeoutError("no route")),
                lambda peer: peer.reject(403, {"X-Why": "because"}, b"not you"),
                greet,
            )
            with pytest.raises(ConnectionRefusedError):
                await websocket.connect(URL).__aenter__()
            with pytest.raises(TimeoutError, match="no route"):
                await websocket.connect(URL).__aenter__()
            with pytest.raises(errors.UpgradeRejected) as caught:
                await websocket.connect(URL).__aenter__()
            refused = caught.value
            assert (refused.status, refused.body) == (403, b"not you")
            assert (b"x-why", b"because") in refused.headers
            for number in (4, 5):
                async with websocket.connect(URL) as ws:
                    assert await ws.receive() == f"attempt {number}"
            await trio.sleep(1)
            assert [peer.finished for peer in server.peers] == [True] * 5

    run(story)


def test_a_dial_takes_as_long_as_the_script_lets_it(run: Run) -> None:
    async def slow(peer: ScriptedPeer) -> None:
        await trio.sleep(3)  # nothing is there yet
        await peer.read_request()
        await trio.sleep(4)  # connected, and unanswered
        await peer.accept()
        await peer.wait_ended()

    async def story() -> None:
        async with Network() as network:
            network.scripted(URL, slow, lambda peer: peer.silence())
            async with websocket.connect(URL):
                assert trio.current_time() == 7
            with pytest.raises(TimeoutError):
                await websocket.connect(URL, options=Options(open_timeout=5)).__aenter__()

    run(story)


def test_what_is_accepted_may_be_odd(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            network.scripted(
                URL,
                lambda peer: peer.accept(key="wrong"),
                lambda peer: peer.accept(subprotocol="never.asked.for"),
                lambda peer: peer.send_raw(b"HTTP/1.1 200 OK\r\n\r\n"),
                lambda peer: peer.cut(),
            )
            for _ in range(4):
                with pytest.raises(errors.HandshakeError):
                    await websocket.connect(URL).__aenter__()

    run(story)


def test_the_request_is_there_to_be_looked_at(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        request = await peer.read_request()
        assert (request.path, request.query) == ("/feed", "a=b")
        assert request.header("x-token") == b"secret"
        await peer.accept(subprotocol=request.subprotocols[1], headers={"X-Node": "7"})

    async def story() -> None:
        async with Network() as network:
            network.scripted("ws://server.test:81/", script)
            async with websocket.connect(
                "ws://server.test:81/feed?a=b",
                headers={"X-Token": "secret"},
                subprotocols=["a", "b"],
            ) as ws:
                assert ws.accepted.subprotocol == "b"
                assert (b"x-node", b"7") in ws.accepted.headers

    run(story)


# --- frames -------------------------------------------------------------------------------------


def test_all_that_passes_is_recorded_with_its_time(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await trio.sleep(1)
        await peer.send_fragments("in ", "two")
        await peer.expect("answer")
        await trio.sleep(1)
        await peer.close(4000, "over")

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL) as ws:
                assert await ws.receive() == "in two"
                await ws.send("answer")
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.receive()
            assert (caught.value.code, caught.value.reason) == (4000, "over")
            assert shown(server.peers[0]) == [
                (1.0, "sent", "text", b"in "),
                (1.0, "sent", "continuation", b"two"),
                (1.0, "came", "text", b"answer"),
                (2.0, "sent", "close", b"\x0f\xa0over"),
                (2.0, "came", "close", b"\x0f\xa0"),
                (2.0, "sent", "eof", b""),
            ]
            frame = server.peers[0].record[2].frame
            assert frame is not None
            assert frame.masked
            assert frame.fin

    run(story)


def test_it_answers_pings_and_a_close_frame_also_while_the_script_does_something_else(
    run: Run,
) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await trio.sleep(100)

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL) as ws:
                assert await ws.ping() == 0
                await trio.sleep(2)
            kinds = [(each.time, each.sent, each.kind) for each in server.peers[0].record]
            assert kinds == [
                (0.0, False, "ping"),
                (0.0, True, "pong"),
                (2.0, False, "close"),
                (2.0, True, "close"),
                (2.0, True, "eof"),
            ]

    run(story)


async def two_who_send(peer: ScriptedPeer) -> None:
    """A script with tasks of its own, all of which find that the other end has left."""

    async def send() -> None:
        while True:
            await peer.send("x" * 1000)

    await peer.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(send)


def test_tasks_of_a_script_end_quietly_too_when_the_other_end_leaves(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, two_who_send)
            async with websocket.connect(URL) as ws:
                await ws.receive()
            await trio.testing.wait_all_tasks_blocked()
            assert not server.peers[0].finished

    run(story)


def test_what_else_a_task_of_a_script_raises_is_raised_alone(run: Run) -> None:
    async def wrong(peer: ScriptedPeer) -> None:
        async def fail() -> None:
            try:
                await peer.wait_ended()
                await peer.send("x")
            finally:
                raise ZeroDivisionError

        async def send() -> None:
            while True:
                await peer.send("x" * 1000)

        await peer.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(send)

    async def story() -> None:
        async with Network() as network:
            network.scripted(URL, wrong)
            async with websocket.connect(URL) as ws:
                await ws.receive()
            await trio.sleep(1)

    with pytest.raises(ZeroDivisionError):
        run(story)


def test_or_it_leaves_them_unanswered(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        peer.answers_pings = peer.answers_close = False
        await peer.accept()
        payload = await peer.expect_ping()
        await trio.sleep(3)
        await peer.pong(payload)
        await peer.expect_close(1000, "")
        await peer.expect_end()

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL, options=Options(close_timeout=5)) as ws:
                assert await ws.ping() == 3
            assert trio.current_time() == 8
            await trio.sleep(1)
            assert server.peers[0].finished

    run(story)


def test_a_frame_may_break_any_rule(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        if peer.number == 1:
            await peer.send_frame(Opcode.TEXT, b"x", rsv=2)
        elif peer.number == 2:
            await peer.send_frame(11, b"x")
        elif peer.number == 3:
            await peer.send_frame(Opcode.BINARY, b"x", masked=True)
        else:
            await peer.send_frame(Opcode.BINARY, b"x", length=1 << 40)
        await peer.expect_close(1009 if peer.number == 4 else 1002)

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            for _ in range(4):
                async with websocket.connect(URL) as ws:
                    with pytest.raises(ConnectionClosed):
                        await ws.receive()
            await trio.sleep(1)
            assert [peer.finished for peer in server.peers] == [True] * 4

    run(story)


def test_the_ends_that_a_stream_may_have(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await trio.sleep(1)
        if peer.number == 1:
            await peer.cut()
        elif peer.number == 2:
            await peer.reset()
        elif peer.number == 3:
            await peer.half_close()
        else:
            await peer.close(None, wait=False)
            await peer.expect_close(1005)

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            codes = []
            for _ in range(4):
                async with websocket.connect(URL) as ws:
                    with pytest.raises(ConnectionClosed) as caught:
                        await ws.receive()
                    codes.append(caught.value.code)
            assert codes == [1006, 1006, 1006, 1005]
            ends = [peer.record[0].kind for peer in server.peers]
            assert ends == ["eof", "reset", "eof", "close"]

    run(story)


def test_a_peer_that_reads_nothing_fills_the_stream(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        peer.stop_reading()
        await trio.sleep(10)
        peer.resume_reading()
        assert len(await peer.receive()) == 200_000

    async def story() -> None:
        async with Network(capacity=1000) as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL, options=Options(high_water=1000)) as ws:
                await ws.send(b"x" * 200_000)
                await ws.send(b"behind it")
                assert trio.current_time() == 10
            await trio.sleep(1)
            assert server.peers[0].finished

    run(story)


# --- what a script says of a client -------------------------------------------------------------


def test_a_script_that_fails_fails_the_test(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.expect("this")

    async def story() -> None:
        async def conversation() -> None:
            async with Network() as network:
                network.scripted(URL, script)
                async with websocket.connect(URL) as ws:
                    await ws.send("that")
                    await trio.sleep_forever()

        with pytest.raises(AssertionError, match="'this' was expected, not 'that'"):
            await conversation()

    run(story)


def test_a_script_ends_quietly_with_its_client(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        while True:
            await peer.receive()

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL):
                pass
            await trio.sleep(1)
            assert not server.peers[0].finished

    run(story)


def test_what_is_expected_and_does_not_come(run: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        with pytest.raises(AssertionError, match="a ping was expected, not Frame"):
            await peer.expect_ping()
        with pytest.raises(AssertionError, match="a close frame of code 1000 was expected: 1001"):
            await peer.expect_close(1000)
        with pytest.raises(AssertionError, match="a pong was expected, not the end of the stream"):
            await peer.expect_pong()
        with pytest.raises(AssertionError, match=r"and not the end: .* 1006"):
            await peer.expect("more")
        await peer.expect_end()

    async def story() -> None:
        async with Network() as network:
            server = network.scripted(URL, script)
            async with websocket.connect(URL) as ws:
                await ws.send("no ping")
                await ws.aclose(1001)
            await trio.sleep(1)
            assert server.peers[0].finished

    run(story)


def test_a_server_needs_scripts() -> None:
    with pytest.raises(errors.InvalidOption, match="needs a script"):
        ScriptedServer()
    with pytest.raises(TypeError, match="a script"):
        ScriptedServer(1)  # type: ignore[arg-type]


# --- as a client, and over TCP ------------------------------------------------------------------


def test_a_client_by_script(run: Run) -> None:
    closed = []

    async def echo(ws: websocket.WebSocket) -> None:
        try:
            while True:
                await ws.send(await ws.receive())
        except ConnectionClosed as error:
            closed.append(error.code)

    async def story() -> None:
        async with Network() as network:
            await network.start(websocket.serve, echo, "server.test", 80)
            async with await network.scripted_client(URL) as peer:
                accepted = await peer.upgrade("/path", subprotocols=["a"])
                assert accepted.subprotocol is None
                await peer.send_fragments("he", "llo")
                await peer.expect("hello")
                await peer.ping(b"there?")
                await peer.expect_pong(b"there?")
                await peer.close(4001)
            async with await network.scripted_client(URL) as peer:
                await peer.upgrade()
                await peer.send_frame(Opcode.TEXT, b"x", masked=False)
                await peer.expect_close(1002)
            async with await network.scripted_client(URL) as peer:
                with pytest.raises(errors.UpgradeRejected):
                    await peer.upgrade(headers={"Origin": "http://elsewhere.test"})
        assert closed == [4001, 1006]

    run(story)


def test_the_same_over_tcp_for_clients_of_any_kind(run_sockets: Run) -> None:
    async def script(peer: ScriptedPeer) -> None:
        with pytest.raises(errors.InvalidState, match="can't be refused"):
            await peer.refuse()
        await peer.accept()
        await peer.expect("hello")
        await (peer.reset() if peer.number == 2 else peer.close(4000))

    async def story() -> None:
        server = ScriptedServer(script)
        async with server.listening() as url:
            codes = []
            for _ in range(2):
                async with websocket.connect(url) as ws:
                    await ws.send("hello")
                    with pytest.raises(ConnectionClosed) as caught:
                        await ws.receive()
                    codes.append((caught.value.code, "reset" in str(caught.value.__cause__)))
            assert codes == [(4000, False), (1006, True)]
            assert (await server.peer(2)).number == 2

    run_sockets(story)
