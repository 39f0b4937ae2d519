"""What a TLS link keeps while nothing happens: there may be very many of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio
import trio.testing

from wirecore.events import Buffer
from wirecore_trio._link import StreamLink
from wirecore_trio._tls_link import TLSLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run


class Sealing:
    """An engine that seals nothing: what is written leaves as it is."""

    unsent = True
    starving = True

    def __init__(self) -> None:
        self.sealed = b""

    def receive(self, data: Buffer) -> None:
        raise AssertionError("nobody sends to it")

    def outgoing(self) -> bytes:
        sealed, self.sealed = self.sealed, b""
        return sealed

    def handshake(self) -> bool:
        return True

    def read_into(self, buffer: memoryview) -> int | None:
        return None

    def write(self, data: Buffer) -> int:
        self.sealed += data
        return len(data)

    def close(self) -> None: ...


class Sipping(StreamLink):
    """A link that takes a thousand bytes at a time."""

    def try_send(self, data: Buffer) -> int:
        return super().try_send(memoryview(data)[:1000])


def test_what_was_sent_in_pieces_is_let_go(run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        engine = Sealing()
        link = TLSLink(Sipping(one), engine)
        engine.sealed = sealed = bytes(2500)
        references = sys.getrefcount(sealed)
        link.try_send(b"")
        assert link.owes
        while link.owes:
            await link.flush()
        # The engine has let go of it as well.
        assert sys.getrefcount(sealed) < references
        got = b""
        while len(got) < len(sealed):
            got += await other.receive_some()
        link.close()

    run(story)
