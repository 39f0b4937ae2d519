"""One exchange at this end, whichever that is: the peer's body as it comes, and sending our own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.happenings import Stream
from wirecore.protocols.rest.heads import Fields
from wirecore.protocols.rest.multiplexed import PIECE
from wirecore.protocols.rest.windows import INITIAL

from .._errors import CallLost

if TYPE_CHECKING:
    from ._channel import Channel

_DATA: Final = happenings.DATA
_END: Final = happenings.END
_ROOM: Final = happenings.ROOM


class Exchange:
    """The owner of *stream* over *channel*.

    *trailers*: of the peer's body, once that is whole. *error*: why the exchange is over before
    its end, once it is.
    """

    __slots__ = (
        "_channel",
        "_held",
        "_pieces",
        "_reader",
        "_rest",
        "_sender",
        "_stream",
        "_taken",
        "begun",
        "error",
        "is_begun",
        "trailers",
    )

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stream: Stream
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._taken = 0  # bytes of the piece that was given out last
        # Tasks that wait: for what comes, and for room.
        self._reader: trio.lowlevel.Task | None = None
        self._sender: trio.lowlevel.Task | None = None
        self._rest: _Rest | None = None
        self.trailers: Fields = ()
        self.error: Exception | None = None
        #: What had been queued on its connection, in bytes, when it began.
        self.begun = 0
        #: Whether it is on the wire.
        self.is_begun = False

    def refused(self, error: Exception) -> Exception:
        """What to raise where the peer, or a rule, has ended the exchange with *error*."""
        return error

    def lost(self, why: str, *, is_sent: bool) -> Exception:
        """What to raise where the connection has ended; *is_sent*: a part of it had left."""
        return CallLost(why, execution="maybe_executed" if is_sent else "not_sent")

    # --- told by the channel, which mustn't be kept ----------------------------------------------

    def happened(self, kind: int, value: Any) -> None:
        """Something came, of what :mod:`wirecore.protocols.rest.happenings` lists."""
        if kind == _DATA:
            self._pieces.append(value)
        elif kind == _END:
            self.trailers = value
            self._keep(0)
            if self._stream.over:
                self._wake_sender()  # nobody makes room any more
        elif kind == _ROOM:
            self._wake_sender()
            return
        self._wake_reader()

    def fail(self, error: Exception) -> None:
        """The exchange is over before its end."""
        if self.error is None:
            self.error = error
        self._keep(0)
        self._wake_reader()
        self._wake_sender()

    def _wake_reader(self) -> None:
        task, self._reader = self._reader, None
        if task is not None:
            self._channel.wake(task)

    def _wake_sender(self) -> None:
        task, self._sender = self._sender, None
        if task is not None:
            self._channel.wake(task)

    # --- in -------------------------------------------------------------------------------------

    async def receive(self) -> bytes | None:
        """The next piece of the peer's body, never an empty one; None at its end, and behind that.

        Each call says that its caller is through with the piece before. Raises *error*, also where
        pieces are left, and trio.BusyResourceError where another task receives.
        """
        stream = self._stream
        if self._taken:
            taken, self._taken = self._taken, 0
            self._channel.consumed(stream, taken)
        while True:
            if self.error is not None:
                await trio.lowlevel.checkpoint()
                raise self.error.with_traceback(None)
            if self._pieces:
                # Others have their turn, and no cancellation: it would lose the piece.
                piece = self._pieces.popleft()
                self._taken = len(piece)
                await trio.lowlevel.cancel_shielded_checkpoint()
                return piece
            if stream.received_end:
                await trio.lowlevel.checkpoint()
                return None
            await self._wait_for_more()

    def hold(self, size: int) -> bool:
        """Say that *size* bytes of what was received are kept; whether they may be."""
        stream = self._stream
        if size <= INITIAL or stream.over or stream.received_end:
            size = 0  # no more will come than there is room for without that
        self._keep(size)
        return not size or self._channel.held <= self._channel.most_held

    def _keep(self, size: int) -> None:
        self._channel.held += size - self._held
        self._held = size

    async def _wait_for_more(self) -> None:
        if self._reader is not None:
            raise trio.BusyResourceError("another task receives this body already")
        self._reader = trio.lowlevel.current_task()

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    # --- out ------------------------------------------------------------------------------------

    async def send_body(self, data: bytes, *, end: bool, trailers: Fields = ()) -> bool:
        """Send *data*, in as many pieces as there is room for at a time.

        False, and no more is sent, where the peer wants no more of it. Raises *error*, and as
        Wire's ``send``.
        """
        channel, stream = self._channel, self._stream
        view = memoryview(data)
        while True:
            if self.error is not None:
                raise self.error.with_traceback(None)
            if stream.over or stream.sent_end:
                return False
            if not stream.room and view:
                await self._wait_for_room()
                continue
            await channel.drained()
            if stream.over:
                continue
            piece = view[: min(stream.room, PIECE)]
            view = view[len(piece) :]
            last = not view
            channel.send(stream, bytes(piece), end=end and last, trailers=trailers if last else ())
            if last:
                return True

    async def send_whole(self, data: bytes, *, end: bool = False) -> bool:
        """As :meth:`send_body`, with *data* that goes whole, or not at all.

        Cancelled, nothing of it was sent, or a task goes on with it. Any number of tasks may send
        so, one after the other.
        """
        while self._rest is not None:
            await self._rest.done.wait()
        stream = self._stream
        if self.error is not None:
            await trio.lowlevel.checkpoint()
            raise self.error.with_traceback(None)
        if stream.over or stream.sent_end:
            return False
        if len(data) <= stream.room and not self._channel.crowded:
            self._channel.send(stream, data, end=end, trailers=())
            return True
        rest = self._rest = _Rest()
        self._channel.start_soon(self._send_rest, data, end, rest)
        await rest.done.wait()
        if rest.error is not None:
            raise rest.error.with_traceback(None)
        return rest.is_sent

    async def _send_rest(self, data: bytes, end: bool, rest: _Rest) -> None:
        try:
            rest.is_sent = await self.send_body(data, end=end)
        except Exception as error:  # noqa: BLE001 - raised to who sends
            rest.error = error
        finally:
            self._rest = None
            rest.done.set()

    @property
    def ended(self) -> bool:
        """Whether the peer's body is whole, of which some may wait to be received."""
        return self._stream.received_end

    @property
    def has_more(self) -> bool:
        """Whether some of the peer's body waits to be received."""
        return bool(self._pieces)

    async def _wait_for_room(self) -> None:
        if self._sender is not None:
            raise trio.BusyResourceError("another task sends this body already")
        self._sender = trio.lowlevel.current_task()

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._sender = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def give_up(self, why: str) -> None:
        """End the exchange, if it isn't over; the peer is told *why*."""
        if not self._stream.over:
            self._channel.reset(self._stream, why)
        self._keep(0)
        self._pieces.clear()


class _Rest:
    """Of what is sent as a whole, what a task sends. *error*: why it couldn't."""

    __slots__ = ("done", "error", "is_sent")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: Exception | None = None
        self.is_sent = False
