"""The HTTP upgrade over a link: cut anywhere, too large, or answered in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore import errors
from wirecore.events import Buffer
from wirecore.websocket import BadRequest, ClientHandshake, Response, ServerHandshake
from wirecore_trio import _upgrade
from wirecore_trio._link import StreamLink
from wirecore_trio._upgrade import linger, receive_request, send_all, upgrade_client

if TYPE_CHECKING:
    from tests.transports.conftest import Run

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def links() -> tuple[StreamLink, StreamLink]:
    one, other = trio.testing.memory_stream_pair()
    return StreamLink(one), StreamLink(other)


def client_handshake() -> ClientHandshake:
    return ClientHandshake(host="x", target="/")


async def close(*both: StreamLink) -> None:
    for link in both:
        link.close()
    await trio.testing.wait_all_tasks_blocked()


def test_both_sides_agree_and_keep_what_came_behind(run: Run) -> None:
    async def story() -> None:
        one, other = links()

        async def serve() -> None:
            handshake = ServerHandshake()
            assert await receive_request(other, handshake)
            await send_all(other, handshake.accept() + b"the first frame")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            handshake = client_handshake()
            accepted = await upgrade_client(one, handshake)
        assert accepted.subprotocol is None
        assert handshake.leftover == b"the first frame"
        await close(one, other)

    run(story)


def test_a_request_that_is_cut_anywhere(run: Run) -> None:
    async def story() -> None:
        for cut in range(len(REQUEST)):
            one, other = links()
            if cut:
                await one.stream.send_all(REQUEST[:cut])
            await one.stream.aclose()
            if cut:
                with pytest.raises(BadRequest, match=f"after {cut} bytes"):
                    await receive_request(other, ServerHandshake())
            else:
                assert await receive_request(other, ServerHandshake()) is None
            await close(one, other)

    run(story)


def test_a_request_that_comes_byte_by_byte(run: Run) -> None:
    async def story() -> None:
        one, other = links()

        async def send() -> None:
            for byte in REQUEST:
                await one.stream.send_all(bytes([byte]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            request = await receive_request(other, ServerHandshake())
        assert request is not None
        assert (request.path, request.query, request.problem) == ("/chat", "room=1", None)
        await close(one, other)

    run(story)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
    ],
    ids=["TLS", "too large"],
)
def test_what_is_no_request_is_answered(run: Run, sent: bytes, status: int) -> None:
    async def story() -> None:
        one, other = links()
        await one.stream.send_all(sent)
        with pytest.raises(BadRequest):
            await receive_request(other, ServerHandshake())
        assert (await one.stream.receive_some()).startswith(b"HTTP/1.1 %d " % status)
        await close(one, other)

    run(story)


ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnever"


def test_an_answer_that_is_cut_anywhere(run: Run) -> None:
    """As soon as its head is whole it is a refusal."""

    async def story() -> None:
        for cut in range(len(ANSWER) + 1):
            one, other = trio.testing.memory_stream_pair()
            if cut:
                await other.send_all(ANSWER[:cut])
            await other.send_eof()
            refusal = cut >= ANSWER.index(b"never")
            with pytest.raises(errors.HandshakeError) as caught:
                await upgrade_client(StreamLink(one), client_handshake())
            kind = errors.UpgradeRejected if refusal else errors.HandshakeError
            assert type(caught.value) is kind

    run(story)


class BreakingLink(StreamLink):
    """A link on which sending, receiving or both fail."""

    def __init__(self, stream: trio.abc.Stream, *broken: str) -> None:
        super().__init__(stream)
        self._broken = broken

    def try_send(self, data: Buffer) -> int:
        if "send" in self._broken:
            raise trio.BrokenResourceError("reset by the peer")
        return super().try_send(data)

    async def wait_readable(self) -> None:
        if "receive" in self._broken:
            raise trio.BrokenResourceError("reset by the peer")
        await super().wait_readable()


def test_a_connection_that_breaks_is_a_failed_handshake(run: Run) -> None:
    async def story() -> None:
        for broken in (("receive",), ("send", "receive")):
            one, other = trio.testing.memory_stream_pair()
            link = BreakingLink(one, *broken)
            with pytest.raises(errors.HandshakeError, match="reset by the peer") as caught:
                await upgrade_client(link, client_handshake())
            assert isinstance(caught.value.__cause__, trio.BrokenResourceError)
            await other.aclose()
            link.close()

    run(story)


def test_a_server_that_refuses_before_it_was_asked(run: Run) -> None:
    """It may be gone by then, and what it said is there."""

    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        await other.send_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        link = BreakingLink(one, "send")
        with pytest.raises(errors.UpgradeRejected, match="503"):
            await upgrade_client(link, client_handshake())
        link.close()

    run(story)


def test_an_answer_without_end_is_a_refusal_after_a_bit_of_it(run: Run) -> None:
    async def story() -> None:
        one, other = links()
        await other.stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        with pytest.raises(errors.UpgradeRejected) as caught:
            await upgrade_client(one, client_handshake())
        assert len(caught.value.body) == 4096
        await close(one, other)

    run(story)


def test_a_last_answer_is_waited_for_and_not_for_ever(run: Run) -> None:
    async def story() -> None:
        one, other = links()
        start = trio.current_time()
        await linger(other)
        assert trio.current_time() - start == _upgrade._LINGER

        await one.stream.send_all(bytes(100_000))  # a body nobody reads
        await one.stream.aclose()
        await linger(other)
        assert trio.current_time() - start == _upgrade._LINGER
        await other.stream.aclose()
        await close(one, other)

        one, other = links()
        other.close()  # whoever is gone isn't waited for
        await trio.testing.wait_all_tasks_blocked()
        await linger(one)
        await close(one, other)

    run(story)


def test_a_peer_that_breaks_off_has_read_its_answer_or_not(run: Run) -> None:
    class Broken(StreamLink):
        async def wait_readable(self) -> None:
            raise trio.BrokenResourceError

    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        await linger(Broken(one))
        await other.aclose()

    run(story)


def test_a_large_answer_goes_in_parts(run: Run) -> None:
    async def story() -> None:
        one, other = links()
        response = Response(404, body=bytes(300_000)).encode()
        received = bytearray()

        async def receive() -> None:
            while len(received) < len(response):
                received.extend(await one.stream.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await send_all(other, response)
        assert received == response
        await close(one, other)

    run(story)
