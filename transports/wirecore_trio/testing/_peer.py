"""A WebSocket peer that does what a script says, be it right or wrong, and records what passes."""

from __future__ import annotations

import base64
import errno
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode, Opcode
from wirecore.websocket import ClientHandshake, Request, Response, ServerHandshake
from wirecore.websocket.http import UserFields, check_fields

from .._arguments import require_int, require_type
from .._errors import ConnectionClosed
from ._framed import Framed
from ._frames import Frame
from ._streams import MemoryStream

if TYPE_CHECKING:
    from wirecore.websocket import Accepted

#: RFC 6455 section 1.3.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION})


class ScriptedPeer(Framed):
    """One end of a WebSocket over *stream*, which it owns: as a server unless *client*.

    Entered with ``async with``; a :class:`ScriptedServer` and a :class:`Network` do that. From the
    upgrade on it reads, records each frame, and by itself answers pings and a close frame, as long
    as :attr:`answers_pings` and :attr:`answers_close` say so. Everything else is the script's.
    *number*: of the attempt to connect, from 1.
    """

    def __init__(self, stream: trio.abc.Stream, *, client: bool = False, number: int = 1) -> None:
        super().__init__(stream, client=client, number=number)
        #: The client's request, once it was read.
        self.request: Request | None = None
        #: Whether its script has run to its end.
        self.finished = False
        self._handshake = ServerHandshake()
        self._refusal: OSError | None = None

    # --- before the upgrade ---------------------------------------------------------------------

    async def refuse(self, error: OSError | None = None) -> None:
        """Have the dial itself fail, with *error*: as if nobody listened, if it isn't given.

        Over memory, and before anything else. Raises InvalidState otherwise, TypeError for an
        error that is no OSError.
        """
        require_type("error", error, OSError, optional=True)
        if self._decided.is_set() or not isinstance(self.stream, MemoryStream):
            raise errors.InvalidState("the connection is made already: it can't be refused")
        text = "the scripted server refused the connection"
        self._refusal = error or ConnectionRefusedError(errno.ECONNREFUSED, text)
        self._decided.set()
        await trio.lowlevel.checkpoint()

    async def read_request(self) -> Request:
        """The client's upgrade request. Raises HandshakeError for what is none, or no whole one."""
        self._decided.set()
        while self.request is None:
            data = await self.stream.receive_some()
            if not data:
                self._handshake.receive_eof()
            self.request = self._handshake.receive(data)
        return self.request

    async def accept(
        self, *, subprotocol: str | None = None, headers: UserFields = (), key: str | None = None
    ) -> Request:
        """Answer the upgrade request with 101, whatever it asks for.

        *key*: what Sec-WebSocket-Accept says; by default what it should. Returns the request.
        """
        require_type("subprotocol", subprotocol, str, optional=True)
        require_type("key", key, str, optional=True)
        request = await self.read_request()
        if key is None:
            wanted = request.header(b"sec-websocket-key") or b""
            key = base64.b64encode(hashlib.sha1(wanted + _GUID).digest()).decode()
        fields = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
        fields.append((b"Sec-WebSocket-Accept", key.encode()))
        if subprotocol is not None:
            fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode()))
        fields += check_fields(headers, frozenset())
        lines = [b"HTTP/1.1 101 Switching Protocols", *(b"%b: %b" % field for field in fields)]
        await self._send(b"\r\n".join([*lines, b"", b""]))
        self._start_reading(self._handshake.leftover)
        return request

    async def reject(self, status: int, headers: UserFields = (), body: bytes = b"") -> Request:
        """Answer the upgrade request with another *status*. Returns the request."""
        request = await self.read_request()
        fields = tuple(check_fields(headers, frozenset()))
        await self._send(self._handshake.respond(Response(status, fields, body)))
        await self._send_eof()
        return request

    async def upgrade(
        self,
        target: str = "/",
        *,
        host: str = "server.test",
        headers: UserFields = (),
        subprotocols: Sequence[str] = (),
    ) -> Accepted:
        """As a client: ask for the upgrade, and read the answer.

        Raises UpgradeRejected for another status, HandshakeError for what is no proper answer.
        """
        handshake = ClientHandshake(
            host=host, target=target, headers=headers, subprotocols=subprotocols
        )
        await self._send(handshake.request())
        accepted = None
        while accepted is None:
            data = await self.stream.receive_some()
            if not data:
                handshake.receive_eof()
            accepted = handshake.receive(data)
        self._start_reading(handshake.leftover)
        return accepted

    # --- sending --------------------------------------------------------------------------------

    async def send(self, message: str | bytes) -> None:
        """Send a message: text for ``str``. Raises TypeError for what is none."""
        opcode, payload = _data(message)
        await self.send_frame(opcode, payload)

    async def send_fragments(self, *fragments: str | bytes) -> None:
        """Send one message in so many frames; the first one says whether it is text.

        Raises InvalidOption where there is none, TypeError for what is no part of a message.
        """
        if not fragments:
            raise errors.InvalidOption("a message has one fragment at least")
        parts = [_data(fragment) for fragment in fragments]
        opcode = parts[0][0]
        for index, (_, payload) in enumerate(parts):
            await self.send_frame(opcode, payload, fin=index == len(parts) - 1)
            opcode = Opcode.CONTINUATION

    # --- receiving ------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """The next message, whole. Pings and pongs are passed over.

        Raises ConnectionClosed for a close frame, with its code and reason, and with 1006 for the
        end of the stream.
        """
        parts: list[bytes] = []
        opcode = 0
        while True:
            frame = await self.next_frame()
            if frame is None:
                raise ConnectionClosed(CloseCode.ABNORMAL, "no close frame came", clean=False)
            if frame.opcode == Opcode.CLOSE:
                raise ConnectionClosed(frame.close_code, frame.close_reason, clean=True)
            if frame.opcode in _DATA:
                opcode = opcode or frame.opcode
                parts.append(frame.payload)
                if frame.fin:
                    whole = b"".join(parts)
                    return whole.decode() if opcode == Opcode.TEXT else whole

    async def expect(self, message: str | bytes) -> None:
        """The next message is this one. Raises AssertionError."""
        require_type("message", message, (str, bytes))
        try:
            found = await self.receive()
        except ConnectionClosed as error:
            raise AssertionError(f"{message!r} was expected, and not the end: {error}") from error
        if found != message:
            raise AssertionError(f"{message!r} was expected, not {found!r}")

    async def expect_ping(self) -> bytes:
        """The next frame is a ping; its payload. Raises AssertionError."""
        return (await self._expect(Opcode.PING)).payload

    async def expect_pong(self, payload: bytes | None = None) -> bytes:
        """The next frame is a pong; its payload, which is *payload*. Raises AssertionError."""
        require_type("payload", payload, bytes, optional=True)
        found = (await self._expect(Opcode.PONG)).payload
        if payload is not None and found != payload:
            raise AssertionError(f"a pong of {payload!r} was expected, not of {found!r}")
        return found

    async def expect_close(self, code: int | None = None, reason: str | None = None) -> Frame:
        """The next frame is a close frame, with *code* and *reason*. Raises AssertionError."""
        if code is not None:
            require_int("code", code)
        require_type("reason", reason, str, optional=True)
        frame = await self._expect(Opcode.CLOSE)
        for name, wanted, found in (
            ("code", code, frame.close_code),
            ("reason", reason, frame.close_reason),
        ):
            if wanted is not None and wanted != found:
                raise AssertionError(f"a close frame of {name} {wanted!r} was expected: {found!r}")
        return frame

    async def expect_end(self) -> None:
        """Nothing comes but the end of the stream. Raises AssertionError."""
        frame = await self.next_frame()
        if frame is not None:
            raise AssertionError(f"the end was expected, not {frame}")

    async def _expect(self, opcode: Opcode) -> Frame:
        frame = await self.next_frame()
        if frame is None or frame.opcode != opcode:
            found = "the end of the stream" if frame is None else frame
            raise AssertionError(f"a {opcode.name.lower()} was expected, not {found}")
        return frame


def _data(message: str | bytes) -> tuple[Opcode, bytes]:
    require_type("message", message, (str, bytes, bytearray, memoryview))
    if isinstance(message, str):
        return Opcode.TEXT, message.encode()
    return Opcode.BINARY, bytes(message)
