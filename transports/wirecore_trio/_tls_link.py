"""TLS as a link over another link; the engine that encrypts is a plain object.

Two engines stand behind it: the pinned one on pyOpenSSL (``wirecore_trio.tls``) and the
standard library's (``_ssl_engine``). Neither does any I/O.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

import trio

from wirecore import errors
from wirecore.events import Buffer
from wirecore.moving_rules import MAX_SEND

from ._link import Link
from ._of_run import shared_buffer

#: Ciphertext read in one go: several records of at most 16 KiB.
_CIPHERTEXT: Final = 64 * 1024

#: Reads in a row that may bring no plaintext before others of the run get their turn.
_READS_FOR_NOTHING: Final = 4

_NOTHING: Final = memoryview(b"")

_shared_buffer = shared_buffer("ciphertext", _CIPHERTEXT)


class Engine(Protocol):
    """What a link needs of an engine; ``wirecore_trio.tls.contract`` tells it in full."""

    @property
    def unsent(self) -> bool:
        """Whether ``outgoing`` may have something; a hint once the handshake is complete."""

    @property
    def starving(self) -> bool:
        """Whether ``read_into`` is sure to answer None before more ciphertext is received."""

    def receive(self, data: Buffer) -> None:
        """Take ciphertext from the peer; empty at the end of its stream. *data* is copied."""

    def outgoing(self) -> bytes:
        """Ciphertext for the peer, b"" when there is none."""

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is complete. Raises HandshakeError."""

    def read_into(self, buffer: memoryview) -> int | None:
        """Plaintext written into *buffer*, all that has come and fits.

        0 at the end, None when it needs more ciphertext.

        Raises a RemoteError.
        """

    def write(self, data: Buffer) -> int:
        """Encrypt the beginning of *data*; 0 where it needs ciphertext of the peer first.

        Raises a RemoteError.
        """

    def close(self) -> None:
        """Tell the peer that nothing more comes."""


class TLSLink:
    """Plaintext in and out, ciphertext over *inner*, which belongs to this link."""

    __slots__ = ("_ciphertext", "_closed", "_starved", "_unsent", "engine", "inner")

    def __init__(self, inner: Link, engine: Engine) -> None:
        self.inner = inner
        self.engine = engine
        self._ciphertext = _shared_buffer()
        self._unsent = _NOTHING
        self._closed = False
        # Set once ciphertext came, for an engine that can't encrypt before.
        self._starved: trio.Event | None = None

    async def handshake(
        self, *, speaks_next: bool = False, sign: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        """Do the handshake. Raises HandshakeError, also where the connection breaks.

        The alert that says why it failed is sent before this raises. *speaks_next*: the caller
        sends something at once, and what this end still has to say leaves with it, which saves
        either end a turn. *sign* is asked before each wait for the peer: it does what else the
        engine waits for, and answers whether that can go on; what it raises comes out.
        """
        try:
            await self._handshake(speaks_next, sign)
        except trio.BrokenResourceError as error:
            raise errors.HandshakeError(f"no TLS handshake: {error}") from error

    async def _handshake(
        self, speaks_next: bool, sign: Callable[[], Awaitable[bool]] | None
    ) -> None:
        while True:
            try:
                complete = self.engine.handshake()
            except errors.HandshakeError:
                await self._send_alert()
                raise
            if complete and speaks_next:
                return
            self._collect()
            while self.owes:
                await self.flush()
            if complete:
                return
            if sign is not None and await sign():
                continue
            size = self.inner.try_recv_into(self._ciphertext)
            if size is None:
                await self.inner.wait_readable()
            else:
                self.engine.receive(self._ciphertext[:size])

    async def _send_alert(self) -> None:
        try:
            self._collect()
            while self.owes:
                await self.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone already: what it did is raised, not that

    @property
    def owes(self) -> bool:
        return bool(self._unsent) or self.inner.owes

    def try_recv_into(self, buffer: memoryview) -> int | None:
        engine = self.engine
        size: int | None = None
        try:
            for _ in range(_READS_FOR_NOTHING):
                if engine.starving and not self._receive():
                    break
                size = engine.read_into(buffer)
                if size is not None:
                    break
        finally:  # also for the alert that says what was wrong
            if engine.unsent:
                self._collect()
        return size

    def _receive(self) -> bool:
        """Read ciphertext, if there is some now; its end counts too."""
        received = self.inner.try_recv_into(self._ciphertext)
        if received is None:
            return False
        self.engine.receive(self._ciphertext[:received])
        if self._starved is not None:
            self._feed_starved()
        return True

    def try_send(self, data: Buffer) -> int:
        if self._unsent:
            self._send_unsent()
            if self._unsent:
                return 0
        engine = self.engine
        taken = engine.write(data if len(data) <= MAX_SEND else memoryview(data)[:MAX_SEND])
        if engine.unsent:
            self._collect()
        if not taken and self._starved is None:
            self._starved = trio.Event()
        return taken

    def _feed_starved(self) -> None:
        if self._starved is not None:
            self._starved.set()
            self._starved = None

    def _collect(self) -> None:
        made: bytes = self.engine.outgoing()
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + made)
            self._send_unsent()
        elif made:
            sent = self.inner.try_send(made)
            if sent < len(made):
                self._unsent = memoryview(made)[sent:]

    def _send_unsent(self) -> None:
        # An empty rest would still hold all that was sent.
        self._unsent = self._unsent[self.inner.try_send(self._unsent) :] or _NOTHING

    def readable_within(self, seconds: float) -> bool | None:
        return self.inner.readable_within(seconds)

    @property
    def number(self) -> int:
        return self.inner.number

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        return self.inner.wait_readable()  # no frame of its own: most connections wait here

    async def flush(self) -> None:
        if self._starved is not None and not self.owes:
            # The reader brings what the engine lacks: waiting for the socket to take something
            # would end at once, again and again.
            await self._starved.wait()
            return
        await self.inner.flush()
        if self._unsent:
            self._send_unsent()

    def backlog(self) -> int | None:
        return self.inner.backlog()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._feed_starved()
        self.engine.close()
        try:
            self._collect()
        except trio.BrokenResourceError:
            pass  # nobody is left to be told
        self.inner.close()
