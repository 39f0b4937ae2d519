"""What goes wrong between two ends, when it does, and that the same seed has it go wrong again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore import errors
from wirecore_trio import websocket
from wirecore_trio.testing import Fault, FaultInjector, MemoryStream, Network, ScriptedPeer
from wirecore_trio.testing import run as run_story
from wirecore_trio.websocket import ConnectionClosed, Options

if TYPE_CHECKING:
    from tests.transports.conftest import Run

URL = "ws://server.test/"


async def arrivals(stream: MemoryStream, count: int) -> list[tuple[float, bytes]]:
    """The next so many pieces, each with the time at which it could be read."""
    found = []
    for _ in range(count):
        data = await stream.receive_some()
        found.append((trio.current_time(), data))
    return found


# --- time ---------------------------------------------------------------------------------------


def test_a_delay_puts_off_what_is_sent_and_keeps_its_order(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        slow = faults.to_server.delay(2)
        await client.send_all(b"slow")
        await trio.sleep(1)
        slow.off()
        await client.send_all(b"behind it")
        await client.send_eof()
        await server.send_all(b"the other way")
        assert await arrivals(client, 1) == [(1, b"the other way")]
        assert await arrivals(server, 3) == [(2, b"slow"), (2, b"behind it"), (2, b"")]
        assert slow.count == 1

    run(story)


def jittered(seed: int) -> list[tuple[float, bytes]]:
    """When ten pieces arrive that leave within a second."""
    found: list[tuple[float, bytes]] = []

    async def story() -> None:
        faults = FaultInjector(seed)
        client, server = faults.stream_pair()
        faults.delay(1, jitter=1)
        for number in range(10):
            await client.send_all(b"%d" % number)
            await trio.sleep(0.1)
        found.extend(await arrivals(server, 10))

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
    return found


def test_a_jitter_is_the_seeds() -> None:
    first = jittered(1)
    assert jittered(1) == first
    assert jittered(2) != first
    assert [data for _, data in first] == [b"%d" % number for number in range(10)]
    times = [time for time, _ in first]
    assert times == sorted(times)
    assert 1 <= times[0] <= times[-1] <= 0.9 + 2


def test_a_rate_is_kept_to(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        with faults.limit_rate(100):
            await client.send_all(b"x" * 200)
            received = 0
            while received < 200:
                received += len(await server.receive_some())
                assert received <= 100 * trio.current_time() + 1e-6
            assert trio.current_time() == pytest.approx(2)
        await client.send_all(b"fast")
        assert await server.receive_some() == b"fast"
        assert trio.current_time() == pytest.approx(2)

    run(story)


# --- what arrives -------------------------------------------------------------------------------


def test_pieces_are_as_small_as_they_are_told_to_be(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        with faults.cut_pieces(2):
            await client.send_all(b"12345")
            pieces = [data for _, data in await arrivals(server, 3)]
        assert pieces == [b"12", b"34", b"5"]
        await client.send_all(b"12345")
        assert await server.receive_some() == b"12345"

    run(story)


def test_a_black_hole_takes_all_and_gives_it_back(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        with faults.black_hole():
            await client.send_all(b"held")
            await client.send_eof()
            await server.send_all(b"held too")
            for stream in (client, server):
                with trio.move_on_after(100) as scope:
                    await stream.receive_some()
                assert scope.cancelled_caught
        assert await arrivals(server, 2) == [(200, b"held"), (200, b"")]
        assert await arrivals(client, 1) == [(200, b"held too")]

    run(story)


def test_what_is_duplicated_comes_twice(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        twice = faults.to_server.duplicate(times=1)
        await client.send_all(b"one")
        await client.send_all(b"two")
        await twice.wait_struck()
        assert [data for _, data in await arrivals(server, 3)] == [b"one", b"one", b"two"]
        assert repr(twice) == "<Duplicate on, struck 1 times>"

    run(story)


def corrupted(seed: int, cut: int, every: int = 10, times: int | None = None) -> bytes:
    """What becomes of a thousand zeros that are sent in pieces of *cut*."""
    found = bytearray()

    async def story() -> None:
        faults = FaultInjector(seed)
        client, server = faults.stream_pair()
        faults.to_server.corrupt(every=every, times=times)
        for begin in range(0, 1000, cut):
            await client.send_all(bytes(min(cut, 1000 - begin)))
        await client.send_eof()
        while data := await server.receive_some():
            found.extend(data)

    trio.run(story)
    return bytes(found)


def test_the_bits_that_are_turned_are_the_seeds_however_it_is_sent() -> None:
    whole = corrupted(1, 1000)
    assert len(whole) == 1000
    wrong = [byte for byte in whole if byte]
    assert 50 < len(wrong) < 200, "every tenth, on average"
    assert all(byte.bit_count() == 1 for byte in wrong)
    assert corrupted(1, 7) == corrupted(1, 1) == whole
    assert corrupted(2, 1000) != whole
    assert sum(map(bool, corrupted(1, 7, times=3))) == 3
    assert all(corrupted(1, 100, every=1))


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_connection_is_cut_behind_just_so_many_bytes(run: Run, size: int) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        await client.send_all(b"before")
        cut = faults.to_server.cut(after=10)
        while not cut.count:
            await client.send_all(b"x" * size)
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"too late")
        await cut.wait_struck()
        received = b""
        while data := await server.receive_some():
            received += data
        assert received == b"before" + b"x" * 10
        assert await client.receive_some() == b""
        assert client.connection.over

    run(story)


def test_a_reset_breaks_both_ends(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        faults.to_client.cut(after=3, reset=True)
        await server.send_all(b"12")
        assert await client.receive_some() == b"12"
        await server.send_all(b"3")
        for stream in (client, server):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

    run(story)


def test_half_of_a_connection_ends_and_the_other_goes_on(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        client, server = faults.stream_pair()
        faults.to_server.half_close(after=4)
        await client.send_all(b"1234567")
        await client.send_all(b"goes nowhere")
        assert [data for _, data in await arrivals(server, 2)] == [b"1234", b""]
        await server.send_all(b"still there?")
        assert await client.receive_some() == b"still there?"

    run(story)


def test_all_open_connections_are_cut_at_once_or_as_many_as_is_said(run: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()
        open_now = [faults.stream_pair()[0] for _ in range(3)]
        with faults.cut(times=2) as cut:
            assert [each.connection.over for each in open_now] == [True, True, False]
            assert cut.count == 2
        with faults.cut() as cut:
            assert all(each.connection.over for each in open_now)
            later, _ = faults.stream_pair()
            assert later.connection.over, "it is on"
        faults.half_close()
        faults.clear()
        survivor, _ = faults.stream_pair()
        assert not survivor.connection.over

    run(story)


# --- in a network, and between streams of any kind ----------------------------------------------


async def echo(ws: websocket.WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def test_what_is_on_in_a_network_holds_for_each_of_its_connections(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "server.test", 80))
            network.faults.delay(0.5)
            async with websocket.connect(URL) as ws:
                assert trio.current_time() == 2, "there and back to connect, and to upgrade"
                assert await ws.ping() == 1
            network.faults.clear()
            before = trio.current_time()
            with network.faults.black_hole() as hole:
                with pytest.raises(TimeoutError):
                    await websocket.connect(URL, options=Options(open_timeout=3)).__aenter__()
                assert trio.current_time() == before + 3
                assert hole.active
            async with websocket.connect(URL) as ws:
                assert await ws.ping() == 0

    run(story)


def test_a_dead_peer_is_found_by_pings(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "server.test", 80))
            options = Options(ping_interval=10, ping_timeout=15)
            async with websocket.connect(URL, options=options) as ws:
                network.faults.to_client.black_hole()
                with pytest.raises(ConnectionClosed):
                    await ws.receive()
                assert 15 <= trio.current_time() <= 30

    run(story)


def test_any_cut_of_the_bytes_gives_the_same_messages(run: Run) -> None:
    messages: list[str | bytes] = ["text", b"\x00" * 300, "", b"x" * 5000]

    async def story() -> None:
        async with Network() as network:
            await network.start(partial(websocket.serve, echo, "server.test", 80))
            network.faults.cut_pieces(1)
            async with websocket.connect(URL) as ws:
                for message in messages:
                    await ws.send(message)
                    assert await ws.receive() == message

    run(story)


Script = Callable[[FaultInjector], Fault]


def lived(seed: int, hurt: Script) -> list[object]:
    """What a scripted server sees of a client that talks to it while *hurt* is on."""
    seen: list[object] = []

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        try:
            while True:
                await peer.send(await peer.receive())
        finally:
            seen.append([(each.time, each.kind, len(each.payload)) for each in peer.record])

    network = Network(seed=seed)

    async def story() -> None:
        network.scripted(URL, script)
        for _ in range(5):
            try:
                async with websocket.connect(URL, options=Options(open_timeout=5)) as ws:
                    fault = hurt(network.faults)
                    for number in range(50):
                        await ws.send(b"x" * number)
                        if number == 20:
                            await trio.sleep(1)
                    with trio.move_on_after(5):
                        while True:
                            await ws.receive()
            except (ConnectionClosed, errors.HandshakeError, OSError) as error:
                seen.append(str(error))
            finally:
                fault.off()

    run_story(story, network=network)
    return seen


@pytest.mark.parametrize(
    "hurt",
    [
        # A client's masks are random, and what a broken head has of one is read as something else.
        lambda faults: faults.to_client.corrupt(every=300),
        lambda faults: faults.to_server.cut(after=777),
        lambda faults: faults.to_client.duplicate(chance=0.05),
        lambda faults: faults.delay(0.1, jitter=0.5),
    ],
    ids=["corrupt", "cut", "duplicate", "delay"],
)
def test_the_same_seed_is_the_same_run(hurt: Script) -> None:
    assert lived(7, hurt) == lived(7, hurt)


def test_it_sits_between_two_streams_of_any_kind(run_sockets: Run) -> None:
    async def story() -> None:
        faults = FaultInjector()

        async def proxied(stream: trio.SocketStream) -> None:
            onward = await trio.open_tcp_stream("127.0.0.1", server.port)
            await faults.bridge(stream, onward)

        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, proxied, [listener])
            port = listener.socket.getsockname()[1]
            async with websocket.connect(f"ws://127.0.0.1:{port}/") as ws:
                await ws.send("through it")
                assert await ws.receive() == "through it"
            async with websocket.connect(f"ws://127.0.0.1:{port}/") as ws:
                faults.to_server.cut(after=20)
                await ws.send("x" * 100)
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.receive()
                assert caught.value.code in (1006, 1002)
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_what_makes_no_sense_is_refused() -> None:
    faults = FaultInjector()
    cases: list[tuple[Callable[[], Fault], str]] = [
        (lambda: faults.delay(-1), "seconds"),
        (lambda: faults.delay(1, jitter=-1), "jitter"),
        (lambda: faults.limit_rate(0), "bytes_per_second"),
        (lambda: faults.cut_pieces(0), "size"),
        (lambda: faults.duplicate(chance=2), "chance"),
        (lambda: faults.duplicate(times=0), "times"),
        (lambda: faults.corrupt(every=0), "every"),
        (lambda: faults.cut(after=-1), "after"),
    ]
    for wrong, name in cases:
        with pytest.raises(errors.InvalidOption, match=name):
            wrong()
    with pytest.raises(TypeError, match="seed"):
        FaultInjector("x")  # type: ignore[arg-type]
    assert not faults.to_server._faults, "none of them is on"
