"""Pinned TLS as a ``trio.abc.Stream`` over any other one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Final, TypeAlias

import trio

from wirecore.errors import RemoteError
from wirecore.events import Buffer

from .._arguments import require_type
from .._errors import AlreadyClosed
from .._of_run import shared_buffer
from .contract import Engine
from .credentials import ClientCredentials, ServerCredentials
from .errors import StreamFailure, StreamLost, stream_failure
from .signer_engine import SignerEngine, engine_for

#: Makes the engine of a stream: `engine_for`, or another one with the same contract.
EngineFactory: TypeAlias = Callable[[ClientCredentials | ServerCredentials], Engine]

# Most plaintext that one receive_some returns: a decrypted record or a few of them.
_RECEIVE_SIZE: Final = 64 * 1024

# Seconds that the peer has to take an alert or a close_notify off our hands.
_LAST_WORD: Final = 1.0

# Plaintext passes through here without an await in between, so one will do for a whole run.
_shared_scratch = shared_buffer("tls.scratch", _RECEIVE_SIZE)


class _Exclusive:
    """Lets one task in at a time; the second gets trio.BusyResourceError instead of a place."""

    __slots__ = ("_message", "busy")

    def __init__(self, message: str) -> None:
        self._message = message
        self.busy = False

    def __enter__(self) -> None:
        if self.busy:
            raise trio.BusyResourceError(self._message)
        self.busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.busy = False


class PinnedTLSStream(trio.abc.Stream):
    """TLS 1.3 over *transport_stream*, with a peer whose Ed25519 key the credentials list.

    *transport_stream* belongs to this stream from now on: ``aclose`` closes it. The side follows
    from the type of *credentials*; TypeError for any other. *engine* makes the sans-IO engine
    that does the work.

    One task may send while another receives. The handshake runs with the first operation, or
    in `do_handshake`. Every operation may raise ``trio.BusyResourceError`` when another task is
    in the same one, ``trio.ClosedResourceError`` after ``aclose``, and `StreamPeerRefused`,
    `StreamHandshakeError`, `StreamProtocolError` or `StreamLost`, which are also
    ``trio.BrokenResourceError``.

    In TLS 1.3 a client has finished its handshake before the server has judged its key. So a
    refusal shows at the client's first ``receive_some``, as `StreamPeerRefused`, and
    ``send_all`` may succeed before it.
    """

    def __init__(
        self,
        transport_stream: trio.abc.Stream,
        credentials: ClientCredentials | ServerCredentials,
        *,
        engine: EngineFactory = engine_for,
    ) -> None:
        require_type("credentials", credentials, (ClientCredentials, ServerCredentials))
        self.transport_stream = transport_stream
        self._engine = engine(credentials)
        self._secure = False
        self._closed = False
        self._handshaking = trio.Lock()
        self._sending = _Exclusive("another task is sending on this TLS stream")
        self._receiving = _Exclusive("another task is receiving on this TLS stream")
        # True while ciphertext is on its way into the transport, and for good when it didn't
        # get there whole: nothing may be sent behind half a record.
        self._torn = False
        # Sender and receiver may both need ciphertext; one of them gets it for both.
        self._fetching = trio.Lock()
        self._fetched = 0

    @property
    def peer_public_key(self) -> bytes:
        """The peer's key, 32 raw bytes. Raises InvalidState before the handshake is complete."""
        return self._engine.peer_public_key

    async def do_handshake(self) -> None:
        """Complete the TLS handshake, if it isn't complete yet.

        Tasks that call it together wait for the same handshake. Cancelled while it waits for
        the peer, it can be called again; cancelled while sending it has broken the stream. It can
        be called again too where a signer has failed, which raises CredentialsUnavailable.
        """
        self._check_open()
        async with self._handshaking:
            while not self._secure:
                try:
                    complete = self._engine.handshake()
                except RemoteError as error:
                    raise await self._failure(error) from None
                await self._pass_on()
                if complete:
                    self._secure = True
                elif not await self._sign():
                    await self._fetch(self._fetched)

    async def _sign(self) -> bool:
        """Have the credentials' signer sign, where there is one and the handshake waits for it."""
        return isinstance(self._engine, SignerEngine) and await self._engine.sign()

    # --- trio.abc.Stream ------------------------------------------------------------------

    async def send_all(self, data: Buffer) -> None:
        """Send *data*. Cancelled or failed half-way it has broken the sending side."""
        with self._sending:
            await self._prepare()
            await trio.lowlevel.checkpoint_if_cancelled()
            view = memoryview(data).cast("B")
            if not view:
                await trio.lowlevel.cancel_shielded_checkpoint()
            while view:
                fetched = self._fetched
                try:
                    taken = self._engine.write(view)
                except RemoteError as error:
                    raise await self._failure(error) from None
                view = view[taken:]
                await self._pass_on()
                if not taken:
                    await self._fetch(fetched)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport can take something."""
        with self._sending:
            await self._prepare()
            await self.transport_stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive 1 to *max_bytes* bytes (default: as many as are there, up to 64 KiB).

        Returns b"" when the peer has ended its stream with a close_notify; an end without one
        raises `StreamLost`. Cancelled, nothing is lost. Raises ValueError when *max_bytes* is
        less than 1.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, got {max_bytes}")
        with self._receiving:
            await self._prepare()
            await trio.lowlevel.checkpoint_if_cancelled()
            fetched = self._fetched
            data = await self._read(max_bytes)
            if data is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
            while data is None:
                await self._fetch(fetched)
                fetched = self._fetched
                data = await self._read(max_bytes)
            return data

    async def aclose(self) -> None:
        """Send close_notify and close the transport; the peer's close_notify isn't waited for.

        The close_notify is left out when another task is in the middle of sending, and when the
        peer doesn't take it within a second.
        """
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            self._engine.close()
            await self._last_word()
        finally:
            await self.transport_stream.aclose()

    # --- the parts of these ---------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise AlreadyClosed("this TLS stream was closed by this program")

    async def _prepare(self) -> None:
        self._check_open()
        if not self._secure:
            await self.do_handshake()

    async def _read(self, max_bytes: int | None) -> bytes | None:
        view = _shared_scratch()[:max_bytes]
        try:
            size = self._engine.read_into(view)
        except RemoteError as error:
            raise await self._failure(error) from None
        if size is None:
            return None
        if not size and self._engine.truncated:
            raise StreamLost("the peer's stream ended without a TLS close_notify: it may be cut")
        return bytes(view[:size])

    async def _fetch(self, seen: int) -> None:
        """Bring more ciphertext to the engine, or have another task that is at it do so.

        *seen*: the count of what was fetched when the engine was found to need more.
        """
        try:
            self._fetching.acquire_nowait()
        except trio.WouldBlock:
            await self._fetching.acquire()
        try:
            if self._fetched == seen:
                try:
                    data = await self.transport_stream.receive_some()
                except trio.BrokenResourceError as error:
                    raise StreamLost("the connection under the TLS stream broke") from error
                self._engine.receive(data)
                self._fetched += 1
        finally:
            self._fetching.release()

    async def _pass_on(self) -> None:
        """Send what the engine has for the peer."""
        if self._torn:
            raise StreamLost("an earlier send on this TLS stream broke off in the middle")
        data = self._engine.outgoing()
        if not data:
            return
        self._torn = True
        try:
            await self.transport_stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise StreamLost("the connection under the TLS stream broke") from error
        self._torn = False

    async def _failure(self, error: RemoteError) -> StreamFailure:
        """What to raise for *error*, once the alert that tells the peer is on its way."""
        await self._last_word()
        return stream_failure(error)

    async def _last_word(self) -> None:
        """Have an alert or a close_notify leave, if it can."""
        if self._torn:
            return
        # The peer may be gone already, or may not read: that it can't be told changes nothing
        # about the end of this stream.
        gone = contextlib.suppress(StreamLost, trio.ClosedResourceError)
        with trio.move_on_after(_LAST_WORD), gone:
            await self._pass_on()
