"""One end of a stream of frames: it reads and records, and sends whatever it is told to."""

from __future__ import annotations

import logging
import random
import socket
import struct
import sys
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import trio

from wirecore.constants import CloseCode, Opcode
from wirecore.errors import InvalidOption

from .._arguments import require_type
from .._tasks import HiddenNursery
from ._bounds import require_between, require_count
from ._frames import Frame, read_frames
from ._streams import MemoryStream

logger = logging.getLogger("wirecore.testing")

#: Seconds that :meth:`Framed.close` waits for the other end's close frame.
_CLOSE_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something that passed at *time*, in trio's seconds. *sent*: by the scripted peer.

    *kind*: a frame's (see :attr:`Frame.kind`), "raw" for bytes, "eof" or "reset" for the end of
    the stream. *frame*: None where it is none.
    """

    time: float
    sent: bool
    kind: str
    payload: bytes = b""
    frame: Frame | None = None


class Framed:
    """What a :class:`ScriptedPeer` is once its upgrade is through."""

    def __init__(self, stream: trio.abc.Stream, *, client: bool = False, number: int = 1) -> None:
        require_type("stream", stream, trio.abc.Stream)
        require_type("client", client, bool)
        require_count("number", number)
        self.stream = stream
        self.number = number
        self.answers_pings = True
        self.answers_close = True
        #: What has passed, frame by frame, in order.
        self.record: list[Recorded] = []
        self._client = client
        self._masks = random.Random(number)
        self._tasks = HiddenNursery()
        self._sending = trio.Lock()
        self._frames: deque[Frame] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._ended = False
        self._closing_sent = False
        self._closed = False
        self._may_read = trio.Event()
        self._may_read.set()
        # Anything was done over it: a dial waits for that, see ScriptedServer.
        self._decided = trio.Event()

    def __repr__(self) -> str:
        end = "client" if self._client else "server"
        return f"<{type(self).__name__} {self.number}, a {end}, {len(self.record)} recorded>"

    async def __aenter__(self) -> Self:
        await self._tasks.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._decided.set()
        try:
            await self._tasks.leave(error)
        finally:
            self._end()
            # What the other end makes of it may cancel this task, and mustn't hide *error*.
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)

    # --- frames ---------------------------------------------------------------------------------

    async def ping(self, payload: bytes = b"") -> None:
        """Send a ping, and wait for nothing."""
        await self.send_frame(Opcode.PING, payload)

    async def pong(self, payload: bytes = b"") -> None:
        """Send a pong, asked for or not."""
        await self.send_frame(Opcode.PONG, payload)

    async def send_frame(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool | None = None,
        length: int | None = None,
    ) -> None:
        """Send any frame, also one that breaks the rules: see :class:`Frame`.

        *masked*: as this end must, unless it is given. Raises as :class:`Frame`, and nothing was
        sent.
        """
        frame = Frame(opcode, payload, fin, rsv, self._client if masked is None else masked, length)
        self._closing_sent |= opcode == Opcode.CLOSE
        self._note(True, frame.kind, payload, frame)
        await self._send(frame.encode(self._masks.randbytes(4)))

    async def send_raw(self, data: bytes) -> None:
        """Send *data* as it is: before the upgrade, or between frames."""
        require_type("data", data, bytes, hint="encode it")
        self._note(True, "raw", data)
        await self._send(data)

    async def _send(self, data: bytes) -> None:
        self._decided.set()
        async with self._sending:
            await self.stream.send_all(data)

    async def next_frame(self) -> Frame | None:
        """The next frame of any kind that wasn't taken yet; None once the stream has ended."""
        while not self._frames:
            if self._ended:
                return None
            await self._changed.park()
        return self._frames.popleft()

    async def wait_ended(self) -> None:
        """Wait until the other end has ended the stream. What comes until then is kept."""
        while not self._ended:
            await self._changed.park()

    # --- ends -----------------------------------------------------------------------------------

    async def close(
        self, code: int | None = CloseCode.NORMAL, reason: str = "", *, wait: bool = True
    ) -> None:
        """Send a close frame, with *code* None an empty one, unless one was sent before.

        With *wait*: wait for the other end's, or the end, some seconds; then end the stream.

        Raises InvalidOption for a code that two bytes don't hold, and a reason without a code;
        TypeError for other types.
        """
        require_type("reason", reason, str)
        if code is not None:
            require_between("code", code, 0, 65_535)
        elif reason:
            raise InvalidOption("a close frame without a code has no reason")
        if not self._closing_sent:
            payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
            await self.send_frame(Opcode.CLOSE, payload)
        if wait:
            with trio.move_on_after(_CLOSE_TIMEOUT):
                while not self._ended and not self._closing_came:
                    await self._changed.park()
            await self.cut()

    async def half_close(self) -> None:
        """End the stream in this direction alone."""
        self._decided.set()
        await self._send_eof()

    async def cut(self) -> None:
        """End the stream, without a close frame."""
        self._decided.set()
        if not self._closed:
            self._note(True, "eof")
        self._end()
        await trio.aclose_forcefully(self.stream)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Break the stream: over TCP with a reset."""
        self._decided.set()
        if not self._closed:
            self._note(True, "reset")
        self._end()
        if isinstance(self.stream, MemoryStream):
            self.stream.connection.reset()
        elif isinstance(self.stream, trio.SocketStream):
            never_linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, never_linger)
        await trio.aclose_forcefully(self.stream)
        await trio.lowlevel.checkpoint()

    async def silence(self) -> None:
        """Do nothing any more, and read nothing, with the stream open, until the test ends."""
        self._decided.set()
        self.stop_reading()
        await trio.sleep_forever()

    def stop_reading(self) -> None:
        """Read nothing, so that the other end finds the stream full in time. Idempotent."""
        if self._may_read.is_set():
            self._may_read = trio.Event()

    def resume_reading(self) -> None:
        """Read again. Idempotent."""
        self._may_read.set()

    # --- the reader -----------------------------------------------------------------------------

    def _start_reading(self, leftover: bytes) -> None:
        self._tasks.nursery.start_soon(self._read, leftover)

    async def _read(self, leftover: bytes) -> None:
        received = bytearray(leftover)
        try:
            while True:
                for frame in read_frames(received):
                    self._note(False, frame.kind, frame.payload, frame)
                    self._frames.append(frame)
                    self._changed.unpark_all()
                    await self._react(frame)
                await self._may_read.wait()
                data = await self.stream.receive_some()
                await self._may_read.wait()
                if not data:
                    break
                received += data
            self._note(False, "eof")
        except trio.BrokenResourceError:
            self._note(False, "reset")
        except trio.ClosedResourceError:
            logger.debug("%r has ended its stream itself", self)
        self._ended = True
        self._changed.unpark_all()

    async def _react(self, frame: Frame) -> None:
        if frame.opcode == Opcode.PING and self.answers_pings:
            await self.pong(frame.payload)
        elif frame.opcode == Opcode.CLOSE and self.answers_close and not self._closing_sent:
            await self.send_frame(Opcode.CLOSE, frame.payload[:2])
            if not self._client:  # RFC 6455 section 7.1.1: the server ends the stream
                await self.cut()

    @property
    def _closing_came(self) -> bool:
        return any(not each.sent and each.kind == "close" for each in self.record)

    def _note(
        self, sent: bool, kind: str, payload: bytes = b"", frame: Frame | None = None
    ) -> None:
        self.record.append(Recorded(trio.current_time(), sent, kind, payload, frame))

    async def _send_eof(self) -> None:
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            self._note(True, "eof")
            async with self._sending:
                await self.stream.send_eof()
        else:
            await self.cut()

    def _end(self) -> None:
        self._closed = True
        self._ended = True
        self._changed.unpark_all()
