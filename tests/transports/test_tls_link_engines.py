"""What a TLS link does with its engine, told with engines that do as a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore import errors
from wirecore.events import Buffer
from wirecore.moving_rules import MAX_SEND
from wirecore_trio._link import StreamLink
from wirecore_trio._tls_link import Engine, TLSLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run


class ToyEngine:
    """An engine without secrets: what it is asked to encrypt it gives as it is."""

    truncated = False

    def __init__(self) -> None:
        self.made = b""
        self.readable: list[bytes | Exception | None] = []
        self.received: list[bytes] = []
        self.hungry = False
        self.closed = False

    @property
    def unsent(self) -> bool:
        return bool(self.made)

    @property
    def starving(self) -> bool:
        return not self.readable

    def receive(self, data: Buffer) -> None:
        self.received.append(bytes(data))
        self.hungry = False

    def outgoing(self) -> bytes:
        made, self.made = self.made, b""
        return made

    def handshake(self) -> bool:
        return True

    def read_into(self, buffer: memoryview) -> int | None:
        data = self.readable.pop(0) if self.readable else None
        if isinstance(data, Exception):
            raise data
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Buffer) -> int:
        if self.hungry:
            return 0
        self.made += bytes(data)
        return len(data)

    def close(self) -> None:
        self.closed = True
        self.made += b"bye"


def toy() -> tuple[TLSLink, ToyEngine, Any]:
    one, other = trio.testing.memory_stream_pair()
    engine = ToyEngine()
    checked: Engine = engine
    return TLSLink(StreamLink(one), checked), engine, other


def test_records_without_data_leave_others_their_turn(run: Run) -> None:
    """A peer could send them without end: empty records, tickets, key updates."""

    async def story() -> None:
        link, engine, other = toy()
        buffer = memoryview(bytearray(100))
        # A stream link hands out what one wait brought: so the flood is made of its pieces.
        await other.send_all(bytes(1 << 20))
        link._ciphertext = link._ciphertext[:16]
        await link.wait_readable()
        assert link.try_recv_into(buffer) is None
        assert len(engine.received) == 4
        link.close()

    run(story)


def test_what_tls_itself_has_to_say_leaves_with_a_read(run: Run) -> None:
    async def story() -> None:
        link, engine, other = toy()
        buffer = memoryview(bytearray(100))
        engine.made = b"key update"
        assert link.try_recv_into(buffer) is None
        assert link.owes
        engine.made = b", and another"
        engine.readable = [b"data"]
        assert link.try_recv_into(buffer) == 4
        while link.owes:
            await link.flush()
        assert await other.receive_some() == b"key update, and another"
        link.close()

    run(story)


def test_an_error_behind_data_is_told_by_the_next_read(run: Run) -> None:
    async def story() -> None:
        link, engine, _ = toy()
        error = errors.ProtocolError("bad record")
        engine.readable = [b"good", error]
        buffer = memoryview(bytearray(100))
        assert link.try_recv_into(buffer) == 4
        engine.readable = [error]
        engine.made = b"alert"
        with pytest.raises(errors.ProtocolError):
            link.try_recv_into(buffer)
        assert link.owes
        link.close()

    run(story)


def test_a_hungry_engine_isnt_asked_again_before_it_is_fed(run: Run) -> None:
    """A peer could send half a message of TLS itself and then nothing: no time is lost on it."""

    async def story() -> None:
        link, engine, other = toy()
        buffer = memoryview(bytearray(100))
        engine.hungry = True
        assert link.try_send(b"data") == 0
        assert link.try_send(b"data") == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.flush)
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            await other.send_all(b"the other half")
            await link.wait_readable()
            assert link.try_recv_into(buffer) is None
        assert link.try_send(b"data") == 4
        await link.flush()
        assert await other.receive_some() == b"data"
        link.close()

    run(story)


def test_closing_wakes_who_waits_for_a_hungry_engine(run: Run) -> None:
    async def story() -> None:
        link, engine, _ = toy()
        engine.hungry = True
        assert link.try_send(b"data") == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.flush)
            await trio.testing.wait_all_tasks_blocked()
            link.close()

    run(story)


def test_a_full_link_takes_nothing_more(run: Run) -> None:
    async def story() -> None:
        link, _, other = toy()
        assert link.try_send(bytes(MAX_SEND + 1)) == MAX_SEND  # it is with the stream now
        assert link.try_send(b"two") == 3  # that waits
        assert link.try_send(b"three") == 0
        while link.owes:
            await link.flush()
        assert await other.receive_some() == bytes(MAX_SEND) + b"two"
        link.close()

    run(story)


class BrokenLink(StreamLink):
    """Everything sent over it fails."""

    def try_send(self, data: Buffer) -> int:
        raise trio.BrokenResourceError


class RefusingEngine(ToyEngine):
    """Refuses the handshake, and has an alert that says so."""

    def handshake(self) -> bool:
        self.made = b"alert"
        raise errors.HandshakeError("refused")


@pytest.mark.parametrize("kind", [StreamLink, BrokenLink])
def test_a_refusal_is_told_and_raised_whether_or_not_the_peer_can_hear_it(
    run: Run, kind: type[StreamLink]
) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        link = TLSLink(kind(one), RefusingEngine())
        with pytest.raises(errors.HandshakeError, match="refused"):
            await link.handshake()
        if kind is StreamLink:
            assert await other.receive_some() == b"alert"
        await other.aclose()
        link = TLSLink(StreamLink(one), RefusingEngine())
        with pytest.raises(errors.HandshakeError, match="refused"):
            await link.handshake()
        link.close()

    run(story)


def test_a_connection_that_breaks_is_a_failed_handshake(run: Run) -> None:
    class Talking(ToyEngine):
        def handshake(self) -> bool:
            self.made = b"hello"
            return False

    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        link = TLSLink(BrokenLink(one), Talking())
        with pytest.raises(errors.HandshakeError, match="no TLS handshake") as caught:
            await link.handshake()
        assert isinstance(caught.value.__cause__, trio.BrokenResourceError)
        link.close()
        await other.aclose()

    run(story)


def test_what_couldnt_be_sent_goes_before_more_is_taken(run: Run) -> None:
    async def story() -> None:
        link, engine, other = toy()
        assert link.try_send(bytes(MAX_SEND)) == MAX_SEND
        engine.made = b"of TLS itself"
        assert link.try_recv_into(memoryview(bytearray(1))) is None
        assert isinstance(link.inner, StreamLink)
        await link.inner.flush()
        assert link.try_send(b"data") == 4
        while link.owes:
            await link.flush()
        assert await other.receive_some() == bytes(MAX_SEND) + b"of TLS itselfdata"
        link.close()

    run(story)


def test_closing_says_goodbye_if_it_can(run: Run) -> None:
    async def story() -> None:
        link, engine, _ = toy()
        link.close()
        assert engine.closed
        one, _ = trio.testing.memory_stream_pair()
        link = TLSLink(BrokenLink(one), ToyEngine())
        link.close()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    run(story)
