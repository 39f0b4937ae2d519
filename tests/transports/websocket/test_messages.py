"""Messages: text and binary, in fragments, compressed, too large, and half sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.constants import Opcode
from wirecore.errors import (
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    ProtocolError,
    RemoteLimitExceeded,
)
from wirecore.events import Close
from wirecore.websocket import DeflateParameters
from wirecore_trio.websocket import (
    AlreadyClosed,
    ConnectionClosed,
    DeflateOffer,
    Limits,
    Options,
    RawText,
    WebSocket,
)

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, Run
    from tests.transports.websocket.conftest import World

MESSAGES: list[Any] = [b"", "", b"\x00\xff", "grüße 🎈", b"x" * 200_000, "y" * 200_000]


async def exchange(one: WebSocket, other: WebSocket, messages: list[Any]) -> None:
    """Send *messages* from one end, and receive them at the other."""

    async def send() -> None:
        for message in messages:
            await one.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        for message in messages:
            received = await other.receive()
            assert type(received) is type(message)
            assert received == message


def test_messages_of_all_kinds_go_both_ways(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        await exchange(client, server, MESSAGES)
        await exchange(server, client, MESSAGES)
        for data in (bytearray(b"mutable"), memoryview(b"view")):
            await client.send(data)
            assert await server.receive() == bytes(data)
        client.abort()
        server.abort()

    run(story)


def test_text_can_stay_as_it_came(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair(server=Options(raw_text=True))
        not_utf8 = RawText(b"\xff\xfe")
        await exchange(client, server, [RawText(b"ascii"), b"binary", not_utf8])
        await server.send(not_utf8)
        with pytest.raises(ConnectionClosed) as caught:
            await client.receive()  # the client does look at it
        assert isinstance(caught.value.__cause__, ProtocolError)
        assert caught.value.__cause__.close_code == 1007
        with pytest.raises(ConnectionClosed, match="1007"):
            await server.receive()

    run(story)


def test_what_is_no_message_is_the_callers_error_and_changes_nothing(
    open_pair: OpenPair, run: Run
) -> None:
    async def story() -> None:
        client, server = open_pair()
        wrong: Any = [1, "lone \udc80 surrogate"]
        for message, error in zip(wrong, (TypeError, UnicodeEncodeError), strict=True):
            with pytest.raises(error):
                await client.send(message)
        await exchange(client, server, [b"fine"])
        client.abort()
        server.abort()

    run(story)


def test_all_that_came_can_be_had_at_once(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        for message in (b"1", "2", b"3"):
            await client.send(message)
        await trio.testing.wait_all_tasks_blocked()
        assert await server.receive_many() == [b"1", "2", b"3"]
        client.abort()
        with pytest.raises(ConnectionClosed):
            await server.receive_many()

    run(story)


# --- compression ----------------------------------------------------------------------------

DEFLATE = Options(compression=DeflateOffer(threshold=10))


def test_many_messages_are_sent_at_once(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        await client.send_many([])
        batches: list[list[Any]] = [["a", b"b", RawText(b"c")], MESSAGES]
        for batch in batches:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send_many, batch)
                received: list[Any] = []
                while len(received) < len(batch):
                    received += await server.receive_many()
            assert received == [m.decode() if isinstance(m, RawText) else m for m in batch]
        await client.aclose()
        with pytest.raises(AlreadyClosed):
            await client.send_many([b"late"])

    run(story)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("text", "takes several messages, not str: use send"),
        (b"bytes", "takes several messages, not bytes: use send"),
        (5, "takes a list of messages, not int"),
        ([b"good", {"no": 1}], "a message is str, bytes .* not dict: make text"),
    ],
)
def test_what_are_no_messages(open_pair: OpenPair, run: Run, wrong: Any, says: str) -> None:
    async def story() -> None:
        client, server = open_pair()
        with pytest.raises(TypeError, match=says):
            await client.send_many(wrong)
        await client.send("after that")
        while await server.receive() != "after that":
            pass
        await client.aclose()

    run(story)


@pytest.mark.parametrize("ours", [None, DEFLATE.compression], ids=["plain", "deflate"])
@pytest.mark.parametrize("theirs", [None, DEFLATE.compression], ids=["plain", "deflate"])
def test_compression_is_used_where_both_want_it(
    world: World, run_sockets: Run, ours: DeflateOffer | None, theirs: DeflateOffer | None
) -> None:
    async def story() -> None:
        async with (
            world.serving(options=Options(compression=theirs)) as server,
            world.connect(server, options=Options(compression=ours)) as ws,
        ):
            assert (ws.accepted.deflate is not None) == (ours is not None and theirs is not None)
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.receive() == message

    run_sockets(story)


def test_what_is_compressed_is_bounded_too(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        parameters = DeflateParameters()
        deflater = parameters.deflater(client=True)
        assert deflater is not None
        bomb = deflater.deflate(bytes(10_000_000))
        assert len(bomb) < 20_000
        ws, peer = open_raw(
            options=Options(limits=Limits(max_message_size=1_000_000)), deflate=parameters
        )
        frame = bytearray(peer.frame(Opcode.BINARY, bomb))
        frame[0] |= 0x40
        await peer.send(bytes(frame))
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        cause = caught.value.__cause__
        assert isinstance(cause, RemoteLimitExceeded)
        assert (cause.limit, cause.bound) == ("max_message_size", 1_000_000)
        assert caught.value.reason == (
            "a message of 1000001 bytes or more came, over this side's max_message_size of "
            "1000000 (Options.limits)"
        )
        assert await peer.next() == Close(1009, "max_message_size is 1000000 bytes, got 1000001")

    run(story)


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["max_message_size", "max_frame_size"])
def test_a_message_that_is_too_large_ends_the_connection_with_1009(
    open_raw: OpenRaw, run: Run, limit: str
) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(limits=Limits(**{limit: 100})))
        await peer.message(bytes(100))
        assert await ws.receive() == bytes(100)
        # Its header is enough: nothing is kept of what it announces.
        await peer.send(peer.frame(Opcode.BINARY, bytes(101))[:8])
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        cause = caught.value.__cause__
        assert isinstance(cause, RemoteLimitExceeded)
        assert (cause.limit, cause.figure, cause.bound, cause.side) == (limit, 101, 100, "remote")
        close = await peer.next()
        assert close.code == 1009
        assert limit in close.reason
        assert await peer.next() is None

    run(story)


def test_fragments_count_together(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(limits=Limits(max_message_size=100)))
        await peer.send(
            peer.frame(Opcode.BINARY, bytes(60), fin=False),
            peer.frame(Opcode.CONTINUATION, bytes(41)),
        )
        with pytest.raises(ConnectionClosed, match="max_message_size"):
            await ws.receive()

    run(story)


def test_what_waits_to_be_sent_is_bounded(open_raw: OpenRaw, run: Run) -> None:
    """``high_water`` makes senders wait; the hard bound is for those who set it lower."""

    async def story() -> None:
        options = Options(limits=Limits(max_queued_bytes=10), high_water=100_000)
        ws, peer = open_raw(options=options)
        await ws.send(bytes(70_000))  # one of any size goes
        with pytest.raises(LocalLimitExceeded, match="max_queued_bytes is 10"):
            await ws.send(b"x")
        await trio.testing.wait_all_tasks_blocked()
        await ws.send(b"again")
        assert len(await peer.next()) == 70_000
        ws.abort()

    run(story)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"high_water": 0}, "high_water must be at least 1, not 0"),
        ({"max_queue": 0}, "max_queue must"),
        ({"max_queue_bytes": 0}, "max_queue_bytes must"),
        ({"fragment_size": 0}, "fragment_size must"),
        ({"close_timeout": 0}, "close_timeout must be above 0, not 0"),
        ({"ping_interval": 0}, "ping_interval must"),
        ({"ping_timeout": -1}, "ping_timeout must"),
        ({"write_timeout": float("nan")}, "write_timeout must"),
        ({"open_timeout": 0}, "open_timeout must"),
        ({"ping_interval": 60}, "ping_timeout must be above ping_interval, 60 s, not 40.0"),
        ({"ping_interval": 5, "ping_timeout": 5}, "ping_timeout must be above ping_interval"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        Options(**options)


# --- fragments of one's own -----------------------------------------------------------------


@pytest.mark.parametrize("text", [False, True])
def test_a_message_can_be_sent_in_parts(open_pair: OpenPair, run: Run, text: bool) -> None:
    async def story() -> None:
        client, server = open_pair()
        async with client.streaming(text=text) as message:
            # A character may be cut.
            for part in (b"gr", b"\xc3", b"\xbc", b"n"):
                await message.send(part)
        assert await server.receive() == ("grün" if text else "grün".encode())
        async with client.streaming(text=text):
            pass
        assert await server.receive() == ("" if text else b"")
        client.abort()
        server.abort()

    run(story)


def test_pings_and_receiving_go_on_between_the_parts(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        server._baton.attend()
        async with client.streaming() as message:
            await message.send(b"one ")
            assert await client.ping() >= 0
            await server.send(b"in between")
            assert await client.receive() == b"in between"
            await message.send(b"two")
        assert await server.receive() == b"one two"
        client.abort()
        server.abort()

    run(story)


def test_other_messages_must_wait_for_its_end(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        async with client.streaming() as message:
            await message.send(b"one ")
            with pytest.raises(InvalidState, match="another message is half sent"):
                await client.send(b"x")
            with pytest.raises(InvalidState, match="another message is half sent"):
                async with client.streaming() as other:
                    await other.send(b"x")
            with pytest.raises(InvalidState, match="another message is half sent"):
                async with client.streaming():
                    pass  # empty, but a message too
            await message.send(b"two")
        await client.send(b"three")
        assert [await server.receive(), await server.receive()] == [b"one two", b"three"]
        client.abort()
        server.abort()

    run(story)


def test_parts_belong_into_their_block(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        message = client.streaming()
        with pytest.raises(InvalidState, match="within `async with"):
            await message.send(b"x")
        async with message:
            await message.send(b"x")
        with pytest.raises(InvalidState, match="within `async with"):
            await message.send(b"x")
        assert await server.receive() == b"x"
        client.abort()
        server.abort()

    run(story)


def test_one_object_is_one_message(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        message = client.streaming()
        async with message:
            await message.send(b"one")
            with pytest.raises(InvalidState, match=r"call ws\.streaming\(\) again"):
                async with message:
                    pytest.fail("it was let in")
            await message.send(b" two")
        with pytest.raises(InvalidState, match=r"call ws\.streaming\(\) again"):
            async with message:
                pytest.fail("it was let in")
        assert await server.receive() == b"one two"
        await exchange(client, server, [b"fine"])
        client.abort()
        server.abort()

    run(story)


def test_giving_up_half_way_closes_the_connection(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()

        async def begin_and_fail() -> None:
            async with client.streaming() as message:
                await message.send(b"x")
                raise ValueError("no more")

        with pytest.raises(ValueError, match="no more"):
            await begin_and_fail()
        with pytest.raises(AlreadyClosed):
            await client.send(b"x")
        with pytest.raises(ConnectionClosed, match="1011: a message was given up"):
            await server.receive()

    run(story)


def test_giving_up_before_anything_has_gone_changes_nothing(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        with pytest.raises(ValueError, match="no more"):
            async with client.streaming():
                raise ValueError("no more")
        await exchange(client, server, [b"fine"])
        client.abort()
        server.abort()

    run(story)


def test_a_last_part_that_cant_be_sent_is_giving_up_too(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        options = Options(limits=Limits(max_queued_bytes=10), high_water=100_000)
        ws, peer = open_raw(options=options)
        with pytest.raises(LocalLimitExceeded):
            async with ws.streaming() as message:
                await message.send(bytes(70_000))
        assert ws.closed
        assert not ws.sendable
        await peer.rest()

    run(story)


@pytest.mark.parametrize("begun", [False, True])
def test_a_message_whose_end_is_cancelled(
    open_raw_socket: OpenRaw, run_sockets: Run, begun: bool
) -> None:
    """The peer takes nothing, so the end waits for room."""

    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(high_water=1000))
        with trio.move_on_after(1) as scope:
            if begun:
                async with ws.streaming() as message:
                    await message.send(bytes(10_000_000))
            else:
                await ws.send(bytes(10_000_000))
                async with ws.streaming():
                    pass
        assert scope.cancelled_caught
        assert ws.closed == begun  # what was begun can't be finished, what wasn't never was
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_parts_over_a_connection_that_is_gone(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()

        async def begin_and_lose() -> None:
            async with client.streaming() as message:
                await message.send(b"x")
                server.abort()
                await client.wait_closed()
                await message.send(b"y")

        with pytest.raises(ConnectionClosed):
            await begin_and_lose()
        with pytest.raises(ConnectionClosed):
            async with client.streaming():
                pass

    run(story)
