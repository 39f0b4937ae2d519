"""One connection of an engine, as its callbacks get it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from wirecore.constants import CloseCode
from wirecore.errors import ConnectionClosed, ConnectionLost, InvalidState
from wirecore.protocols.engine import CloseDetails

from .._message_size import size_of
from ._messages import require_message
from ._turn import Turn

if TYPE_CHECKING:
    from ._runner import Runner
    from .adapters import Adapter, Message


def opcode_of(message: Message) -> int:
    """1 for text, 2 for binary."""
    return 1 if isinstance(message, str) else 2


class Session:
    """A connection, from on_open to on_close, and what callbacks may do with it.

    *id*: a new UUID for each. *number*: 1 for an engine's first, one more for each that follows.
    *response*: the server's answer to the handshake, as the adapter gives it. *restarting*:
    whether it stands for one that has ended.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        session_id: str,
        number: int,
        response: Any,
        restarting: bool,
    ) -> None:
        self._runner = runner
        self._adapter = runner.adapter
        self._spans = runner.spans
        self.turn = Turn()
        self.is_over = False
        #: Set when nothing comes any more.
        self.lost = trio.Event()
        #: What came, and nobody has had yet.
        self.queue: deque[Message] = deque()
        #: When the last message came.
        self.heard = trio.current_time()
        #: How it has ended, as far as it was told so; None where it hasn't.
        self.details: CloseDetails | None = None
        self.run = runner.run_number
        self.id = session_id
        self.number = number
        self.response = response
        self.restarting = restarting

    def __repr__(self) -> str:
        return f"<engine.Session {self.number}, {self.id}>"

    def end(self) -> None:
        """The engine is through with it."""
        self.is_over = True
        self.lost.set()
        self.turn.end()

    @property
    def underlying(self) -> Any:
        """The WebSocket library's own connection; None once it has ended."""
        return None if self.is_over else self._adapter.underlying

    async def send(self, message: Message) -> None:
        """Send a message: text for ``str``. At any time, from any number of tasks.

        Raises ConnectionClosed and NotConnected where the connection has ended; TypeError for what
        is no message, UnicodeEncodeError for text with lone surrogates.
        """
        require_message(message)
        size = size_of(message)
        with self._spans.adapter(
            "write",
            {"websocket.message.size": size, "websocket.message.opcode": opcode_of(message)},
        ):
            await self._live("write").send(message)

    async def ping(self) -> Any:
        """Send a ping, and wait for its pong: what the adapter gives, which is its time.

        Raises as :meth:`send`.
        """
        with self._spans.adapter("ping"):
            return await self._live("ping").ping()

    async def receive(self) -> Message:
        """Read the next message by hand: in on_open, in on_read_error, or while it is paused.

        Raises InvalidState where the engine reads; ConnectionClosed where the connection has
        ended: the engine hears of that when it reads again.
        """
        if not self.turn.is_by_hand:
            raise InvalidState(
                "the engine reads this connection: pause it first, with async with session.pause()"
            )
        try:
            message = await self.read()
        except ConnectionClosed as error:
            self.note_loss(error)
            raise
        if self._runner.subscriptions.waiting:
            self._runner.subscriptions.offer(message)
        return message

    def note_loss(self, error: ConnectionLost) -> CloseDetails:
        """The connection has ended with *error*: how, of which the first word counts."""
        if self.details is None:
            if isinstance(error, ConnectionClosed):
                self.details = CloseDetails(error.code, error.reason)
            else:
                self.details = CloseDetails(CloseCode.ABNORMAL, str(error))
        return self.details

    async def read(self) -> Message:
        """The engine's :meth:`receive`."""
        with self._spans.adapter("read") as span:
            try:
                adapter = self._live("read")
                message = self.queue.popleft() if self.queue else await adapter.receive()
            except BaseException as error:
                if self.turn.is_wanted and not self.turn.over:  # by who pauses
                    span.interrupted()
                else:
                    span.failed(error)
                    span.message(-1, 0)
                raise
            span.message(opcode_of(message), size_of(message))
            self.heard = trio.current_time()
            return message

    def _live(self, what: str) -> Adapter:
        if self.is_over:
            from .adapters._contract import down

            raise down(what)
        return self._adapter

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[Session]:
        """Have the engine read nothing meanwhile: ``async with session.pause(): ...``.

        It is had at once, whatever the engine waits for; who has paused it before comes first.
        Messages that come stay queued, or are yours to :meth:`receive`. Callbacks that run go on.
        Neither :meth:`Engine.stop` nor restart nor exit waits for its end.

        Raises NotConnected where the connection has ended.
        """
        await self.turn.pause()
        try:
            yield self
        finally:
            self.turn.resume()

    def restart(self) -> None:
        """Close this connection, and make another one. Nothing where it is over.

        No further message is given to on_message. Called in on_message or on_read_error, that is
        finished first; then on_close is called, then it is closed.
        """
        self._runner.ask(self, leave=False)

    def exit(self) -> None:
        """End the engine, likewise. In on_open: once that is done."""
        self._runner.ask(self, leave=True)
