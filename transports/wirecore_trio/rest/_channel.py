"""One open connection, whichever end has dialled: exchanges in and out of its session."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.happenings import Happening, Stream, Wire
from wirecore.protocols.rest.heads import Fields, RequestHead, ResponseHead
from wirecore.protocols.rest.multiplexed import PIECE
from wirecore.protocols.rest.session import RestSession

from .._changing import Changing
from .._errors import NotConnected, closed_error
from .._link import Link
from .._owner import Owner
from .._pausing import pause, read_on
from .._pump import WATCHED, Pump

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._options import Options

logger = logging.getLogger("wirecore.rest")

_REQUEST: Final = happenings.REQUEST


def http_date() -> bytes:
    """The time, as a Date says it: RFC 9110 section 5.6.7."""
    return formatdate(usegmt=True).encode("ascii")


class Listener(Protocol):
    """Whom a channel tells; nothing of it may block or raise."""

    def _ready(self, channel: Channel, value: Any) -> None:
        """The handshake is through."""

    def _requested(self, channel: Channel, stream: Stream) -> None:
        """A request came: its exchange is to be ``stream.owner``."""

    def _leaving(self, channel: Channel) -> None:
        """The peer wants no more requests."""

    def _ended(self, channel: Channel) -> None:
        """The connection is gone. Told once, when its exchanges have failed."""


class Channel(Changing, Owner[list[Happening]]):
    """An open connection; its owner calls :meth:`run`. *peer*: who is there, for logs."""

    __slots__ = (
        "_client",
        "_closed_here",
        "_listener",
        "_make_id",
        "_options",
        "_pump",
        "_turns",
        "error",
        "held",
        "most_held",
        "peer",
        "session",
        "start_soon",
        "watched",
    )

    def __init__(
        self,
        link: Link,
        session: RestSession,
        listener: Listener,
        options: Options,
        *,
        client: bool,
        peer: str,
        make_id: Callable[[], str],
        nursery: trio.Nursery,
    ) -> None:
        super().__init__()
        self.session = session
        self.peer = peer
        self._client = client
        self._listener = listener
        self._make_id = make_id
        #: Starts a task, which may outlive the connection.
        self.start_soon = nursery.start_soon
        self._options = options
        self._turns: deque[trio.lowlevel.Task] = deque()  # who waits to call
        self._closed_here = ""
        #: Bytes that exchanges keep of what they have received, beyond its first, and their bound.
        self.held = 0
        self.most_held = max(options.window_budget, options.max_message_size)
        #: Whether it is a change that something came: who closes it in good order asks for that.
        self.watched = False
        #: Why the connection ended; None while it is open, and where this end closed it.
        self.error: Exception | None = None
        session.start(trio.current_time())
        self._pump = Pump(
            link,
            session,
            self,
            write_timeout=options.patience,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
            lingering=WATCHED,
        )
        self._pump.push()

    async def run(self, leftover: bytes) -> None:
        """Read until the connection has ended."""
        try:
            if leftover:
                self._pump.feed(leftover)
            await self._pump.run_reader()
        finally:
            self.abort()

    def woke(self) -> None:
        """Somebody is to have his turn before it is read on in place."""
        self._pump.woke = True

    def wake(self, task: trio.lowlevel.Task) -> None:
        """*task* is to go on."""
        trio.lowlevel.reschedule(task)
        self.woke()

    # --- which wire -----------------------------------------------------------------------------

    @property
    def undecided(self) -> bool:
        """Whether it isn't clear yet which end calls, on a connection where only one does."""
        return self.session.undecided

    def serve_alone(self) -> None:
        """The peer calls, and isn't ours."""
        from wirecore.protocols.rest.sequential_serving import SequentialServing

        options = self._options
        self._use(
            lambda put: SequentialServing(
                put,
                head_timeout=options.head_timeout,
                max_head=options.max_head,
                make_date=http_date,
            )
        )

    def call_alone(self) -> None:
        """The peer serves, and isn't ours."""
        from wirecore.protocols.rest.sequential_calling import SequentialCalling

        options = self._options
        self._use(
            lambda put: SequentialCalling(
                put,
                serving_peer="server" if self._client else "client",
                oversize=options.oversize,
                max_head=options.max_head,
                make_id=self._make_id,
            )
        )

    def _use(self, make: Callable[[Callable[[bytes], object]], Wire]) -> None:
        self._tell(self.session.use(make, self._pump.now()))
        read_on(self._pump)
        self._written()

    @property
    def wire(self) -> Wire:
        """The wire that there is. Raises NotConnected where there is none."""
        wire = self.session.wire
        if wire is None or self.ended:
            raise NotConnected(f"the connection to {self.peer} has ended, or isn't open yet")
        return wire

    @property
    def first(self) -> int:
        """How long a body may be that goes with the head of its request."""
        return PIECE if self.session.multiplexed else sys.maxsize

    # --- out ------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Wait until a request may go: send it then, before anything else is awaited.

        A checkpoint only where it has to wait. Raises NotConnected where none may go any more.
        """
        task = trio.lowlevel.current_task()

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._turns.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        while True:
            while not self.wire.free:
                self._turns.append(task)
                await trio.lowlevel.wait_task_rescheduled(abort)
            if not self.crowded:
                return
            try:
                await self._pump.drained()
            except BaseException:
                self._next_turns()  # it was ours, and is another's
                raise

    def request(
        self,
        exchange: Exchange,
        head: RequestHead,
        data: bytes,
        *,
        end: bool,
        trailers: Fields = (),
    ) -> None:
        """Send a request, whose exchange is *exchange*. Raises as Wire's, and NotConnected."""
        exchange.begun = self.session.outbox.queued
        try:
            stream = self.wire.request(head, data, end=end, trailers=trailers, now=self._pump.now())
        except errors.NotConnected:
            raise NotConnected(f"the connection to {self.peer} has ended") from None
        except BaseException:
            self._next_turns()  # nothing was sent
            raise
        stream.owner = exchange
        exchange._stream = stream
        exchange.is_begun = True
        self._written()

    def respond(
        self, stream: Stream, head: ResponseHead, data: bytes, *, end: bool, trailers: Fields
    ) -> None:
        """Send a response, or its beginning. Raises as Wire's; nothing where nobody waits."""
        if not stream.over and self.session.open:
            self.wire.respond(stream, head, data, end=end, trailers=trailers, now=self._pump.now())
            self._written()

    def send(self, stream: Stream, data: bytes, *, end: bool, trailers: Fields) -> None:
        """Send a piece of a body. As :meth:`respond`."""
        if not stream.over and self.session.open:
            self.wire.send(stream, data, end=end, trailers=trailers, now=self._pump.now())
            self._written()

    def reset(self, stream: Stream, why: str) -> None:
        """Give an exchange up. Raises nothing: a peer that doesn't read is cut."""
        if not stream.over and self.session.open:
            try:
                self.wire.reset(stream, why, self._pump.now())
            except errors.LocalLimitExceeded as error:
                self._pump.cut(error)
                return
            self._written()
            self._next_turns()
            if self.watched:
                self.tell_change()

    def consumed(self, stream: Stream, size: int) -> None:
        """The owner of an exchange is through with so many bytes. Raises as :meth:`reset`."""
        if self.session.open and self.session.wire is not None:
            try:
                self.session.wire.consumed(stream, size)
            except errors.LocalLimitExceeded as error:
                self._pump.cut(error)
                return
            if self.session.outbox.pending:
                self._pump.write()

    @property
    def calling(self) -> bool:
        """Whether requests of this end aren't through."""
        wire = self.session.wire
        return wire is not None and wire.calling > 0 and not self.ended

    @property
    def crowded(self) -> bool:
        """Whether too much waits to be sent."""
        return self.session.outbox.pending > self._options.high_water

    async def drained(self) -> None:
        """Wait while it is crowded. A checkpoint only where it has to wait."""
        if self.crowded:
            await self._pump.drained()

    def ping(self, payload: bytes | None) -> bytes:
        """Send a ping; its token. Raises as Connection's."""
        token = self.session.ping(payload)
        self._pump.write()
        return token

    def pong(self, payload: bytes) -> None:
        """Send a pong. Raises as Connection's."""
        self.session.pong(payload)
        self._pump.write()

    def leave(self) -> None:
        """Tell a peer of ours that no more requests are wanted. Raises as :meth:`reset`."""
        leave = getattr(self.session.wire, "leave", None)
        if leave is not None and self.session.open:
            try:
                leave()
            except errors.LocalLimitExceeded as error:
                self._pump.cut(error)
                return
            self._pump.write()

    def _written(self) -> None:
        self._pump.write()
        self._keep_time()

    def _keep_time(self) -> None:
        if self.session.next_deadline() < self._pump.armed:
            self._pump.arm()

    def _next_turns(self) -> None:
        if self._turns and self.session.wire is not None:
            for _ in range(min(len(self._turns), self.session.wire.free)):
                self.wake(self._turns.popleft())

    # --- the end --------------------------------------------------------------------------------

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "", *, why: str = "") -> None:
        """Begin the end in good order. Exchanges under way are told *why*. Idempotent."""
        if not self.ended:
            read_on(self._pump)  # the peer's close frame
            self._closed_here = self._closed_here or why or "this end closed the connection"
            self.session.close(code, reason)
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def abort(self) -> None:
        """End it now; a close frame still goes first, if it can. Idempotent."""
        if not self.ended:
            self._closed_here = self._closed_here or "this end closed the connection"
            self.session.close()
            self._pump.push_last()
            self._pump.end(None)

    # --- the pump's owner, see there ------------------------------------------------------------

    def received(self, happened: list[Happening]) -> None:
        """See the pump's Owner."""
        if len(happened) > 1:
            self._pump.hold()
        self._tell(happened)
        if not self.session.multiplexed:
            self._keep_time()  # a request that came is to be answered in time

    def _tell(self, happened: list[Happening]) -> None:
        for kind, stream, value in happened:
            if stream is not None:
                if kind == _REQUEST:
                    self._listener._requested(self, stream)
                elif stream.owner is not None:
                    self._tell_owner(stream.owner, kind, value)
            elif kind == happenings.READY:
                self._listener._ready(self, value)
                self.tell_change()
            elif kind == happenings.LEAVING:
                self._listener._leaving(self)
            elif kind == happenings.HELD and self.session.undecided:
                pause(self._pump)  # what follows waits in the socket until somebody serves
        if self._turns:
            self._next_turns()
        if self.watched:
            self.tell_change()

    @staticmethod
    def _tell_owner(exchange: Exchange, kind: int, value: Any) -> None:
        if kind == happenings.RESET:
            exchange.fail(exchange.refused(value))
        else:
            exchange.happened(kind, value)

    def on_finish(self) -> None:
        """See the pump's Owner."""
        self._fail_all(None)

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._ended = True
        self._fail_all(error)
        self.session.outbox.clear()
        self.tell_change()
        self._listener._ended(self)

    def _fail_all(self, error: BaseException | None) -> None:
        why = self._closed_here
        if not why:
            problem = self.session.problem
            if self.error is None:
                self.error = closed_error(self.session.closed_error(), problem, error)
            told = problem or (error if error is not None else self.error)
            why = f"the connection to {self.peer} was lost: {told}"
        flushed = self.session.outbox.flushed
        for stream in self.session.lost():
            exchange = stream.owner
            if exchange is not None:
                exchange.fail(exchange.lost(why, is_sent=flushed > exchange.begun))
        while self._turns:
            trio.lowlevel.reschedule(self._turns.popleft())
